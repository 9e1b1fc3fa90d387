//! What the tests of mapio share: other processes, file systems that fail, and skips that say why.
//!
//! | a test wants | it takes |
//! |---|---|
//! | to run something in another process | [`in_child`], [`in_children`], [`started`] |
//! | to send a Ctrl-C to a command | [`Interrupter`] |
//! | to kill a process at each of its steps | `Stepper`, `kill_points` |
//! | a system call that fails | `Injection` |
//! | a disk that is full, bad, or without power | `SmallFs`, `FaultyFs`, `CheckedFs` |
//! | bytes that tell their position | [`pattern`] |
//! | the commands of a document | [`transcripts`] |
//! | to say that it could not run | [`skip`] |
//!
//! ```
//! let bytes = mapio_testkit::pattern(1000);
//! assert_eq!(bytes[300], mapio_testkit::pattern_at(300));
//! ```
//!
//! Everything made here is removed when the value that stands for it is dropped.
//!
//! # Platforms
//! Linux. On Windows the other processes, skips and figures.

// Linux's file systems, on loop devices and in user space, and its ptrace(2).
#[cfg(target_os = "linux")]
mod checked_fs;
mod child;
#[cfg(target_os = "linux")]
mod faulty_fs;
mod file_at;
#[cfg(target_os = "linux")]
mod image;
#[cfg(target_os = "linux")]
mod injection;
mod interrupter;
mod peer;
#[cfg(target_os = "linux")]
mod small_fs;
#[cfg(target_os = "linux")]
mod stepper;
mod sys;

#[cfg(target_os = "linux")]
pub use checked_fs::CheckedFs;
pub use child::{in_child, in_children, runner, started};
#[cfg(target_os = "linux")]
pub use faulty_fs::FaultyFs;
pub use file_at::FileAt;
#[cfg(target_os = "linux")]
pub use injection::Injection;
pub use interrupter::Interrupter;
pub use peer::Peer;
#[cfg(target_os = "linux")]
pub use small_fs::SmallFs;
#[cfg(target_os = "linux")]
pub use stepper::{Cut, Region, Stepper, kill_points};

use std::io::Write;

/// Says that a test, or a part of it, could not run here, and why: one line on standard error, which the test
/// harness does not capture. The CI script counts these lines.
pub fn skip(test: &str, reason: &str) {
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {reason}");
}

/// Reports a figure that a test is about, such as the number of faults survived, past the test harness's capture.
pub fn report(test: &str, figures: &str) {
    // As in `skip`.
    let _ = writeln!(std::io::stderr(), "figures: {test}: {figures}");
}

/// Whether a bus error tells its address, on which the repair of a page rests; says that `test` is skipped if not.
///
/// qemu-user up to 7.2 exchanges the halves of the address for programs of the other byte order. On Windows the exception
/// tells.
///
/// # Panics
/// It could not be tried.
#[must_use]
pub fn bus_errors_tell_where(test: &str) -> bool {
    sys::bus_errors_tell_where(test)
}

/// Whether the system is Wine, for what Wine does otherwise than the Windows that it stands for.
#[must_use]
pub fn is_wine() -> bool {
    sys::is_wine()
}

/// How many rounds a test does that does the same again and again: `usual`, or fewer where each takes much longer, as it
/// does under Wine, but one at least.
#[must_use]
pub fn rounds(usual: usize) -> usize {
    (usual / sys::SLOWER).max(1)
}

/// Bytes in which every position can be told from its neighbours, and none of which is zero.
///
/// Byte `i` is `1 + i % 251`: 251 is prime, so no power-of-two shift goes unnoticed.
#[must_use]
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(pattern_at).collect()
}

/// Byte `i` of [`pattern`].
#[must_use]
pub fn pattern_at(i: usize) -> u8 {
    u8::try_from(1 + i % 251).unwrap_or_else(|_| unreachable!("at most 251"))
}

/// The commands of a document and what they print: lines that begin with `> ` in blocks marked `cmd`, and the lines behind
/// each of them up to the next command or the end of the block.
#[must_use]
pub fn transcripts(document: &str) -> Vec<(&str, String)> {
    let (mut inside, mut found) = (false, Vec::<(&str, String)>::new());
    for line in document.lines() {
        if line.starts_with("```") {
            inside = line == "```cmd";
        } else if let Some(command) = line.strip_prefix("> ").filter(|_| inside) {
            found.push((command, String::new()));
        } else if let Some((_, printed)) = found.last_mut().filter(|_| inside) {
            printed.push_str(line);
            printed.push('\n');
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_in_their_blocks_alone() {
        let document =
            "> quoted\n```cmd\n> one a\n1\n2\n> two\n```\n> text\n```text\n> other\n```\n```cmd\n> three\n3\n```\n";
        let expected = [("one a", "1\n2\n"), ("two", ""), ("three", "3\n")];
        assert_eq!(transcripts(document), expected.map(|(command, printed)| (command, printed.to_owned())));
    }
}
