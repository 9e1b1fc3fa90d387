//! Step: a file that comes into memory page by page, as it is touched.

use std::ops::Range;

use mapio_map::{Advice, MapOptions, View};

use super::Step;
use super::measure::Cost;
use super::page::Page;
use super::scene::Scene;

pub(super) const STEP: Step = Step { title: "Demand paging: what is in memory, and when", run, parts: &[] };
const SOURCE: &str = include_str!("paging.rs");

/// Pages to a line of the picture.
const LINE_PAGES: usize = 64;

fn run(scene: &Scene, page: &mut Page) -> anyhow::Result<()> {
    let page_bytes = mapio_map::page_bytes();
    page.text(format!(
        "`mmap` reads nothing. It notes that addresses stand for a file, and each page comes when it is first \
         touched. A file is written to the disk, dropped from memory, and mapped; `#` is one of its pages of \
         {page_bytes} bytes that is in memory, `.` one that is not:",
    ));
    page.code(SOURCE, "touch")?;
    page.code(SOURCE, "picture")?;
    show(scene, page)?;
    page.remember(
        "mapping a file costs next to nothing; each page costs when it is first touched, and most if the disk has it.",
    );
    Ok(())
}

/// Has the pages touched, and shows which are in memory.
fn show(scene: &Scene, page: &mut Page) -> anyhow::Result<()> {
    let mapping = MapOptions::read_only().open(scene.file())?;
    let view = mapping.view();
    let count = view.len() / mapio_map::page_bytes();
    let (all, middle) = (0..count, count / 2);
    view.evict()?;
    if view.residency()?.resident_pages() > 0 {
        page.missing(
            "this file system keeps its files in memory, as tmpfs does: TMPDIR may name a folder on another one",
        );
        return Ok(());
    }
    let mut rows = Vec::new();
    let mut look = |what: &str, cost: Cost| -> anyhow::Result<String> {
        let (major, minor) = (cost.used.major_faults, cost.used.minor_faults);
        let resident = view.residency()?.resident_pages();
        rows.push([what.to_owned(), major.to_string(), minor.to_string(), resident.to_string()]);
        Ok(format!("{what}:\n{}", picture(view)?))
    };
    let mut pictures = look("dropped from memory", Cost::of_success(|| Ok(view.evict()?))?)?;
    pictures += &look("a byte of the middle page", Cost::of_success(|| touch(view, middle..middle + 1))?)?;
    look("a byte of each page", Cost::of_success(|| touch(view, all.clone()))?)?;
    look("the same again", Cost::of_success(|| touch(view, all.clone()))?)?;
    let other = MapOptions::read_only().open(scene.file())?;
    look("the same in another mapping", Cost::of_success(|| touch(other.view(), all))?)?;
    drop(other);
    view.evict()?;
    view.advise(Advice::Random)?;
    let alone = Cost::of_success(|| touch(view, middle..middle + 1))?;
    pictures += &look("dropped, a byte by MADV_RANDOM", alone)?;
    page.output(pictures);
    page.table(["touched", "major faults", "minor faults", "in memory"], rows);
    page.text(
        "A major fault waits for the disk; a minor one finds the page in memory and only enters it into the page \
         table. The kernel expects that who touches a page wants its neighbours: it reads more than was asked for \
         (read-ahead, how far depends on the disk), and enters some of what is in memory at one fault (fault-around), \
         so that there are fewer faults than pages. What is entered costs nothing more; another mapping has a page \
         table of its own to fill, but no disk to wait for. `MADV_RANDOM` says that the neighbours are not wanted.",
    );
    Ok(())
}

fn touch(view: View<'_>, pages: Range<usize>) -> anyhow::Result<()> {
    for page in pages {
        view.load::<u8>(page * mapio_map::page_bytes())?;
    }
    Ok(())
}

fn picture(view: View<'_>) -> anyhow::Result<String> {
    let mut picture = String::new();
    for line in view.residency()?.pages().chunks(LINE_PAGES) {
        let mark = |&in_memory: &bool| if in_memory { '#' } else { '.' };
        picture.extend(line.iter().map(mark).chain(['\n']));
    }
    Ok(picture)
}
