//! The README's snippets are the code of this test, word for word.

use std::env::set_current_dir;
use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;

use mapio::shared::sync::Mutex;
use mapio::shared::{SharedObject, SharedOptions};
use mapio::{FaultKind, MapOptions, MappedFile, SealedMap};
use mapio_testkit::in_children;

#[test]
fn the_snippets_of_the_readme_do_what_they_say() {
    // Snippets have short names, and so a folder that they are in, which all threads of a process share.
    let (_folder, outputs) = in_children("readme::the_snippets_of_the_readme_do_what_they_say", 1, |folder| {
        set_current_dir(folder).expect("a folder");
        snippets().expect("what the README says");
    });
    assert!(outputs[0].status.success(), "{:?}", outputs[0]);
}

fn snippets() -> Result<(), Box<dyn Error>> {
    fs::write("numbers", vec![1; 4096])?;
    let mut buffer = [0; 100];

    let mapping = MapOptions::read_write().open("numbers")?;
    let view = mapping.view();
    view.store(8, 42u64)?; // One instruction; the file has it, and so has every other process.
    let n: u64 = view.load(8)?; // One instruction.
    view.read_exact_at(100, &mut buffer)?; // As fast as memcpy.

    File::create("numbers")?; // Somebody else cuts the file short.
    let fault = view.load::<u64>(8).unwrap_err(); // No signal, no dead process.
    assert_eq!(fault.kind, FaultKind::Truncated { file_len: 0 });

    assert_eq!((n, buffer), (42, [1; 100]));
    let memory = MapOptions::read_write().len(4096).memfd("x")?;
    let view = memory.view();

    let counter = view.atomic::<u64>(0)?; // For threads and processes.
    counter.fetch_add(1, Ordering::AcqRel)?;
    let mut journal = MappedFile::create("journal")?; // Read, Write, Seek, BufRead; grows in place.
    writeln!(journal, "an entry")?;
    let memory = MapOptions::read_write().len(4096).memfd("x")?; // Memory to share by its descriptor...
    let slice: SealedMap = memory.seal()?; // ... or to give away: a `&[u8]` that nobody can change.

    assert_eq!((counter.load(Ordering::Acquire)?, slice.len()), (1, 4096));
    journal.close()?;
    assert_eq!(fs::read("journal")?, b"an entry\n");
    // This one names an object that anybody may have.
    let account = &*format!("mapio-test-account-{}", std::process::id());

    let object = SharedOptions::new().len(4096).open_or_create(account)?; // POSIX, memfd, a file or System V.
    let balance = Mutex::<u64>::at(&object, 0)?; // All zeros is a lock that is free.
    let mut guard = balance.lock()?; // Never hangs behind a dead owner.
    *guard += 1; // Seen by others when it is whole.

    drop(guard);
    assert_eq!(*balance.lock()?, 1);
    SharedObject::remove(account)?;
    Ok(())
}

#[test]
fn the_snippets_of_the_readme_are_these() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = fs::read_to_string(readme).expect("this is a checkout");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let code = words(include_str!("readme.rs"));
    let mut snippets = 0;
    for snippet in readme.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        assert!(code.contains(&words(snippet)), "the README has what is not tested:\n{snippet}");
        snippets += 1;
    }
    assert!(snippets >= 3, "only {snippets} were found: are the blocks still marked `rust`?");
}
