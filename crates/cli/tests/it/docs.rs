//! The documents are true: every command in them runs, and the lists in them are complete.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mapio_testkit::{pattern, runner, skip};

use crate::support::{Folder, MAPIO};

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("this is a checkout")
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

/// Files of the repository below a folder, with this ending, in a fixed order; build products are left out.
fn files(below: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(below)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with(".git") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path.strip_prefix(root()).expect("below the root").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The commands of a document: the lines that begin with `$ ` in blocks marked `console`.
fn commands(text: &str) -> Vec<&str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside {
            found.extend(line.strip_prefix("$ "));
        }
    }
    found
}

/// What follows the ticks of the blocks of a document, and the lines in each.
fn blocks(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some(mark) = line.trim_start().strip_prefix("```") {
            inside = !inside;
            if inside {
                found.push((mark, Vec::new()));
            }
        } else if let Some((_, lines)) = found.last_mut().filter(|_| inside) {
            lines.push(line);
        }
    }
    found
}

#[test]
fn what_can_be_run_stands_in_blocks_that_are_run() {
    let mut marks = BTreeSet::new();
    for document in files(".", "md") {
        let text = read(&document);
        for (mark, lines) in blocks(&text) {
            // Rust is compiled as a documentation test, `cmd` is run on Windows; nothing else is a language here.
            let kind = mark.split(',').next().unwrap_or_default();
            assert!(["", "cmd", "console", "rust", "text"].contains(&kind), "{}: ```{mark}", document.display());
            let is_command = |line: &&&str| line.starts_with("$ ") && kind != "console";
            let command = lines.iter().find(is_command);
            assert_eq!(command, None, "{}: a command in a block that is not marked `console`", document.display());
            // What a person types there is a command, or what root types, which no test does.
            let is_typed = |line: &&str| line.starts_with("$ ") || line.starts_with("# ");
            assert!(kind != "console" || lines.iter().all(is_typed), "{}: {lines:?}", document.display());
            marks.insert(kind.to_owned());
        }
    }
    assert_eq!(marks.len(), 5, "{marks:?}");
}

#[test]
fn every_guide_is_compiled_and_in_the_index() {
    let facade = read("crates/mapio/src/lib.rs");
    let index = read("docs/guide/README.md");
    for guide in files("docs/guide", "md") {
        let name = guide.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        assert!(name == "README.md" || index.contains(&format!("]({name}")), "docs/guide/README.md has no {name}");
        assert!(facade.contains(&format!("docs/guide/{name}")), "the snippets of {name} are not compiled");
    }
}

/// Turns a command of the documents into one that runs what is already built, in a folder that holds `big` and `small`.
/// `None` for those that the CI script itself runs, or that build what is already built.
fn runnable(command: &str) -> Option<String> {
    let examples = Path::new(MAPIO).parent()?.join("examples");
    let elsewhere = [
        "cargo test",
        "cargo build",
        "cargo run --release --bin ",
        "cargo run -p mapio-hardware",
        "git clone",
        "cd ",
        "bash .ci/run",
    ];
    if elsewhere.iter().any(|start| command.starts_with(start)) {
        return None;
    }
    let command = command.replace("cargo run --release -- ", "mapio ");
    let command = command.replace("target/release/examples", &examples.display().to_string());
    let example = "cargo run --release -p mapio --example ";
    Some(match command.split_once(example) {
        Some((before, words)) => {
            let words = words.replacen(" -- ", " ", 1);
            format!("{before}{}/{words}", examples.display())
        }
        None => command,
    })
}

#[test]
fn every_command_in_the_documents_runs() {
    if runner().is_some() {
        return skip("every_command_in_the_documents_runs", "the commands need a runner here");
    }
    let examples = Path::new(MAPIO).parent().expect("target/debug").join("examples");
    if !examples.join("memmap").exists() {
        return skip("every_command_in_the_documents_runs", "the examples are not built: run `cargo test --workspace`");
    }
    let folder = Folder::new();
    folder.write("big", pattern(12_000_000)).write("small", pattern(1000));
    for name in ["target", "docs"] {
        fs::create_dir(folder.path(name)).expect("room");
    }
    let path = format!(
        "{}:{}",
        Path::new(MAPIO).parent().expect("target/debug").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut ran = 0;
    for document in files(".", "md") {
        let text = read(&document);
        for command in commands(&text).into_iter().filter_map(runnable) {
            let mut bash = Command::new("bash");
            let output = bash.args(["-c", &command]).env("PATH", &path).current_dir(folder.root()).output();
            let output = output.expect("bash runs");
            // A document that shows a failure says so by `|| true` or `; echo $?`.
            assert!(output.status.success(), "{}: {command}: {output:?}", document.display());
            ran += 1;
        }
    }
    assert!(ran >= 5, "only {ran} commands were found: are the blocks still marked `console`?");
}

/// The commands of a document's tables: what stands between backticks in their second column.
fn table_commands(text: &str) -> Vec<&str> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    rows.filter_map(|row| row.split('|').nth(2)?.trim().strip_prefix('`')?.strip_suffix('`')).collect()
}

