//! Where the tour takes place: a folder with a small file in it, processes to do what is dangerous, and the end, at
//! which all of it is removed, whatever brings it about.

use std::env;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Context;
use mapio_shared::SharedObject;
use rustix::process::Signal;

use super::raw::FaultReport;
use crate::interrupt::Interrupt;
use crate::output;

/// Length of the small file: 512 pages of 4 KiB.
pub(super) const FILE_BYTES: usize = 2 << 20;

/// What statfs(2) tells of tmpfs (Linux's include/uapi/linux/magic.h).
const TMPFS_MAGIC: rustix::fs::FsWord = 0x0102_1994;

/// The place of the tour, the same for the parts that run in other processes.
pub(super) struct Scene {
    folder: PathBuf,
    /// What is to be removed at the end; of a part nothing is.
    traces: Option<Arc<Mutex<Traces>>>,
}

impl Scene {
    /// Makes the folder and the file. They are removed with this value, and when a signal asks the program to end.
    ///
    /// The folder is made in `TMPDIR`; if that is not set, in /var/tmp, which is on a disk more often than /tmp is.
    pub(super) fn make() -> anyhow::Result<Self> {
        let interrupt = Interrupt::catch_all().context("catching signals")?;
        let folder = new_folder()?;
        let traces = Arc::new(Mutex::new(Traces { folder: folder.clone(), objects: Vec::new() }));
        let scene = Self { folder, traces: Some(Arc::clone(&traces)) };
        thread::Builder::new().spawn(move || end_when(&interrupt, &traces)).context("waiting for signals")?;
        // No two pages of it are the same, nor what a file system could compress away.
        let bytes: Vec<u8> = (0..FILE_BYTES / 8).flat_map(|at| scrambled(at).to_le_bytes()).collect();
        fs::write(scene.file(), bytes).with_context(|| format!("writing '{}'", scene.file().display()))?;
        Ok(scene)
    }

    /// The scene that another process has made, for a part.
    pub(super) fn inside(folder: PathBuf) -> Self {
        Self { folder, traces: None }
    }

    /// The small file, of [`FILE_BYTES`]. Steps leave it as it is.
    pub(super) fn file(&self) -> PathBuf {
        self.path("file")
    }

    /// A file of this name in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The name of a shared object of this tour alone, the same in its parts. At the end of the tour it is removed.
    pub(super) fn object_name(&self, word: &str) -> String {
        let folder = self.folder.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{folder}-{word}");
        if let Some(traces) = &self.traces {
            lock(traces).objects.push(name.clone());
        }
        name
    }

    /// Does something that no signal interrupts half-way: the program ends behind it.
    pub(super) fn undisturbed<T>(&self, operation: impl FnOnce() -> T) -> T {
        // Who ends the program needs this, to remove the traces.
        let _held = self.traces.as_deref().map(lock);
        operation()
    }

    /// Whether its files are in memory alone.
    pub(super) fn is_on_tmpfs(&self) -> bool {
        rustix::fs::statfs(&self.folder).is_ok_and(|found| found.f_type == TMPFS_MAGIC)
    }

    /// Whether this process has root's rights.
    pub(super) fn is_root(&self) -> bool {
        rustix::process::geteuid().is_root()
    }

    /// Runs a part in a process of its own, to its end.
    pub(super) fn play(&self, part: &str) -> anyhow::Result<Ended> {
        self.start(part)?.end()
    }

    /// Starts a part in a process of its own. It dies with the thread that has started it, if not sooner.
    pub(super) fn start(&self, part: &str) -> anyhow::Result<Actor> {
        // This program, also if another one has taken its name meanwhile.
        let mut command = Command::new("/proc/self/exe");
        // In a group of its own Ctrl-C does not reach it, but the tour alone.
        command.args(["tour", "--part", part]).arg(&self.folder).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("starting the part '{part}'"))?;
        let output = child.stdout.take().context("a part without its output")?;
        Ok(Actor { child, output: BufReader::new(output) })
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(traces) = &self.traces {
            lock(traces).remove();
        }
    }
}

/// Makes the folder, in the first place that takes it.
fn new_folder() -> anyhow::Result<PathBuf> {
    let asked = env::var_os("TMPDIR").filter(|place| !place.is_empty()).map(PathBuf::from);
    let places = asked.map_or_else(|| vec![PathBuf::from("/var/tmp"), PathBuf::from("/tmp")], |place| vec![place]);
    let mut refusal = anyhow::anyhow!("no place for a folder");
    for place in places {
        match tempfile::Builder::new().prefix("mapio-tour-").tempdir_in(&place) {
            Ok(folder) => return Ok(folder.keep()),
            Err(error) => {
                // Its words go on with the name that was tried.
                let reason = error.to_string();
                let reason = reason.split(" (os error ").next().unwrap_or_default();
                refusal = anyhow::anyhow!("tour: making a folder in '{}': {reason}", place.display());
            }
        }
    }
    Err(refusal)
}

/// A part that runs.
pub(super) struct Actor {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Actor {
    /// The number of its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next line that it prints. Blocks until then.
    ///
    /// # Errors
    /// It has ended without one.
    pub(super) fn hear(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).context("listening to a part")?;
        anyhow::ensure!(read > 0, "a part has ended too early");
        Ok(line.trim_end().to_owned())
    }

