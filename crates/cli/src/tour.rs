//! `mapio tour`: what memory-mapped I/O is, step by step, on a small file. Each step does what it tells of.
//!
//! A step is a file in `tour/` with a `STEP` in the list below, whose place there is its number:
//!
//! ```text
//! pub(super) const STEP: Step = Step { title: "...", run, parts: &[("fall", fall)] };
//! const SOURCE: &str = include_str!("this_file.rs");
//!
//! fn run(scene: &Scene, page: &mut Page) -> anyhow::Result<()> {
//!     page.text("Why one would do this, with `code` between backticks.");
//!     page.code(SOURCE, "fall")?;              // Shows that function of this file: what is shown is what runs.
//!     let end = scene.play("fall")?;           // Runs the part in a process of its own, and tells how that ended.
//!     page.output(end.how());                  // What happened: lines as they come, or `page.table(...)`.
//!     page.missing("needs root: ...");         // What can't be shown here, and why.
//!     page.remember("One line, which the step ends with.");
//!     Ok(())
//! }
//!
//! fn fall(scene: &Scene) -> anyhow::Result<()> // Has the same folder, and prints by `output::line`.
//! ```
//!
//! - Lines of shown code and of output have at most 76 columns; text is wrapped.
//! - Figures and addresses are measured: `measure.rs` has times, page faults, system calls, and lines of
//!   /proc/self/maps.
//! - A part that is to be heard, or killed, while it runs is started by `scene.start` (`Actor`). Its standard input
//!   ends when the step is done with it, or the tour is gone: a part waits by reading it. It also dies with the thread
//!   that has started it, if that lives until the part is there.
//! - Files are made in the scene's folder, and shared objects under names of `scene.object_name`, by the step and not
//!   by its parts: these are removed at the end, whatever ends the tour.
//! - An error of a step ends its page, instead of what to remember; the tour goes on, and the exit status is 2 then.
//!   What this machine or user can't do is `missing`, and no error.

mod buffers;
mod devices;
mod dirty;
mod errors;
mod html;
mod mapped_copy;
mod measure;
mod names;
mod no_space;
mod null;
mod one_page;
mod page;
mod paging;
mod race;
mod raw;
mod scene;
mod side_by_side;
mod small_disk;
mod terminal;

use std::path::PathBuf;

use clap::Args;
use mapio_chart::Target;

use crate::output::{self, Answer, Reader};
use page::Page;
use scene::Scene;

/// The story in order.
const STEPS: [Step; 12] = [
    buffers::STEP,
    null::STEP,
    no_space::STEP,
    mapped_copy::STEP,
    side_by_side::STEP,
    paging::STEP,
    dirty::STEP,
    one_page::STEP,
    race::STEP,
    names::STEP,
    devices::STEP,
    errors::STEP,
];

/// A step of the tour.
struct Step {
    /// What it shows, in a few words.
    title: &'static str,
    /// Does it, and writes on the page what came of it.
    run: fn(&Scene, &mut Page) -> anyhow::Result<()>,
    /// What of it runs in processes of their own, by name.
    parts: &'static [(&'static str, Part)],
}

/// What a step runs in another process.
type Part = fn(&Scene) -> anyhow::Result<()>;

/// Show what memory-mapped I/O is, step by step, on a small file
///
/// Every step is done on this machine while you look: its code, what happened and why. What would kill a program is
/// done in one that is there to be killed. It takes less than a minute and removes all that it has made. What only root
/// may see is left out for others, and the step says so. Exit status: 0 done, 2 a step could not be done.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: mapio tour --step 2
Example: mapio tour --html tour.html")]
pub(crate) struct Arguments {
    /// Only this step, by its number
    #[arg(long, value_name = "N", value_parser = step_number)]
    step: Option<usize>,
    /// Also write it as one page for a browser, with charts
    ///
    /// The page names no other file. What the file has had is replaced once the page is whole.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Runs a part of a step, as the tour itself asks for
    #[arg(long, hide = true, num_args = 2, value_names = ["NAME", "FOLDER"], exclusive = true)]
    part: Option<Vec<PathBuf>>,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        if let Some([name, folder]) = self.part.as_deref() {
            return run_part(&name.to_string_lossy(), Scene::inside(folder.clone()));
        }
        let target = self.html.as_deref().map(Target::new).transpose()?;
        let scene = Scene::make()?;
        let (mut pages, mut answer) = (Vec::new(), Answer::Yes);
        for (number, step) in (1..).zip(&STEPS).filter(|&(number, _)| self.step.is_none_or(|wanted| wanted == number)) {
            let mut page = Page::new(number, step.title);
            if let Err(error) = (step.run)(&scene, &mut page) {
                page.failed(output::printable(&output::causes(error.as_ref())));
                answer = Answer::Partly;
            }
            if output::print(&terminal::render(&page))? == Reader::Gone && target.is_none() {
                break;
            }
            pages.push(page);
        }
        if let Some(target) = target {
            let html = html::render(&pages)?;
            scene.undisturbed(|| target.write(html.as_bytes()))?;
        }
        Ok(answer)
    }
}

/// Reads the number of a step.
fn step_number(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=STEPS.len()).contains(number));
    number.ok_or_else(|| format!("the steps are 1 to {}", STEPS.len()))
}

/// Runs a part of a step, in the process that was made for it.
fn run_part(name: &str, scene: Scene) -> anyhow::Result<Answer> {
    scene::die_with_parent()?;
    let parts = STEPS.iter().flat_map(|step| step.parts);
    let part = parts.copied().find_map(|(known, part)| (known == name).then_some(part));
    part.ok_or_else(|| anyhow::anyhow!("tour: no step has a part '{name}'"))?(&scene)?;
    Ok(Answer::Yes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn parts_have_names_of_their_own() {
        let names: Vec<_> = STEPS.iter().flat_map(|step| step.parts).map(|(name, _)| name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
}
