//! The tour: all of it is shown, what it says is so, and nothing is left of it.

mod sharing;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use mapio_map::page_bytes;
use mapio_testkit::{runner, skip};

use crate::bench::{Browser, LIGHT};
use crate::support::{Folder, MAPIO, mapio, started};

/// The titles of the steps, in order.
const TITLES: [&str; 12] = [
    "Reading and writing: what a buffer is for",
    "Dereferencing NULL: the segmentation fault",
    "A destination without space: the bus error",
    "Copying by two mappings and memcpy",
    "Reading and writing against mapping",
    "Demand paging: what is in memory, and when",
    "Dirty pages: what the disk has, and when",
    "Two processes, one page",
    "A race, a lock, and the death of its holder",
    "Memory with a name",
    "A screen and a serial port at addresses",
    "What mapio adds: the same faults as errors",
];

/// Length of the tour's file.
const FILE_BYTES: usize = 2 << 20;

/// The command that runs a step, which makes its files here.
fn tour_of(number: usize, place: &Path) -> Command {
    let mut command = mapio(&["tour", "--step", &number.to_string()]);
    command.env("TMPDIR", place);
    command
}

/// What a step prints, run by itself; it leaves nothing behind. `None` where its processes can't be started.
fn shown(test: &str, number: usize) -> Option<String> {
    if runner().is_some() {
        skip(test, "the processes of a step need a runner here");
        return None;
    }
    let folder = Folder::new();
    let text = printed(&tour_of(number, folder.root()).output().expect("it runs"));
    check_form(&text, &[number]);
    assert_eq!(folder.names(), [""; 0], "{test}");
    Some(text)
}

/// The same for a step that can be shown wholly everywhere.
fn shown_whole(test: &str, number: usize) -> Option<String> {
    let text = shown(test, number)?;
    assert!(!text.contains("\nNot here: "), "{text}");
    Some(text)
}

