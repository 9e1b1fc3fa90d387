//! A mapped file on Linux: zeros ahead of what was written, files that others cut, full disks, devices.
#![expect(clippy::as_conversions, reason = "small numbers, from usize to u64")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use mapio_map::{Fault, FaultKind, MappedFile};
use mapio_testkit::{SmallFs, in_child, pattern, report, skip};

use super::{file_of, read_write, write_and_read_by_threads};
use crate::support::is_emulated;

#[test]
fn a_file_may_be_opened_in_any_way() {
    let (_dir, path) = file_of(b"0123456789");
    let mut appended = MappedFile::new(OpenOptions::new().append(true).open(&path).expect("open")).expect("mapped");
    appended.write_all(b"ab").expect("a write");
    appended.write_all(b"cd").expect("a write");
    assert_eq!(appended.position(), 14);
    drop(appended);
    assert_eq!(fs::read(&path).expect("there"), b"0123456789abcd");

    let mut written = MappedFile::new(OpenOptions::new().write(true).open(&path).expect("open")).expect("mapped");
    written.write_all(b"AB").expect("a write");
    drop(written);
    assert_eq!(fs::read(&path).expect("there"), b"AB23456789abcd");

    let mut read = MappedFile::open(&path).expect("mapped");
    assert_eq!(read.write(b"x").expect_err("read only").kind(), io::ErrorKind::PermissionDenied);
    assert_eq!(read.write_at(100, b"x").expect_err("read only").kind(), io::ErrorKind::PermissionDenied);
    assert_eq!(read.set_len(0).expect_err("read only").kind(), io::ErrorKind::PermissionDenied);
    let mut all = String::new();
    read.read_to_string(&mut all).expect("text");
    assert_eq!(all, "AB23456789abcd");

    assert!(MappedFile::open(path.parent().expect("a folder")).is_err());
    assert!(MappedFile::open(path.join("nothing")).is_err());
    let (pipe, _writer) = io::pipe().expect("a pipe");
    assert!(MappedFile::new(File::from(std::os::fd::OwnedFd::from(pipe))).is_err());
}

#[test]
fn growing_moves_nothing_and_leaves_no_zeros_behind() {
    let (_dir, path) = file_of(b"");
    let mut file = read_write(&path);
    let mut expected = Vec::new();
    for i in 0..20_000u32 {
        let entry = format!("entry {i}\n");
        file.write_all(entry.as_bytes()).expect("a write");
        expected.extend_from_slice(entry.as_bytes());
    }
    let ahead = fs::metadata(&path).expect("there").len() - file.len().expect("a length");
    assert!(ahead > 0 && ahead <= 1 << 20, "{ahead} bytes ahead");
    let whole = file.view().expect("a view");
    assert_eq!(whole.len(), expected.len());
    let mut seen = vec![0; whole.len()];
    whole.read_exact_at(0, &mut seen).expect("no fault");
    assert!(seen == expected);
    file.flush().expect("a flush");
    assert!(fs::read(&path).expect("there") == expected);
    file.write_all(b"more").expect("a write");
    expected.extend_from_slice(b"more");
    drop(file);
    assert!(fs::read(&path).expect("there") == expected);
}

#[test]
fn a_write_beyond_the_address_space_is_an_error_and_changes_nothing() {
    let (_dir, path) = file_of(b"abc");
    let file = File::options().read(true).write(true).open(&path).expect("open");
    let mapped = MappedFile::with_room(file, 1 << 20).expect("mapped");
    let room = mapped.capacity();
    for offset in [room, room - 1, u64::MAX - 1, u64::MAX] {
        assert_eq!(
            mapped.write_at(offset, b"xy").expect_err("no room").kind(),
            io::ErrorKind::FileTooLarge,
            "{offset}"
        );
    }
    assert_eq!(mapped.set_len(room + 1).expect_err("no room").kind(), io::ErrorKind::FileTooLarge);
    assert_eq!(mapped.read_at(u64::MAX, &mut [0; 4]).expect("the end"), 0);
    assert_eq!(mapped.write_at(room - 2, b"xy").expect("the last two"), 2);
    assert_eq!(mapped.len().expect("a length"), room);
}

