//! Processes, and what they took.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};

/// What a run took, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// From before the process is started until it has ended.
    pub real: f64,
    /// Processor time of the process, its threads and those of its children that it has waited for.
    pub cpu: f64,
}

/// Where processes write what they complain of.
pub struct Complaints(File);

impl Complaints {
    /// None yet.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self(tempfile::tempfile().context("creating a temporary file")?))
    }

    /// Takes the first line that was written.
    fn take(&mut self) -> io::Result<String> {
        let mut text = Vec::new();
        self.0.seek(SeekFrom::Start(0))?;
        self.0.read_to_end(&mut text)?;
        self.clear()?;
        Ok(plain(String::from_utf8_lossy(&text).lines().next().unwrap_or_default()))
    }

    fn clear(&mut self) -> io::Result<()> {
        self.0.set_len(0)?;
        self.0.seek(SeekFrom::Start(0))?;
        self.0.flush()
    }
}

/// Runs a command, and then `after` as a part of it; fails with its first complaint if the command does.
pub fn run(
    command: &mut Command,
    complaints: &mut Complaints,
    after: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Cost> {
    complaints.clear()?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(complaints.0.try_clone()?);
    let start = Instant::now();
    let child = command.spawn().with_context(|| format!("starting {}", command.get_program().display()))?;
    let (status, cpu) = wait(child.id())?;
    if status.success() {
        let before = own_cpu()?;
        after()?;
        return Ok(Cost { real: start.elapsed().as_secs_f64(), cpu: cpu + own_cpu()? - before });
    }
    let complaint = complaints.take()?;
    if complaint.is_empty() {
        bail!("{status}");
    }
    bail!("{complaint}")
}

/// A line without colours: an escape sequence ends with a letter.
fn plain(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest));
    }
    text
}

/// Waits for a child, and answers its processor time in seconds, too: wait4(2).
fn wait(pid: u32) -> io::Result<(ExitStatus, f64)> {
    let mut status = 0;
    // SAFETY: zeros are a valid rusage.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to locals that live through the call.
        let waited = unsafe { libc::wait4(pid as libc::pid_t, &raw mut status, 0, &raw mut used) };
        if waited >= 0 {
            return Ok((ExitStatus::from_raw(status), cpu_seconds(&used)));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Processor time of this thread, in seconds.
fn own_cpu() -> io::Result<f64> {
    // SAFETY: zeros are a valid rusage.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a local that lives through the call.
    match unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut used) } {
        0 => Ok(cpu_seconds(&used)),
        _ => Err(io::Error::last_os_error()),
    }
}

fn cpu_seconds(used: &libc::rusage) -> f64 {
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(used.ru_utime) + seconds(used.ru_stime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_tells_its_complaint() {
        let mut complaints = Complaints::new().expect("a file");
        let mut shell = |script: &str| {
            run(Command::new("sh").args(["-c", script]), &mut complaints, || Ok(())).map_err(|error| error.to_string())
        };
        assert_eq!(shell("echo no >&2; echo more >&2; exit 1").expect_err("failed"), "no");
        assert_eq!(shell("printf '\\033[1mbold\\033[22m no\\n' >&2; exit 1").expect_err("failed"), "bold no");
        assert_eq!(shell("exit 3").expect_err("failed"), "exit status: 3");
        let cost = shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done").expect("done");
        assert!(cost.cpu > 0.0 && cost.real > 0.0, "{cost:?}");
    }
}
