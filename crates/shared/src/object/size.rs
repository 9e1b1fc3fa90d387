//! Objects that become longer or shorter.

use mapio_map::descriptor;

use super::{ObjectKind, SharedObject};
use crate::error::Error;
use crate::header::{HEADER_LEN, LEN};
use crate::memory::Ordering;
use crate::participant::Gate;
use crate::sys::{self, Hold};

impl SharedObject {
    /// Makes the object `bytes` long, of contents. What is added is zeros, with memory set aside for them.
    ///
    /// Handles keep the window that they had when they were opened, this one too: [`reopen`](Self::reopen) gives one
    /// that sees what was added. What stands on the object, such as a channel, does not use it. After a cut, an access
    /// to what is gone answers [`Truncated`](mapio_map::FaultKind::Truncated), but for the rest of the last page, which
    /// reads as zeros; it kills nobody.
    ///
    /// Waits up to five seconds for others who are just opening it. A process that is killed meanwhile leaves the old
    /// or the new length, and at worst memory behind it that nobody uses.
    ///
    /// # Errors
    /// [`Error::Invalid`] for 0 bytes, of a System V object or a named section, and of one that is open for reading
    /// only; [`Error::Os`] with what ftruncate(2) and fallocate(2) say: `EPERM` for a memory file, which can't be cut,
    /// or grow when it was sealed against that; `ENOSPC`.
    #[doc(alias("ftruncate", "fallocate"))]
    pub fn set_len(&self, bytes: u64) -> Result<(), Error> {
        let invalid = |reason: &str| Err(Error::invalid(self.name(), reason));
        if self.kind() == ObjectKind::SysV {
            return invalid("a System V object keeps its length");
        }
        if self.kind() == ObjectKind::Section {
            return invalid("a named section keeps its length");
        }
        if self.inner.memory.mapping().mode() != mapio_map::MapMode::ReadWrite {
            return invalid("it is open for reading only");
        }
        if bytes == 0 {
            return invalid("it needs a length");
        }
        let head = if self.is_raw() { 0 } else { u64::try_from(HEADER_LEN).unwrap_or(u64::MAX) };
        let end = bytes.checked_add(head).filter(|end| i64::try_from(*end).is_ok());
        let end = end.ok_or_else(|| Error::invalid(self.name(), "no file is that long"))?;
        if self.is_raw() {
            return self.set_file_len(end);
        }
        let memory = &self.inner.memory;
        let _gate = Gate::pass(memory, Hold::Exclusive)?;
        let word = memory.u64(LEN)?;
        let before = word.load(Ordering::Relaxed)?;
        if bytes >= before {
            self.set_file_len(end)?;
            return word.store(bytes, Ordering::Relaxed);
        }
        // The header never tells of more than there is.
        word.store(bytes, Ordering::Relaxed)?;
        let cut = self.set_file_len(end);
        if cut.is_err() {
            word.store(before, Ordering::Relaxed)?;
        }
        cut
    }

    fn set_file_len(&self, end: u64) -> Result<(), Error> {
        let os = |operation| Error::os(operation, self.name());
        let file = descriptor::of(self);
        let now = sys::file_len(file).map_err(os("asking about"))?;
        if end > now {
            return sys::allocate(file, now..end).map_err(os("setting memory aside for"));
        }
        sys::cut(file, end).map_err(os("cutting"))
    }
}
