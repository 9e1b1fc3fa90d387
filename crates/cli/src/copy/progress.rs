//! How far a copy is, for whoever waits for it: bytes, files, rate, and the time that is left.
//!
//! Nobody knows how much there is to do before all of it was looked at, so a second walk over the sources adds it up
//! while the copy runs: the total grows as it is found. It starts only when there is somebody to see it.

use std::fs::{self, Metadata};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mapio_copy::{Follow, Meter};

use super::console::Console;
use super::words::When;
use crate::{output, sys};

/// How long a copy takes before it is worth showing.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the bar is drawn again.
const REDRAW: Duration = Duration::from_millis(200);
/// How often a line is printed where there is no terminal.
const REPRINT: Duration = Duration::from_secs(1);

/// Whether anybody would see it.
pub(super) fn is_wanted(when: When) -> bool {
    match when {
        When::Auto => io::stderr().is_terminal(),
        When::Always => true,
        When::Never => false,
    }
}

/// A copy that is watched.
pub(super) struct Progress<'a> {
    when: When,
    sources: &'a [PathBuf],
    scope: Scope,
    meter: &'a Meter,
    console: &'a Console<'a>,
    begun: Instant,
    found: Found,
}

/// How far the copy goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    pub(super) recursive: bool,
    pub(super) one_file_system: bool,
    pub(super) follow: Follow,
}

/// What there is to do, as far as is known. The walk writes, the bar reads; nothing else is published.
#[derive(Debug, Default)]
struct Found {
    bytes: AtomicU64,
    files: AtomicU64,
    /// Set when the copy is over, read by the walk at each file.
    is_enough: AtomicBool,
}

impl<'a> Progress<'a> {
    pub(super) fn new(
        when: When,
        sources: &'a [PathBuf],
        scope: Scope,
        meter: &'a Meter,
        console: &'a Console<'a>,
    ) -> Self {
        Self { when, sources, scope, meter, console, begun: Instant::now(), found: Found::default() }
    }

