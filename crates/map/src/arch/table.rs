//! The exception table, in which the faults of guarded instructions are looked up.
//!
//! ```text
//! .text                                   the table's section
//!   2: mov rax, [rbx + rcx]    <--------- { from: 2b - ., to: 3b - ., register: 12 }
//!   3: test rdx, rdx           <---------------------'
//! ```
//!
//! A fault at an instruction that is in the table goes on at its landing, with a [`FaultWord`](super::FaultWord) in the
//! register named. The records are emitted by `guarded!` in the file of each processor, and put side by side by the
//! linker, for each program and each shared object its own.
//!
//! | format | section | its bounds | why the linker keeps it |
//! |---|---|---|---|
//! | ELF | `mapio_extable_v1` | `__start_` and `__stop_`, which linkers make for such a name | the flag `R` (`SHF_GNU_RETAIN`) |
//! | PE | `.mapx` | the image's own table of sections, by name | a pointer to each record in `.xdatamx` |
//!
//! Linkers of PE know no flag that keeps what nothing refers to, but GNU's keeps each section whose name begins with
//! `.xdata`, where unwinding tables are, and so what that refers to (`ld --verbose`: `KEEP(*(.xdata*))`); Microsoft's
//! and LLVM's drop nothing that is not a COMDAT. Sorting by names with `$`, by which others find such bounds, is
//! out of reach: LLVM prints no `$` from assembly in Intel's syntax.
//!
//! Invariant: [`find`] answers what `guarded!` has said of exactly this instruction.
#![expect(unsafe_code, reason = "the table is put together by the linker")]
#![expect(clippy::as_conversions, reason = "offsets are integers of another width than addresses")]

/// A record of the exception table. Offsets are from the field's own address, so the table needs no relocation.
#[repr(C)]
struct Record {
    /// To the instruction that may fault.
    from: i32,
    /// To its landing.
    to: i32,
    /// The register that gets the fault word, as the processor's file numbers them; 255 for none.
    register: u32,
}

const _: () = assert!(size_of::<Record>() == 12 && align_of::<Record>() == 4);

/// Where a guarded instruction goes on after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Landing {
    /// The address of the next instruction.
    pub(crate) addr: usize,
    /// The register that gets the fault word, as the processor's file numbers them; 255 for none.
    pub(crate) register: usize,
}

/// The landing of the instruction at `program_counter`, if it is a guarded one. Fault handlers call it: it takes no
/// lock, allocates nothing and does not panic.
pub(crate) fn find(program_counter: usize) -> Option<Landing> {
    let record = records().iter().find(|record| target(&record.from) == program_counter)?;
    Some(Landing { addr: target(&record.to), register: record.register as usize })
}

/// The address that a field of a record stands for.
fn target(field: &i32) -> usize {
    std::ptr::from_ref(field).addr().wrapping_add_signed(*field as isize)
}

cfg_select! {
    windows => {
        use std::mem::offset_of;

        use windows_sys::Win32::System::Diagnostics::Debug::{IMAGE_NT_HEADERS64, IMAGE_SECTION_HEADER};
        use windows_sys::Win32::System::SystemServices::IMAGE_DOS_HEADER;

        /// The section's name in the image: eight bytes, filled up with zeros.
        const SECTION: [u8; 8] = *b".mapx\0\0\0";

        unsafe extern "C" {
            // The linker makes this one at the start of every program and every library ("__ImageBase", Microsoft's
            // documentation of the linker; GNU ld as well).
            #[link_name = "__ImageBase"]
            static IMAGE: IMAGE_DOS_HEADER;
        }

        /// All records of this output.
        fn records() -> &'static [Record] {
            let image = &raw const IMAGE;
            // SAFETY: the image is loaded at its base, begins with this header, and stays as it is while code in it
            // runs ("PE Format", Microsoft's documentation of its file formats).
            let at = unsafe { (*image).e_lfanew };
            let headers = image.wrapping_byte_add(at as usize).cast::<IMAGE_NT_HEADERS64>();
            // SAFETY: `e_lfanew` is where the next headers are, inside the image ("Signature (Image Only)").
            let file = unsafe { (*headers).FileHeader };
            // The table of sections is right behind the optional header, whose size the file header tells.
            let behind = offset_of!(IMAGE_NT_HEADERS64, OptionalHeader) + usize::from(file.SizeOfOptionalHeader);
            let first = headers.wrapping_byte_add(behind).cast::<IMAGE_SECTION_HEADER>();
            for index in 0..usize::from(file.NumberOfSections) {
                // SAFETY: there are that many of them, in the headers, which are loaded with the image.
                let section = unsafe { first.wrapping_add(index).read_unaligned() };
                if section.Name == SECTION {
                    // SAFETY: the field is an integer in either reading of the union.
                    let bytes = unsafe { section.Misc.VirtualSize } as usize;
                    let start = image.wrapping_byte_add(section.VirtualAddress as usize).cast::<Record>();
                    // SAFETY: the section is loaded there, with so many bytes, aligned to its own pages, and read-only.
                    // It holds records alone, which the linker has put side by side, each emitted whole and aligned to
                    // 4 by `guarded!`.
                    return unsafe { std::slice::from_raw_parts(start, bytes / size_of::<Record>()) };
                }
            }
            // No access of this output is guarded.
            &[]
        }
    }
    _ => {
        unsafe extern "C" {
            // The linker makes these two for any section whose name is a C identifier.
            #[link_name = "__start_mapio_extable_v1"]
            static TABLE_START: [Record; 0];
            #[link_name = "__stop_mapio_extable_v1"]
            static TABLE_END: [Record; 0];
        }

        /// Keeps the section in every output that holds this code, or lld would not make the two symbols above.
        #[used]
        // SAFETY: the section holds `Record`s only; this adds none.
        #[unsafe(link_section = "mapio_extable_v1")]
        static TABLE_ANCHOR: [Record; 0] = [];

        /// All records of this output.
        fn records() -> &'static [Record] {
            let start = &raw const TABLE_START as *const Record;
            let end = &raw const TABLE_END as *const Record;
            let count = (end.addr() - start.addr()) / size_of::<Record>();
            // SAFETY: the linker puts all records of this output between the two symbols, each emitted whole and
            // aligned to 4 by `guarded!`; the section is read-only.
            unsafe { std::slice::from_raw_parts(start, count) }
        }
    }
}
