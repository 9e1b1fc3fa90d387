//! What Linux's kernel shows of mappings, and advice that it follows.
#![expect(unsafe_code, reason = "the module's constructors are unsafe functions")]

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;

use mapio_map::compat::{Advice, MapIfSafeError, Mmap, MmapMut, MmapOptions, MmapRaw, RemapOptions, UncheckedAdvice};
use mapio_map::{MapOptions, SealedMap, page_bytes};
use mapio_testkit::{in_child, pattern, runner, skip};

use super::{LEN, contents, map, read_only, read_only_with, read_write};
use crate::support::pattern_file;

/// The file again, opened for reading alone.
fn for_reading(file: &File) -> File {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).expect("our own file")
}

/// The lines of `/proc/self/smaps` about the mapping that starts on the page of this address.
fn smaps(first: *const u8) -> String {
    let start = format!("{:x}-", first.addr() / page_bytes() * page_bytes());
    let text = std::fs::read_to_string("/proc/self/smaps").expect("/proc");
    let from = text.lines().skip_while(|line| !line.starts_with(&start));
    let lines: Vec<_> = from.take_while(|line| !line.starts_with("VmFlags") && !line.is_empty()).collect();
    lines.join("\n")
}

/// Whether the machine is emulated: advice is then not followed, and `/proc/self/smaps` is made up. Says so.
fn is_emulated(test: &str) -> bool {
    let emulated = runner().is_some();
    if emulated {
        skip(test, "the emulator does not follow advice, and has no figures of mappings");
    }
    emulated
}

/// How the kernel shows what a mapping may be used for, such as `r--s`.
fn permissions(first: *const u8) -> String {
    smaps(first).split(' ').nth(1).unwrap_or("no such mapping").to_owned()
}

