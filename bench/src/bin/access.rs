//! Guarded accesses beside memmap2's slices, raw pointers, vm-memory, pread(2) and a `Vec`.
//!
//! `cargo run --release --bin access [FILTER]`; the file is on /dev/shm, warm, and 1 GiB long.
//!
//! Each contender is a function of its own that is not inlined, so that all are compiled alike.

use std::cell::RefCell;
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use mapio_bench::{Contender, Unit, compare, pin_to};
use mapio_map::{Fault, MapOptions, View};
use memmap2::{Mmap, MmapMut};
use vm_memory::mmap::MmapRegion;
use vm_memory::{Bytes, FileOffset, VolatileMemory, VolatileSlice};

const GIB: usize = 1 << 30;

/// xorshift64.
#[inline(always)]
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state as usize
}

const SEED: u64 = 88_172_645_463_325_252;

#[inline(never)]
fn random_raw(base: *const u8, count: u64, mask: usize) -> u64 {
    let (mut state, mut sum) = (SEED, 0u64);
    for _ in 0..count {
        let offset = next(&mut state) & mask;
        // SAFETY: the mask keeps the eight bytes inside the mapping.
        sum = sum.wrapping_add(unsafe { base.add(offset).cast::<u64>().read_volatile() });
    }
    sum
}

#[inline(never)]
fn random_slice(slice: &[u8], count: u64, mask: usize) -> u64 {
    let (mut state, mut sum) = (SEED, 0u64);
    for _ in 0..count {
        let offset = next(&mut state) & mask;
        sum = sum.wrapping_add(u64::from_ne_bytes(slice[offset..offset + 8].try_into().unwrap()));
    }
    sum
}

#[inline(never)]
fn random_view(view: View<'_>, count: u64, mask: usize) -> Result<u64, Fault> {
    let (mut state, mut sum) = (SEED, 0u64);
    for _ in 0..count {
        let offset = next(&mut state) & mask;
        sum = sum.wrapping_add(view.load::<u64>(offset)?);
    }
    Ok(sum)
}

#[inline(never)]
fn random_guest(guest: &VolatileSlice<'_>, count: u64, mask: usize) -> u64 {
    let (mut state, mut sum) = (SEED, 0u64);
    for _ in 0..count {
        let offset = next(&mut state) & mask;
        sum = sum.wrapping_add(guest.read_obj::<u64>(offset).expect("inside"));
    }
    sum
}

#[inline(never)]
fn random_pread(file: &File, count: u64, mask: usize) -> u64 {
    let (mut state, mut sum, mut word) = (SEED, 0u64, [0; 8]);
    for _ in 0..count {
        let offset = next(&mut state) & mask;
        file.read_exact_at(&mut word, offset as u64).expect("inside");
        sum = sum.wrapping_add(u64::from_ne_bytes(word));
    }
    sum
}

/// An atomic operation on random words, by `AtomicU64`s in a slice: what memmap2's users do. Its bounds are checked, as
/// everywhere here, and its alignment.
macro_rules! atomic_raw {
    ($name:ident, $word:ident, $i:ident => $operation:expr) => {
        #[inline(never)]
        fn $name(slice: &mut [u8], count: u64, mask: usize) -> u64 {
            let (mut state, mut sum) = (SEED, 0u64);
            for $i in 0..count {
                let offset = next(&mut state) & mask;
                let word = slice[offset..offset + 8].as_mut_ptr().cast::<u64>();
                assert!(word.is_aligned());
                // SAFETY: eight aligned bytes inside the mapping, which nobody uses otherwise meanwhile.
                let $word = unsafe { AtomicU64::from_ptr(word) };
                sum = sum.wrapping_add($operation);
            }
            sum
        }
    };
}

/// The same through a view.
macro_rules! atomic_view {
    ($name:ident, $word:ident, $i:ident => $operation:expr) => {
        #[inline(never)]
        fn $name(view: View<'_>, count: u64, mask: usize) -> Result<u64, Fault> {
            let (mut state, mut sum) = (SEED, 0u64);
            for $i in 0..count {
                let offset = next(&mut state) & mask;
                let $word = view.atomic::<u64>(offset)?;
                sum = sum.wrapping_add($operation);
            }
            Ok(sum)
        }
    };
}

