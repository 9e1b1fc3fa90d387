//! memmap2 and mapio's module `compat` on the same calls: the same answers, and where they refuse, the same kind of
//! error.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};

const LEN: u64 = 10_000;
const TOP: usize = isize::MAX as usize;

/// What a call answers, in words that can be compared.
fn answer<T>(result: io::Result<T>, show: impl FnOnce(T) -> String) -> String {
    match result {
        Ok(value) => show(value),
        Err(error) => format!("{:?}", error.kind()),
    }
}

/// The things to map, anew for each library.
fn files() -> Vec<(&'static str, File)> {
    let plain = tempfile::tempfile().expect("room");
    plain.set_len(LEN).expect("room");
    let read_only = File::open(format!("/proc/self/fd/{}", plain.as_raw_fd())).expect("our own file");
    let write_only = OpenOptions::new().write(true).open(format!("/proc/self/fd/{}", plain.as_raw_fd()));
    vec![
        ("plain", plain),
        ("read only", read_only),
        ("write only", write_only.expect("our own file")),
        ("empty", tempfile::tempfile().expect("room")),
        ("folder", File::open("/").expect("the root folder")),
        ("device", File::open("/dev/zero").expect("a device")),
        ("no memory", File::open("/dev/null").expect("a device")),
        ("of no length", File::open("/proc/self/status").expect("/proc")),
        ("memory file", memory_file(0)),
        ("sealed", memory_file(libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK)),
        ("half sealed", memory_file(libc::F_SEAL_WRITE)),
    ]
}

fn memory_file(seals: libc::c_int) -> File {
    // SAFETY: a name that ends in zero, and flags.
    let number = unsafe { libc::memfd_create(c"test".as_ptr(), libc::MFD_ALLOW_SEALING) };
    assert!(number >= 0, "{}", io::Error::last_os_error());
    // SAFETY: a new descriptor, which is nobody else's.
    let file = unsafe { File::from_raw_fd(number) };
    file.set_len(LEN).expect("room");
    // SAFETY: takes numbers only.
    assert_eq!(unsafe { libc::fcntl(number, libc::F_ADD_SEALS, seals) }, 0);
    file
}

/// Everything that both libraries are asked, and what this one answers.
macro_rules! answers {
    ($($library:ident)::+) => {{
        use $($library)::+::{Advice, MmapMut, MmapOptions, MmapRaw, RemapOptions, UncheckedAdvice};
        let mut answers = Vec::new();
        let ranges = [
            (0, None), (1, None), (4096, None), (9999, None), (10_000, None), (10_001, None), (u64::MAX, None),
            (0, Some(0)), (7, Some(0)), (4095, Some(2)), (0, Some(20_000)), (20_000, Some(1)),
            (0, Some(TOP)), (0, Some(TOP + 1)), (0, Some(usize::MAX)), (4096, Some(TOP - 4096)),
            (i64::MAX as u64 - 4095, Some(1)), (1 << 62, Some(1)), (1 << 62, None),
        ];
        for (name, file) in files() {
            for (offset, len) in ranges {
                let mut options = MmapOptions::new();
                options.offset(offset);
                if let Some(len) = len {
                    options.len(len);
                }
                // SAFETY, for all: no byte is touched.
                // SAFETY: as above.
                let map = answer(unsafe { options.map(&file) }, |map| map.len().to_string());
                // SAFETY: as above.
                let map_mut = answer(unsafe { options.map_mut(&file) }, |map| map.len().to_string());
                // SAFETY: as above.
                let map_copy = answer(unsafe { options.map_copy(&file) }, |map| map.len().to_string());
                // SAFETY: as above.
                let map_exec = answer(unsafe { options.map_exec(&file) }, |map| map.len().to_string());
                // SAFETY: as above.
                let still = answer(unsafe { options.map_copy_read_only(&file) }, |map| map.len().to_string());
                let raw = answer(options.map_raw(&file), |map| map.len().to_string());
                let raw_read_only = answer(options.map_raw_read_only(&file), |map| map.len().to_string());
                let safe = match options.map_if_safe(&file) {
                    Ok(map) => map.len().to_string(),
                    Err(e) => {
                        let why = (e.not_supported(), e.not_safe(), e.map_failed());
                        format!("{why:?} {:?}", io::Error::from(e).kind())
                    }
                };
                answers.push(format!(
                    "{name} {offset} {len:?}: {map} {map_mut} {map_copy} {map_exec} {still} {raw} {raw_read_only} {safe}"
                ));
                // SAFETY: as above.
                let made = unsafe { options.map(&file) }.and_then(|map| map.make_mut());
                answers.push(format!("make_mut: {}", answer(made, |map| map.len().to_string())));
            }
        }
        for len in [0, 1, 4096, 10_000, TOP, TOP + 1, usize::MAX] {
            answers.push(format!("anonymous {len}: {}", answer(MmapMut::map_anon(len), |map| map.len().to_string())));
            for bits in [20, 62, 63] {
                let huge = MmapOptions::new().len(len).huge(Some(bits)).map_anon();
                answers.push(format!("huge {bits} {len}: {}", answer(huge, |map| map.len().to_string())));
            }
        }
        let memory = MmapMut::map_anon(10_000).expect("memory");
        let file = tempfile::tempfile().expect("room");
        file.set_len(LEN).expect("room");
        let raw = MmapOptions::new().offset(100).map_raw(&file).expect("a mapping");
        for (offset, len) in [(0, 0), (0, 9900), (9900, 0), (9901, 0), (0, 9901), (1, TOP), (1, usize::MAX), (usize::MAX, 1)] {
            let verbs = [
                raw.flush_range(offset, len),
                raw.flush_async_range(offset, len),
                raw.advise_range(Advice::Normal, offset, len),
                raw.advise_range(Advice::PopulateRead, offset, len),
                // SAFETY: no slice is in use.
                unsafe { raw.unchecked_advise_range(UncheckedAdvice::DontNeed, offset, len) },
                // SAFETY: as above.
                unsafe { raw.unchecked_advise_range(UncheckedAdvice::Free, offset, len) },
            ];
            let verbs = verbs.map(|verb| answer(verb, |()| "done".to_owned())).join(" ");
            answers.push(format!("{offset} {len}: {verbs}"));
        }
        answers.push(answer(memory.advise(Advice::HwPoison), |()| "done".to_owned()).replace("InvalidInput", "no such kernel"));
        let mut raw = MmapRaw::from(memory);
        for (len, may_move) in [(0, false), (5, false), (4096, true), (100_000, true), (3, false), (TOP, true)] {
            // SAFETY: no byte is touched.
            let remap = unsafe { raw.remap(len, RemapOptions::new().may_move(may_move)) };
            answers.push(format!("remap {len}: {} {}", answer(remap, |()| "done".to_owned()), raw.len()));
        }
        answers.push(format!("{:?} {:?}", Advice::Normal, MmapOptions::new().len(3).huge(None).stack()));
        answers
    }};
}

#[test]
fn both_libraries_answer_the_same() {
    let theirs = answers!(memmap2);
    let ours = answers!(mapio_map::compat);
    let different: Vec<_> = theirs.iter().zip(&ours).filter(|(theirs, ours)| theirs != ours).collect();
    assert!(different.is_empty() && theirs.len() == ours.len(), "{different:#?}");
    assert!(theirs.len() > 400, "{}", theirs.len());
}