#[test]
fn commands_for_real_devices_fail_for_lack_of_the_device_alone() {
    let test = "commands_for_real_devices_fail_for_lack_of_the_device_alone";
    if runner().is_some() {
        return skip(test, "the commands need a runner here");
    }
    let folder = Folder::new();
    fs::create_dir(folder.path("machine")).expect("room");
    folder.done(&["device", "screen", "sim:framebuffer", "--mode", "8x8x32", "--capture", "a.png"]);
    let text = read("docs/guide/devices.md");
    let (mut ran, mut other) = (0, Vec::new());
    for command in table_commands(&text) {
        let words: Vec<_> = command.split(' ').collect();
        let Some(("mapio", words)) = words.split_first().map(|(program, words)| (*program, words)) else {
            other.push(command);
            continue;
        };
        // This machine may have such a device, which is nobody's to draw on: one without any is a folder without files.
        let output = folder.mapio(&[words, &["--root", "machine"]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{command}: {output:?}");
        let is_missing =
            ["there is no such device", "No such file or directory"].iter().any(|part| stderr.contains(part));
        assert!(is_missing && stderr.lines().count() == 1, "{command}: {stderr}");
        ran += 1;
    }
    assert!(ran >= 5 && other.len() == 1, "{ran} commands, and of other programs {other:?}");
    // This one has no folder to look for its port in.
    let words = other[0].strip_prefix("cargo run -p mapio --example parallel -- ").expect("the example");
    let example = Path::new(MAPIO).parent().expect("target/debug").join("examples/parallel");
    if !example.exists() {
        return skip(test, "the example `parallel` is not built: run `cargo test --workspace`");
    }
    let words: Vec<_> = words.split(' ').collect();
    if Path::new(words[0]).exists() {
        return skip(test, "there is a parallel port, and nobody has asked for a line on its paper");
    }
    let output = Command::new(example).args(&words).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains("No such file"), "{words:?}: {stderr}");
}

#[test]
fn unsafe_md_lists_exactly_the_files_that_have_unsafe_code() {
    // The words are put together here, so that this file is not one of those that it looks for.
    let marks = ["{", "fn", "impl", "extern", "trait"].map(|next| format!("{} {next}", ["un", "safe"].concat()));
    let attribute = ["#[un", "safe("].concat();
    let with_unsafe: BTreeSet<String> = files("crates", "rs")
        .into_iter()
        .filter(|path| {
            let text = read(path);
            let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
            let mut code = code.filter(|line| !line.trim_start().starts_with('#') || line.contains(&attribute));
            code.any(|line| line.contains(&attribute) || marks.iter().any(|mark| line.contains(mark)))
        })
        .map(|path| path.display().to_string())
        .collect();
    let listed: BTreeSet<String> = read("docs/UNSAFE.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(path, _)| path.to_owned()))
        .collect();
    assert_eq!(listed, with_unsafe);
    // And each of them says so at its top, for this file alone.
    for path in &listed {
        assert!(read(path).contains("#![expect(unsafe_code, reason = "), "{path}");
    }
}

#[test]
fn architecture_md_names_every_crate_and_every_source_file() {
    let text = read("docs/ARCHITECTURE.md");
    for path in files("crates", "rs") {
        if !path.components().any(|part| part.as_os_str() == "src") {
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        if !["lib.rs", "mod.rs"].contains(&name) {
            assert!(text.contains(&format!("`{name}`")), "docs/ARCHITECTURE.md does not name {}", path.display());
        }
    }
    // And every file and folder that it names is there.
    for name in text.split('`').skip(1).step_by(2).filter(|name| name.contains('/') && !name.contains(' ')) {
        assert!(root().join(name).exists(), "docs/ARCHITECTURE.md names {name}, which is not there");
    }
}

/// The headings of a document, as links name them.
fn headings(text: &str) -> Vec<String> {
    let named = |heading: &str| {
        let kept = heading.to_lowercase().replace(|c: char| !c.is_alphanumeric() && !" -_".contains(c), "");
        kept.replace(' ', "-")
    };
    let lines = text.lines().filter(|line| line.starts_with('#'));
    lines.map(|line| named(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    for document in files(".", "md") {
        let text = read(&document);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let folder = root().join(&document).parent().expect("a file is in a folder").to_owned();
            let file = if file.is_empty() { root().join(&document) } else { folder.join(file) };
            assert!(file.exists(), "{} links to {target}", document.display());
            let has_heading = || headings(&read(&file)).iter().any(|name| name == heading);
            assert!(heading.is_empty() || has_heading(), "{} links to {target}", document.display());
        }
    }
}