#[test]
fn what_somebody_else_cuts_off_is_the_end_and_what_is_written_after_that_is_there() {
    for cut in [0u64, 1, 4095, 4096, 4097, 10_000, 12_287] {
        for fill in [0u8, 7] {
            let (_dir, path) = file_of(&[fill; 20_000]);
            let file = read_write(&path);
            let mut buf = [1; 100];
            assert_eq!(file.read_at(19_950, &mut buf).expect("a read"), 50);
            File::options().write(true).open(&path).expect("open").set_len(cut).expect("a cut");
            let expected = usize::try_from(cut.saturating_sub(cut / 2)).expect("small").min(100);
            assert_eq!(file.read_at(cut / 2, &mut buf).expect("a read"), expected, "cut at {cut}, {fill}");
            assert_eq!(file.read_at(cut, &mut buf).expect("the end"), 0);
            File::options().write(true).open(&path).expect("open").set_len(20_000).expect("longer");
            assert_eq!(file.read_at(cut, &mut buf[..50]).expect("zeros"), 50);
            File::options().write(true).open(&path).expect("open").set_len(cut).expect("a cut");
            assert_eq!(file.write_at(cut + 10, b"written").expect("a write"), 7);
            drop(file);
            let seen = fs::read(&path).expect("there");
            assert_eq!(seen.len() as u64, cut + 17, "cut at {cut}");
            assert_eq!(seen[seen.len() - 17..], *b"\0\0\0\0\0\0\0\0\0\0written");
        }
    }
}

#[test]
fn a_full_disk_is_an_error_at_the_write_that_needs_the_space() {
    let test = "a_full_disk_is_an_error_at_the_write_that_needs_the_space";
    let small = |kind: &str| match kind {
        "tmpfs" => SmallFs::tmpfs(1 << 20),
        _ => SmallFs::ext4(16 << 20),
    };
    for kind in ["tmpfs", "ext4"] {
        match small(kind) {
            Ok(fs) => assert_a_full_disk_is_an_error(kind, &fs),
            Err(error) => skip(test, &format!("mounting a {kind} needs root: {error}")),
        }
    }
}

fn assert_a_full_disk_is_an_error(kind: &str, fs: &SmallFs) {
    let path = fs.path().join("file");
    let mut file = MappedFile::create(&path).expect("mapped");
    let entry = pattern(1000);
    let mut written = 0;
    let error = loop {
        match file.write(&entry) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(written > 900_000, "{written}");
    file.close().expect("closed");
    let seen = fs::read(&path).expect("there");
    assert_eq!(seen.len(), written, "what was answered is there, and nothing else");
    assert!(seen.chunks(1000).all(|chunk| *chunk == entry[..chunk.len()]));
    report(kind, &format!("{written} bytes fitted in writes of 1000, then StorageFull"));

    // A hole in a file that exists needs space, too.
    let mut file = read_write(&path);
    file.set_len(64 << 20).expect("a hole takes no space");
    file.seek(SeekFrom::Start(48 << 20)).expect("a position");
    let error = file.write(&entry).expect_err("full");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    let fault = error.get_ref().and_then(|inner| inner.downcast_ref::<Fault>()).expect("a fault");
    assert_eq!(fault.kind, FaultKind::NoSpace);
}

#[test]
fn several_threads_write_and_read_while_the_file_grows_and_is_cut() {
    let (_dir, path) = file_of(b"");
    let file = read_write(&path);
    write_and_read_by_threads(&file);
    let other = File::options().write(true).open(&path).expect("open");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = 0u64;
            for i in 0..20_000u64 {
                written += file.write_at(i * 37 % 700_000, &[9; 50]).expect("a write") as u64;
            }
            written
        });
        for i in 0..2000u64 {
            other.set_len(i * 7919 % 800_000).expect("a cut");
        }
        assert_eq!(writer.join().expect("no death"), 1_000_000);
    });
}

#[test]
fn a_block_device_is_read_and_written_to_its_end_and_does_not_grow() {
    let test = "a_block_device_is_read_and_written_to_its_end_and_does_not_grow";
    let (_dir, path) = file_of(&pattern(1 << 20));
    let device = match crate::support::LoopDevice::attach(&path) {
        Ok(device) => device,
        Err(error) => return skip(test, &format!("a loop device needs root: {error}")),
    };
    let file =
        MappedFile::new(File::options().read(true).write(true).open(device.path()).expect("open")).expect("mapped");
    assert_eq!(file.len().expect("a length"), 1 << 20);
    let mut last = [0; 8];
    file.read_exact_at((1 << 20) - 8, &mut last).expect("the end");
    assert_eq!(last, pattern(1 << 20)[(1 << 20) - 8..]);
    assert_eq!(file.read_at(1 << 20, &mut last).expect("the end"), 0);
    assert_eq!(file.write_at(4096, b"through the device").expect("a write"), 18);
    assert!(file.write_at((1 << 20) - 1, b"ab").is_err());
    assert!(file.set_len(1).is_err());
    file.sync_all().expect("on the disk");
    let mapping = mapio_map::MapOptions::read_only().offset(4096).open(device.path()).expect("mapped");
    assert_eq!(mapping.len(), (1 << 20) - 4096);
    assert_eq!(mapping.view().load::<[u8; 18]>(0).expect("no fault"), *b"through the device");
    assert_eq!(mapping.view().check_backed(), Ok(()));
    drop((file, mapping, device));
    assert_eq!(fs::read(&path).expect("there")[4096..4114], *b"through the device");
}

