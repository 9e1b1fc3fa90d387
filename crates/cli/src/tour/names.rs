//! Step: memory with a name: what is done with it, and what POSIX, Windows and mapio call that.

use std::fs;
use std::path::Path;

use anyhow::Context;
use mapio_shared::{SharedObject, SharedOptions};
use serde::{Deserialize, Serialize};

use super::Step;
use super::page::Page;
use super::scene::Scene;
use crate::output;

pub(super) const STEP: Step = Step { title: "Memory with a name", run, parts: &[("guest", guest)] };
const SOURCE: &str = include_str!("names.rs");

/// Where POSIX names are on Linux: shm_overview(7).
const FOLDER: &str = "/dev/shm";

fn run(scene: &Scene, page: &mut Page) -> anyhow::Result<()> {
    page.text(
        "Processes that are no relatives meet by a name. One creates the memory, others open it, all map it, and from \
         then on they load and store. The steps, and what each system calls them:",
    );
    page.table(
        ["step", "POSIX", "Windows", "mapio"],
        [
            ["create", "shm_open O_CREAT", "CreateFileMapping", "create"],
            ["set its size", "ftruncate", "(in the same call)", "(in the same call)"],
            ["open", "shm_open", "OpenFileMapping", "open"],
            ["map", "mmap", "MapViewOfFile", "(in the same call)"],
            ["unmap", "munmap", "UnmapViewOfFile", "drop"],
            ["close", "close", "CloseHandle", "(in the same drop)"],
            ["remove", "shm_unlink", "(the last CloseHandle)", "SharedObject::remove"],
        ]
        .map(|row| row.map(str::to_owned)),
    );
    let name = scene.object_name("named");
    let file = Path::new(FOLDER).join(&name);
    match host(&name) {
        // There may be no such folder here, no right to write to it, or no space in it.
        Err(error) => page.missing(format!("the steps themselves: {}", output::causes(error.as_ref()))),
        Ok(object) => {
            page.text(format!("This process is the host, another is its guest, and the name is `{name}`:"));
            page.code(SOURCE, "host")?;
            page.code(SOURCE, "guest")?;
            page.table(["step", "who", "address", "what happened", FOLDER], story(scene, object, &name, &file)?);
            page.text(
                "On Linux a name is a file of /dev/shm (mapio's has 4096 bytes more, for who uses it). It outlives all \
                 users; and without a name, memory lasts as long as its last user. On Windows the last handle takes \
                 the object along: the first `drop` of the host would be its end.",
            );
        }
    }
    page.remember("a name is for meeting; what comes then is memory. On Linux somebody has to remove the name.");
    Ok(())
}

/// Makes the memory.
fn host(name: &str) -> anyhow::Result<SharedObject> {
    let object = SharedOptions::new().len(4096).create(name)?;
    object.view().store(0, *b"ping")?;
    Ok(object)
}

/// Opens it in another process.
fn guest(scene: &Scene) -> anyhow::Result<()> {
    let object = SharedOptions::new().open(&scene.object_name("named"))?;
    let found: [u8; 4] = object.view().load(0)?;
    object.view().store(0, *b"pong")?;
    output::json(&Seen::at(&object, finds(found) + ", stores pong"))
}

/// Does the steps, of which the host has done the first: which, who, at which address, what happened, and what is in
/// the folder then.
fn story(scene: &Scene, object: SharedObject, name: &str, file: &Path) -> anyhow::Result<Vec<[String; 5]>> {
    let mut rows = Vec::new();
    let mut tell = |step: &str, who: &str, seen: Seen| {
        let there = fs::metadata(file).map_or_else(|_| "nothing".to_owned(), |file| format!("{} bytes", file.len()));
        rows.push([step.to_owned(), who.to_owned(), seen.addr, seen.what, there]);
    };
    let load = |object: &SharedObject| anyhow::Ok(Seen::at(object, finds(object.view().load(0)?)));

    tell("create", "host", Seen::at(&object, "stores ping".to_owned()));
    let told = scene.play("guest")?.expect_done()?;
    tell("open", "guest", serde_json::from_str(&told).with_context(|| format!("'{told}'"))?);
    tell("load", "host", load(&object)?);
    drop(object);
    tell("drop", "host", Seen::nowhere("nobody has it open"));
    let object = SharedOptions::new().open(name)?;
    tell("open", "host", load(&object)?);
    SharedObject::remove(name)?;
    tell("remove", "host", load(&object)?);
    let refusal = SharedOptions::new().open(name).err().context("it can be opened without a name")?;
    tell("open", "host", Seen::nowhere(&refusal.to_string().replace(name, "it")));
    drop(object);
    tell("drop", "host", Seen::nowhere("its memory is given back"));
    Ok(rows)
}

/// What a process has seen, and where.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    addr: String,
    what: String,
}

impl Seen {
    fn at(object: &SharedObject, what: String) -> Self {
        Self { addr: format!("{:p}", object.view().as_ptr()), what }
    }

    fn nowhere(what: &str) -> Self {
        Self { addr: String::new(), what: what.to_owned() }
    }
}

fn finds(bytes: [u8; 4]) -> String {
    format!("finds {}", String::from_utf8_lossy(&bytes))
}