/// What a tour has printed that could do all that it had to.
fn printed(output: &Output) -> String {
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// These steps are there in order, each with what to remember, in lines of 80 columns without escape sequences.
fn check_form(text: &str, numbers: &[usize]) {
    let mut rest = text;
    for &number in numbers {
        let heading = format!("{number}. {}\n", TITLES[number - 1]);
        let step = rest.strip_prefix(&heading).unwrap_or_else(|| panic!("no '{heading}' at: {rest}"));
        let (step, next) = step.split_once("\n\n\n").expect("an end");
        assert_eq!(step.matches("\nRemember: ").count(), 1, "{step}");
        assert!(step.rfind("\nRemember: ") > step.rfind("\n\n"), "it comes last: {step}");
        rest = next;
    }
    assert_eq!(rest, "");
    let bad = text.lines().find(|line| line.chars().count() > 80 || line.contains('\x1b'));
    assert_eq!(bad, None);
}

/// The cells of the row that begins with this, which is its first cell.
fn row(text: &str, first: &str) -> Vec<String> {
    let is_it = |line: &&str| {
        let rest = line.strip_prefix("    ").and_then(|line| line.trim_start().strip_prefix(first));
        rest.is_some_and(|rest| rest.starts_with("  "))
    };
    let line = text.lines().find(is_it).unwrap_or_else(|| panic!("no row '{first}': {text}"));
    let cells = line.trim_start()[first.len()..].split("  ").map(str::trim).filter(|cell| !cell.is_empty());
    cells.map(str::to_owned).collect()
}

/// Runs `mapio` as the user 65534, in a place of his: what came of it, and the names of what is left there. `None` if
/// this user can't become another one.
fn as_nobody(test: &str, words: &[&str]) -> Option<(Output, Vec<String>)> {
    if !rustix::process::geteuid().is_root() {
        skip(test, "only root can become another user");
        return None;
    }
    // A program and a place that he can get to.
    let folder = Folder::new();
    let (program, place) = (folder.path("mapio"), folder.path("place"));
    fs::copy(MAPIO, &program).expect("room");
    fs::create_dir(&place).expect("room");
    for (path, mode) in [(folder.root(), 0o755), (&place, 0o777)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own folder");
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
    let output = command.args(words).env("TMPDIR", &place).output().expect("setpriv");
    let left = fs::read_dir(&place).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    Some((output, left.map(|name| name.to_string_lossy().into_owned()).collect()))
}

/// The number behind `before` in a text, hexadecimal behind `0x`.
fn number_behind(text: &str, before: &str) -> u64 {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no '{before}': {text}")).1;
    let digits = rest.split(|c: char| !c.is_ascii_hexdigit() && c != 'x').next().unwrap_or_default();
    let number = digits.strip_prefix("0x").map_or_else(|| digits.parse(), |digits| u64::from_str_radix(digits, 16));
    number.unwrap_or_else(|error| panic!("'{digits}': {error}"))
}

#[test]
fn the_whole_tour_is_shown_in_order_and_leaves_nothing() {
    const TEST: &str = "the_whole_tour_is_shown_in_order_and_leaves_nothing";
    if runner().is_some() {
        return skip(TEST, "the processes of a step need a runner here");
    }
    let folder = Folder::new();
    fs::create_dir(folder.path("place")).expect("room");
    let mut command = mapio(&["tour", "--html", "tour.html"]);
    let output = command.env("TMPDIR", folder.path("place")).current_dir(folder.root()).output().expect("it runs");
    let text = printed(&output);
    check_form(&text, &(1..=12).collect::<Vec<_>>());
    assert_eq!(folder.names(), ["place", "tour.html"]);
    assert_eq!(fs::read_dir(folder.path("place")).expect("a folder").count(), 0);
    let name = text.split('`').find(|part| part.starts_with("mapio-tour-")).expect("the object's name");
    assert!(!Path::new("/dev/shm").join(name).exists(), "{name}");

    let html = String::from_utf8(folder.read("tour.html")).expect("UTF-8");
    assert_eq!((html.matches("<h2>").count(), html.matches("class=\"note\"").count()), (12, 12));
    assert!(html.matches("<svg").count() >= 2 && !html.contains("<script") && !html.contains("src="), "{html}");
    check_in_browser(TEST, &folder.path("tour.html"));
}

/// A browser shows the page without a complaint.
fn check_in_browser(test: &str, page: &Path) {
    let browser = match Browser::find() {
        Ok(browser) => browser,
        Err(reason) => return skip(test, reason),
    };
    let (dom, complaints) = browser.open(page, LIGHT, "--dump-dom");
    assert!(complaints.is_empty(), "{complaints:?}");
    assert_eq!(dom.matches("<h2>").count(), 12, "{dom}");
}

#[test]
fn a_user_without_rights_has_the_tour() {
    const TEST: &str = "a_user_without_rights_has_the_tour";
    if runner().is_some() {
        return skip(TEST, "the processes of a step need a runner here");
    }
    let Some((output, left)) = as_nobody(TEST, &["tour"]) else { return };
    check_form(&printed(&output), &(1..=12).collect::<Vec<_>>());
    assert_eq!(left, [""; 0]);
}

#[test]
fn what_can_not_be_shown_or_written_is_refused_beforehand() {
    let folder = Folder::new();
    for number in ["0", "13", "-1", "x", ""] {
        folder.fails(&["tour", &format!("--step={number}")], &["--step", "1 to 12"]);
    }
    folder.fails(&["tour", "--html", "missing/tour.html"], &["missing/tour.html", "No such file or directory"]);
    folder.fails(&["tour", "--html", "."], &["'.'"]);
    folder.fails(&["tour", "--part", "no-such-part", "."], &["no-such-part"]);
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn a_step_that_fails_says_so_and_has_nothing_to_remember() {
    const TEST: &str = "a_step_that_fails_says_so_and_has_nothing_to_remember";
    if runner().is_some() {
        return skip(TEST, "the processes of a step need a runner here");
    }
    let folder = Folder::new();
    // Enough descriptors for the tour itself, and too few to talk with a part.
    let script = "ulimit -n 12; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, MAPIO, "tour", "--step", "2"]).env("TMPDIR", folder.root());
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(2), 0), "{output:?}");
    let end = "\nThis step has failed: starting the part 'null': Too many open files\n\n\n";
    assert!(text.starts_with("2. Dereferencing NULL") && text.ends_with(end), "{text}");
    assert!(!text.contains("Remember: ") && !text.contains("Not here: "), "{text}");
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn a_reader_who_has_seen_enough_ends_the_tour() {
    const TEST: &str = "a_reader_who_has_seen_enough_ends_the_tour";
    if runner().is_some() {
        return skip(TEST, "the processes of a step need a runner here");
    }
    let folder = Folder::new();
    let mut child = started(mapio(&["tour"]).env("TMPDIR", folder.root()));
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn a_copy_makes_two_calls_for_each_full_buffer() {
    const TEST: &str = "a_copy_makes_two_calls_for_each_full_buffer";
    let Some(text) = shown_whole(TEST, 1) else { return };
    let buffers = [("5 B", 5), ("64 B", 64), ("1 KiB", 1 << 10), ("64 KiB", 64 << 10), ("1 MiB", 1 << 20)];
    for (name, bytes) in buffers {
        let cells = row(&text, name);
        if cells[0] == "-" {
            return skip(TEST, "this kernel does not count reads and writes");
        }
        // The last read finds the end.
        assert_eq!(cells[0], (FILE_BYTES.div_ceil(bytes) * 2 + 1).to_string(), "{name}");
    }
    let time = |name| row(&text, name)[1].parse::<f64>().expect("a time");
    assert!(time("5 B") > time("1 KiB"), "{text}");
}

#[test]
fn null_is_a_segmentation_fault_at_address_0() {
    let Some(text) = shown_whole("null_is_a_segmentation_fault_at_address_0", 2) else { return };
    assert!(text.contains("\n    killed by SIGSEGV (signal 11, "), "{text}");
    assert!(text.contains("\n    si_addr 0x0, si_code 1 (SEGV_MAPERR: "), "{text}");
    assert!(!text.contains("the byte at address 0 is 0"), "{text}");
    // The code that is shown is the code that ran.
    assert!(text.contains(" fn load_from_null() -> u8 {\n"), "{text}");
}

#[test]
fn no_byte_and_no_space_are_bus_errors_where_they_are_missing() {
    const TEST: &str = "no_byte_and_no_space_are_bus_errors_where_they_are_missing";
    let Some(text) = shown(TEST, 3) else { return };
    let deaths: Vec<_> = text.split("\n    mapped: ").skip(1).collect();
    for (index, death) in deaths.iter().enumerate() {
        assert!(death.contains("\n    killed by SIGBUS (signal "), "{death}");
        assert!(death.contains(", si_code 2 (BUS_ADRERR: "), "{death}");
        let start = u64::from_str_radix(death.split('-').next().expect("addresses"), 16).expect("an address");
        // The small disk has room for 64 KiB.
        let offset = if index == 0 { 0 } else { 64 << 10 };
        assert_eq!(number_behind(death, "si_addr "), start + offset, "{death}");
    }
    match deaths.len() {
        2 => {}
        1 if text.contains("\nNot here: the small disk can't be mounted") => {
            skip(TEST, "a small disk can't be mounted")
        }
        _ => panic!("{text}"),
    }
}

#[test]
fn two_mappings_copy_without_reading_or_writing() {
    const TEST: &str = "two_mappings_copy_without_reading_or_writing";
    let Some(text) = shown_whole(TEST, 4) else { return };
    let (hole, full) = (row(&text, "lseek, write"), row(&text, "fallocate"));
    assert!(["0", "-"].contains(&hole[1].as_str()) && hole[1] == full[1], "{text}");
    let number = |cell: &String| cell.parse::<usize>().expect("a number");
    assert!(number(&hole[0]) < FILE_BYTES && number(&full[0]) >= FILE_BYTES, "{text}");
    assert!(number(&hole[2]) > 0 && number(&full[2]) > 0, "{text}");
    assert!(text.contains(" r--s 00000000 file\n") && text.contains(" rw-s 00000000 mapped-copy\n"), "{text}");

    let Some(text) = shown_whole(TEST, 5) else { return };
    let calls = row(&text, "reads and writes");
    assert!(calls == ["65", "0", "0"] || calls == ["-", "-", "-"], "{text}");
    let calls = row(&text, "system calls");
    assert!(calls == ["20000", "0"] || calls == ["-", "-"], "{text}");
}

#[test]
fn a_full_disk_is_an_error_of_its_step_and_leaves_nothing() {
    const TEST: &str = "a_full_disk_is_an_error_of_its_step_and_leaves_nothing";
    // The file has room and its copy has not; the folder and the file have inodes, and no other file has.
    for (number, options, reason) in [
        (3, "nr_inodes=3", "a part did not die of its fault: exit status 2: "),
        (4, "size=3m", "lseek, write: a part has failed: killed by SIGBUS (signal "),
        (5, "size=3m", "No space left on device"),
    ] {
        let Some(output) = on_disk_of(TEST, options, number) else { return };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(2), &b""[..]), "{number}: {output:?}");
        let (_, told) = text.split_once("\nThis step has failed: ").unwrap_or_else(|| panic!("{number}: {text}"));
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(reason.trim_end()), "{number}: {text}");
        assert!(!text.contains("\n    killed by "), "{number}: {text}");
    }
}

