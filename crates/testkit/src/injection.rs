//! System calls of another process that fail, or kill it, when they are told to: by strace(1).
//!
//! strace counts each system call of each thread by itself, from the moment it is attached. So it is attached to a
//! process that waits for its orders, and what the process did before is not counted.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// What strace says of a call whose result is not there yet, and then again when it is.
const RESUMED: &str = " resumed>";

/// strace(1), attached to a process; detached when dropped. Needs strace, and the right to trace.
#[derive(Debug)]
pub struct Injection {
    strace: Child,
    /// Holds the log.
    dir: TempDir,
    /// What it says; kept open, so that it can say that it detaches.
    words: Option<BufReader<ChildStderr>>,
}

impl Injection {
    /// Follows the calls of a process and its threads that `calls` names, such as `openat,renameat`, and does to them
    /// what each of `injections` says, such as `pwrite64:error=ENOSPC:when=2`: see strace(1), `-e inject`.
    ///
    /// # Errors
    /// strace is not there, or may not trace.
    pub fn attach(process: u32, calls: &str, injections: &[&str]) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut command = Command::new("strace");
        command.args(["-f", "-e", &format!("trace={calls}")]).arg("-o").arg(dir.path().join("log"));
        for injection in injections {
            command.args(["-e", &format!("inject={injection}")]);
        }
        command.args(["-p", &process.to_string()]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut strace = command.spawn()?;
        let words = strace.stderr.take().map(BufReader::new);
        let mut injection = Self { strace, dir, words };
        let mut line = String::new();
        if let Some(words) = &mut injection.words {
            words.read_line(&mut line)?;
        }
        if !line.contains(" attached") {
            return Err(io::Error::other(line.trim_end().to_owned()));
        }
        Ok(injection)
    }

    /// Detaches from a process that lives, and answers how often each call was made, by the thread that has made it
    /// most often.
    ///
    /// # Errors
    /// There is no log.
    pub fn detach(mut self) -> io::Result<BTreeMap<String, usize>> {
        self.end();
        let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
        for line in fs::read_to_string(self.log())?.lines() {
            let Some((thread, call)) = line.split_once(' ') else { continue };
            if let Some((name, _)) = call.trim_start().split_once('(')
                && !call.contains(RESUMED)
            {
                *counts.entry((thread.to_owned(), name.to_owned())).or_default() += 1;
            }
        }
        let mut most = BTreeMap::new();
        for ((_, name), count) in counts {
            let so_far = most.entry(name).or_insert(0);
            *so_far = count.max(*so_far);
        }
        Ok(most)
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Makes strace detach and end, with its log complete. The process must be alive: strace waits for it.
    fn end(&mut self) {
        if let Some(process) = i32::try_from(self.strace.id()).ok().and_then(Pid::from_raw) {
            // It was not waited for, so the number is still its own.
            let _ = kill_process(process, Signal::TERM);
        }
        // It fails only if that was waited for already.
        let _ = self.strace.wait();
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        // The kernel lets go of what it traced. Both fail only if it has ended already.
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}
