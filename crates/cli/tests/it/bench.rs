//! `bench`: every bench as figures, picture and page; what is refused before anything is measured; and the pages in a
//! browser.

// A shell that limits the size of files.
#[cfg(not(windows))]
mod linux;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
#[cfg(not(windows))]
use std::{process::Child, thread, time::Duration};

use mapio_testkit::{pattern, runner, skip};
#[cfg(not(windows))]
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

#[cfg(not(windows))]
use crate::support::Name;
use crate::support::{self, Folder, no_such_file};

/// A bench, as short as it can be; how many charts it draws, and a text that each of them has.
struct Bench {
    words: &'static [&'static str],
    charts: &'static [&'static str],
    rows: usize,
}

const COPY: Bench =
    Bench { words: &["bench", "copy", "--runs", "1", "a"], charts: &["Time of a copy", "Processor time"], rows: 13 };
const ACCESS: Bench = Bench {
    words: &["bench", "access", "--runs", "1", "a"],
    charts: &["here and there", "one after the other"],
    rows: 4,
};
const CHANNEL: Bench = Bench {
    words: &["bench", "channel", "--runs", "1", "--round-trips", "100", "--message-len", "200"],
    charts: &["Round trips"],
    rows: 4,
};
const SERIAL: Bench = Bench {
    words: &["bench", "serial", "--runs", "1", "--baud", "38400,1000000"],
    charts: &["while a serial port receives", "How late"],
    rows: 10,
};

/// Those that there are on this system.
fn benches() -> Vec<Bench> {
    if cfg!(windows) { vec![COPY, ACCESS] } else { vec![COPY, ACCESS, CHANNEL, SERIAL] }
}

/// A folder with a file to measure.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("a", pattern(300_000));
    folder
}

/// The texts of an SVG that is well-formed.
fn texts(svg: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(svg).unwrap_or_else(|error| panic!("{error}: {svg}"));
    assert_eq!(document.root_element().tag_name().name(), "svg");
    let texts = document.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text")));
    texts.map(|node| node.text().unwrap_or_default().trim().to_owned()).collect()
}

/// The pixels of a PNG, and how many are in a row.
fn pixels(bytes: &[u8]) -> (Vec<[u8; 3]>, usize) {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().expect("a PNG");
    let mut bytes = vec![0; reader.output_buffer_size().expect("small")];
    let info = reader.next_frame(&mut bytes).expect("a whole PNG");
    let samples = info.color_type.samples();
    assert!(samples >= 3, "coloured");
    let pixels = bytes.chunks_exact(samples).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    (pixels, usize::try_from(info.width).expect("small"))
}

#[test]
fn every_bench_makes_figures_a_picture_and_a_page() {
    for bench in benches() {
        let folder = folder();
        let words = [bench.words, &["--json", "--plot", "plot.png", "--html", "page.html"]].concat();
        let json: Value = serde_json::from_str(&folder.done(&words)).expect("JSON");
        assert!(json["rows"].as_array().is_some_and(|rows| rows.len() >= bench.rows), "{json}");
        assert_eq!(json["command"], format!("mapio {}", words.join(" ")));
        assert!(json["machine"]["processors"].as_u64() >= Some(1), "{json}");
        assert!(json["method"].as_array().is_some_and(|method| method.len() >= 3), "{json}");

        let (pixels, width) = pixels(&folder.read("plot.png"));
        assert!(width == 1800 && pixels.contains(&[0xff, 0xff, 0xff]) && pixels.contains(&[0x0b, 0x62, 0xb8]));

        let page = String::from_utf8(folder.read("page.html")).expect("UTF-8");
        assert_eq!(page.matches("<svg").count(), bench.charts.len());
        for (part, title) in page.split("<svg").skip(1).zip(bench.charts) {
            let (svg, _) = part.split_once("</svg>").expect("an end");
            let texts = texts(&format!("<svg{svg}</svg>"));
            assert!(texts.iter().any(|text| text.contains(title)), "'{title}' is not in {texts:?}");
        }
        for part in ["<h2>Machine</h2>", "<h2>Method</h2>", "<table>", &words.join(" ")] {
            assert!(page.contains(part), "{part}: {page}");
        }
        // It names no other file, here or elsewhere. A picture's language is no address, and an icon of no bytes no file.
        let icon = "<link rel=\"icon\" href=\"data:,\">";
        let alone = page.replace("http://www.w3.org/2000/svg", "").replace(icon, "");
        for mark in ["://", "\"//", "src=", "url(", "@import", "<link", "<script"] {
            assert!(!alone.contains(mark), "{mark}: {page}");
        }
        assert_eq!(folder.names(), ["a", "page.html", "plot.png"]);
    }
}

