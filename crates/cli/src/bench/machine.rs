//! What figures depend on besides what is measured.

use serde::Serialize;

use crate::{output, sys};

/// The machine, and how this program was built.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    processor: String,
    /// Those that this process may use.
    processors: usize,
    /// `None` where the system was not asked, or does not say.
    memory_bytes: Option<u64>,
    system: String,
    build: &'static str,
}

impl Machine {
    /// Asks the system; what it does not tell is `unknown`.
    pub(super) fn look() -> Self {
        let unknown = || "unknown".to_owned();
        Self {
            processor: sys::processor_name().unwrap_or_else(unknown),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: sys::memory_bytes(),
            system: sys::version().unwrap_or_else(unknown),
            build: if cfg!(debug_assertions) {
                "a build for debugging, not optimised: what the program itself does is slow"
            } else {
                "an optimised build"
            },
        }
    }

    /// Each fact in a sentence's part.
    pub(super) fn facts(&self) -> Vec<String> {
        let memory = self.memory_bytes.map(|bytes| format!("{} of memory", output::bytes_text(bytes)));
        [format!("{} ({}), processors: {}", self.processor, std::env::consts::ARCH, self.processors)]
            .into_iter()
            .chain(memory)
            .chain([self.system.clone(), format!("mapio {}, {}", env!("CARGO_PKG_VERSION"), self.build)])
            .collect()
    }
}
