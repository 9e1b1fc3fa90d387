//! The steps of the tour on sharing and on devices: what they say is what is to be seen there.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::thread;

use mapio_testkit::{runner, skip};
use rustix::process::{Pid, Signal, kill_process};

use super::{as_nobody, check_form, printed, row, shown, shown_whole, tour_of};
use crate::support::{Folder, MAPIO, mapio, started};

/// The numbers of the steps.
const ONE_PAGE: usize = 8;
const RACE: usize = 9;
const NAMES: usize = 10;
const DEVICES: usize = 11;

#[test]
fn a_shared_store_is_seen_and_a_private_one_is_not() {
    let Some(text) = shown("a_shared_store_is_seen_and_a_private_one_is_not", ONE_PAGE) else { return };
    check_one_page(&text);
    // The kernel tells root, unless it keeps even root from knowing, which the step says.
    if text.contains("Not here: ") {
        skip("a_shared_store_is_seen_and_a_private_one_is_not: frames", "they are not told to this user");
        return;
    }
    let frames = ["A has stored", "B, shared", "B has stored", "C, private"].map(|who| row(&text, who)[4].clone());
    assert!(frames.iter().all(|frame| *frame == frames[0]) || text.contains("has moved"), "{text}");
    assert_ne!(row(&text, "C has stored")[4], frames[3], "{text}");
}

/// What everybody sees of that step.
fn check_one_page(text: &str) {
    let cell = |who, column: usize| row(text, who)[column].clone();
    assert_eq!(["A has stored", "B, shared", "B has stored"].map(|who| cell(who, 2)), ["rw-s"; 3]);
    assert_eq!(["C, private", "C has stored"].map(|who| cell(who, 2)), ["rw-p"; 2]);
    let read = ["A has stored", "B, shared", "B has stored", "C, private", "C has stored"].map(|who| cell(who, 3));
    assert_eq!(read, ["A stored", "A stored", "B stored", "B stored", "C stored"]);
    let looks: Vec<_> = text.lines().filter(|line| line.starts_with("    A looks ")).collect();
    assert!(looks.len() == 2 && looks.iter().all(|line| line.contains("  B stored  ")), "{text}");
    assert_eq!(["A has stored", "C, private", "C has stored"].map(|who| cell(who, 5)), ["file's", "file's", "copy"]);
    assert_ne!(cell("B, shared", 0), cell("C, private", 0), "they are processes of their own");
    let lines: Vec<_> = text.lines().filter(|line| line.ends_with(" 00000000 page")).collect();
    assert_eq!(lines.len(), 3, "{text}");
    for (line, who) in lines.iter().zip(["A has stored", "B, shared", "C, private"]) {
        let begins = format!("    {}-", cell(who, 1).trim_start_matches("0x"));
        assert!(line.starts_with(&begins) && line.contains(&cell(who, 2)), "{line}");
    }
}

#[test]
fn a_user_without_rights_is_told_what_he_may_not_see() {
    const TEST: &str = "a_user_without_rights_is_told_what_he_may_not_see";
    if runner().is_some() {
        return skip(TEST, "the processes of a step need a runner here");
    }
    let Some((output, left)) = as_nobody(TEST, &["tour", "--step", &ONE_PAGE.to_string()]) else { return };
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{text} {}", String::from_utf8_lossy(&output.stderr));
    check_one_page(&text);
    assert_eq!(row(&text, "C has stored")[4], "?");
    assert!(text.contains("\nNot here: the numbers of the frames: only root may see them"), "{text}");
    assert_eq!(left, [""; 0]);
}

