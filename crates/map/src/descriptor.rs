//! Open files by one name on every system: descriptors on Unix, handles on Windows.
//!
//! The types are those of the standard library under names that both share, so `std::fs::File` and whatever else lends
//! its descriptor is taken as it is.
//!
//! | here | Unix, `std::os::fd` | Windows, `std::os::windows::io` |
//! |---|---|---|
//! | [`AsDescriptor`] | `AsFd` | `AsHandle` |
//! | [`AsRawDescriptor`] | `AsRawFd` | `AsRawHandle` |
//! | [`BorrowedDescriptor`] | `BorrowedFd` | `BorrowedHandle` |
//! | [`OwnedDescriptor`] | `OwnedFd` | `OwnedHandle` |
//! | [`RawDescriptor`] | `RawFd` | `RawHandle` |
//! | [`of`] | `AsFd::as_fd` | `AsHandle::as_handle` |
//! | [`raw_of`] | `AsRawFd::as_raw_fd` | `AsRawHandle::as_raw_handle` |
//! | [`lend_descriptor!`](crate::lend_descriptor) | implements both traits | implements both traits |
//!
//! ```
//! use mapio_map::descriptor::{self, AsDescriptor, OwnedDescriptor};
//!
//! /// Opens the same file once more, whatever has it.
//! fn again(file: &impl AsDescriptor) -> std::io::Result<OwnedDescriptor> {
//!     descriptor::of(file).try_clone_to_owned()
//! }
//! # fn main() -> std::io::Result<()> {
//! let file = tempfile::tempfile()?;
//! let again = std::fs::File::from(again(&file)?);
//! again.set_len(7)?;
//! assert_eq!(file.metadata()?.len(), 7);
//! # Ok(())
//! # }
//! ```

cfg_select! {
    windows => {
        pub use std::os::windows::io::{
            AsHandle as AsDescriptor, AsRawHandle as AsRawDescriptor, BorrowedHandle as BorrowedDescriptor,
            OwnedHandle as OwnedDescriptor, RawHandle as RawDescriptor,
        };

        /// Borrows the descriptor of an open file. Does not block.
        #[must_use]
        pub fn of(file: &(impl AsDescriptor + ?Sized)) -> BorrowedDescriptor<'_> {
            file.as_handle()
        }

        /// Tells the descriptor of an open file as the system writes it, for what takes no borrowed one. Does not
        /// block.
        #[must_use]
        pub fn raw_of(file: &(impl AsRawDescriptor + ?Sized)) -> RawDescriptor {
            file.as_raw_handle()
        }

        /// Whether a descriptor can be one of an open file: whether it is, the system says at each use.
        pub(crate) fn can_be_open(raw: RawDescriptor) -> bool {
            // `INVALID_HANDLE_VALUE`, and null.
            !raw.is_null() && raw.addr() != usize::MAX
        }
    }
    _ => {
        pub use std::os::fd::{
            AsFd as AsDescriptor, AsRawFd as AsRawDescriptor, BorrowedFd as BorrowedDescriptor,
            OwnedFd as OwnedDescriptor, RawFd as RawDescriptor,
        };

        /// Borrows the descriptor of an open file. Does not block.
        #[must_use]
        pub fn of(file: &(impl AsDescriptor + ?Sized)) -> BorrowedDescriptor<'_> {
            file.as_fd()
        }

        /// Tells the descriptor of an open file as the system writes it, for what takes no borrowed one. Does not
        /// block.
        #[must_use]
        pub fn raw_of(file: &(impl AsRawDescriptor + ?Sized)) -> RawDescriptor {
            file.as_raw_fd()
        }

        /// Whether a descriptor can be one of an open file: whether it is, the system says at each use.
        pub(crate) fn can_be_open(raw: RawDescriptor) -> bool {
            raw >= 0
        }
    }
}

/// Implements [`AsDescriptor`] and [`AsRawDescriptor`](crate::descriptor::AsRawDescriptor) for a type, by an expression
/// that answers a [`BorrowedDescriptor`](crate::descriptor::BorrowedDescriptor).
///
/// Attributes in front of the type are put on the method that borrows.
///
/// ```
/// use mapio_map::{descriptor, lend_descriptor};
///
/// struct Journal {
///     file: std::fs::File,
/// }
/// lend_descriptor!(Journal, |journal| descriptor::of(&journal.file));
/// ```
#[macro_export]
macro_rules! lend_descriptor {
    ($(#[$attribute:meta])* $type:ty, |$this:ident| $borrow:expr) => {
        ::core::cfg_select! {
            windows => {
                impl ::std::os::windows::io::AsHandle for $type {
                    $(#[$attribute])*
                    fn as_handle(&self) -> ::std::os::windows::io::BorrowedHandle<'_> {
                        let $this = self;
                        $borrow
                    }
                }

                impl ::std::os::windows::io::AsRawHandle for $type {
                    fn as_raw_handle(&self) -> ::std::os::windows::io::RawHandle {
                        let borrowed = ::std::os::windows::io::AsHandle::as_handle(self);
                        ::std::os::windows::io::AsRawHandle::as_raw_handle(&borrowed)
                    }
                }
            }
            _ => {
                impl ::std::os::fd::AsFd for $type {
                    $(#[$attribute])*
                    fn as_fd(&self) -> ::std::os::fd::BorrowedFd<'_> {
                        let $this = self;
                        $borrow
                    }
                }

                impl ::std::os::fd::AsRawFd for $type {
                    fn as_raw_fd(&self) -> ::std::os::fd::RawFd {
                        let borrowed = ::std::os::fd::AsFd::as_fd(self);
                        ::std::os::fd::AsRawFd::as_raw_fd(&borrowed)
                    }
                }
            }
        }
    };
}
