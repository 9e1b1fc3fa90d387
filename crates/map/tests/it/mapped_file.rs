//! A mapped file does what a file does.
#![expect(clippy::as_conversions, reason = "small numbers, from usize to u64")]

// Zeros ahead of the bytes written, files cut under their mapping, disks and devices.
#[cfg(target_os = "linux")]
mod linux;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::LazyLock;

use mapio_map::MappedFile;
use mapio_testkit::{FileAt, in_child, is_wine, pattern, skip};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::support::is_emulated;

fn file_of(bytes: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("file");
    fs::write(&path, bytes).expect("a file");
    (dir, path)
}

fn read_write(path: &std::path::Path) -> MappedFile {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).expect("open");
    MappedFile::new(file).expect("mapped")
}

#[derive(Debug, Clone)]
enum Op {
    Read(usize),
    Write(Vec<u8>),
    Seek(SeekFrom),
    ReadAt(u64, usize),
    WriteAt(u64, Vec<u8>),
    SetLen(u64),
    Line,
    Flush,
    OtherSetLen(u64),
    OtherWrite(u64, Vec<u8>),
}

fn op() -> impl Strategy<Value = Op> {
    let offset = prop_oneof![3 => 0..20_000u64, 2 => 4090..4100u64, 1 => 100_000..200_000u64];
    let bytes = prop::collection::vec(any::<u8>(), 0..6000);
    prop_oneof![
        3 => (0..9000usize).prop_map(Op::Read),
        3 => bytes.clone().prop_map(Op::Write),
        1 => offset.clone().prop_map(|to| Op::Seek(SeekFrom::Start(to))),
        1 => (-9000..9000i64).prop_map(|by| Op::Seek(SeekFrom::Current(by))),
        1 => (-9000..100i64).prop_map(|by| Op::Seek(SeekFrom::End(by))),
        3 => (offset.clone(), 0..9000usize).prop_map(|(offset, len)| Op::ReadAt(offset, len)),
        3 => (offset.clone(), bytes.clone()).prop_map(|(offset, bytes)| Op::WriteAt(offset, bytes)),
        1 => offset.clone().prop_map(Op::SetLen),
        1 => Just(Op::Line),
        1 => Just(Op::Flush),
        1 => offset.clone().prop_map(Op::OtherSetLen),
        1 => (offset, bytes).prop_map(|(offset, bytes)| Op::OtherWrite(offset, bytes)),
    ]
}

/// What an operation answers, comparable.
type Answer = Result<Vec<u8>, io::ErrorKind>;

fn number(result: io::Result<u64>) -> Answer {
    result.map(|n| n.to_le_bytes().to_vec()).map_err(|error| error.kind())
}

fn read_all(reader: &mut impl Read, len: usize) -> Answer {
    let mut buf = Vec::new();
    reader.take(u64::try_from(len).expect("small")).read_to_end(&mut buf).map_err(|error| error.kind())?;
    Ok(buf)
}

/// A line by way of a buffer that is not kept: the position is that of the line's end.
fn line(file: &mut File) -> Answer {
    let start = file.stream_position().expect("a position");
    let mut line = Vec::new();
    BufReader::new(&mut *file).read_until(7, &mut line).map_err(|error| error.kind())?;
    file.seek(SeekFrom::Start(start + u64::try_from(line.len()).expect("small"))).expect("a position");
    Ok(line)
}

fn length_of(file: &File) -> u64 {
    file.metadata().expect("open").len()
}