#[test]
fn a_picture_has_all_the_charts_and_all_that_was_measured() {
    let folder = folder();
    let said = folder.done(&[COPY.words, &["--plot", "sweep.svg"]].concat());
    let texts = texts(&String::from_utf8(folder.read("sweep.svg")).expect("UTF-8"));
    for part in COPY.charts.iter().copied().chain(["read and write", "system", "user", "mapped, ", "64m", "ms"]) {
        assert!(texts.iter().any(|text| text.contains(part)), "'{part}' is not in {texts:?}");
    }
    assert!(said.starts_with("copying 'a', 300.00 kB"), "people read the table all the same: {said}");
    // A picture that is there is replaced, and one that can't be has no remains.
    let words = ["bench", "access", "a", "--runs", "1", "--plot", "sweep.svg"];
    folder.done(&words);
    let texts = self::texts(&String::from_utf8(folder.read("sweep.svg")).expect("UTF-8"));
    assert!(texts.iter().any(|text| text == "raw pointer"), "{texts:?}");
    assert_eq!(folder.names(), ["a", "sweep.svg"]);
}

#[test]
fn where_nothing_can_be_written_nothing_is_measured() {
    let folder = folder();
    fs::create_dir(folder.path("b.svg")).expect("room");
    folder.write("old.svg", "old").write("c.svg", pattern(40_000));
    let fails = |bench: &[&str], words: &[&str], parts: &[&str]| folder.fails(&[bench, words].concat(), parts);
    for bench in benches() {
        fails(bench.words, &["--plot", "a.pdf"], &["'a.pdf' ends with none of .svg, .png"]);
        fails(bench.words, &["--plot", "plot"], &["'plot' ends with none of .svg, .png"]);
        fails(bench.words, &["--html", "a.txt"], &["'a.txt' ends with none of .html, .htm"]);
        fails(bench.words, &["--plot", "missing/a.svg"], &["writing 'missing/a.svg': "]);
        fails(bench.words, &["--plot", "b.svg"], &["'b.svg' is there, and is not a regular file"]);
    }
    folder.fails(&["bench", "access", "--runs", "0"], &["'0'", "--runs"]);
    // Neither is what is measured written to, nor anything if there is nothing to measure.
    fails(&["bench", "copy", "c.svg"], &["--plot", "./c.svg"], &["c.svg' is measured, and not written to"]);
    fails(&["bench", "access", "c.svg"], &["--plot", "c.svg"], &["c.svg' is measured, and not written to"]);
    fails(&["bench", "copy", "a", "--to", "missing"], &["--plot", "old.svg", "--html", "new.html"], &["'missing'"]);
    fails(&["bench", "access", "missing"], &["--plot", "old.svg"], &["'missing'", &no_such_file()]);
    folder.write("short", "bytes");
    fails(&["bench", "access", "short"], &["--plot", "old.svg"], &["'short' has 5 bytes: a working set takes 32768"]);
    assert_eq!(folder.read("old.svg"), b"old");
    assert_eq!(folder.names(), ["a", "b.svg", "c.svg", "old.svg", "short"]);
}

#[test]
fn a_bench_that_is_killed_while_it_measures_leaves_what_was_there() {
    if runner().is_some() {
        return skip(
            "bench::a_bench_that_is_killed_while_it_measures_leaves_what_was_there",
            "it is the runner that would be killed",
        );
    }
    let folder = folder();
    folder.write("plot.svg", "old");
    let words = ["bench", "copy", "--runs", "1000", "a", "--plot", "plot.svg", "--html", "page.html"];
    let mut child = support::started(support::mapio(&words).current_dir(folder.root()));
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("it measures");
    assert!(line.starts_with("copying 'a'"), "{line}");
    child.kill().expect("it runs");
    assert!(!child.wait().expect("it ends").success());
    assert_eq!(
        (folder.read("plot.svg"), folder.names()),
        (b"old".to_vec(), vec!["a".to_owned(), "plot.svg".to_owned()])
    );
}

