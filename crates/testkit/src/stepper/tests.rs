//! Regions of known effect, cut everywhere.
#![expect(unsafe_code, reason = "a mapping, and a signal handler, for tests")]

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Instant;

use rustix::mm::{MapFlags, ProtFlags, mmap};
use rustix::process::{Signal, getpid, kill_process};
use tempfile::NamedTempFile;

use super::*;

const CELLS: usize = 8;
pub(super) const BYTES: usize = CELLS * size_of::<u64>();

/// A file of zeros.
pub(super) fn zeros() -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    file.as_file().set_len(u64::try_from(BYTES).expect("few")).expect("room");
    file
}

pub(super) fn path_of(file: &NamedTempFile) -> String {
    file.path().display().to_string()
}

/// Maps the cells of a file, for as long as the process lives.
pub(super) fn cells(file: &File) -> &'static [AtomicU64; CELLS] {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the kernel picks the range.
    let addr = unsafe { mmap(ptr::null_mut(), BYTES, protection, MapFlags::SHARED, file, 0) }.expect("a mapping");
    // SAFETY: it starts at a page, is as long as the array, and is never unmapped; who else writes there uses atomics
    // or is this test, when nobody has it mapped.
    unsafe { &*addr.cast() }
}

/// Stores 1, 2, 3, ... in the cells, in this order.
fn store_all(cells: &[AtomicU64; CELLS]) {
    for (cell, value) in cells.iter().zip(1..) {
        cell.store(value, Ordering::Release);
    }
}

/// How many cells have their value; those behind them have to be zero.
fn stored(file: &Path) -> usize {
    let bytes = fs::read(file).expect("a file");
    let values: Vec<u64> =
        bytes.as_chunks().0.iter().map(|&bytes| u64::from_ne_bytes(bytes)).take_while(|&value| value != 0).collect();
    assert!(values.iter().copied().eq((1..).take(values.len())), "{values:?}");
    assert!(bytes[values.len() * size_of::<u64>()..].iter().all(|&byte| byte == 0), "{bytes:?}");
    values.len()
}

/// Checks that what is seen after each number of instructions never gets less, and grows by one at a time from 0 to
/// `all`.
fn assert_grows(seen: &[usize], all: usize) {
    assert_eq!((seen.first(), seen.last()), (Some(&0), Some(&all)), "{seen:?}");
    assert!(seen.windows(2).all(|pair| pair[1] == pair[0] || pair[1] == pair[0] + 1), "{seen:?}");
}

#[test]
fn stores_are_cut_between_any_two() {
    const TEST: &str = "stepper::tests::stores_are_cut_between_any_two";
    let mut stepper = Stepper::start(TEST, |case, region| {
        let cells = cells(&File::options().read(true).write(true).open(case).expect("a file"));
        region.run(|| store_all(cells));
    });
    let file = zeros();
    let Some(count) = stepper.count_or_skip(TEST, &path_of(&file)) else { return };
    assert_eq!(stored(file.path()), CELLS);
    let seen: Vec<(usize, usize)> = (0..=count)
        .map(|instructions| {
            let (stepped, run) = (zeros(), zeros());
            assert_eq!(stepper.kill_after(&path_of(&stepped), instructions).expect("traced"), Cut::Killed);
            assert_eq!(stepper.kill_at(&path_of(&run), instructions).expect("traced"), Cut::Killed);
            (stored(stepped.path()), stored(run.path()))
        })
        .collect();
    let (stepped, run): (Vec<usize>, Vec<usize>) = seen.into_iter().unzip();
    assert_grows(&stepped, CELLS);
    assert_eq!(run, stepped);
}

#[test]
fn a_run_that_goes_another_way_is_missed() {
    const TEST: &str = "stepper::tests::a_run_that_goes_another_way_is_missed";
    let mut stepper = Stepper::start(TEST, |case, region| {
        let (path, way) = case.split_once(' ').expect("two words");
        let cells = cells(&File::options().read(true).write(true).open(path).expect("a file"));
        region.run(|| match way {
            "forth" => store_all(cells),
            _ => cells[0].store(1, Ordering::Release),
        });
    });
    let file = zeros();
    let Some(count) = stepper.count_or_skip(TEST, &format!("{} forth", path_of(&file))) else { return };
    let last = |stepper: &mut Stepper, way| {
        let file = zeros();
        let cut = stepper.kill_at(&format!("{} {way}", path_of(&file)), count / 2).expect("traced");
        (cut, stored(file.path()))
    };
    assert!(matches!(last(&mut stepper, "forth"), (Cut::Killed, 1..CELLS)));
    assert_eq!(last(&mut stepper, "back"), (Cut::Missed, 1));
}