/// A number of kibibytes that `/proc/self/smaps` tells of a mapping.
fn kibibytes(first: *const u8, name: &str) -> usize {
    let smaps = smaps(first);
    let line = smaps.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// How many mappings of a file the process has.
fn mappings_of(file: &File) -> usize {
    let inode = file.metadata().expect("our own file").ino().to_string();
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    maps.lines().filter(|line| line.split_whitespace().nth(4) == Some(&inode)).count()
}

#[test]
fn a_mapping_outlives_its_file_and_is_unmapped_when_dropped() {
    let (file, map) = map(read_only);
    let same = for_reading(&file);
    drop(file);
    assert_eq!((map[..] == pattern(LEN), mappings_of(&same)), (true, 1));
    drop(map);
    assert_eq!(mappings_of(&same), 0);
}

#[test]
fn no_bytes_are_an_empty_slice_of_a_page_that_every_verb_takes() {
    let file = pattern_file(0);
    let mut map = read_write(&file).expect("a mapping");
    assert!(map.is_empty() && map.as_ptr().addr().is_multiple_of(page_bytes()));
    assert_eq!(mappings_of(&file), 1);
    map.flush().expect("nothing to flush");
    map.flush_async_range(0, 0).expect("nothing to flush");
    map.advise(Advice::Sequential).expect("nothing to advise on");
    map.lock().expect("nothing to lock");
    map.unlock().expect("nothing to unlock");
    file.set_len(5).expect("room");
    // SAFETY: the file has the bytes, and no address is kept.
    unsafe { map.remap(5, RemapOptions::new()) }.expect("the same page");
    assert_eq!(map[..], [0; 5]);
    // SAFETY: as above.
    unsafe { map.remap(0, RemapOptions::new()) }.expect("the same page");
    assert!(map.make_read_only().expect("a page").make_mut().expect("a page").make_exec().expect("a page").is_empty());
    assert!(MmapOptions::new().map_anon().expect("a page").is_empty());
}

#[test]
fn each_constructor_allows_what_its_name_says_and_no_more() {
    if is_emulated("each_constructor_allows_what_its_name_says_and_no_more") {
        return;
    }
    let file = pattern_file(LEN);
    // SAFETY, for all: as in `read_only`.
    // SAFETY: as above.
    let exec = unsafe { MmapOptions::new().map_exec(&file) }.expect("a mapping");
    // SAFETY: as above.
    let copy = unsafe { MmapOptions::new().map_copy(&file) }.expect("a mapping");
    // SAFETY: as above.
    let copy_read_only = unsafe { MmapOptions::new().map_copy_read_only(&file) }.expect("a mapping");
    // SAFETY: as above.
    let mutable = unsafe { MmapOptions::new().map_mut(&file) }.expect("a mapping");
    assert_eq!(permissions(read_only(&file).expect("a mapping").as_ptr()), "r--s");
    assert_eq!(permissions(exec.as_ptr()), "r-xs");
    assert_eq!(permissions(mutable.as_ptr()), "rw-s");
    assert_eq!(permissions(copy.as_ptr()), "rw-p");
    assert_eq!(permissions(copy_read_only.as_ptr()), "r--p");
    assert_eq!(permissions(MmapOptions::new().map_raw(&file).expect("a mapping").as_ptr()), "rw-s");
    assert_eq!(permissions(MmapOptions::new().map_raw_read_only(&file).expect("a mapping").as_ptr()), "r--s");
    assert_eq!(permissions(MmapMut::map_anon(LEN).expect("memory").as_ptr()), "rw-p");
}

#[test]
fn what_cannot_be_mapped_is_refused_with_memmap2s_kind() {
    let file = pattern_file(LEN);
    let kind = |options: &MmapOptions| read_only_with(options, &file).expect_err("no such range").kind();
    let len = u64::try_from(LEN).expect("small");
    assert_eq!(kind(MmapOptions::new().offset(len + 1)), ErrorKind::InvalidData);
    assert_eq!(kind(MmapOptions::new().len(isize::MAX.unsigned_abs() + 1)), ErrorKind::InvalidData);
    let far =
        read_only_with(MmapOptions::new().offset(i64::MAX.unsigned_abs()).len(1), &file).expect_err("no such byte");
    // The latter where addresses have 32 bits.
    assert!(matches!(far.raw_os_error(), Some(libc::EOVERFLOW | libc::EINVAL)), "{far:?}");
    assert_eq!(read_write(&for_reading(&file)).expect_err("not for writing").kind(), ErrorKind::PermissionDenied);
    let folder = File::open("/").expect("the root folder");
    assert_eq!(read_only(&folder).expect_err("a folder").raw_os_error(), Some(libc::ENODEV));
    for number in [-1, i32::MIN, i32::MAX] {
        assert_eq!(MmapRaw::map_raw(number).expect_err("not open").raw_os_error(), Some(libc::EBADF), "{number}");
    }
    assert_eq!(MmapMut::map_anon(usize::MAX).expect_err("too much").kind(), ErrorKind::InvalidData);
    // Where addresses have 32 bits, there may be room for that.
    if usize::BITS == 64 {
        assert_eq!(kind(MmapOptions::new().len(isize::MAX.unsigned_abs())), ErrorKind::OutOfMemory);
        let memory = MmapMut::map_anon(isize::MAX.unsigned_abs());
        assert_eq!(memory.expect_err("too much").kind(), ErrorKind::OutOfMemory);
    }
}

#[test]
fn a_device_without_a_length_is_empty_unless_one_is_set() {
    let zero = OpenOptions::new().read(true).write(true).open("/dev/zero").expect("a device");
    assert!(read_only(&zero).expect("a mapping").is_empty());
    assert_eq!(read_only_with(MmapOptions::new().len(3), &zero).expect("a mapping")[..], [0; 3]);
}

#[test]
fn anonymous_memory_is_zero_and_takes_every_option() {
    if is_emulated("anonymous_memory_is_zero_and_takes_every_option") {
        return;
    }
    let mut options = MmapOptions::new();
    options.len(LEN).offset(7).stack().populate().no_reserve_swap().no_probe_handle();
    let mut memory = options.map_anon().expect("memory");
    assert_eq!(memory[..], [0; LEN]);
    memory[LEN - 1] = 1;
    let resident = kibibytes(memory.as_ptr(), "Rss");
    assert!(resident * 1024 >= LEN, "populated, and {resident} KiB are in memory");
    assert_eq!(options.clone().map_anon().expect("memory").len(), LEN);
}

#[test]
fn populate_brings_a_files_pages_in() {
    if is_emulated("populate_brings_a_files_pages_in") {
        return;
    }
    let file = pattern_file(LEN);
    let map = read_only_with(MmapOptions::new().populate(), &file).expect("a mapping");
    assert!(kibibytes(map.as_ptr(), "Rss") * 1024 >= LEN);
}

#[test]
fn huge_pages_come_from_the_pool_and_go_back_to_it() {
    let free = || -> usize {
        let text = std::fs::read_to_string("/proc/meminfo").expect("/proc");
        let line = text.lines().find_map(|line| line.strip_prefix("HugePages_Free:"));
        line.and_then(|line| line.trim().parse().ok()).unwrap_or(0)
    };
    let odd = MmapOptions::new().len(1).huge(Some(63)).map_anon().expect_err("no processor has such pages");
    assert!(matches!(odd.raw_os_error(), Some(libc::EINVAL | libc::ENOMEM)), "{odd:?}");
    match MmapOptions::new().len(100).huge(None).populate().map_anon() {
        Ok(mut memory) => {
            memory[99] = 1;
            let first = memory.as_ptr();
            assert!(kibibytes(first, "KernelPageSize") > 4, "{}", smaps(first));
            drop(memory);
            // Another thread may have memory of its own there by now.
            assert!(kibibytes(first, "KernelPageSize") <= 4, "100 bytes are a whole huge page, and it is gone");
        }
        Err(error) => skip("huge_pages_come_from_the_pool", &format!("{error}, {} free", free())),
    }
}

#[test]
fn make_read_only_make_mut_and_make_exec_change_all_pages() {
    if is_emulated("make_read_only_make_mut_and_make_exec_change_all_pages") {
        return;
    }
    let (_file, map) = map(read_write);
    let first = map.as_ptr();
    let map = map.make_read_only().expect("a mapping");
    assert_eq!(permissions(first), "r--s");
    let mut map = map.make_mut().expect("a mapping");
    assert_eq!(permissions(first), "rw-s");
    map[LEN - 1] = 9;
    let map = map.make_exec().expect("a mapping");
    assert_eq!((permissions(first).as_str(), map[LEN - 1], map.as_ptr()), ("r-xs", 9, first));

    let file = pattern_file(LEN);
    let refused = read_only(&for_reading(&file)).expect("a mapping").make_mut();
    assert_eq!(refused.expect_err("not open for writing").kind(), ErrorKind::PermissionDenied);
}

#[test]
fn advice_reaches_the_kernel_and_ranges_outside_are_refused() {
    if is_emulated("advice_reaches_the_kernel_and_ranges_outside_are_refused") {
        return;
    }
    let file = pattern_file(LEN);
    let map = read_only_with(MmapOptions::new().offset(100), &file).expect("a mapping");
    let raw = MmapRaw::from(read_only_with(MmapOptions::new().offset(100), &file).expect("a mapping"));
    for advice in
        [Advice::Normal, Advice::Random, Advice::Sequential, Advice::WillNeed, Advice::DontFork, Advice::DoFork]
    {
        map.advise(advice).expect("advice");
        raw.advise(advice).expect("advice");
        map.advise_range(advice, 5000, 10).expect("advice");
        raw.advise_range(advice, 5000, 10).expect("advice");
    }
    let len = map.len();
    for (offset, len) in [(len, 1), (len + 1, 0), (1, len), (1, usize::MAX)] {
        let refused = map.advise_range(Advice::Normal, offset, len).expect_err("outside");
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{offset} {len}");
    }
    map.advise(Advice::PopulateRead).expect("since Linux 5.14");
    assert_eq!(map.advise(Advice::PopulateWrite).expect_err("not for writing").kind(), ErrorKind::InvalidInput);
    assert!(Advice::PopulateRead.is_supported() && kibibytes(map.as_ptr(), "Rss") > 0);
}

#[test]
fn unchecked_advice_drops_what_private_pages_hold() {
    let page = page_bytes();
    let mut memory = MmapMut::map_anon(3 * page).expect("memory");
    memory.fill(7);
    // SAFETY: no slice is in use.
    unsafe { memory.unchecked_advise_range(UncheckedAdvice::DontNeed, page, 1) }.expect("advice");
    assert_eq!((memory[page - 1], memory[page], memory[2 * page]), (7, 0, 7));
    // SAFETY: as above.
    unsafe { memory.unchecked_advise(UncheckedAdvice::DontNeed) }.expect("advice");
    assert!(memory.iter().all(|&byte| byte == 0));
    // SAFETY: as above.
    let refused = unsafe { memory.unchecked_advise_range(UncheckedAdvice::Free, page, 3 * page) };
    assert_eq!(refused.expect_err("outside").kind(), ErrorKind::InvalidInput);
    // SAFETY: as above; the memory is read no more.
    unsafe { memory.unchecked_advise(UncheckedAdvice::Free) }.expect("private memory");
}

#[test]
fn remove_punches_a_hole_in_the_file() {
    if is_emulated("remove_punches_a_hole_in_the_file") {
        return;
    }
    let (file, map) = map(read_write);
    // SAFETY: no slice is in use.
    match unsafe { map.unchecked_advise_range(UncheckedAdvice::Remove, 0, page_bytes()) } {
        Ok(()) => {
            let (hole, rest) = (&contents(&file)[..page_bytes()], &contents(&file)[page_bytes()..]);
            assert!(hole.iter().all(|&byte| byte == 0) && *rest == pattern(LEN)[page_bytes()..]);
        }
        Err(error) => skip("remove_punches_a_hole_in_the_file", &error.to_string()),
    }
}

#[test]
fn locked_pages_are_counted_as_such_until_unlocked() {
    let (_file, map) = map(read_only);
    map.lock().expect("a few pages");
    map.lock().expect("again");
    assert_eq!(kibibytes(map.as_ptr(), "Locked") * 1024, LEN.next_multiple_of(page_bytes()));
    map.unlock().expect("unlocked");
    assert_eq!(kibibytes(map.as_ptr(), "Locked"), 0);
}

#[test]
fn remap_changes_the_length_and_moves_only_where_it_may() {
    let file = pattern_file(100 * page_bytes());
    let mut map = read_only_with(MmapOptions::new().offset(10).len(100), &file).expect("a mapping");
    // SAFETY, for all: the file has the bytes, and no address is kept but to be compared.
    // SAFETY: as above.
    unsafe { map.remap(50 * page_bytes(), RemapOptions::new().may_move(true)) }.expect("address space");
    assert_eq!(map[..], pattern(100 * page_bytes())[10..50 * page_bytes() + 10]);
    let first = map.as_ptr();
    // SAFETY: as above.
    unsafe { map.remap(20, RemapOptions::new()) }.expect("less never moves");
    assert_eq!((map.as_ptr(), map.len()), (first, 20));

    let mut raw = MmapOptions::new().len(2 * page_bytes()).map_raw(&file).expect("a mapping");
    let first = raw.as_ptr();
    // SAFETY: as above.
    match unsafe { raw.remap(50 * page_bytes(), RemapOptions::new().may_move(false)) } {
        Ok(()) => assert_eq!((raw.as_ptr(), raw.len()), (first, 50 * page_bytes())),
        Err(error) => assert_eq!((error.kind(), raw.len()), (ErrorKind::OutOfMemory, 2 * page_bytes())),
    }
    let len = raw.len();
    // SAFETY: as above.
    let huge = unsafe { raw.remap(usize::MAX, RemapOptions::new().may_move(true)) };
    assert_eq!(huge.expect_err("no slice is so long").kind(), ErrorKind::InvalidData);
    assert_eq!(raw.len(), len);
}

#[test]
fn map_if_safe_takes_sealed_memory_and_nothing_else() {
    let sealed = SealedMap::copy_of("compat", &pattern(LEN)).expect("memory");
    let map = Mmap::map_if_safe(&std::os::fd::AsFd::as_fd(&sealed)).expect("sealed");
    assert_eq!(map[..], pattern(LEN));
    assert!(map.make_mut().is_err(), "the seals hold");
    let file = File::from(std::os::fd::OwnedFd::from(sealed));
    let map = MmapOptions::new().offset(9000).map_if_safe(&file).expect("sealed");
    assert_eq!(map[..], pattern(LEN)[9000..]);

    let kinds = |error: &MapIfSafeError| (error.not_supported(), error.not_safe(), error.map_failed());
    let beyond = MmapOptions::new().offset(9000).len(1001).map_if_safe(&file).expect_err("a byte too much");
    assert_eq!(kinds(&beyond), (false, true, false));
    let behind = MmapOptions::new().offset(10_001).map_if_safe(&file).expect_err("behind the end");
    assert_eq!((kinds(&behind), io::Error::from(behind).kind()), ((false, false, true), ErrorKind::InvalidData));
    let endless = MmapOptions::new().offset(u64::MAX).len(1).map_if_safe(&file).expect_err("no such range");
    assert_eq!((kinds(&endless), io::Error::from(endless).kind()), ((false, false, true), ErrorKind::InvalidInput));

    let draft = MapOptions::read_write().len(LEN).memfd("draft").expect("memory");
    let open = Mmap::map_if_safe(&std::os::fd::AsFd::as_fd(&draft)).expect_err("not sealed");
    assert_eq!(kinds(&open), (false, true, false));
    assert_eq!(open.to_string(), "it is a memory file that is not sealed against writing and shrinking");
    assert!(format!("{open:?}").starts_with("NotSafe("), "{open:?}");
    let plain = Mmap::map_if_safe(&pattern_file(LEN)).expect_err("a plain file");
    assert_eq!((kinds(&plain), io::Error::from(plain).kind()), ((false, true, false), ErrorKind::InvalidInput));
    assert_eq!(kinds(&Mmap::map_if_safe(-1).expect_err("not open")), (false, false, true));
}

#[test]
#[expect(clippy::as_conversions, reason = "the numbers of the variants are what is compared")]
fn advice_has_the_kernels_numbers() {
    let numbers = [
        (Advice::Normal as i32, libc::MADV_NORMAL),
        (Advice::Random as i32, libc::MADV_RANDOM),
        (Advice::Sequential as i32, libc::MADV_SEQUENTIAL),
        (Advice::WillNeed as i32, libc::MADV_WILLNEED),
        (Advice::DontFork as i32, libc::MADV_DONTFORK),
        (Advice::DoFork as i32, libc::MADV_DOFORK),
        (Advice::Mergeable as i32, libc::MADV_MERGEABLE),
        (Advice::Unmergeable as i32, libc::MADV_UNMERGEABLE),
        (Advice::HugePage as i32, libc::MADV_HUGEPAGE),
        (Advice::NoHugePage as i32, libc::MADV_NOHUGEPAGE),
        (Advice::DontDump as i32, libc::MADV_DONTDUMP),
        (Advice::DoDump as i32, libc::MADV_DODUMP),
        (Advice::HwPoison as i32, libc::MADV_HWPOISON),
        (Advice::PopulateRead as i32, libc::MADV_POPULATE_READ),
        (Advice::PopulateWrite as i32, libc::MADV_POPULATE_WRITE),
        (UncheckedAdvice::DontNeed as i32, libc::MADV_DONTNEED),
        (UncheckedAdvice::Free as i32, libc::MADV_FREE),
        (UncheckedAdvice::Remove as i32, libc::MADV_REMOVE),
    ];
    for (ours, the_kernels) in numbers {
        assert_eq!(ours, the_kernels);
    }
    assert!(
        Advice::Normal.is_supported()
            && UncheckedAdvice::DontNeed.is_supported()
            && UncheckedAdvice::Free.is_supported()
    );
}

#[test]
fn a_byte_that_the_file_has_lost_kills_who_reads_it_from_a_slice() {
    let output = in_child("compat::linux::a_byte_that_the_file_has_lost_kills_who_reads_it_from_a_slice", || {
        let (file, map) = map(read_only);
        // What `read_only` has promised is broken here, for the test. The handler of views is in place, and the fault
        // is not theirs.
        assert!(MapOptions::read_only().map(&file).expect("a mapping").view().load::<u8>(LEN).is_err());
        file.set_len(0).expect("a cut");
        std::hint::black_box(map[LEN - 1]);
    });
    assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{output:?}");
}
