//! Guarded accesses: the only code that touches mapped memory.
//!
//! Each file offers the same functions; which one is compiled is decided here and nowhere else. An access that faults
//! comes back with a [`FaultWord`] instead of killing the process.
//!
//! | file | accesses | how a fault is caught |
//! |---|---|---|
//! | `x86_64.rs`, `aarch64.rs` | inline assembly, one instruction for 1, 2, 4, 8 bytes | exception table, see `table.rs` |
//! | `portable.rs` | `process_vm_readv(2)` on the own process | the kernel answers `EFAULT` |
//! | `volatile.rs` | volatile: under Miri, where mappings are heap memory, and where there are no mappings | cannot happen |
//!
//! Guarded atomic accesses, which need machine code, are in `x86_64/atomic.rs` and `aarch64/atomic.rs`. The others have
//! those of `core`: in `volatile.rs` they cannot fault; in `portable.rs` a fault poisons the mapping, and one in a
//! mapping that is not prepared for that answers [`FaultWord::UNSUPPORTED`].
//!
//! The functions, for `T` in `u8`, `u16`, `u32`, `u64`:
//! - `load_T(base, offset) -> Result<T, FaultWord>`: one load of `base + offset`.
//! - `store_T(base, offset, value) -> Result<(), ()>`: one store. The caller learns why by a load.
//! - `copy(dst, src, len) -> usize`: copies bytes upwards, fast; answers `len`, or fewer bytes that were certainly
//!   copied.
//! - `copy_exact(dst, src, len) -> Progress`: the same byte by byte, for what `copy` has left over: the count is exact
//!   and the fault is told. The ranges of both do not overlap.
//! - `fill(dst, byte, len) -> Progress`: stores `byte` upwards; exact count.
//! - `prefetch(src, len)`: asks for the bytes to be fetched into the cache; never faults.
//! - [`Atomic`](atomic::Atomic) for `T`: `load`, `store`, `swap`, `compare_exchange`, `fetch_add`. The other operations
//!   are made of these, once for all processors.
//! - `arm() -> io::Result<()>`: makes sure that faults are caught, once per process. It comes before the first access.

pub(crate) mod atomic;

/// What a guarded access learned of its fault, packed into the one register that the landing code looks at.
///
/// Bits 12 and up: the page of the faulting address. Bit 11: set for `SIGSEGV`, clear for `SIGBUS`. Bits 0 to 10: the
/// signal's `si_code`, which is positive, so the word is never zero for a fault that a signal reported. On Windows an
/// access violation has the bit, and an error in a page has not, but the number of its reason where the `si_code` is;
/// see `sys/windows/exception.rs`. The
/// address is kept only to its page because that is all that hardware promises for every kind of fault
/// (sigaction(2): `si_addr_lsb`), and all that is needed: which byte it was follows from the count of bytes copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct FaultWord(usize);

impl FaultWord {
    const SEGV: usize = 1 << 11;
    /// `BUS_MCEERR_AR`: the memory itself is bad.
    pub(crate) const HWPOISON: usize = 4;
    const CODE_MASK: usize = Self::SEGV - 1;
    /// Pages are at least this large on every system that Linux runs on.
    const PAGE_MASK: usize = !0xfff;

    /// In place of an access that can't be made at all, and was not tried. No signal has this code.
    pub(crate) const UNSUPPORTED: Self = Self(Self::CODE_MASK);

    /// Packs what a signal said; `None` stands for "no signal", as in a system call's `EFAULT`.
    pub(crate) fn new(addr: usize, signal: Option<Signal>) -> Self {
        let (segv, code) = match signal {
            Some(Signal { segv, code }) => (if segv { Self::SEGV } else { 0 }, code),
            None => (0, 0),
        };
        // An address in page 0 without a signal would be zero, the sign of success. No mapping of ours is there.
        Self(((addr & Self::PAGE_MASK) | segv | (code & Self::CODE_MASK)).max(1))
    }

    /// The word as the handler puts it into a register: never zero.
    #[allow(dead_code, reason = "for systems where faults are signals")]
    pub(crate) fn bits(self) -> usize {
        self.0
    }

    /// What the register holds after a guarded instruction: zero when there was no fault.
    #[allow(dead_code, reason = "for systems where faults are signals")]
    #[inline(always)]
    pub(crate) fn from_register(bits: usize) -> Option<Self> {
        if bits == 0 { None } else { Some(Self(bits)) }
    }

    /// Address of the page that could not be accessed.
    pub(crate) fn page_addr(self) -> usize {
        self.0 & Self::PAGE_MASK
    }

    /// Whether the fault was a `SIGSEGV`: the address is not to be accessed in this way, whatever the file has.
    pub(crate) fn is_segv(self) -> bool {
        self.0 & Self::SEGV != 0
    }

    /// The code that came with the fault; zero if there was none.
    pub(crate) fn code(self) -> usize {
        self.0 & Self::CODE_MASK
    }

    /// Whether the fault was a `SIGBUS` with `BUS_MCEERR_AR`: the memory itself is bad.
    pub(crate) fn is_hwpoison(self) -> bool {
        !self.is_segv() && self.code() == Self::HWPOISON
    }
}

/// The signal behind a fault.
#[allow(dead_code, reason = "for systems where faults are signals")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signal {
    /// `SIGSEGV` rather than `SIGBUS`.
    pub(crate) segv: bool,
    /// `si_code`, which is positive for a fault.
    pub(crate) code: usize,
}

/// How far a bulk operation came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes done, all of them before the byte that faulted.
    pub(crate) done: usize,
    /// Why it stopped before the end; `None` when it did not.
    pub(crate) fault: Option<FaultWord>,
}

cfg_select! {
    // The same conditions as in `sys`, and there for `windows`.
    any(miri, loom, not(any(target_os = "linux", all(windows, target_arch = "x86_64")))) => {
        mod volatile;
        pub(crate) use volatile::*;
    }
    // Also for x32 and ILP32: the assembly wants pointers as wide as registers.
    all(
        target_os = "linux",
        any(mapio_portable, target_pointer_width = "32", not(any(target_arch = "x86_64", target_arch = "aarch64"))),
    ) => {
        mod portable;
        pub(crate) use portable::*;
    }
    target_arch = "x86_64" => {
        pub(crate) mod table;
        mod x86_64;
        pub(crate) use x86_64::*;
    }
    target_arch = "aarch64" => {
        pub(crate) mod table;
        mod aarch64;
        pub(crate) use aarch64::*;
    }
}
