//! Step: two processes, one page: what each sees of it, at which address, and in which frame of memory.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};
use mapio_map::{MapMode, MapOptions, Mapping, page_bytes};
use serde::{Deserialize, Serialize};

use super::Step;
use super::measure::mapping_at;
use super::page::Page;
use super::scene::Scene;
use crate::output;

pub(super) const STEP: Step = Step {
    title: "Two processes, one page",
    run,
    parts: &[("visit-shared", visit_shared), ("visit-private", visit_private)],
};
const SOURCE: &str = include_str!("one_page.rs");

/// The file that the processes map.
const FILE: &str = "page";

/// Bytes of an entry of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst).
const ENTRY_BYTES: u64 = 8;
/// The bits of an entry that are the number of the frame.
const FRAME: u64 = (1 << 55) - 1;
/// The bit of a page of a file, or of shared memory; a copy of one's own has it not.
const OF_FILE: u64 = 1 << 61;
/// The bit of a page that is in memory.
const PRESENT: u64 = 1 << 63;

fn run(scene: &Scene, page: &mut Page) -> Result<()> {
    let file = scene.path(FILE);
    fs::write(&file, vec![0; page_bytes()]).context("writing a page")?;
    let mapping = MapOptions::read_write().open(&file)?;
    mapping.view().store(0, *b"A stored")?;

    page.text(
        "Memory is frames, of a page each. The page table of a process says which address is which frame. Two \
         processes that map one page of a file have two addresses and one frame: what one stores, the other loads, \
         and nothing is sent. This process, A, has mapped a file of a page. B and C do this with it, B by `ReadWrite` \
         (MAP_SHARED), C by `CopyOnWrite` (MAP_PRIVATE):",
    );
    page.code(SOURCE, "visit")?;

    let first = Sight::of(&mapping)?;
    let shared = Visit::of(scene, "visit-shared")?;
    let second = Sight::of(&mapping)?;
    let private = Visit::of(scene, "visit-private")?;
    let third = Sight::of(&mapping)?;

    page.table(
        ["", "PID", "address", "maps", "reads", "frame", "page"],
        [
            first.row("A has stored"),
            shared.before.row("B, shared"),
            shared.after.row("B has stored"),
            second.row("A looks"),
            private.before.row("C, private"),
            private.after.row("C has stored"),
            third.row("A looks"),
        ],
    );
    page.text(
        "Frames, and whose page it is, are from /proc/self/pagemap. In /proc/self/maps of A, B and C the mapping is \
         this; `s` is shared, `p` private:",
    );
    page.output([&first, &shared.before, &private.before].map(|sight| sight.mapping.as_str()).join("\n"));
    page.text(told(&[&first, &shared.before, &shared.after, &second, &private.before], &private.after, &third));
    match first.page {
        Some(PageEntry { frame: Some(_), .. }) => {}
        Some(_) => page.missing("the numbers of the frames: only root may see them (CAP_SYS_ADMIN)"),
        None => page.missing("the frames: the kernel tells nothing in /proc/self/pagemap"),
    }
    page.remember(
        "MAP_SHARED: one frame for all, a store is seen at once. MAP_PRIVATE: the first store to a page makes a copy.",
    );
    Ok(())
}

/// What was seen, in words: `shared` are all looks at the file's page, `copied` is C after its store, `last` A then.
fn told(shared: &[&Sight], copied: &Sight, last: &Sight) -> String {
    let seen = |by: &Sight, store: &Sight| if by.text == store.text { "seen" } else { "not seen" };
    let mut text = format!(
        "What B has stored was {} by A, what C has stored was {}.",
        seen(shared[3], shared[2]),
        seen(last, copied)
    );
    if copied.page.is_some_and(|page| !page.of_file) {
        text += " The first store of C was a page fault, in which the kernel copied the page for C alone.";
    }
    if let (Some(frame), Some(copy)) = (shared[0].frame(), copied.frame()) {
        // The kernel may move a page whenever it likes.
        let is_one = shared.iter().all(|sight| sight.frame() == Some(frame));
        text += if is_one {
            " Until then all three had one frame"
        } else {
            " The page has moved to another frame meanwhile"
        };
        text += if copy == frame { "." } else { ", and then C had one of its own." };
    }
    text
}

