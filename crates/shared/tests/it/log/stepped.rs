//! A writer, a recovery and a repair that are killed after any instruction: what was acknowledged before is there once,
//! nothing is torn, and the next writer appends.
//!
//! Each test runs one operation in a process that is single-stepped, and cut off after the n-th instruction;
//! `MAPIO_KILL_POINTS` says for how many of them at most, which are others in each run of the tests. Each process finds
//! the same log.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use mapio_shared::log::{Durability, Log, Options, Position, RepairMode, Writer};
use mapio_testkit::{Region, Stepper, report};
use tempfile::TempDir;

use super::support::{HEAD, HEADER, SHORT, folder, payload, read_from, segments};

/// Instructions of an operation after which it is cut, unless the environment says otherwise.
const POINTS: usize = 16;
/// Bytes of each record.
const LEN: usize = 200;
/// Records of this length in a segment.
const IN_SEGMENT: u64 = 17;
/// Records in front of the one that is damaged where a log is cut, in its second segment.
const BEFORE_DAMAGE: u64 = 20;

/// Starts the process whose children are killed: they get the options of a writer, and the log.
fn stepper(test: &str, mut work: impl FnMut(Options, &Path, &Region)) -> Stepper {
    Stepper::start(test, move |case, region| {
        let (durability, path) = case.split_once(' ').expect("two words");
        // What is done once in a process is done with another log, so that the instructions are those of this one.
        let other = Path::new(path).with_extension("other");
        append(&mut options(durability).open_or_create(&other).expect("a log"), 1);
        drop(options(durability).open(&other).expect("it"));
        work(options(durability), Path::new(path), region);
    })
}

/// Three segments are kept.
fn options(durability: &str) -> Options {
    let options = SHORT.retain_bytes(3 * 8192);
    if durability == "always" { options.durability(Durability::Always) } else { options }
}

fn append(writer: &mut Writer, count: u64) {
    for number in writer.next_sequence()..writer.next_sequence() + count {
        assert_eq!(writer.append(&payload(number, LEN)).expect("room"), number);
    }
}

/// Appends a record; the bytes are there before the region begins.
fn append_in(region: &Region, writer: &mut Writer) {
    let bytes = payload(writer.next_sequence(), LEN);
    region.run(|| writer.append(&bytes)).expect("room");
}

/// A log of so many records, all of them flushed or none.
fn log_of(durability: &str, count: u64) -> TempDir {
    let dir = folder();
    append(&mut options(durability).open_or_create(dir.path()).expect("a log"), count);
    dir
}

/// Makes `path` the same as the template.
fn renew(path: &Path, template: &Path) {
    // There is none the first time.
    let _ = fs::remove_dir_all(path);
    fs::create_dir(path).expect("room");
    for entry in fs::read_dir(template).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), path.join(entry.file_name())).expect("room");
    }
}

/// Has the operation cut after its instructions, one run for each; `check` looks at what is left of the log. It is told
/// whether the operation has come to its end.
fn kill_everywhere(
    test: &str,
    stepper: &mut Stepper,
    durability: &str,
    template: &Path,
    mut check: impl FnMut(&Path, bool),
) {
    let dir = folder();
    let path = dir.path().join("log");
    let case = format!("{durability} {}", path.display());
    stepper.kill_everywhere(test, &case, POINTS, || renew(&path, template), |over| check(&path, over));
}

/// The records from `first` on, up to `next`, are there, and no others.
fn assert_holds(path: &Path, next: u64) {
    let read = read_from(path, Position::Start);
    let first = read.first().map_or(next, |(number, _)| *number);
    assert_eq!(read, (first..next).map(|number| (number, payload(number, LEN))).collect::<Vec<_>>());
}

/// Checks that the next writer finds the records up to one of these numbers, and goes on from there; answers which.
fn goes_on(path: &Path, allowed: &[u64]) -> u64 {
    let mut writer = SHORT.open(path).expect("a log that can be gone on with");
    let next = writer.next_sequence();
    assert!(allowed.contains(&next), "the next is {next}, not {allowed:?}");
    assert_holds(path, next);
    // More than one segment holds.
    append(&mut writer, IN_SEGMENT + 1);
    assert_holds(path, next + IN_SEGMENT + 1);
    drop(writer);
    let verified = Log::open(path).expect("it").verify().expect("readable");
    assert!(verified.damage.is_empty(), "{verified:?}");
    let names = fs::read_dir(path).expect("a folder").map(|entry| entry.expect("it").file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().starts_with(".mapio")), "rubbish is left");
    next
}

/// A writer that has appended a record, so that the pages for the next ones are there.
fn warm(options: Options, path: &Path) -> Writer {
    let mut writer = options.open(path).expect("a log");
    append(&mut writer, 1);
    writer
}