#[test]
fn a_write_across_a_cut_is_there_as_a_whole() {
    for cut in [10, 4096, 5000] {
        let (_dir, path) = file_of(&[1; 20_000]);
        let file = read_write(&path);
        File::options().write(true).open(&path).expect("open").set_len(cut).expect("a cut");
        assert_eq!(file.write_at(0, &[7; 8192]).expect("a write"), 8192);
        drop(file);
        assert!(fs::read(&path).expect("there") == [7; 8192], "cut at {cut}");
    }
}

#[test]
fn what_others_write_among_the_zeros_ahead_is_kept() {
    let (_dir, path) = file_of(b"");
    let mut file = read_write(&path);
    file.write_all(b"ten bytes.").expect("a write");
    File::options().write(true).open(&path).expect("open").write_all_at(b"theirs", 20_000).expect("inside");
    file.flush().expect("a flush");
    assert_eq!(file.len().expect("a length"), 20_006);
    drop(file);
    let seen = fs::read(&path).expect("there");
    assert_eq!((&seen[..10], &seen[20_000..]), (&b"ten bytes."[..], &b"theirs"[..]));
}

#[test]
fn a_file_opened_in_any_way_grows_with_and_without_a_hole() {
    use std::os::unix::fs::OpenOptionsExt;
    for (name, append, flags) in [
        ("plain", false, 0),
        ("O_APPEND", true, 0),
        ("O_SYNC", false, libc::O_SYNC),
        ("O_DIRECT", false, libc::O_DIRECT),
    ] {
        let (_dir, path) = file_of(b"");
        let file = OpenOptions::new().read(true).write(true).append(append).custom_flags(flags).open(&path);
        let Ok(file) = file else {
            skip("a_file_opened_in_any_way_grows", &format!("{name} is not supported in the temporary folder"));
            continue;
        };
        let mut file = MappedFile::new(file).expect("mapped");
        file.write_all(b"start").expect(name);
        assert_eq!(file.write_at(50_000_000, b"far").expect(name), 3, "{name}");
        file.seek(SeekFrom::End(0)).expect("a position");
        file.write_all(b"end").expect(name);
        drop(file);
        let metadata = fs::metadata(&path).expect("there");
        assert_eq!(metadata.len(), 50_000_006, "{name}");
        let mut ends = ([0; 5], [0; 6]);
        let file = File::open(&path).expect("there");
        file.read_exact_at(&mut ends.0, 0).expect("there");
        file.read_exact_at(&mut ends.1, 50_000_000).expect("there");
        assert_eq!(ends, (*b"start", *b"farend"), "{name}");
        assert!(std::os::unix::fs::MetadataExt::blocks(&metadata) * 512 < 25_000_000, "{name}: the hole stays one");
    }
}

#[test]
fn thousands_of_files_can_be_open_and_one_grows_beyond_its_room() {
    if is_emulated("thousands_of_files_can_be_open_and_one_grows_beyond_its_room") {
        return;
    }
    let (dir, path) = file_of(b"");
    // With addresses of 32 bits there is room for some dozens.
    let count = if usize::BITS == 64 { 900 } else { 10 };
    let files: Vec<MappedFile> =
        (0..count).map(|i| MappedFile::create(dir.path().join(i.to_string())).expect("mapped")).collect();
    assert!(files.iter().all(|file| file.capacity() >= 1 << 26));
    let file = File::options().read(true).write(true).open(&path).expect("open");
    let mut file = MappedFile::with_room(file, 8192).expect("mapped");
    file.write_all(&pattern(100_000)).expect("room is made");
    drop(file);
    assert!(fs::read(&path).expect("there") == pattern(100_000));
}

#[test]
fn a_limit_of_the_files_length_is_met_only_by_the_write_that_goes_beyond_it() {
    let output = in_child(
        "mapped_file::linux::a_limit_of_the_files_length_is_met_only_by_the_write_that_goes_beyond_it",
        || {
            use rustix::process::{Resource, Rlimit, setrlimit};
            let (_dir, path) = file_of(b"");
            let limit = Rlimit { current: Some(40_000), maximum: Some(40_000) };
            setrlimit(Resource::Fsize, limit).expect("a lower limit");
            let mut file = read_write(&path);
            (0..4000).for_each(|_| file.write_all(b"ten bytes.").expect("below the limit"));
            file.flush().expect("a flush");
            assert_eq!(file.len().expect("a length"), 40_000);
        },
    );
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn what_cannot_be_mapped_is_an_error_and_not_an_empty_file() {
    for path in ["/proc/cpuinfo", "/dev/null", "/tmp", "/dev/tty"] {
        let Err(error) = MappedFile::open(path) else { panic!("{path} was mapped") };
        let text = error.to_string();
        assert!(text.contains(path) && !text.contains('\n'), "{text}");
    }
}
