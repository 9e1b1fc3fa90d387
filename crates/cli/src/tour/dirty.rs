//! Step: what is stored is in memory first, and on the disk when it is flushed.

use std::fs::{self, File};
use std::time::Duration;

use anyhow::Context;
use mapio_map::{MapOptions, View};

use super::measure::{Cost, milliseconds};
use super::page::Page;
use super::scene::{FILE_BYTES, Scene};
use super::{Part, Step};
use crate::output;

pub(super) const STEP: Step = Step { title: "Dirty pages: what the disk has, and when", run, parts: PARTS };
const PARTS: &[(&str, Part)] = &[("unflushed", store_and_wait)];
const SOURCE: &str = include_str!("dirty.rs");

/// What a part stores that is killed.
const WORDS: &[u8] = b"stored, not flushed";

fn run(scene: &Scene, page: &mut Page) -> anyhow::Result<()> {
    // Those of one half of the file.
    let pages = FILE_BYTES / mapio_map::page_bytes() / 2;
    page.text(format!(
        "A store to a mapped file changes the page in memory, and marks it dirty: the disk does not have it yet. The \
         kernel writes such pages back when it sees fit, some seconds later, or when asked to. {pages} pages:"
    ));
    page.code(SOURCE, "store_to_pages")?;
    let path = scene.path("dirty");
    fs::copy(scene.file(), &path).context("copying the file")?;
    File::open(&path)?.sync_all().context("writing the file to the disk")?;
    let mapping = MapOptions::read_write().len(pages * mapio_map::page_bytes()).open(&path)?;
    let view = mapping.view();
    let dirty = || view.dirty_pages().map_or_else(|_| "-".to_owned(), |pages| pages.to_string());
    let mut rows = vec![["flushed".to_owned(), "-".to_owned(), dirty()]];
    let mut look = |what: &str, time: Duration| rows.push([what.to_owned(), milliseconds(time), dirty()]);
    look("stored", Cost::of_success(|| store_to_pages(view, pages))?.real);
    let counted = view.dirty_pages();
    look("view.flush(), that is msync with MS_SYNC", Cost::of_success(|| Ok(view.flush()?))?.real);
    page.table(["what", "ms", "dirty pages after it"], rows);
    match counted {
        Err(error) => page.missing(format!("the counts of dirty pages, by `cachestat` of Linux 6.5: {error}")),
        Ok(0) if scene.is_on_tmpfs() => page.missing("dirty pages: tmpfs, which has no disk, has none; see TMPDIR"),
        Ok(0) => page.missing("dirty pages: after the stores, none was counted"),
        Ok(_) => {}
    }
    page.text(
        "Everybody who reads the file sees the store at once, as the page is the same; only the death of the machine \
         would lose it. The death of a process does not. This one is killed after a store, before any flush:",
    );
    page.code(SOURCE, "store_and_wait")?;
    let mut actor = scene.start("unflushed")?;
    let heard = format!("process {}: {}", actor.id(), actor.hear()?);
    actor.kill()?;
    let end = actor.end()?;
    let file = fs::read(scene.path("unflushed"))?;
    let found = String::from_utf8_lossy(&file[..WORDS.len().min(file.len())]).into_owned();
    page.output(format!("{heard}\n{}\nread from the file: \"{}\"", end.how(), output::printable(&found)));
    page.text(
        "`write` is no different: it changes the same pages, and `fsync` is its flush. A flush answers when the disk \
         has all of it, and says if that failed; who needs a record to survive a power cut waits for it.",
    );
    page.remember(
        "a store is seen by all at once and survives the process; only what was flushed survives the machine.",
    );
    Ok(())
}

fn store_to_pages(view: View<'_>, pages: usize) -> anyhow::Result<()> {
    for page in 0..pages {
        view.store(page * mapio_map::page_bytes(), 0x5a_u8)?;
    }
    Ok(())
}

fn store_and_wait(scene: &Scene) -> anyhow::Result<()> {
    let path = scene.path("unflushed");
    fs::write(&path, vec![b'.'; FILE_BYTES])?;
    let mapping = MapOptions::read_write().open(&path)?;
    mapping.view().write_all_at(0, WORDS)?;
    output::line("stored; now kill me")?;
    std::io::stdin().read_line(&mut String::new())?;
    mapping.view().flush()?;
    Ok(())
}