/// Does something by offsets that leaves the file's position where it was, as Linux does by itself.
fn at_its_position<T>(file: &mut File, act: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
    let position = file.stream_position()?;
    let done = act(file)?;
    file.seek(SeekFrom::Start(position))?;
    Ok(done)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mapped_file_does_what_a_file_does(ops in prop::collection::vec(op(), 1..50), append in any::<bool>()) {
        // The emulator takes seconds to note that 4 GiB of addresses are in use. Said once, not for every case.
        static EMULATED: LazyLock<bool> = LazyLock::new(|| is_emulated("a_mapped_file_does_what_a_file_does"));
        if *EMULATED {
            return Ok(());
        }
        let (_dir, path) = file_of(&pattern(10_000));
        let (_dir, oracle_path) = file_of(&pattern(10_000));
        let open = |path| OpenOptions::new().read(true).write(true).append(append).open(path).expect("open");
        let (mut mapped, mut plain) = (MappedFile::new(open(&path)).expect("mapped"), open(&oracle_path));
        let (other, other_plain) = (File::options().write(true).open(&path).expect("open"), File::options().write(true).open(&oracle_path).expect("open"));
        for op in &ops {
            let (ours, theirs) = match op {
                Op::Read(len) => (read_all(&mut mapped, *len), read_all(&mut plain, *len)),
                Op::Write(bytes) => (number(mapped.write_all(bytes).map(|()| 0)), number(plain.write_all(bytes).map(|()| 0))),
                // Of a position before the first byte, Wine says no more than that it does not know the error.
                Op::Seek(to) => match plain.seek(*to) {
                    Err(_) if is_wine() => (number(mapped.seek(*to)), Err(io::ErrorKind::InvalidInput)),
                    sought => (number(mapped.seek(*to)), number(sought)),
                },
                Op::ReadAt(offset, len) => {
                    let (mut a, mut b) = (vec![0; *len], vec![0; *len]);
                    let read = mapped.read_at(*offset, &mut a);
                    let done = at_its_position(&mut plain, |plain| {
                        let mut done = 0;
                        while let n @ 1.. = plain.read_at(&mut b[done..], *offset + done as u64)? { done += n; }
                        Ok(done)
                    });
                    prop_assert_eq!(read.expect("a read"), done.expect("a read"));
                    (Ok(a), Ok(b))
                }
                // On Linux, pwrite(2) appends to a file that was opened for appending, wherever it is told to write.
                Op::WriteAt(..) if append => continue,
                Op::WriteAt(offset, bytes) => (
                    number(mapped.write_all_at(*offset, bytes).map(|()| 0)),
                    number(at_its_position(&mut plain, |plain| plain.write_all_at(bytes, *offset)).map(|()| 0)),
                ),
                // Windows makes no file shorter that is mapped.
                Op::SetLen(len) | Op::OtherSetLen(len) if cfg!(windows) && *len < length_of(&plain) => continue,
                Op::SetLen(len) => (number(mapped.set_len(*len).map(|()| 0)), number(plain.set_len(*len).map(|()| 0))),
                Op::Line => {
                    let mut ours = Vec::new();
                    mapped.read_until(7, &mut ours).expect("a line");
                    (Ok(ours), line(&mut plain))
                }
                Op::Flush => (number(mapped.flush().map(|()| 0)), number(plain.flush().map(|()| 0))),
                // Others change the file when it ends where it ends: our zeros are cut off before.
                Op::OtherSetLen(len) => {
                    mapped.flush().expect("a flush");
                    mapped.seek(SeekFrom::Start(mapped.position())).expect("forgets what was lent");
                    (number(other.set_len(*len).map(|()| 0)), number(other_plain.set_len(*len).map(|()| 0)))
                }
                Op::OtherWrite(offset, bytes) => {
                    mapped.flush().expect("a flush");
                    mapped.seek(SeekFrom::Start(mapped.position())).expect("forgets what was lent");
                    other_plain.write_all_at(bytes, *offset).expect("a write");
                    (number(other.write_all_at(bytes, *offset).map(|()| 0)), Ok(vec![0; 8]))
                }
            };
            prop_assert_eq!(ours, theirs, "{:?}", op);
            prop_assert_eq!(mapped.len().expect("a length"), length_of(&plain));
        }
        mapped.close().expect("closed");
        prop_assert!(fs::read(&path).expect("there") == fs::read(&oracle_path).expect("there"));
    }
}

#[test]
fn a_writer_that_dies_loses_nothing_and_leaves_zeros_at_most() {
    let output = in_child("mapped_file::a_writer_that_dies_loses_nothing_and_leaves_zeros_at_most", || {
        let dir = tempfile::tempdir().expect("a folder").keep();
        writeln!(io::stdout(), "folder={}", dir.display()).expect("the parent listens");
        let mut file = read_write(&dir.join("file"));
        for _ in 0..1000 {
            file.write_all(&pattern(777)).expect("a write");
        }
        std::process::abort();
    });
    assert!(!output.status.success());
    let stdout = String::from_utf8(output.stdout).expect("text");
    let dir = stdout.lines().find_map(|line| line.strip_prefix("folder=")).expect("the child's folder");
    let seen = fs::read(PathBuf::from(dir).join("file")).expect("there");
    fs::remove_dir_all(dir).expect("removed");
    assert!(seen[..777_000].chunks(777).all(|chunk| chunk == pattern(777)));
    assert!(seen.len() <= 777_000 + (1 << 20) && seen[777_000..].iter().all(|&byte| byte == 0), "{}", seen.len());
}

#[test]
fn several_who_append_lose_nothing() {
    if is_wine() {
        return skip("several_who_append_lose_nothing", "Wine looks where the end is and writes there, in two steps");
    }
    let (_dir, path) = file_of(b"");
    let open = || OpenOptions::new().read(true).append(true).open(&path).expect("open");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut mapped = MappedFile::new(open()).expect("mapped");
            (0..2000).for_each(|_| mapped.write_all(b"mapped.\n").expect("a write"));
        });
        scope.spawn(|| (0..2000).for_each(|_| (&open()).write_all(b"plain..\n").expect("a write")));
    });
    let seen = fs::read(&path).expect("there");
    assert_eq!(seen.len(), 4000 * 8);
    assert_eq!(seen.chunks(8).filter(|entry| *entry == b"mapped.\n").count(), 2000);
    assert_eq!(seen.chunks(8).filter(|entry| *entry == b"plain..\n").count(), 2000);
}

#[test]
fn several_threads_write_and_read_while_the_file_grows() {
    let (_dir, path) = file_of(b"");
    let file = read_write(&path);
    write_and_read_by_threads(&file);
}

/// Four threads write to all of a file that was empty, and read what they have written.
fn write_and_read_by_threads(file: &MappedFile) {
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            scope.spawn(move || {
                let bytes = [u8::try_from(thread + 1).expect("small"); 100];
                for i in 0..2000u64 {
                    let offset = (i * 4 + thread) * 100;
                    file.write_all_at(offset, &bytes).expect("a write");
                    let mut seen = [0; 100];
                    file.read_exact_at(offset, &mut seen).expect("a read");
                    assert_eq!(seen, bytes);
                }
            });
        }
    });
    assert_eq!(file.len().expect("a length"), 800_000);
}