/// Maps the page, looks, stores, and looks again.
fn visit(file: &Path, mode: MapMode, text: [u8; 8]) -> Result<Visit> {
    let mapping = MapOptions::new(mode).open(file)?;
    let before = Sight::of(&mapping)?;
    mapping.view().store(0, text)?;
    let after = Sight::of(&mapping)?;
    Ok(Visit { before, after })
}

fn visit_shared(scene: &Scene) -> Result<()> {
    output::json(&visit(&scene.path(FILE), MapMode::ReadWrite, *b"B stored")?)
}

fn visit_private(scene: &Scene) -> Result<()> {
    output::json(&visit(&scene.path(FILE), MapMode::CopyOnWrite, *b"C stored")?)
}

/// What another process sees before its store, and after it.
#[derive(Debug, Serialize, Deserialize)]
struct Visit {
    before: Sight,
    after: Sight,
}

impl Visit {
    /// By another process.
    fn of(scene: &Scene, part: &str) -> Result<Self> {
        let told = scene.play(part)?.expect_done()?;
        serde_json::from_str(&told).with_context(|| format!("'{told}'"))
    }
}

/// What a process sees of the page at a time.
#[derive(Debug, Serialize, Deserialize)]
struct Sight {
    pid: u32,
    /// Of the page's first byte, in the process's address space.
    addr: usize,
    /// The line of /proc/self/maps: the addresses, what may be done there, the offset in the file, its name.
    mapping: String,
    /// The first bytes of the page.
    text: String,
    /// What the kernel tells of the page, if it does.
    page: Option<PageEntry>,
}

impl Sight {
    /// Loads first, so that the page is there.
    fn of(mapping: &Mapping) -> Result<Self> {
        let view = mapping.view();
        let text = view.load::<[u8; 8]>(0)?;
        let addr = view.as_ptr().addr();
        Ok(Self {
            pid: std::process::id(),
            addr,
            mapping: mapping_at(addr)?,
            text: String::from_utf8_lossy(&text).into_owned(),
            // The page says that it is missing.
            page: PageEntry::of(addr).ok().flatten(),
        })
    }

    fn frame(&self) -> Option<u64> {
        self.page.and_then(|page| page.frame)
    }

    fn row(&self, who: &str) -> [String; 7] {
        let owner = self.page.map(|page| if page.of_file { "file's" } else { "copy" });
        [
            who.to_owned(),
            self.pid.to_string(),
            format!("{:#x}", self.addr),
            self.mapping.split(' ').nth(1).unwrap_or_default().to_owned(),
            self.text.clone(),
            self.frame().map_or_else(|| "?".to_owned(), |frame| format!("{frame:#x}")),
            owner.unwrap_or("?").to_owned(),
        ]
    }
}

/// What an entry of /proc/PID/pagemap tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct PageEntry {
    /// The number of the page's frame in memory; `None` for those who may not know.
    frame: Option<u64>,
    /// Whether it is the file's page, which everybody has, and not a copy.
    of_file: bool,
}

impl PageEntry {
    /// Of the page at an address; `None` if it is not in memory.
    fn of(addr: usize) -> io::Result<Option<Self>> {
        let mut bytes = [0; 8];
        let index = u64::try_from(addr / page_bytes()).map_err(io::Error::other)?;
        File::open("/proc/self/pagemap")?.read_exact_at(&mut bytes, index * ENTRY_BYTES)?;
        Ok(Self::from_bits(u64::from_ne_bytes(bytes)))
    }

    fn from_bits(entry: u64) -> Option<Self> {
        // Who may not know the number gets 0.
        let frame = Some(entry & FRAME).filter(|frame| *frame != 0);
        (entry & PRESENT != 0).then_some(Self { frame, of_file: entry & OF_FILE != 0 })
    }
}
