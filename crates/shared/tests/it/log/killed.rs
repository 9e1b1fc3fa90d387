//! A writer that is killed, by SIGKILL, at any of its system calls or anywhere: everything that was acknowledged is
//! there once, nothing is torn, and the next writer goes on.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use mapio_shared::log::{Durability, Log, Options, Position, Writer};
use mapio_testkit::{Injection, Peer, report, skip};

use super::support::{SHORT, folder, offsets, payload, read_from, segments};

/// All system calls of a writer.
const CALLS: &str = "linkat,renameat,?renameat2,unlinkat,pwrite64,fallocate,fsync,fdatasync,lseek,openat,pread64,\
                         mmap,munmap,madvise,close,fcntl,newfstatat,?fstat,getdents64,getrandom,ftruncate";
/// Where the other process notes how many records were acknowledged, beside the log.
const ACKNOWLEDGED: &str = "acknowledged";
/// Random kills, unless `MAPIO_KILLS` says otherwise.
const KILLS: u64 = 8;

fn len_of(sequence: u64) -> usize {
    usize::try_from(sequence * 7919 % 1500).expect("small")
}

/// Writes how many records were acknowledged, in one write.
fn acknowledge(file: &File, count: u64) {
    // Not by a call that is counted.
    rustix::io::pwritev(file, &[rustix::io::IoSlice::new(&count.to_le_bytes())], 0).expect("room");
}

fn acknowledged(dir: &Path) -> u64 {
    let mut bytes = [0; 8];
    let file = File::open(dir.join(ACKNOWLEDGED)).expect("it was made");
    file.read_at(&mut bytes, 0).expect("readable");
    u64::from_le_bytes(bytes)
}

fn options(durability: &str) -> Options {
    SHORT.retain_bytes(5 * 8192).durability(match durability {
        "always" => Durability::Always,
        "interval" => Durability::Interval(Duration::from_micros(100)),
        _ => Durability::Kernel,
    })
}

/// Appends records, now and then several at once, up to this number.
fn append_until(writer: &mut Writer, file: &File, end: u64) {
    let mut next = writer.next_sequence();
    while next < end {
        next = if next % 5 == 3 {
            let batch: Vec<_> = (next..next + 3).map(|number| payload(number, len_of(number) / 4)).collect();
            writer.append_batch(&batch).expect("room").end
        } else {
            writer.append(&payload(next, len_of(next))).expect("room") + 1
        };
        acknowledge(file, next);
    }
}

/// The other process's side: `DURABILITY COUNT DIR` opens the log in a folder and appends so many records.
fn serve(request: &str) -> String {
    let mut words = request.splitn(3, ' ');
    let mut word = || words.next().expect("three words");
    let (durability, count, dir) = (word(), word().parse::<u64>().expect("a number"), Path::new(word()));
    let file = File::options().write(true).open(dir.join(ACKNOWLEDGED)).expect("it was made");
    let mut writer = options(durability).open_or_create(dir.join("log")).expect("a log");
    let end = writer.next_sequence().saturating_add(count);
    append_until(&mut writer, &file, end);
    String::new()
}

/// What the other process finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    /// A log whose last writer has died in the middle of an append, after it had begun a segment that it has not ended
    /// the one before for.
    Torn,
}

/// Makes a folder for a log, and the place for the acknowledgements.
fn prepare(found: Found) -> tempfile::TempDir {
    let dir = folder();
    let file = File::create(dir.path().join(ACKNOWLEDGED)).expect("room");
    acknowledge(&file, 0);
    if found == Found::Nothing {
        return dir;
    }
    let path = dir.path().join("log");
    let mut writer = options("kernel").create(&path).expect("a log");
    append_until(&mut writer, &file, 20);
    let end = offsets(&fs::read(last_segment(&path)).expect("it")).len();
    // Until a segment was begun.
    while offsets(&fs::read(last_segment(&path)).expect("it")).len() >= end {
        let next = writer.next_sequence() + 1;
        append_until(&mut writer, &file, next);
    }
    let known = writer.next_sequence();
    drop(writer);
    let last = last_segment(&path);
    let torn = File::options().write(true).open(&last).expect("it");
    let bytes = fs::read(&last).expect("it");
    let start = *offsets(&bytes).first().expect("one record");
    // All but the word of the first record, so the segment is as good as empty.
    torn.write_all_at(&[0; 8], u64::try_from(start).expect("small")).expect("room");
    let before = &segments(&path)[segments(&path).len() - 2];
    let bytes = fs::read(before).expect("it");
    let end = bytes.windows(4).rposition(|bytes| bytes == b"ENDs").expect("it has ended") - 4;
    File::options()
        .write(true)
        .open(before)
        .expect("it")
        .write_all_at(&[0; 32], u64::try_from(end).expect("small"))
        .expect("room");
    let lost = u64::try_from(offsets(&fs::read(&last).expect("it")).len()).expect("few");
    assert_eq!(lost, 0);
    let first: u64 = last.file_stem().and_then(|stem| stem.to_str()).expect("digits").parse().expect("a number");
    assert!(first < known);
    acknowledge(&file, first);
    dir
}

fn last_segment(path: &Path) -> std::path::PathBuf {
    segments(path).pop().expect("one at least")
}