    /// Kills it, by SIGKILL.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().context("killing a part")
    }

    /// Closes its standard input, and waits until it has ended.
    pub(super) fn end(mut self) -> anyhow::Result<Ended> {
        drop(self.child.stdin.take());
        let (mut output, mut errors) = (String::new(), Vec::new());
        self.output.read_to_string(&mut output).context("listening to a part")?;
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_end(&mut errors).context("listening to a part")?;
        }
        Ok(Ended { output, errors, status: self.child.wait().context("waiting for a part")? })
    }
}

impl Drop for Actor {
    /// Ends a part that the step has given up, so that it is in nobody's way.
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A part that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// What it had printed, but for what was heard.
    pub(super) output: String,
    /// Its standard error: its complaint, or the report of its fault.
    errors: Vec<u8>,
    status: ExitStatus,
}

impl Ended {
    /// How it ended: a line or two.
    pub(super) fn how(&self) -> String {
        match (self.status.code(), self.signal(), self.fault()) {
            (_, Some(signal), Some(fault)) => format!("killed by {}\n{fault}", signal_text(signal)),
            (_, Some(signal), None) => format!("killed by {}", signal_text(signal)),
            (Some(code), ..) => format!("exit status {code}"),
            (None, None, _) => self.status.to_string(),
        }
    }

    /// The signal that has killed it.
    pub(super) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// The fault that it has died of, if it had asked for a report.
    pub(super) fn fault(&self) -> Option<FaultReport> {
        // What another signal has killed may have complained before, and that is no report.
        let signal = self.signal()?;
        FaultReport::from_end_of(&self.errors).filter(|report| report.signal == signal)
    }

    /// What it complained of, if it ended by itself and could not do what it had to.
    pub(super) fn complaint(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.errors);
        let is_failure = self.status.code().is_some_and(|code| code != 0);
        is_failure.then(|| output::printable(text.trim().trim_start_matches("mapio: ")))
    }

    /// Itself, killed by the fault that it was there for.
    ///
    /// # Errors
    /// It has ended otherwise: what it complained of.
    pub(super) fn expect_fault(self, signal: Signal) -> anyhow::Result<Self> {
        let died = self.signal() == Some(signal.as_raw());
        anyhow::ensure!(died, "a part did not die of its fault: {}", self.in_a_line());
        Ok(self)
    }

    /// What it had printed.
    ///
    /// # Errors
    /// It has not ended well: what it complained of.
    pub(super) fn expect_done(self) -> anyhow::Result<String> {
        anyhow::ensure!(self.status.success(), "a part has failed: {}", self.in_a_line());
        Ok(self.output)
    }

    /// How it ended, and what it complained of.
    fn in_a_line(&self) -> String {
        let complaint = self.complaint().map(|complaint| format!(": {complaint}")).unwrap_or_default();
        self.how().replace('\n', ", ") + &complaint
    }
}

/// A signal's name and number.
fn signal_text(number: i32) -> impl fmt::Display {
    let known = [
        (Signal::SEGV, "SIGSEGV", "segmentation fault"),
        (Signal::BUS, "SIGBUS", "bus error"),
        (Signal::KILL, "SIGKILL", "killed"),
        (Signal::ABORT, "SIGABRT", "aborted"),
        (Signal::TERM, "SIGTERM", "terminated"),
    ];
    match known.into_iter().find(|(signal, ..)| signal.as_raw() == number) {
        Some((_, name, words)) => format!("{name} (signal {number}, \"{words}\")"),
        None => format!("signal {number}"),
    }
}

/// Has the kernel kill this process when the thread that has started it ends. Of one that has ended already, only the
/// end of standard input tells.
pub(super) fn die_with_parent() -> anyhow::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).context("asking to die with the tour")
}

/// What the tour has made outside of itself.
struct Traces {
    folder: PathBuf,
    objects: Vec<String>,
}

impl Traces {
    /// Removes all of it, as far as it is there.
    fn remove(&self) {
        // A step that is still at work may make another file while the folder is emptied.
        for _ in 0..1000 {
            if fs::remove_dir_all(&self.folder).is_ok() || !self.folder.exists() {
                break;
            }
        }
        for name in &self.objects {
            // Most are gone already.
            let _ = SharedObject::remove(name);
        }
    }
}

/// Waits for a signal that asks the program to end, and ends it without traces.
fn end_when(interrupt: &Interrupt, traces: &Mutex<Traces>) {
    let waited = interrupt.wait(None);
    if waited.is_ok() && interrupt.is_set() {
        // Held until the end, so that nothing is added.
        let traces = lock(traces);
        traces.remove();
        output::complain(&anyhow::anyhow!("tour: interrupted; what it had made is removed"));
        std::process::exit(2);
    }
}

fn lock(traces: &Mutex<Traces>) -> MutexGuard<'_, Traces> {
    traces.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number whose bits look random: the finaliser of SplitMix64.
fn scrambled(number: usize) -> u64 {
    let mut x = u64::try_from(number).unwrap_or(u64::MAX).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_only_of_who_has_died_of_it() {
        let report = [libc::SIGBUS.to_le_bytes(), libc::BUS_ADRERR.to_le_bytes(), [0; 4], [0; 4]].concat();
        let ended = |raw| Ended { output: String::new(), errors: report.clone(), status: ExitStatus::from_raw(raw) };
        assert_eq!(ended(libc::SIGBUS).fault().map(|fault| fault.signal), Some(libc::SIGBUS));
        assert_eq!((ended(libc::SIGKILL).fault(), ended(0).fault()), (None, None));
    }
}