#[test]
fn accesses_are_of_this_file_and_channels_leave_no_names() {
    let folder = folder();
    let said = folder.done(ACCESS.words);
    let (title, rest) = said.split_once("\n\n").expect("a table");
    assert_eq!(title, "accesses to 'a', 8 bytes each: medians of 1 runs, ns an access");
    // Figures of a build that is not optimised say so themselves.
    let remark = if cfg!(debug_assertions) { "This is a build for debugging: " } else { "accesses " };
    assert!(rest.starts_with(remark), "{said}");
    // 300,000 bytes have room for two of the working sets, in two orders.
    let table = &said[said.find("accesses  ").expect("a head")..];
    assert_eq!(table.lines().count(), 1 + 4 + 1 + 2, "{said}");
    if cfg!(windows) {
        folder.fails(CHANNEL.words, &["bench channel: "]);
        folder.fails(SERIAL.words, &["bench serial: "]);
        return;
    }
    let json: Value = serde_json::from_str(&folder.done(&[CHANNEL.words, &["--json"]].concat())).expect("JSON");
    assert_eq!(json["message_bytes"], 200);
    for row in json["rows"].as_array().expect("rows") {
        let times = ["p50_ns", "p90_ns", "p99_ns", "max_ns"].map(|name| row[name].as_u64().expect("ns"));
        assert!(times[0] > 0 && times.is_sorted(), "{row}");
        assert_eq!((&row["round_trips"], &row["p99_9_ns"]), (&100.into(), &Value::Null));
    }
    let left = folder.done(&["shared", "list", "--json"]);
    assert!(!left.contains("mapio-bench-"), "{left}");
    folder.fails(&["bench", "channel", "--message-len", "7"], &["a message has 8 bytes to 1m here"]);
}

#[cfg(not(windows))]
#[test]
fn channels_of_a_bench_that_is_killed_go_with_it_or_are_cleaned() {
    let test = "bench::channels_of_a_bench_that_is_killed_go_with_it_or_are_cleaned";
    if runner().is_some() {
        return skip(test, "it is the runner that would be killed");
    }
    let folder = Folder::new();
    for is_other_killed in [false, true] {
        let mut child = support::start(&["bench", "channel", "--runs", "1000", "--round-trips", "10"]);
        let names = ["forth", "back"].map(|way| Name::of(format!("mapio-bench-{}-{way}", child.id())));
        let other = stopped_with_both(&mut child, &names);
        if is_other_killed {
            kill_process(other, Signal::KILL).expect("it waits");
        }
        child.kill().expect("own child");
        // Its standard error is also that of the other one, and ends with both.
        child.wait_with_output().expect("own child");
        for Name(name) in &names {
            let cleaned = folder.done(&["shared", "clean", name]);
            assert_eq!(cleaned.starts_with(&format!("removed {name}: ")), is_other_killed, "{cleaned}");
            folder.fails(&["shared", "show", name], &[name, "does not exist"]);
        }
    }
}

/// Stops a bench at a moment when two processes use the channels of these names, which are not yet taken away; answers
/// the other process.
#[cfg(not(windows))]
fn stopped_with_both(child: &mut Child, names: &[Name]) -> Pid {
    let (own, own_id) = (Pid::from_child(child), child.id());
    let moment = Duration::from_millis(1);
    // Whoever comes or goes is without a number for a moment.
    let other_of = |Name(name): &Name| {
        let users = mapio_shared::inspect(&**name).ok()?.users;
        let other = users.iter().filter_map(|user| user.pid).find(|pid| *pid != own_id);
        other.filter(|_| users.len() == 2)
    };
    loop {
        assert!(child.try_wait().expect("own child").is_none(), "it has ended before it was stopped");
        kill_process(own, Signal::STOP).expect("own child");
        // Long enough for the other one to start, if it was to.
        for _ in 0..50 {
            if let Some(others) = names.iter().map(other_of).collect::<Option<Vec<_>>>() {
                return Pid::from_raw(others[0].try_into().expect("a small number")).expect("a process");
            }
            thread::sleep(moment);
        }
        kill_process(own, Signal::CONT).expect("own child");
        thread::sleep(moment);
    }
}