/// Kills an append behind `before` records, the last of which is `warm`'s: they are to be there, and of its own `count`
/// all or none.
fn kill_appending(test: &str, stepper: &mut Stepper, durabilities: &[&str], before: u64, count: u64) {
    for &durability in durabilities {
        let template = log_of(durability, before - 1);
        let mut seen = [0, 0];
        kill_everywhere(test, stepper, durability, template.path(), |path, over| {
            // Whole before anybody has recovered it, too.
            let next = read_from(path, Position::Start).last().expect("the old ones").0 + 1;
            assert_holds(path, next);
            let allowed = if over { &[before + count][..] } else { &[before, before + count] };
            assert_eq!(goes_on(path, allowed), next);
            seen[usize::from(next > before)] += 1;
        });
        report(test, &format!("{durability}: {} without the record, {} with it", seen[0], seen[1]));
    }
}

#[test]
fn in_an_append() {
    const TEST: &str = "log::stepped::in_an_append";
    let mut stepper = stepper(TEST, |options, path, region| {
        let mut writer = warm(options, path);
        append_in(region, &mut writer);
    });
    kill_appending(TEST, &mut stepper, &["kernel", "always"], 4, 1);
}

#[test]
fn in_appending_a_batch() {
    const TEST: &str = "log::stepped::in_appending_a_batch";
    let mut stepper = stepper(TEST, |options, path, region| {
        let mut writer = warm(options, path);
        let next = writer.next_sequence();
        let batch = [next, next + 1, next + 2].map(|number| payload(number, LEN));
        let appended = region.run(|| writer.append_batch(&batch));
        assert_eq!(appended.expect("room"), next..next + 3);
    });
    kill_appending(TEST, &mut stepper, &["kernel", "always"], 4, 3);
}

#[test]
fn in_beginning_a_segment_and_removing_another() {
    const TEST: &str = "log::stepped::in_beginning_a_segment_and_removing_another";
    let mut stepper = stepper(TEST, |options, path, region| {
        let mut writer = warm(options, path);
        append_in(region, &mut writer);
    });
    kill_appending(TEST, &mut stepper, &["always"], 3 * IN_SEGMENT, 1);
}

/// A log of three segments, with a byte changed in the record behind the first `BEFORE_DAMAGE`.
fn damaged(durability: &str) -> TempDir {
    let log = log_of(durability, 2 * IN_SEGMENT + 5);
    let files = segments(log.path());
    assert_eq!(files.len(), 3);
    let before = usize::try_from(BEFORE_DAMAGE - IN_SEGMENT).expect("few");
    let at = u64::try_from(HEADER + before * (HEAD + LEN) + HEAD + LEN / 2).expect("small");
    File::options().write(true).open(&files[1]).expect("it").write_all_at(&[0xFF], at).expect("room");
    log
}

/// The segments behind the damage are kept under another name.
fn assert_set_aside(path: &Path) {
    assert!(fs::exists(path.join(format!("{:020}.segment.lost", 2 * IN_SEGMENT))).expect("a folder"));
}

/// Takes the end from the first segment, as a writer leaves it that dies when it has made the next one.
fn take_end(path: &Path) {
    let at = u64::try_from(HEADER).expect("small") + IN_SEGMENT * u64::try_from(HEAD + LEN).expect("small");
    let file = File::options().write(true).open(&segments(path)[0]).expect("it");
    file.write_all_at(&[0; HEAD], at).expect("room");
}

#[test]
fn in_a_recovery() {
    const TEST: &str = "log::stepped::in_a_recovery";
    let mut stepper = stepper(TEST, |options, path, region| {
        drop(region.run(|| options.open(path).expect("a log")));
    });
    let template = damaged("kernel");
    take_end(template.path());
    // How the rest is flushed shows in the repair, below.
    kill_everywhere(TEST, &mut stepper, "kernel", template.path(), |path, _| {
        let mut reader = Log::open(path).expect("it").reader(Position::Start).expect("the start");
        let read: Vec<_> = reader.records().map_while(Result::ok).map(|(entry, _)| entry.sequence).collect();
        // Those behind the missing end are seen when it is there.
        assert!([IN_SEGMENT, BEFORE_DAMAGE].iter().any(|&end| read.iter().copied().eq(0..end)), "{read:?}");
        goes_on(path, &[BEFORE_DAMAGE]);
        assert_set_aside(path);
    });
}

#[test]
fn in_a_repair() {
    const TEST: &str = "log::stepped::in_a_repair";
    let mut stepper = stepper(TEST, |_, path, region| {
        let repaired = region.run(|| Log::repair(path, RepairMode::Cut));
        assert_eq!(repaired.expect("damage is no error").records, BEFORE_DAMAGE);
    });
    kill_everywhere(TEST, &mut stepper, "always", damaged("always").path(), |path, over| {
        let repaired = Log::repair(path, RepairMode::Cut).expect("damage is no error");
        assert_eq!(repaired.records, BEFORE_DAMAGE);
        assert!(!over || repaired.recovery.cut.is_none(), "{repaired:?}");
        goes_on(path, &[BEFORE_DAMAGE]);
        assert_set_aside(path);
    });
}
