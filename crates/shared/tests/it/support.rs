//! Names that no other test has, and that are gone afterwards.

use std::sync::atomic::{AtomicU32, Ordering};

use mapio_shared::SharedObject;

/// The name of an object of one test; whatever has it is removed when it is dropped.
pub struct TestName(String);

impl TestName {
    /// A new name of POSIX shared memory.
    pub fn posix() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(format!("mapio-test-{}-{number}", std::process::id()))
    }
}

impl std::ops::Deref for TestName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for TestName {
    fn drop(&mut self) {
        // Most tests have removed it.
        let _ = SharedObject::remove(&*self.0);
    }
}