#[test]
fn a_system_call_is_one_instruction() {
    const TEST: &str = "stepper::tests::a_system_call_is_one_instruction";
    let mut stepper = Stepper::start(TEST, |case, region| {
        let file = File::options().write(true).open(case).expect("a file");
        region.run(|| (0..3).for_each(|offset| file.write_all_at(b"x", offset).expect("room")));
    });
    let empty = || NamedTempFile::new().expect("a file");
    let Some(count) = stepper.count_or_skip(TEST, &path_of(&empty())) else { return };
    let seen: Vec<usize> = (0..=count)
        .map(|instructions| {
            let file = empty();
            assert_eq!(stepper.kill_after(&path_of(&file), instructions).expect("traced"), Cut::Killed);
            usize::try_from(file.as_file().metadata().expect("a file").len()).expect("short")
        })
        .collect();
    assert_grows(&seen, 3);
}

#[test]
fn beyond_the_end_says_where_the_end_is() {
    const TEST: &str = "stepper::tests::beyond_the_end_says_where_the_end_is";
    let mut stepper = Stepper::start(TEST, |case, region| {
        let file = File::options().read(true).write(true).open(case).expect("a file");
        region.run(|| store_all(cells(&file)));
        file.write_all_at(b"end", 0).expect("room");
    });
    let file = zeros();
    let Some(instructions) = stepper.count_or_skip(TEST, &path_of(&file)) else { return };
    // What comes after the region has run.
    assert!(fs::read(file.path()).expect("a file").starts_with(b"end"));
    for beyond in [instructions + 1, instructions * 2] {
        let file = zeros();
        assert_eq!(stepper.kill_after(&path_of(&file), beyond).expect("traced"), Cut::Over { instructions });
        assert!(fs::read(file.path()).expect("a file").starts_with(b"end"));
    }
    // The last one is the region's, not the next one's.
    let file = zeros();
    assert_eq!(stepper.kill_after(&path_of(&file), instructions).expect("traced"), Cut::Killed);
    assert_eq!(stored(file.path()), CELLS);
}

#[test]
fn a_process_that_dies_itself_is_told_from_one_that_is_killed() {
    const TEST: &str = "stepper::tests::a_process_that_dies_itself_is_told_from_one_that_is_killed";
    let mut stepper = Stepper::start(TEST, |case, region| match case {
        "plain" => region.run(|| ()),
        "killed" => region.run(|| kill_process(getpid(), Signal::KILL).expect("itself")),
        "aborted" => region.run(|| std::process::abort()),
        "gone" => region.run(|| std::process::exit(0)),
        "late" => {
            region.run(|| ());
            std::process::exit(3);
        }
        "panicking" => panic!("as it is to"),
        _ => (),
    });
    if stepper.count_or_skip(TEST, "plain").is_none() {
        return;
    }
    let mut died = |case: &str| match stepper.kill_after(case, usize::MAX) {
        Ok(Cut::Died { instructions, signal }) if instructions > 0 => Ok(signal),
        Ok(other) => panic!("{case}: {other:?}"),
        Err(error) => Err(error.to_string()),
    };
    assert_eq!(died("killed"), Ok(Some(libc::SIGKILL)));
    assert_eq!(died("aborted"), Ok(Some(libc::SIGABRT)));
    assert_eq!(died("gone"), Ok(None));
    assert_eq!(died("late"), Err("the process has ended outside of its region, with status 3".to_owned()));
    assert_eq!(died("panicking"), Err("the process has ended outside of its region, with status 101".to_owned()));
    assert_eq!(died("no region"), Err("the process has ended outside of its region, with status 0".to_owned()));
    assert!(stepper.count("killed").is_err());
}

#[test]
fn a_region_that_sleeps_forever_is_killed_in_its_sleep() {
    const TEST: &str = "stepper::tests::a_region_that_sleeps_forever_is_killed_in_its_sleep";
    let mut stepper = Stepper::start(TEST, |case, region| {
        let cells = cells(&File::options().read(true).write(true).open(case).expect("a file"));
        let (reader, _writer) = io::pipe().expect("a pipe");
        region
            .run(|| {
                store_all(cells);
                rustix::io::read(&reader, &mut [0; 1])
            })
            .expect_err("nobody writes");
    });
    let file = zeros();
    let instructions = match stepper.kill_after(&path_of(&file), usize::MAX) {
        Ok(Cut::Blocked { instructions }) => instructions,
        Ok(other) => panic!("{other:?}"),
        Err(error) if error.kind() == io::ErrorKind::Other => panic!("{error}"),
        Err(error) => return skip(TEST, &format!("no process can be traced here: {error}")),
    };
    assert_eq!(stored(file.path()), CELLS);
    assert_eq!(stepper.kill_after(&path_of(&zeros()), instructions).expect("traced"), Cut::Killed);
    assert_eq!(
        stepper.kill_after(&path_of(&zeros()), instructions + 1).expect("traced"),
        Cut::Blocked { instructions }
    );
}

