//! The atomics of algorithms that loom checks: its own in the tests of `cfg(loom)`, the processor's otherwise.

cfg_select! {
    all(loom, test) => {
        pub(crate) use loom::sync::atomic::{AtomicUsize, Ordering, fence};
    }
    _ => {
        pub(crate) use core::sync::atomic::{AtomicUsize, Ordering, fence};
    }
}
