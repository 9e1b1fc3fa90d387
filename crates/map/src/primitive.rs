//! The atomics of algorithms that loom checks: its own under `cfg(loom)`, the processor's otherwise.

cfg_select! {
    loom => {
        pub(crate) use loom::sync::atomic::{AtomicUsize, Ordering, fence};
    }
    _ => {
        pub(crate) use core::sync::atomic::{AtomicUsize, Ordering, fence};
    }
}