#[test]
fn counts_are_lost_by_careless_processes_alone() {
    let Some(text) = shown_whole("counts_are_lost_by_careless_processes_alone", RACE) else { return };
    let figures = |way: &str| -> Vec<u64> {
        let cells = row(&text, way);
        let figures = cells.iter().take(3).map(|cell| cell.split(' ').next().and_then(|figure| figure.parse().ok()));
        figures.collect::<Option<_>>().unwrap_or_else(|| panic!("{cells:?}"))
    };
    for way in ["carelessly", "atomically", "locked"] {
        let [made, says, lost] = figures(way)[..] else { panic!("{text}") };
        assert_eq!(made, says + lost, "{way}");
        assert!(lost == 0 || way == "carelessly", "{text}");
    }
    let all_lost: u64 = text.lines().filter(|line| line.starts_with("    carelessly ")).map(lost_in).sum();
    assert_eq!(all_lost == 0, text.contains("No count was lost this time"), "{text}");
    // By one processor they take turns, and may do so between two counts.
    if thread::available_parallelism().expect("a number").get() > 1 {
        assert!(all_lost > 0, "{text}");
    }

    let counted = figures("locked")[1];
    let story: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("    we      ")).collect();
    let [before, refusal, lock, after] = story[..] else { panic!("{text}") };
    assert_eq!(before, format!("the counter says {counted}"));
    assert_eq!(refusal, "try_lock(): Err: it would have to be waited for");
    assert!(lock.starts_with("lock(): Ok, after ") && lock.ends_with("; recovered() is true"), "{lock}");
    assert_eq!(after, format!("the counter says {counted}; we go on, and it says {}", counted + 1));
    assert!(text.contains("    holder  killed by SIGKILL (signal 9"), "{text}");
}

