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
    // Of another mapping, so that the program's own pages for this are there: their faults are not what is shown.
    touched(MapOptions::read_only().open(scene.file())?.view(), 0..1)?;
    let mapping = MapOptions::read_only().open(scene.file())?;
    let view = mapping.view();
    let count = view.len() / mapio_map::page_bytes();
    let (all, middle) = (0..count, count / 2);
    view.evict()?;
    match view.residency()?.resident_pages() {
        0 => {}
        _ if scene.is_on_tmpfs() => {
            page.missing("tmpfs keeps its files in memory: TMPDIR may name a folder on another file system");
            return Ok(());
        }
        kept => {
            page.missing(format!("{kept} of {count} pages were still in memory after they had been dropped from it"));
            return Ok(());
        }
    }
    let mut rows = Vec::new();
    let mut look = |what: &str, cost: Cost| -> anyhow::Result<String> {
        let (major, minor) = (cost.used.major_faults, cost.used.minor_faults);
        let resident = view.residency()?.resident_pages();
        rows.push([what.to_owned(), major.to_string(), minor.to_string(), resident.to_string()]);
        Ok(format!("{what}:\n{}", picture(view)?))
    };
    let mut pictures = look("dropped from memory", Cost::of_success(|| Ok(view.evict()?))?)?;
    pictures += &look("a byte of the middle page", touched(view, middle..middle + 1)?)?;
    look("a byte of each page", touched(view, all.clone())?)?;
    look("the same again", touched(view, all.clone())?)?;
    let other = MapOptions::read_only().open(scene.file())?;
    look("the same in another mapping", touched(other.view(), all)?)?;
    drop(other);
    view.evict()?;
    view.advise(Advice::Random)?;
    pictures += &look("dropped, a byte by MADV_RANDOM", touched(view, middle..middle + 1)?)?;
    page.output(pictures);
    page.table(["what was done", "major faults", "minor faults", "in memory"], rows);
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

/// What it costs to touch them.
fn touched(view: View<'_>, pages: Range<usize>) -> anyhow::Result<Cost> {
    Cost::of_success(|| touch(view, pages))
}

fn picture(view: View<'_>) -> anyhow::Result<String> {
    let mut picture = String::new();
    for line in view.residency()?.pages().chunks(LINE_PAGES) {
        let mark = |&in_memory: &bool| if in_memory { '#' } else { '.' };
        picture.extend(line.iter().map(mark).chain(['\n']));
    }
    Ok(picture)
}