/// A browser that needs no screen.
pub(crate) struct Browser {
    program: &'static str,
    profile: tempfile::TempDir,
}

/// What a screen prefers, as Blink numbers it.
pub(crate) const LIGHT: &str = "1";
const DARK: &str = "0";

impl Browser {
    /// One that is installed and runs; otherwise why there is none.
    pub(crate) fn find() -> Result<Self, &'static str> {
        if runner().is_some() {
            return Err("what the command writes may be on another system");
        }
        let runs =
            |program: &&str| Command::new(program).arg("--version").output().is_ok_and(|said| said.status.success());
        let program = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(runs);
        let profile = tempfile::tempdir().map_err(|_| "there is no room for a profile")?;
        Ok(Self { program: program.ok_or("there is no Chromium: install the package `chromium`")?, profile })
    }

    /// Opens a file; answers its standard output, and what scripts, styles and the loading of files complain about.
    pub(crate) fn open(&self, file: &Path, scheme: &str, what: impl AsRef<OsStr>) -> (String, Vec<String>) {
        let mut command = Command::new(self.program);
        // Who is root, as in containers, has no sandbox.
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]);
        command.args(["--enable-logging=stderr", "--window-size=1000,1600", "--virtual-time-budget=2000"]);
        command.arg(format!("--user-data-dir={}", self.profile.path().display()));
        command.arg(format!("--blink-settings=preferredColorScheme={scheme}"));
        let output = command.arg(what).arg(format!("file://{}", file.display())).output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let complaints = stderr.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
        (String::from_utf8_lossy(&output.stdout).into_owned(), complaints)
    }

    /// The file as it is shown.
    fn screenshot(&self, file: &Path, scheme: &str) -> Vec<[u8; 3]> {
        let picture: PathBuf = self.profile.path().join("screenshot.png");
        let (_, complaints) = self.open(file, scheme, format!("--screenshot={}", picture.display()));
        assert!(complaints.is_empty(), "{complaints:?}");
        pixels(&fs::read(&picture).expect("a picture")).0
    }
}

#[test]
fn pages_and_pictures_in_a_browser_are_whole_and_follow_the_screen() {
    let test = "bench::pages_and_pictures_in_a_browser_are_whole_and_follow_the_screen";
    let browser = match Browser::find() {
        Ok(browser) => browser,
        Err(reason) => return skip(test, reason),
    };
    let folder = folder();
    // The browser does tell of what is wrong.
    folder.write("wrong.html", "<script>console.error('wrong')</script>");
    assert_eq!(browser.open(&folder.path("wrong.html"), LIGHT, "--dump-dom").1.len(), 1);
    for bench in benches() {
        folder.done(&[bench.words, &["--plot", "plot.svg", "--html", "page.html"]].concat());
        let page = folder.path("page.html");
        let (dom, complaints) = browser.open(&page, LIGHT, "--dump-dom");
        assert!(complaints.is_empty(), "{complaints:?}");
        assert_eq!(dom.matches("<svg").count(), bench.charts.len(), "{dom}");
        assert!(dom.contains("<table>") && dom.trim_end().ends_with("</html>"), "{dom}");
        // The page has the same picture; one of them is also looked at alone.
        let alone = bench.words.contains(&"copy").then(|| folder.path("plot.svg"));
        for file in [page].into_iter().chain(alone) {
            let (light, dark) = (browser.screenshot(&file, LIGHT), browser.screenshot(&file, DARK));
            // Paper and the first series, in both.
            for (shown, paper, series) in
                [(&light, [0xff, 0xff, 0xff], [0x0b, 0x62, 0xb8]), (&dark, [0x16, 0x18, 0x1c], [0x5a, 0xa9, 0xff])]
            {
                let share = |color: [u8; 3]| shown.iter().filter(|&&pixel| pixel == color).count();
                let part = format!("{}: {} of {}", file.display(), share(paper), shown.len());
                assert!(share(paper) > shown.len() / 4, "{part}");
                assert!(share(series) > 20, "{part}, {}", share(series));
            }
        }
    }
}