/// A step, run on a tmpfs of these options, which shows on standard error what it has left there. `None` where none can
/// be mounted.
fn on_disk_of(test: &str, options: &str, number: usize) -> Option<Output> {
    if runner().is_some() {
        skip(test, "the processes of a step need a runner here");
        return None;
    }
    // The mount is gone with the process that sees it.
    let script = "mount -t tmpfs -o $1 mapio-test place && echo mounted || exit
        TMPDIR=$PWD/place \"$0\" tour --step $2
        status=$?
        ls -A place >&2
        exit $status";
    let folder = Folder::new();
    fs::create_dir(folder.path("place")).expect("room");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, MAPIO, options, &number.to_string()]).current_dir(folder.root());
    match command.output() {
        Ok(output) if output.stdout.starts_with(b"mounted\n") => Some(output),
        other => {
            skip(test, &format!("no tmpfs can be mounted here: {other:?}"));
            None
        }
    }
}

#[test]
fn pages_come_when_they_are_touched() {
    const TEST: &str = "pages_come_when_they_are_touched";
    let Some(text) = shown(TEST, 6) else { return };
    if text.contains("\nNot here: ") {
        return skip(TEST, "the folder's file system keeps its files in memory");
    }
    let figures =
        |what| -> Vec<usize> { row(&text, what).iter().map(|cell| cell.parse().expect("a figure")).collect() };
    let pages = text.lines().filter(|line| line.starts_with("    .")).map(|line| line.trim().len()).max();
    assert_eq!(pages, Some((FILE_BYTES / page_bytes()).min(64)), "{text}");
    assert_eq!(figures("dropped from memory")[2], 0, "{text}");
    let first = figures("a byte of the middle page");
    assert!(first[0] >= 1 && first[2] >= 1, "{text}");
    let all = figures("a byte of each page");
    assert!(all[0] + all[1] >= 1, "{text}");
    assert_eq!(figures("the same again")[..2], [0, 0], "{text}");
    assert!(figures("dropped, a byte by MADV_RANDOM")[2] <= first[2], "{text}");
}