/// The third figure of a line of the races.
fn lost_in(line: &str) -> u64 {
    line.split_whitespace().nth(3).and_then(|lost| lost.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn a_race_that_is_interrupted_leaves_neither_files_nor_processes() {
    const TEST: &str = "a_race_that_is_interrupted_leaves_neither_files_nor_processes";
    if runner().is_some() {
        return skip(TEST, "the processes of a step need a runner here");
    }
    let folder = Folder::new();
    let mut child = started(&mut tour_of(RACE, folder.root()));
    // Its parts are there, and count.
    while parts_in(folder.root()) < 2 {
        assert!(child.try_wait().expect("a child").is_none(), "it has ended before it was interrupted");
        thread::yield_now();
    }
    // The second and the third one come while the first one is obeyed.
    for signal in [Signal::TERM, Signal::TERM, Signal::INT] {
        kill_process(Pid::from_child(&child), signal).expect("it was not waited for");
    }
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(folder.names(), [""; 0]);
    // They are killed when it ends, and are gone when they have died.
    while parts_in(folder.root()) > 0 {
        thread::yield_now();
    }
}

#[test]
fn the_holder_of_the_lock_ends_when_nobody_is_there_to_kill_it() {
    const TEST: &str = "the_holder_of_the_lock_ends_when_nobody_is_there_to_kill_it";
    if runner().is_some() {
        return skip(TEST, "the processes of a step need a runner here");
    }
    let folder = Folder::new();
    // The part as the tour starts it.
    let mut holder = started(mapio(&["tour", "--part", "holder"]).arg(folder.root()));
    let mut locked = String::new();
    let output = holder.stdout.take().expect("it is a pipe");
    BufReader::new(output).read_line(&mut locked).expect("a line");
    assert_eq!((locked.as_str(), holder.try_wait().expect("a child")), ("locked\n", None));
    drop(holder.stdin.take());
    assert_eq!(holder.wait().expect("it ends").code(), Some(0));
}

#[test]
fn memory_that_can_not_have_a_name_is_no_failure_of_the_tour() {
    const TEST: &str = "memory_that_can_not_have_a_name_is_no_failure_of_the_tour";
    if runner().is_some() {
        return skip(TEST, "the processes of a step need a runner here");
    }
    let folder = Folder::new();
    for (option, reason) in [("ro", "Read-only file system"), ("size=4k", "No space left on device")] {
        let script = format!("mount -t tmpfs -o {option} tmpfs /dev/shm || exit 77; exec \"$0\" \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
        let output = command.args([MAPIO, "tour", "--step", "10"]).env("TMPDIR", folder.root()).output();
        let output = match output {
            Ok(output) if output.status.code() != Some(77) && !output.stderr.starts_with(b"unshare: ") => output,
            _ => return skip(TEST, "nothing can be mounted in a namespace here"),
        };
        let text = printed(&output);
        check_form(&text, &[NAMES]);
        let missing = text.split("\n\n").find(|part| part.starts_with("Not here: the steps themselves: "));
        let missing = missing.unwrap_or_else(|| panic!("{text}")).replace('\n', " ");
        assert!(missing.ends_with(reason), "{missing}");
        assert_eq!(folder.names(), [""; 0]);
    }
}

/// How many processes run a part of a tour whose files are made here.
fn parts_in(place: &Path) -> usize {
    let place = place.to_string_lossy();
    let processes = fs::read_dir("/proc").expect("every Linux has it").flatten();
    let words = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    words.filter(|words| String::from_utf8_lossy(words).contains(&*place)).count()
}

#[test]
fn an_object_outlives_its_users_and_then_its_name() {
    let Some(text) = shown_whole("an_object_outlives_its_users_and_then_its_name", NAMES) else { return };
    let start = text.lines().position(|line| line.starts_with("    step    who")).expect("the table of what happened");
    let told: Vec<_> = text.lines().skip(start + 1).take(8).collect();
    let expected = [
        ("create  host ", "stores ping", "8192 bytes"),
        ("open    guest", "finds ping, stores pong", "8192 bytes"),
        ("load    host ", "finds pong", "8192 bytes"),
        ("drop    host ", "nobody has it open", "8192 bytes"),
        ("open    host ", "finds pong", "8192 bytes"),
        ("remove  host ", "finds pong", "nothing"),
        ("open    host ", "it does not exist", "nothing"),
        ("drop    host ", "its memory is given back", "nothing"),
    ];
    for (line, (begins, what, there)) in told.iter().zip(expected) {
        let holds = line.trim_start().starts_with(begins) && line.contains(&format!("  {what}  "));
        assert!(holds && line.ends_with(&format!("  {there}")), "{line}");
    }
    let name = text.split('`').find(|part| part.starts_with("mapio-tour-")).expect("the object's name");
    assert!(!Path::new("/dev/shm").join(name).exists(), "{name}");
    for call in ["shm_open", "ftruncate", "mmap", "munmap", "shm_unlink"] {
        assert!(text.contains(&format!("  {call}")), "{call}");
    }
    for call in ["CreateFileMapping", "OpenFileMapping", "MapViewOfFile", "UnmapViewOfFile", "CloseHandle"] {
        assert!(text.contains(&format!("  {call}")), "{call}");
    }
}

#[test]
fn a_store_is_seen_on_the_screen_and_interrupts_save_looks() {
    let Some(text) = shown_whole("a_store_is_seen_on_the_screen_and_interrupts_save_looks", DEVICES) else { return };
    assert!(text.contains("\n    |  A was one store, of 0x1e41            |\n"), "{text}");
    let accesses = text.lines().filter_map(|line| line.split_once(" s  read offset ")).map(|(_, access)| access);
    let accesses: Vec<_> = accesses.collect();
    let (byte, looks) = accesses.split_last().expect("accesses");
    // Not on a machine too busy to see one come: a byte from about the middle on that comes and is taken out.
    if !text.contains("These were the last accesses") {
        let byte = byte.strip_prefix("0, RBR: 0x").and_then(|byte| u8::from_str_radix(byte, 16).ok());
        assert!(byte.is_some_and(|byte| (80..192).contains(&byte)), "{text}");
        let before = looks.iter().rev().find(|look| **look != "5, LSR: 0x61");
        assert_eq!((looks.last(), before), (Some(&"5, LSR: 0x61"), Some(&"5, LSR: 0x60")), "{text}");
    }
    let time = |way| row(&text, way)[0].trim_end_matches(" ms").parse::<f64>().expect("a time");
    let is_line_alone = ["Polled", "Driven"].map(time).iter().all(|time| (180.0..=220.0).contains(time));
    assert_eq!(text.contains("The line sets the time."), is_line_alone, "{text}");
    let figure = |way, column: usize| -> u64 { row(&text, way)[column].parse().expect("a figure") };
    let (polled, driven) = (figure("Polled", 3), figure("Driven", 3));
    assert_eq!(polled, 0, "nothing interrupts who polls");
    // A FIFO of 16 bytes, and 192 that have come.
    assert!((12..=192).contains(&driven), "{text}");
    // At least one look for each byte.
    assert!(figure("Polled", 2) >= 192 && figure("Driven", 2) >= 192, "{text}");
}
