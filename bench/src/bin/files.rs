//! Mapped files beside `std::fs`, memmap2 and pread: writing, opening, counting lines.
//!
//! `cargo run --release --bin files [FILTER]`; on the disk that this program is on, and on /dev/shm.

use std::cell::RefCell;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use mapio_bench::{Contender, Unit, compare, compare_prepared, pin_to};
use mapio_map::{MapOptions, MappedFile};
use memmap2::{Mmap, MmapMut};

const GIB: usize = 1 << 30;

/// The parts of the bench, which an argument may choose from by the beginning of a name.
const PARTS: [&str; 4] = ["sequential", "random", "open", "lines"];

fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    if !PARTS.iter().any(|part| part.starts_with(&filter)) {
        eprintln!("files: '{filter}' is none of {PARTS:?}");
        std::process::exit(2);
    }
    pin_to(1);
    let program = std::env::current_exe().expect("a running program has a path");
    let disk = program.parent().expect("a folder");
    for (place, folder) in [("disk", disk), ("/dev/shm", Path::new("/dev/shm"))] {
        let folder = tempfile::tempdir_in(folder).expect("a folder");
        let chosen = |part: &str| part.starts_with(&filter);
        if chosen("sequential") {
            for record_bytes in [100, 4096] {
                sequential(place, folder.path(), record_bytes);
            }
        }
        if chosen("random") {
            // Few rounds of the large one: on a disk, it is the disk that is measured, since all pages get dirty.
            for (name, len, rounds) in [("1 MiB", 1 << 20, 15), ("64 MiB", 64 << 20, 15), ("1 GiB", GIB, 3)] {
                random(place, folder.path(), name, len, rounds);
            }
        }
        if chosen("open") {
            open(place, folder.path());
        }
        if chosen("lines") {
            lines(place, folder.path());
        }
    }
}

/// A new file of 1 GiB, written from start to end in records.
fn sequential(place: &str, folder: &Path, record_bytes: usize) {
    let path = folder.join("written");
    let record = vec![7u8; record_bytes];
    let count = GIB / record_bytes;
    let write_all = |file: &mut dyn Write| (0..count).for_each(|_| file.write_all(black_box(&record)).expect("room"));
    compare_prepared(
        &format!("{place}: a new file of 1 GiB, written in records of {record_bytes} bytes"),
        Unit::GigabytesOf((count * record_bytes) as f64),
        9,
        // The disk gets rid of the last run's file, so that its dirty pages do not slow the next one down.
        &mut || {
            let _ = fs::remove_file(&path);
            rest();
        },
        &mut [
            Contender {
                name: "BufWriter<File>",
                run: &mut || {
                    let mut file = BufWriter::new(File::create(&path).expect("a file"));
                    write_all(&mut file);
                    file.flush().expect("room");
                },
            },
            Contender {
                name: "mapio MappedFile",
                run: &mut || write_all(&mut MappedFile::create(&path).expect("a file")),
            },
            Contender {
                name: "memmap2, set_len before",
                run: &mut || {
                    let file = File::options().read(true).write(true).create_new(true).open(&path).expect("a file");
                    file.set_len(GIB as u64).expect("room");
                    // SAFETY: nobody else has the file.
                    let mut map = unsafe { MmapMut::map_mut(&file) }.expect("a mapping");
                    for part in map.chunks_exact_mut(record_bytes) {
                        part.copy_from_slice(black_box(&record));
                    }
                },
            },
        ],
    );
    let _ = fs::remove_file(&path);
}

/// Writes of 100 bytes here and there in a file that is in memory.
fn random(place: &str, folder: &Path, name: &str, len: usize, rounds: usize) {
    let path = folder.join("random");
    let file = File::options().read(true).write(true).create_new(true).open(&path).expect("a file");
    let megabyte = vec![1u8; 1 << 20];
    for i in 0..len >> 20 {
        file.write_all_at(&megabyte, (i << 20) as u64).expect("room");
    }
    rest();
    let mapped = MappedFile::new(file.try_clone().expect("a descriptor")).expect("mapped");
    // SAFETY: all contenders write to the file in one thread, and no slice lives across two writes.
    let rival = RefCell::new(unsafe { MmapMut::map_mut(&file) }.expect("a mapping"));
    let count = 400_000;
    let record = [7u8; 100];
    let offsets = || {
        let mut state = 88_172_645_463_325_252u64;
        (0..count).map(move |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize % (len - 100)
        })
    };
    compare(
        &format!("{place}: random writes of 100 bytes, in a file of {name}"),
        Unit::NanosecondsPer(count as f64),
        rounds,
        &mut [
            Contender {
                name: "File::write_at",
                run: &mut || offsets().for_each(|at| file.write_all_at(&record, at as u64).expect("room")),
            },
            Contender {
                name: "mapio MappedFile::write_at",
                run: &mut || offsets().for_each(|at| mapped.write_all_at(at as u64, &record).expect("room")),
            },
            Contender {
                name: "mapio View::write_all_at",
                run: &mut || {
                    let view = mapped.view().expect("open");
                    offsets().for_each(|at| view.write_all_at(at, &record).expect("room"));
                },
            },
            Contender {
                name: "memmap2 slice",
                run: &mut || offsets().for_each(|at| rival.borrow_mut()[at..at + 100].copy_from_slice(&record)),
            },
        ],
    );
    fs::remove_file(&path).expect("removed");
}

