//! A writer that is killed, by SIGKILL or TerminateProcess, at any of its system calls or anywhere: everything that was
//! acknowledged is there once, nothing is torn, and the next writer goes on.

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mapio_map::{MapMode, MapOptions, Mapping};
use mapio_shared::log::{Durability, Log, Options, Position, Writer};
use mapio_testkit::{FileAt, Peer, report};

use super::support::{SHORT, folder, offsets, payload, read_from, segments};
use crate::support::kills;

// strace(1).
#[cfg(target_os = "linux")]
mod at_system_calls;

/// Where the other process notes how many records were acknowledged, beside the log.
const ACKNOWLEDGED: &str = "acknowledged";
/// For how long a writer appends before it is killed, where it does not get as far as it should before.
const LONGEST_WORK: Duration = Duration::from_secs(2);

fn len_of(sequence: u64) -> usize {
    usize::try_from(sequence * 7919 % 1500).expect("small")
}

/// Where it is noted how many records were acknowledged: in a mapping, since that takes no system call.
fn acknowledgements(dir: &Path) -> Mapping {
    let file = File::options().read(true).write(true).open(dir.join(ACKNOWLEDGED)).expect("it was made");
    MapOptions::new(MapMode::ReadWrite).map(&file).expect("a mapping")
}

fn acknowledge(noted: &Mapping, count: u64) {
    noted.view().atomic::<u64>(0).and_then(|number| number.store(count, Ordering::SeqCst)).expect("it is there");
}

fn acknowledged(noted: &Mapping) -> u64 {
    noted.view().atomic::<u64>(0).and_then(|number| number.load(Ordering::SeqCst)).expect("it is there")
}

fn options(durability: &str) -> Options {
    SHORT.retain_bytes(5 * 8192).durability(match durability {
        "always" => Durability::Always,
        "interval" => Durability::Interval(Duration::from_micros(100)),
        _ => Durability::Kernel,
    })
}

/// Appends records, now and then several at once, up to this number.
fn append_until(writer: &mut Writer, noted: &Mapping, end: u64) {
    let mut next = writer.next_sequence();
    while next < end {
        next = if next % 5 == 3 {
            let batch: Vec<_> = (next..next + 3).map(|number| payload(number, len_of(number) / 4)).collect();
            writer.append_batch(&batch).expect("room").end
        } else {
            writer.append(&payload(next, len_of(next))).expect("room") + 1
        };
        acknowledge(noted, next);
    }
}

/// The other process's side: `DURABILITY COUNT DIR` opens the log in a folder and appends so many records.
fn serve(request: &str) -> String {
    let mut words = request.splitn(3, ' ');
    let mut word = || words.next().expect("three words");
    let (durability, count, dir) = (word(), word().parse::<u64>().expect("a number"), Path::new(word()));
    let noted = acknowledgements(dir);
    let mut writer = options(durability).open_or_create(dir.join("log")).expect("a log");
    let end = writer.next_sequence().saturating_add(count);
    append_until(&mut writer, &noted, end);
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
    fs::write(dir.path().join(ACKNOWLEDGED), [0; 8]).expect("room");
    if found == Found::Nothing {
        return dir;
    }
    let noted = acknowledgements(dir.path());
    let path = dir.path().join("log");
    let mut writer = options("kernel").create(&path).expect("a log");
    append_until(&mut writer, &noted, 20);
    let end = offsets(&fs::read(last_segment(&path)).expect("it")).len();
    // Until a segment was begun.
    while offsets(&fs::read(last_segment(&path)).expect("it")).len() >= end {
        let next = writer.next_sequence() + 1;
        append_until(&mut writer, &noted, next);
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
    acknowledge(&noted, first);
    dir
}

fn last_segment(path: &Path) -> std::path::PathBuf {
    segments(path).pop().expect("one at least")
}

/// Checks what a death has left, and that the next writer goes on. Answers the time until it could append.
fn check(dir: &Path, case: &str) -> Duration {
    let (path, known) = (dir.join("log"), acknowledged(&acknowledgements(dir)));
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
fn a_writer_that_is_killed_anywhere_loses_nothing() {
    let test = "log::killed::a_writer_that_is_killed_anywhere_loses_nothing";
    // Before anything else: the other process begins here, too.
    let mut first = Some(Peer::start(test, serve));
    let kills = kills(20);
    let mut longest = Duration::ZERO;
    let dirs = [Found::Nothing, Found::Torn].map(prepare);
    let mut seed = u64::from(std::process::id()) ^ 0x9E37_79B9_7F4A_7C15;
    report(test, &format!("seed {seed}"));
    for kill in 0..kills {
        let mut peer = first.take().unwrap_or_else(|| Peer::start(test, serve));
        let durability = ["kernel", "interval", "always"][kill % 3];
        let dir = &dirs[kill % 2];
        let noted = acknowledgements(dir.path());
        let before = acknowledged(&noted);
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let wanted = before + 1 + seed % if durability == "always" { 40 } else { 4000 };
        peer.tell(&format!("{durability} {} {}", u64::MAX, dir.path().display()));
        let start = Instant::now();
        loop {
            let (done, elapsed) = (acknowledged(&noted), start.elapsed());
            if done >= wanted || done > before && elapsed > LONGEST_WORK || elapsed > Duration::from_secs(60) {
                break;
            }
            std::thread::yield_now();
        }
        assert_eq!(peer.kill_and_hear(), None, "it had no end");
        assert!(acknowledged(&noted) > before, "it has appended nothing");
        longest = longest.max(check(dir.path(), &format!("{durability}, kill {kill}")));
        // The record that the check has appended.
        let known = Log::open(dir.path().join("log")).expect("it").info().expect("whole").next_sequence;
        acknowledge(&noted, known);
    }
    assert!(longest < Duration::from_secs(10), "{longest:?}");
    report(test, &format!("{kills} kills, the next writer appends within {longest:?}"));
}