#[test]
fn stores_are_dirty_until_they_are_flushed_and_survive_their_process() {
    const TEST: &str = "stores_are_dirty_until_they_are_flushed_and_survive_their_process";
    let Some(text) = shown(TEST, 7) else { return };
    assert!(text.contains("\n    killed by SIGKILL (signal 9, "), "{text}");
    assert!(text.contains("\n    read from the file: \"stored, not flushed\"\n"), "{text}");
    if text.contains("\nNot here: ") {
        return skip(TEST, "the kernel does not count the dirty pages of the folder's file system");
    }
    assert_eq!(row(&text, "stored")[1], (FILE_BYTES / page_bytes() / 2).to_string(), "{text}");
    assert_eq!(row(&text, "view.flush(), that is msync with MS_SYNC")[1], "0", "{text}");
}

#[test]
fn the_same_faults_are_errors() {
    const TEST: &str = "the_same_faults_are_errors";
    let Some(text) = shown(TEST, 12) else { return };
    for line in [
        "outside: reading at offset 2097152 of the view:\n        outside the view of 2097152 bytes",
        "empty: writing at offset 0 of the view:\n        the file was cut short, it has 0 bytes now",
        "cut_short: reading at offset 2097151 of the view:\n        the file was cut short, it has 5 bytes now",
        "read_only: writing at offset 0 of the view:\n        the mapping does not allow it",
    ] {
        assert!(text.contains(&format!("\n    {line}\n")), "{line}: {text}");
    }
    if text.contains("\nNot here: the small disk can't be mounted") {
        return skip(TEST, "a small disk can't be mounted");
    }
    let full = "\n    writing at offset 65536 of the view: No space left on device\n    exit status 0\n";
    assert!(text.contains(full), "{text}");
}