/// Checks what a death has left, and that the next writer goes on. Answers the time until it could append.
fn check(dir: &Path, case: &str) -> Duration {
    let (path, known) = (dir.join("log"), acknowledged(dir));
    // What is there before anybody has recovered it is whole, too.
    assert_whole(&path, known, case);
    let start = Instant::now();
    let mut writer = SHORT.open_or_create(&path).unwrap_or_else(|error| panic!("{case}: {error}"));
    let next = writer.next_sequence();
    assert!(writer.recovery().cut.is_none(), "{case}: {:?}", writer.recovery());
    assert!((known..=known + 3).contains(&next), "{case}: {known} were acknowledged, the next is {next}");
    writer.append(&payload(next, 4000)).expect("room");
    let elapsed = start.elapsed();
    let read = read_from(&path, Position::Start);
    assert_eq!(read.last(), Some(&(next, payload(next, 4000))), "{case}");
    drop(writer);
    let verified = Log::open(&path).expect("it").verify().expect("readable");
    assert!(verified.damage.is_empty(), "{case}: {verified:?}");
    let left = fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("it").file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with(".mapio")), "{case}: rubbish is left");
    elapsed
}

/// All records that can be read have their own bytes, and all that were acknowledged can be read.
fn assert_whole(path: &Path, known: u64, case: &str) {
    let Ok(log) = Log::open(path) else {
        assert_eq!(known, 0, "{case}: the log is gone");
        return;
    };
    let mut reader = log.reader(Position::Start).expect("a place");
    let mut next = reader.next_sequence();
    while let Some(record) = reader.try_next().unwrap_or_else(|error| panic!("{case}: {error}")) {
        let bytes = record.to_vec().expect("it is there");
        let expected = [len_of(next), len_of(next) / 4].map(|len| payload(next, len));
        assert!(expected.contains(&bytes) || bytes.len() == 4000, "{case}: record {next} has other bytes");
        next += 1;
    }
    assert!(next >= known, "{case}: {known} were acknowledged, {next} can be read");
}

#[test]
fn a_writer_that_is_killed_at_any_system_call_loses_nothing() {
    let test = "log::killed::a_writer_that_is_killed_at_any_system_call_loses_nothing";
    let mut peer = Peer::start(test, serve);
    let mut cases = 0;
    let mut longest = Duration::ZERO;
    for (found, durability, count) in
        [(Found::Nothing, "always", 3), (Found::Torn, "always", 6), (Found::Torn, "kernel", 3)]
    {
        let dir = prepare(found);
        let request = |dir: &Path| format!("{durability} {count} {}", dir.display());
        let tracing = match Injection::attach(peer.id(), CALLS, &[]) {
            Ok(tracing) => tracing,
            Err(error) => return skip(test, &format!("strace can't be used: {error}")),
        };
        assert_eq!(peer.ask(&request(dir.path())), "");
        let counts = tracing.detach().expect("a log");
        for (call, count) in counts {
            for at in 1..=count {
                let dir = prepare(found);
                let injection = format!("{call}:signal=SIGKILL:when={at}");
                let injected = Injection::attach(peer.id(), CALLS, &[&injection]).expect("it could be attached before");
                let case = format!("{found:?}, {durability}, {call} {at}");
                if peer.try_ask(&request(dir.path())).is_some() {
                    // A call that this run has made less often.
                    drop(injected);
                    continue;
                }
                drop(injected);
                peer.kill();
                longest = longest.max(check(dir.path(), &case));
                peer = Peer::start(test, serve);
                cases += 1;
            }
        }
    }
    assert!(cases > 200, "only {cases} kills");
    report(test, &format!("{cases} kills, the next writer appends within {longest:?}"));
}

#[test]
fn a_writer_that_is_killed_anywhere_loses_nothing() {
    let test = "log::killed::a_writer_that_is_killed_anywhere_loses_nothing";
    // Before anything else: the other process begins here, too.
    let mut first = Some(Peer::start(test, serve));
    let kills = std::env::var("MAPIO_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(KILLS);
    let mut longest = Duration::ZERO;
    let dir = prepare(Found::Nothing);
    let mut seed = u64::from(std::process::id()) ^ 0x9E37_79B9_7F4A_7C15;
    report(test, &format!("seed {seed}"));
    for kill in 0..kills {
        let mut peer = first.take().unwrap_or_else(|| Peer::start(test, serve));
        let durability = ["kernel", "interval", "always"][usize::try_from(kill % 3).expect("small")];
        let before = acknowledged(dir.path());
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let wanted = before + 1 + seed % if durability == "always" { 40 } else { 4000 };
        let request = format!("{durability} {} {}", u64::MAX, dir.path().display());
        let running = std::thread::scope(|scope| {
            let id = peer.id();
            let asked = scope.spawn(move || {
                let answer = peer.try_ask(&request);
                (answer, peer)
            });
            let start = Instant::now();
            while acknowledged(dir.path()) < wanted && start.elapsed() < Duration::from_secs(60) {
                std::thread::yield_now();
            }
            let process = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
            rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("it was not waited for");
            let (answer, peer) = asked.join().expect("it is over");
            assert_eq!(answer, None, "it had no end");
            peer
        });
        running.kill();
        assert!(acknowledged(dir.path()) >= wanted, "it did not come so far");
        longest = longest.max(check(dir.path(), &format!("{durability}, kill {kill}")));
        // The record that the check has appended.
        let known = Log::open(dir.path().join("log")).expect("it").info().expect("whole").next_sequence;
        acknowledge(&File::options().write(true).open(dir.path().join(ACKNOWLEDGED)).expect("it"), known);
    }
    assert!(longest < Duration::from_secs(10), "{longest:?}");
    report(test, &format!("{kills} kills, the next writer appends within {longest:?}"));
}
