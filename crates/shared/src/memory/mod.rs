//! The bytes that everything shared stands on: words on which processes agree, and data beside them.
//!
//! The algorithms above take a [`Memory`] and nothing else, so that the same code runs on mapped objects and, in every
//! interleaving of its threads, on loom's model of memory. Both files offer the same:
//! - `part(offset, len)`: a part of it; `len`.
//! - `u32(offset)`, `u64(offset)`: a [`Word`], with `load`, `store`, `compare_exchange`, `fetch_add`, and for `u32`
//!   `wait`, `wake` and `wake_and_count`.
//! - `window(offset, len)`: a [`Window`], a part for a moment, with `u64`, `read` and `write`.
//! - `read(offset, buf)`, `write(offset, bytes)`: data, which nothing orders and which others may change meanwhile.
//! - `corrupt(offset, reason)`: the error for what nobody who keeps to the rules would have written.
//!
//! The model also has `dying_after(operations)`: the memory of one who is killed there.
//!
//! Every answer may be an error, since somebody may cut the object short at any time. Whoever may open the object may
//! write anything there: a value that was loaded is checked before it is used.

cfg_select! {
    loom => {
        mod model;
        pub(crate) use model::{Memory, Window, Word};
        pub(crate) use loom::sync::atomic::{Ordering, fence};
        pub(crate) use loom::hint::spin_loop;
    }
    _ => {
        mod mapped;
        pub(crate) use mapped::{Memory, Window, Word};
        pub(crate) use core::sync::atomic::{Ordering, fence};
        pub(crate) use core::hint::spin_loop;
    }
}