/// The descriptor of the file that the handler makes longer.
static SHORT: AtomicI32 = AtomicI32::new(-1);

/// Makes the file as long as it is to be: what has faulted is executed again.
extern "C" fn lengthen(_: libc::c_int) {
    let bytes = libc::off_t::try_from(BYTES).unwrap_or(0);
    // SAFETY: it takes integers, and may be called in a signal handler: signal-safety(7).
    unsafe { libc::ftruncate(SHORT.load(Ordering::Relaxed), bytes) };
}

#[expect(clippy::as_conversions, reason = "handlers are integers in signal(2)")]
fn lengthen_on_sigbus(file: &File) {
    SHORT.store(file.as_raw_fd(), Ordering::Relaxed);
    // SAFETY: the handler calls nothing but what may be called there.
    let before = unsafe { libc::signal(libc::SIGBUS, lengthen as *const () as libc::sighandler_t) };
    assert_ne!(before, libc::SIG_ERR);
}

#[test]
fn a_fault_that_the_process_handles_is_stepped_through() {
    const TEST: &str = "stepper::tests::a_fault_that_the_process_handles_is_stepped_through";
    let mut stepper = Stepper::start(TEST, |case, region| {
        let file = File::options().read(true).write(true).open(case).expect("a file");
        lengthen_on_sigbus(&file);
        let cells = cells(&file);
        region.run(|| store_all(cells));
    });
    let empty = || NamedTempFile::new().expect("a file");
    let file = empty();
    let Some(count) = stepper.count_or_skip(TEST, &path_of(&file)) else { return };
    assert_eq!(stored(file.path()), CELLS);
    let seen: Vec<usize> = (0..=count)
        .map(|instructions| {
            let file = empty();
            assert_eq!(stepper.kill_after(&path_of(&file), instructions).expect("traced"), Cut::Killed);
            match file.as_file().metadata().expect("a file").len() {
                0 => 0,
                _ => 1 + stored(file.path()),
            }
        })
        .collect();
    assert_grows(&seen, 1 + CELLS);
}

#[test]
fn an_endless_region_is_given_up() {
    const TEST: &str = "stepper::tests::an_endless_region_is_given_up";
    let mut stepper = Stepper::start(TEST, |case, region| {
        region.run(|| while black_box(case) == "endless" {});
    });
    if stepper.count_or_skip(TEST, "short").is_some() {
        assert_eq!(stepper.count("endless").map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
        assert!(stepper.count("short").is_ok(), "the next run is not harmed");
    }
}

#[test]
fn regions_are_cut_hundreds_of_times_a_second() {
    const TEST: &str = "stepper::tests::regions_are_cut_hundreds_of_times_a_second";
    let mut stepper = Stepper::start(TEST, |_, region| {
        let cells = cells(zeros().as_file());
        region.run(|| store_all(black_box(cells)));
    });
    let Some(count) = stepper.count_or_skip(TEST, "") else { return };
    let points = kill_points(TEST, count, 100);
    for is_stepped in [true, false] {
        let start = Instant::now();
        for &instructions in &points {
            let cut = if is_stepped { stepper.kill_after("", instructions) } else { stepper.kill_at("", instructions) };
            assert_eq!(cut.expect("traced"), Cut::Killed);
        }
        let name = if is_stepped { "stepped" } else { "run" };
        let seconds = start.elapsed().as_secs_f64();
        let kills = points.iter().fold(0.0, |kills, _| kills + 1.0);
        report(TEST, &format!("{:.0} kills a second in a region of {count} instructions, {name}", kills / seconds));
    }
}

#[test]
fn points_are_all_or_evenly_spread() {
    assert_eq!(spread(9, 5, 0), [0, 2, 4, 6, 8]);
    assert_eq!(spread(9, 5, 9), [1, 3, 5, 7, 9]);
    assert_eq!(kill_points("", 3, 4), [0, 1, 2, 3]);
    for (count, limit) in [(1, 1), (10, 3), (100, 99), (1000, 7)] {
        let mut seen = vec![false; count + 1];
        for seed in 0..=u64::try_from(count).expect("few") {
            let points = spread(count, limit, seed);
            assert_eq!(points.len(), limit);
            assert!(points.windows(2).all(|pair| pair[0] < pair[1]), "{points:?}");
            points.iter().for_each(|&point| seen[point] = true);
        }
        assert!(seen.iter().all(|&seen| seen), "{count} {limit}");
    }
}