/// The same by vm-memory's references.
macro_rules! atomic_guest {
    ($name:ident, $word:ident, $i:ident => $operation:expr) => {
        #[inline(never)]
        fn $name(guest: &VolatileSlice<'_>, count: u64, mask: usize) -> u64 {
            let (mut state, mut sum) = (SEED, 0u64);
            for $i in 0..count {
                let offset = next(&mut state) & mask;
                let $word = guest.get_atomic_ref::<AtomicU64>(offset).expect("inside");
                sum = sum.wrapping_add($operation);
            }
            sum
        }
    };
}

atomic_raw!(load_raw, word, _i => word.load(Ordering::Acquire));
atomic_raw!(add_raw, word, i => word.fetch_add(i, Ordering::AcqRel));
atomic_raw!(swap_raw, word, i => {
    word.compare_exchange(i, i + 1, Ordering::AcqRel, Ordering::Acquire).unwrap_or_else(|found| found)
});
atomic_view!(load_view, word, _i => word.load(Ordering::Acquire)?);
atomic_view!(add_view, word, i => word.fetch_add(i, Ordering::AcqRel)?);
atomic_view!(swap_view, word, i => {
    word.compare_exchange(i, i + 1, Ordering::AcqRel, Ordering::Acquire)?.unwrap_or_else(|found| found)
});
atomic_guest!(load_guest, word, _i => word.load(Ordering::Acquire));
atomic_guest!(add_guest, word, i => word.fetch_add(i, Ordering::AcqRel));
atomic_guest!(swap_guest, word, i => {
    word.compare_exchange(i, i + 1, Ordering::AcqRel, Ordering::Acquire).unwrap_or_else(|found| found)
});

#[inline(never)]
fn chase_raw(base: *const u8, count: u64) -> u64 {
    let mut offset = 0;
    for _ in 0..count {
        // SAFETY: the chain holds offsets inside the mapping.
        offset = unsafe { base.add(offset).cast::<u64>().read_volatile() } as usize;
    }
    offset as u64
}

#[inline(never)]
fn chase_slice(slice: &[u8], count: u64) -> u64 {
    let mut offset = 0;
    for _ in 0..count {
        offset = u64::from_ne_bytes(slice[offset..offset + 8].try_into().unwrap()) as usize;
    }
    offset as u64
}

#[inline(never)]
fn chase_view(view: View<'_>, count: u64) -> Result<u64, Fault> {
    let mut offset = 0;
    for _ in 0..count {
        offset = view.load::<u64>(offset)? as usize;
    }
    Ok(offset as u64)
}

#[inline(never)]
fn store_raw(base: *mut u8, count: u64, mask: usize) {
    let mut state = SEED;
    for i in 0..count {
        let offset = next(&mut state) & mask;
        // SAFETY: the mask keeps the eight bytes inside the mapping.
        unsafe { base.add(offset).cast::<u64>().write_volatile(i) };
    }
}

#[inline(never)]
fn store_slice(slice: &mut [u8], count: u64, mask: usize) {
    let mut state = SEED;
    for i in 0..count {
        let offset = next(&mut state) & mask;
        slice[offset..offset + 8].copy_from_slice(&i.to_ne_bytes());
    }
}

#[inline(never)]
fn store_view(view: View<'_>, count: u64, mask: usize) -> Result<(), Fault> {
    let mut state = SEED;
    for i in 0..count {
        let offset = next(&mut state) & mask;
        view.store(offset, i)?;
    }
    Ok(())
}

#[inline(never)]
fn sum_slice(slice: &[u8]) -> u64 {
    slice.chunks_exact(8).fold(0, |sum, word| sum.wrapping_add(u64::from_ne_bytes(word.try_into().unwrap())))
}

#[inline(never)]
fn sum_chunks(view: View<'_>) -> Result<u64, Fault> {
    let (mut chunks, mut sum) = (view.chunks(1024), 0u64);
    while let Some(chunk) = chunks.next_chunk()? {
        sum = sum.wrapping_add(sum_slice(chunk));
    }
    Ok(sum)
}

/// A random cycle through the cache lines of the first `len` bytes: each line begins with the offset of the next.
fn link_lines(map: &mut MmapMut, len: usize) {
    let lines = len / 64;
    let mut order: Vec<u32> = (0..lines as u32).collect();
    let mut state = SEED;
    for i in (1..lines).rev() {
        order.swap(i, next(&mut state) % (i + 1));
    }
    for i in 0..lines {
        let (at, to) = (order[i] as usize * 64, u64::from(order[(i + 1) % lines]) * 64);
        map[at..at + 8].copy_from_slice(&to.to_ne_bytes());
    }
}

