//! Being told to stop: by Ctrl-C, which the processes that were started get too, by SIGTERM, or by closing the
//! terminal. What is mounted or made is cleared away then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Whether somebody wants this to end.
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Catches the signals from now on.
    pub fn catch() -> anyhow::Result<Self> {
        let is_set = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&is_set))?;
        }
        Ok(Self(is_set))
    }

    /// Whether a signal has come.
    pub fn is_set(&self) -> bool {
        // The flag is all that the handler tells.
        self.0.load(Ordering::Relaxed)
    }

    /// Fails once a signal has come.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.is_set(), "stopped");
        Ok(())
    }
}