    /// Does the work while it is watched.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let (done, is_done) = mpsc::channel::<()>();
        thread::scope(|scope| {
            // Without a thread for it nothing is shown, and the work is done all the same.
            let _ = thread::Builder::new().spawn_scoped(scope, move || self.show(&is_done));
            let answer = work();
            self.found.is_enough.store(true, Ordering::Relaxed);
            drop(done);
            answer
        })
    }

    /// Shows how far it has come until the other side of the channel is gone.
    fn show(&self, is_done: &Receiver<()>) {
        let passes = |time| is_done.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
        if self.when == When::Auto && !passes(PATIENCE) {
            return;
        }
        thread::scope(|scope| {
            // Without it there is no total, and no time that is left.
            let _ = thread::Builder::new().spawn_scoped(scope, || self.look_for_more());
            if io::stderr().is_terminal() {
                self.draw(passes);
            } else {
                while passes(REPRINT) {
                    self.console.complain(self.text());
                }
                if self.when == When::Always {
                    self.console.complain(self.text());
                }
            }
        });
    }

    fn draw(&self, passes: impl Fn(Duration) -> bool) {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("[{wide_bar}] {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.console.show_above(bar.clone());
        while passes(REDRAW) {
            bar.set_length(self.found.bytes.load(Ordering::Relaxed).max(self.meter.bytes()));
            bar.set_message(self.text());
            bar.set_position(self.meter.bytes());
        }
        bar.finish_and_clear();
    }

    /// `1.20 GB of 3.40 GB, 12 of 40 files, 300.00 MB/s, 7 s left`.
    fn text(&self) -> String {
        let (bytes, files) = (self.meter.bytes(), self.meter.files());
        // What the walk has not come to yet is there all the same.
        let all_bytes = self.found.bytes.load(Ordering::Relaxed).max(bytes);
        let all_files = self.found.files.load(Ordering::Relaxed).max(files);
        let elapsed = self.begun.elapsed();
        let rate = output::bytes_per_second(bytes, elapsed).unwrap_or(0);
        let left = match (all_bytes - bytes).checked_div(rate) {
            Some(seconds) => format!("{} left", time_text(seconds)),
            None => "no byte yet".to_owned(),
        };
        format!(
            "{} of {}, {files} of {all_files} files, {}/s, {left}",
            output::bytes_text(bytes),
            output::bytes_text(all_bytes),
            output::bytes_text(rate)
        )
    }

    /// Adds up what there is to do. What can't be looked at is left to the copy to complain of.
    fn look_for_more(&self) {
        for source in self.sources {
            let follows = self.scope.follow != Follow::Never;
            if let Ok(metadata) = if follows { fs::metadata(source) } else { fs::symlink_metadata(source) } {
                // Folders wait here by name, and one at a time is open, however deep the tree is: the copy needs its
                // descriptors.
                let mut folders = Vec::new();
                let device = sys::device(source, &metadata);
                self.add(source.clone(), &metadata, device, &mut folders);
                while let Some(folder) = folders.pop() {
                    self.look_into(&folder, device, &mut folders);
                }
            }
        }
    }

    /// Adds up what is directly in a folder.
    fn look_into(&self, folder: &Path, device: Option<u64>, folders: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if self.found.is_enough.load(Ordering::Relaxed) {
                return;
            }
            // A link that leads back up would be walked for ever, so links to folders are not walked at all.
            let followed = (self.scope.follow == Follow::Always).then(|| fs::metadata(entry.path()));
            let followed = followed.and_then(Result::ok).filter(|metadata| !metadata.is_dir());
            if let Some(metadata) = followed.or_else(|| entry.metadata().ok()) {
                self.add(entry.path(), &metadata, device, folders);
            }
        }
    }

    /// Counts a file; notes a folder, if it is to be copied.
    fn add(&self, path: PathBuf, metadata: &Metadata, device: Option<u64>, folders: &mut Vec<PathBuf>) {
        if metadata.is_file() {
            self.found.files.fetch_add(1, Ordering::Relaxed);
            self.found.bytes.fetch_add(metadata.len(), Ordering::Relaxed);
        }
        let is_left_out = self.scope.one_file_system && sys::device(&path, metadata) != device;
        if metadata.is_dir() && self.scope.recursive && !is_left_out {
            folders.push(path);
        }
    }
}

/// Seconds as people say them: `42 s`, `3 min 20 s`, `2 h 5 min`.
fn time_text(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::console::Says;

    #[test]
    fn what_there_is_to_do_is_added_up() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("inner")).unwrap();
        fs::write(folder.path().join("a"), [1; 1000]).unwrap();
        fs::write(folder.path().join("inner/b"), [1; 500]).unwrap();
        if let Err(error) = sys::symlink_folder("..".as_ref(), &folder.path().join("inner/up")) {
            mapio_testkit::skip("a link that leads back up", &error.to_string());
        }
        let (sources, meter) = ([folder.path().to_owned(), "missing".into()], Meter::new());
        let console = Console::new("mapio", Says::default(), &meter, None);
        for (recursive, files, bytes) in [(true, 2, 1500), (false, 0, 0)] {
            let scope = Scope { recursive, one_file_system: true, follow: Follow::Always };
            let progress = Progress::new(When::Always, &sources, scope, &meter, &console);
            progress.look_for_more();
            assert_eq!(progress.found.files.load(Ordering::Relaxed), files);
            assert_eq!(progress.found.bytes.load(Ordering::Relaxed), bytes);
        }
    }

    #[test]
    fn times_are_said_in_the_units_that_fit() {
        assert_eq!(time_text(59), "59 s");
        assert_eq!(time_text(200), "3 min 20 s");
        assert_eq!(time_text(7500), "2 h 5 min");
    }
}