/// The parts of the bench, which an argument may choose from by the beginning of a name.
const PARTS: [&str; 5] = ["random", "atomics", "bulk", "odd", "sum"];

fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    if !PARTS.iter().any(|part| part.starts_with(&filter)) {
        eprintln!("access: '{filter}' is none of {PARTS:?}");
        std::process::exit(2);
    }
    pin_to(1);
    let file: File = tempfile::tempfile_in("/dev/shm").expect("memory");
    file.set_len(GIB as u64).expect("room");
    // SAFETY: nobody else has the file, and this thread makes each slice of it for one run of one contender, so that
    // none lives while another contender writes.
    let mut rival_mut = unsafe { MmapMut::map_mut(&file) }.expect("a mapping");
    rival_mut.fill(1);
    // SAFETY: as above.
    let rival = unsafe { Mmap::map(&file) }.expect("a mapping");
    let mapping = MapOptions::read_write().map(&file).expect("a mapping");
    let view = mapping.view();
    let region = FileOffset::new(file.try_clone().expect("a descriptor"), 0);
    let region = MmapRegion::<()>::from_file(region, GIB).expect("a mapping");
    let guest = region.as_volatile_slice();
    // All the mappings have their page tables filled before anything is measured.
    black_box(rival.iter().step_by(4096).map(|&byte| u64::from(byte)).sum::<u64>());
    view.write_all_at(0, &rival).expect("room");
    for page in (0..GIB).step_by(4096) {
        guest.write_obj(1u8, page).expect("inside");
    }

    for (name, len) in [("32 KiB", 32 << 10), ("1 MiB", 1 << 20), ("1 GiB", GIB)] {
        if "random".starts_with(&filter) {
            random(name, len, &file, &rival, &mut rival_mut, view, &guest);
        }
        if "atomics".starts_with(&filter) {
            atomics(name, len, &mut rival_mut, view, &guest);
        }
    }
    if "bulk".starts_with(&filter) {
        for len in [256, 4096, 64 << 10, 64 << 20] {
            bulk(len, &file, &rival, &mut rival_mut, view, &guest);
        }
    }
    if "odd".starts_with(&filter) {
        for len in [1, 3, 7, 13, 24, 40, 100, 200, 300, 1000, 3000, 8000, 12_000, 16_000, 20_000, 32_000, 1 << 20] {
            bulk(len, &file, &rival, &mut rival_mut, view, &guest);
        }
    }
    if "sum".starts_with(&filter) {
        for (name, len) in [("1 MiB", 1 << 20), ("1 GiB", GIB)] {
            sum(name, len, &file, &rival, view);
        }
    }
}

fn random(
    name: &str,
    len: usize,
    file: &File,
    rival: &Mmap,
    rival_mut: &mut MmapMut,
    view: View<'_>,
    guest: &VolatileSlice<'_>,
) {
    link_lines(rival_mut, len);
    let (count, mask) = (2_000_000, (len - 1) & !7);
    let window = view.slice(..len).expect("inside");
    let vec = rival[..len].to_vec();
    compare(
        &format!("random 8-byte loads, {name} working set"),
        Unit::NanosecondsPer(count as f64),
        31,
        &mut [
            Contender { name: "memmap2 slice", run: &mut || _ = black_box(random_slice(&rival[..len], count, mask)) },
            Contender { name: "mapio view", run: &mut || _ = black_box(random_view(window, count, mask).unwrap()) },
            Contender { name: "raw volatile", run: &mut || _ = black_box(random_raw(rival.as_ptr(), count, mask)) },
            Contender { name: "Vec", run: &mut || _ = black_box(random_slice(&vec, count, mask)) },
            Contender { name: "vm-memory", run: &mut || _ = black_box(random_guest(guest, count, mask)) },
            Contender { name: "pread", run: &mut || _ = black_box(random_pread(file, count, mask)) },
        ],
    );
    let count = if len < GIB { count } else { 400_000 };
    compare(
        &format!("dependent 8-byte loads, {name} working set"),
        Unit::NanosecondsPer(count as f64),
        31,
        &mut [
            Contender { name: "memmap2 slice", run: &mut || _ = black_box(chase_slice(&rival[..len], count)) },
            Contender { name: "raw volatile", run: &mut || _ = black_box(chase_raw(rival.as_ptr(), count)) },
            Contender { name: "mapio view", run: &mut || _ = black_box(chase_view(window, count).unwrap()) },
        ],
    );
    let count = 4_000_000;
    let rival_mut = RefCell::new(rival_mut);
    compare(
        &format!("random 8-byte stores, {name} working set"),
        Unit::NanosecondsPer(count as f64),
        31,
        &mut [
            Contender {
                name: "memmap2 slice",
                run: &mut || store_slice(&mut rival_mut.borrow_mut()[..len], count, mask),
            },
            Contender { name: "mapio view", run: &mut || store_view(window, count, mask).unwrap() },
            Contender {
                name: "raw volatile",
                run: &mut || store_raw(rival_mut.borrow_mut().as_mut_ptr(), count, mask),
            },
        ],
    );
}

