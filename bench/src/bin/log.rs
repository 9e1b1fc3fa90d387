//! The log beside write(2), and its durable batches beside redb's commits.
//!
//! `cargo run --release --bin log [FILTER]`; on the disk that this program is on, and appending also on /dev/shm.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write;
use std::path::Path;

use mapio_bench::{Contender, Unit, compare, compare_prepared, pin_to};
use mapio_shared::log::{Durability, Log, Options, Position, Writer};
use redb::{Database, TableDefinition};

/// The parts of the bench, which an argument may choose from by the beginning of a name.
const PARTS: [&str; 3] = ["append", "durable", "read"];
const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
/// Bytes of a record where batches are measured.
const BATCH_RECORD_BYTES: usize = 100;

fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    if !PARTS.iter().any(|part| part.starts_with(&filter)) {
        eprintln!("log: '{filter}' is none of {PARTS:?}");
        std::process::exit(2);
    }
    pin_to(1);
    let program = std::env::current_exe().expect("a running program has a path");
    let disk = program.parent().expect("a folder");
    for (place, folder) in [("disk", disk), ("/dev/shm", Path::new("/dev/shm"))] {
        let folder = tempfile::tempdir_in(folder).expect("a folder");
        let chosen = |part: &str| part.starts_with(&filter);
        if chosen("append") {
            for (record_bytes, count) in
                [(64, 1_000_000), (1024, 200_000), (4096, 50_000), (16 << 10, 16_000), (64 << 10, 4000)]
            {
                append(place, folder.path(), record_bytes, count);
            }
        }
        if chosen("read") {
            read(place, folder.path());
        }
        if chosen("durable") && place == "disk" {
            for (batch, count) in [(1, 300), (10, 300), (100, 200), (1000, 50)] {
                durable(folder.path(), batch, count);
            }
        }
    }
}

/// Records appended one by one, and left to the kernel: a new log, or file, each time.
fn append(place: &str, folder: &Path, record_bytes: usize, count: usize) {
    let (log, plain) = (folder.join("log"), folder.join("plain"));
    let record = vec![7u8; record_bytes];
    let batch = vec![record.clone(); 10];
    compare_prepared(
        &format!("{place}: {count} records of {record_bytes} bytes"),
        Unit::NanosecondsPer(count as f64),
        9,
        &mut || {
            let _ = fs::remove_dir_all(&log);
            let _ = fs::remove_file(&plain);
            rest();
        },
        &mut [
            Contender {
                name: "write(2), one each",
                run: &mut || {
                    let mut file = File::create(&plain).expect("a file");
                    (0..count).for_each(|_| file.write_all(black_box(&record)).expect("room"));
                },
            },
            Contender {
                name: "mapio log append",
                run: &mut || {
                    let mut writer = Options::new().create(&log).expect("a log");
                    for _ in 0..count {
                        writer.append(black_box(&record)).expect("room");
                    }
                },
            },
            Contender {
                name: "mapio log append_batch of 10",
                run: &mut || {
                    let mut writer = Options::new().create(&log).expect("a log");
                    for _ in 0..count / 10 {
                        writer.append_batch(black_box(&batch)).expect("room");
                    }
                },
            },
        ],
    );
    let _ = fs::remove_dir_all(&log);
    let _ = fs::remove_file(&plain);
}

/// Reads all records of a log that is in memory, beside reading as many bytes of a file one record at a time.
fn read(place: &str, folder: &Path) {
    let path = folder.join("log");
    let (record, count) = (vec![7u8; 100], 1_000_000u64);
    let mut writer = Options::new().create(&path).expect("a log");
    for _ in 0..count {
        writer.append(&record).expect("room");
    }
    drop(writer);
    rest();
    compare(
        &format!("{place}: reading {count} records of 100 bytes"),
        Unit::NanosecondsPer(count as f64),
        9,
        &mut [
            Contender {
                name: "mapio log try_next, in place",
                run: &mut || {
                    let mut reader = Log::open(&path).expect("it").reader(Position::Start).expect("the start");
                    let mut seen = 0;
                    while let Some(found) = reader.try_next().expect("whole") {
                        seen += black_box(found.len()) / 100;
                    }
                    assert_eq!(seen as u64, count);
                },
            },
            Contender {
                name: "mapio log try_read, copied",
                run: &mut || {
                    let mut reader = Log::open(&path).expect("it").reader(Position::Start).expect("the start");
                    let (mut buffer, mut seen) = (Vec::new(), 0);
                    while reader.try_read(&mut buffer).expect("whole").is_some() {
                        seen += 1;
                    }
                    assert_eq!(seen, count);
                },
            },
        ],
    );
    let _ = fs::remove_dir_all(&path);
}

/// Batches that are on the disk before the next one is begun.
fn durable(folder: &Path, batch: usize, count: usize) {
    let (log, database, plain) = (folder.join("log"), folder.join("redb"), folder.join("plain"));
    let records = vec![vec![7u8; BATCH_RECORD_BYTES]; batch];
    let mut writer: Writer = Options::new().durability(Durability::Always).create(&log).expect("a log");
    let redb = Database::create(&database).expect("a database");
    let mut next = 0u64;
    let mut file = File::create(&plain).expect("a file");
    compare(
        &format!("disk: {count} durable batches of {batch} records of {BATCH_RECORD_BYTES} bytes"),
        Unit::NanosecondsPer(count as f64),
        7,
        &mut [
            Contender {
                name: "redb commit",
                run: &mut || {
                    for _ in 0..count {
                        let transaction = redb.begin_write().expect("one at a time");
                        {
                            let mut table = transaction.open_table(TABLE).expect("a table");
                            for record in &records {
                                table.insert(next, record.as_slice()).expect("room");
                                next += 1;
                            }
                        }
                        transaction.commit().expect("a disk");
                    }
                },
            },
            Contender {
                name: "mapio log append_batch",
                run: &mut || {
                    for _ in 0..count {
                        writer.append_batch(black_box(&records)).expect("room");
                    }
                },
            },
            Contender {
                name: "write(2), fdatasync(2)",
                run: &mut || {
                    let bytes = records.concat();
                    for _ in 0..count {
                        file.write_all(black_box(&bytes)).expect("room");
                        file.sync_data().expect("a disk");
                    }
                },
            },
        ],
    );
    drop((writer, redb, file));
    let _ = fs::remove_dir_all(&log);
    let _ = fs::remove_file(&database);
    let _ = fs::remove_file(&plain);
}

/// Lets the disk come to rest: what is dirty is written before the next run is measured.
fn rest() {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::sync() };
}