/// Opens, reads, and closes a file of 4 KiB.
fn open(place: &str, folder: &Path) {
    let path = folder.join("small");
    fs::write(&path, [7u8; 4096]).expect("room");
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    let times = 20_000;
    compare(
        &format!("{place}: open, map, read and close a file of 4 KiB"),
        Unit::NanosecondsPer(f64::from(times)),
        31,
        &mut [
            Contender {
                name: "memmap2",
                run: &mut || {
                    for _ in 0..times {
                        let file = File::open(&path).expect("there");
                        // SAFETY: nobody writes to the file.
                        let map = unsafe { Mmap::map(&file) }.expect("a mapping");
                        assert_eq!(sum(&map), 7 * 4096);
                    }
                },
            },
            Contender {
                name: "mapio MapOptions::open",
                run: &mut || {
                    for _ in 0..times {
                        let mapping = MapOptions::read_only().open(&path).expect("a mapping");
                        let mut bytes = [0; 4096];
                        mapping.view().read_exact_at(0, &mut bytes).expect("there");
                        assert_eq!(sum(&bytes), 7 * 4096);
                    }
                },
            },
            Contender {
                name: "open, pread, close",
                run: &mut || {
                    for _ in 0..times {
                        let mut bytes = [0; 4096];
                        File::open(&path).expect("there").read_exact_at(&mut bytes, 0).expect("there");
                        assert_eq!(sum(&bytes), 7 * 4096);
                    }
                },
            },
        ],
    );
}

/// Counts the lines of 1 GiB of text.
fn lines(place: &str, folder: &Path) {
    let path = folder.join("text");
    let mut text = BufWriter::with_capacity(1 << 20, File::create(&path).expect("a file"));
    let mut state = 88_172_645_463_325_252u64;
    let mut written = 0;
    while written < GIB {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Lines of 0 to 127 letters, as text has them.
        let line = &[b'x'; 128][..state as usize % 128];
        text.write_all(line).and_then(|()| text.write_all(b"\n")).expect("room");
        written += line.len() + 1;
    }
    drop(text);
    rest();
    let file = File::open(&path).expect("there");
    // SAFETY: nobody writes to the file.
    let rival = unsafe { Mmap::map(&file) }.expect("a mapping");
    let mapping = MapOptions::read_only().populate().map(&file).expect("a mapping");
    let expected = memchr::memchr_iter(b'\n', &rival).count();
    compare(
        &format!("{place}: counting the lines of 1 GiB of text"),
        Unit::GigabytesOf(written as f64),
        15,
        &mut [
            Contender {
                name: "memmap2 slice, memchr",
                run: &mut || assert_eq!(memchr::memchr_iter(b'\n', black_box(&rival)).count(), expected),
            },
            Contender {
                name: "mapio View::count",
                run: &mut || assert_eq!(mapping.view().count(b'\n').expect("there"), expected),
            },
            Contender {
                name: "pread of 64 KiB, memchr",
                run: &mut || {
                    let (mut buffer, mut offset, mut count) = (vec![0; 64 << 10], 0u64, 0);
                    while let read @ 1.. = file.read_at(&mut buffer, offset).expect("there") {
                        count += memchr::memchr_iter(b'\n', &buffer[..read]).count();
                        offset += read as u64;
                    }
                    assert_eq!(count, expected);
                },
            },
        ],
    );
    let lines_of_reader = |mut reader: BufReader<File>| {
        let (mut line, mut count) = (Vec::new(), 0);
        while reader.read_until(b'\n', &mut line).expect("there") > 0 {
            (count, _) = (count + 1, line.clear());
        }
        count
    };
    compare(
        &format!("{place}: going through the lines of 1 GiB of text"),
        Unit::GigabytesOf(written as f64),
        7,
        &mut [
            Contender {
                name: "memmap2 slice, split by memchr",
                run: &mut || {
                    let (mut start, mut longest, mut count) = (0, 0, 0);
                    for end in memchr::memchr_iter(b'\n', black_box(&rival)) {
                        (longest, count, start) =
                            (longest.max(black_box(&rival[start..end]).len()), count + 1, end + 1);
                    }
                    assert_eq!((count, longest), (expected, 127));
                },
            },
            Contender {
                name: "mapio View::lines",
                run: &mut || {
                    let (mut lines, mut longest, mut count) = (mapping.view().lines(), 0, 0);
                    while let Some(line) = lines.next_line().expect("there") {
                        (longest, count) = (longest.max(black_box(line).len()), count + 1);
                    }
                    assert_eq!((count, longest), (expected, 127));
                },
            },
            Contender {
                name: "BufReader<File>::read_until",
                run: &mut || {
                    let file = File::open(&path).expect("there");
                    assert_eq!(lines_of_reader(BufReader::new(file)), expected);
                },
            },
        ],
    );
    fs::remove_file(&path).expect("removed");
}

/// Lets the disk come to rest: what is dirty is written before the next run is measured.
fn rest() {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::sync() };
}