fn atomics(name: &str, len: usize, rival: &mut [u8], view: View<'_>, guest: &VolatileSlice<'_>) {
    let (count, mask) = (2_000_000, (len - 1) & !7);
    let window = view.slice(..len).expect("inside");
    type Raw = fn(&mut [u8], u64, usize) -> u64;
    type Viewed = fn(View<'_>, u64, usize) -> Result<u64, Fault>;
    type Guest = fn(&VolatileSlice<'_>, u64, usize) -> u64;
    let operations: [(&str, Raw, Viewed, Guest); 3] = [
        ("acquire loads", load_raw, load_view, load_guest),
        ("fetch_add", add_raw, add_view, add_guest),
        ("compare_exchange", swap_raw, swap_view, swap_guest),
    ];
    for (operation, raw, viewed, guested) in operations {
        compare(
            &format!("random 8-byte atomics, {operation}, {name} working set"),
            Unit::NanosecondsPer(count as f64),
            31,
            &mut [
                Contender {
                    name: "memmap2, AtomicU64::from_ptr",
                    run: &mut || _ = black_box(raw(&mut rival[..len], count, mask)),
                },
                Contender {
                    name: "mapio AtomicView",
                    run: &mut || _ = black_box(viewed(window, count, mask).unwrap()),
                },
                Contender { name: "vm-memory", run: &mut || _ = black_box(guested(guest, count, mask)) },
            ],
        );
    }
}

/// Bytes of the mapping that short copies walk through: hot in the first-level cache; a power of two.
const HOT_BYTES: usize = 16 << 10;

#[inline(never)]
fn read_raw(base: *const u8, buf: &mut [u8], steps: Steps) {
    for offset in steps.offsets() {
        // SAFETY: the steps stay inside the mapping, and it overlaps no Rust object.
        unsafe { std::ptr::copy_nonoverlapping(base.add(offset), buf.as_mut_ptr(), buf.len()) };
        black_box(&mut *buf);
    }
}

#[inline(never)]
fn read_slice(slice: &[u8], buf: &mut [u8], steps: Steps) {
    for offset in steps.offsets() {
        buf.copy_from_slice(&slice[offset..offset + buf.len()]);
        black_box(&mut *buf);
    }
}

#[inline(never)]
fn read_view(view: View<'_>, buf: &mut [u8], steps: Steps) -> Result<(), Fault> {
    for offset in steps.offsets() {
        view.read_exact_at(offset, buf)?;
        black_box(&mut *buf);
    }
    Ok(())
}

#[inline(never)]
fn read_guest(guest: &VolatileSlice<'_>, buf: &mut [u8], steps: Steps) {
    for offset in steps.offsets() {
        guest.read_slice(buf, offset).expect("inside");
        black_box(&mut *buf);
    }
}

#[inline(never)]
fn read_pread(file: &File, buf: &mut [u8], steps: Steps) {
    for offset in steps.offsets() {
        file.read_exact_at(buf, offset as u64).expect("inside");
        black_box(&mut *buf);
    }
}

#[inline(never)]
fn write_slice(slice: &mut [u8], buf: &[u8], steps: Steps) {
    for offset in steps.offsets() {
        slice[offset..offset + buf.len()].copy_from_slice(buf);
        black_box(buf);
    }
}

#[inline(never)]
fn write_raw(base: *mut u8, buf: &[u8], steps: Steps) {
    for offset in steps.offsets() {
        // SAFETY: as in `read_raw`.
        unsafe { std::ptr::copy_nonoverlapping(buf.as_ptr(), base.add(offset), buf.len()) };
        black_box(buf);
    }
}

#[inline(never)]
fn write_view(view: View<'_>, buf: &[u8], steps: Steps) -> Result<(), Fault> {
    for offset in steps.offsets() {
        view.write_all_at(offset, buf)?;
        black_box(buf);
    }
    Ok(())
}

/// Where a bulk copy starts each time: steps of its own length around a window.
#[derive(Clone, Copy)]
struct Steps {
    step: usize,
    /// Bytes of the window, less one: a power of two, less one.
    mask: usize,
    repeats: usize,
}

impl Steps {
    #[inline(always)]
    fn offsets(self) -> impl Iterator<Item = usize> {
        let mut offset = 0;
        (0..self.repeats).map(move |_| {
            offset = (offset + self.step) & self.mask;
            offset
        })
    }
}

/// Copies out of the mapping and into it; short ones hot in the first-level cache.
fn bulk(len: usize, file: &File, rival: &Mmap, rival_mut: &mut MmapMut, view: View<'_>, guest: &VolatileSlice<'_>) {
    let repeats = ((64 << 20) / len.max(64)).clamp(1, 200_000);
    let mask = if len < HOT_BYTES { HOT_BYTES - 1 } else { 0 };
    let steps = black_box(Steps { step: len, mask, repeats });
    // One buffer for all contenders, placed as malloc places most: 16 bytes behind the start of a cache line.
    let mut room = vec![1u8; len + 128];
    let start = room.as_ptr().align_offset(64) + 16;
    let buf = RefCell::new(&mut room[start..start + len]);
    compare(
        &format!("bulk read of {len} bytes"),
        Unit::GigabytesOf((len * repeats) as f64),
        41,
        &mut [
            Contender { name: "memmap2 slice", run: &mut || read_slice(rival, &mut buf.borrow_mut(), steps) },
            Contender { name: "mapio view", run: &mut || read_view(view, &mut buf.borrow_mut(), steps).unwrap() },
            Contender {
                name: "ptr::copy_nonoverlapping",
                run: &mut || read_raw(rival.as_ptr(), &mut buf.borrow_mut(), steps),
            },
            Contender { name: "vm-memory", run: &mut || read_guest(guest, &mut buf.borrow_mut(), steps) },
            Contender { name: "pread", run: &mut || read_pread(file, &mut buf.borrow_mut(), steps) },
        ],
    );
    let rival_mut = RefCell::new(rival_mut);
    compare(
        &format!("bulk write of {len} bytes"),
        Unit::GigabytesOf((len * repeats) as f64),
        41,
        &mut [
            Contender {
                name: "memmap2 slice",
                run: &mut || write_slice(&mut rival_mut.borrow_mut(), &buf.borrow(), steps),
            },
            Contender { name: "mapio view", run: &mut || write_view(view, &buf.borrow(), steps).unwrap() },
            Contender {
                name: "ptr::copy_nonoverlapping",
                run: &mut || write_raw(rival_mut.borrow_mut().as_mut_ptr(), &buf.borrow(), steps),
            },
        ],
    );
}

#[inline(never)]
fn sum_pread(file: &File, len: usize) -> u64 {
    let (mut buffer, mut offset, mut sum) = (vec![0; 64 << 10], 0, 0u64);
    while offset < len {
        file.read_exact_at(&mut buffer, offset as u64).expect("inside");
        sum = sum.wrapping_add(sum_slice(&buffer));
        offset += buffer.len();
    }
    sum
}

fn sum(name: &str, len: usize, file: &File, rival: &Mmap, view: View<'_>) {
    let repeats = ((64 << 20) / len).max(1);
    let vec = rival[..len].to_vec();
    let window = view.slice(..len).expect("inside");
    compare(
        &format!("sequential sum of u64 over {name}"),
        Unit::GigabytesOf((len * repeats) as f64),
        21,
        &mut [
            Contender {
                name: "memmap2 slice",
                run: &mut || (0..repeats).for_each(|_| _ = black_box(sum_slice(black_box(&rival[..len])))),
            },
            Contender {
                name: "mapio chunks of 1 KiB",
                run: &mut || (0..repeats).for_each(|_| _ = black_box(sum_chunks(black_box(window)).unwrap())),
            },
            Contender {
                name: "Vec",
                run: &mut || (0..repeats).for_each(|_| _ = black_box(sum_slice(black_box(&vec)))),
            },
            Contender {
                name: "pread of 64 KiB",
                run: &mut || (0..repeats).for_each(|_| _ = black_box(sum_pread(file, len))),
            },
        ],
    );
}
