//! A file system that answers errors: each becomes an `Err` that says so, at its page and nowhere else.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;

use mapio_map::{Access, Error, FaultKind, MapOptions, Mapping};
use mapio_testkit::{FaultyFs, pattern, pattern_at, report, skip};

use crate::support::{Tally, pattern_file};

const PAGE: usize = 4096;
const LEN: usize = 64 * PAGE + 100;
/// Bytes that the file system can't read; of this page and the next one.
const BAD: Range<usize> = 20 * PAGE + 100..21 * PAGE + 1;
/// The pages that the kernel can therefore not supply.
const BAD_PAGES: Range<usize> = 20 * PAGE..22 * PAGE;
const EIO: FaultKind = FaultKind::Io(libc::EIO);

/// The file system, or a skip.
fn mounted(test: &str) -> Option<FaultyFs> {
    let (_, name) = test.split_once("::")?;
    match FaultyFs::new(test, LEN) {
        Ok(fs) => Some(fs),
        Err(error) => {
            skip(name, &format!("a FUSE file system needs /dev/fuse, and root or fusermount: {error}"));
            None
        }
    }
}

/// A new mapping of its file, with nothing in the page cache.
fn mapped(fs: &FaultyFs) -> (File, Mapping) {
    let file = File::options().read(true).write(true).open(fs.file()).expect("a file");
    let mapping = MapOptions::read_write().map(&file).expect("a mapping");
    (file, mapping)
}

fn assert_holds_the_pattern(range: Range<usize>, bytes: &[u8]) {
    assert!(bytes.iter().zip(range).all(|(&byte, at)| byte == pattern_at(at)));
}

#[test]
fn what_cannot_be_read_is_an_input_output_error_at_its_page_and_the_rest_can_be_read() {
    let test = "faulty_fs::what_cannot_be_read_is_an_input_output_error_at_its_page_and_the_rest_can_be_read";
    let Some(mut fs) = mounted(test) else { return };
    fs.fail_reads(BAD, libc::EIO);
    let (_file, mapping) = mapped(&fs);
    let (view, mut tally) = (mapping.view(), Tally::default());

    // A byte of each page, and loads across the edges.
    for offset in (0..LEN).step_by(PAGE) {
        match tally.count(view.load::<u8>(offset)) {
            Ok(byte) => assert!(!BAD_PAGES.contains(&offset) && byte == pattern_at(offset)),
            Err(fault) => {
                assert!(BAD_PAGES.contains(&offset), "{fault}");
                assert_eq!((fault.offset, fault.kind, fault.access), (offset, EIO, Access::Read));
            }
        }
    }
    let fault = tally.count(view.load::<u64>(BAD_PAGES.start - 3)).expect_err("its last bytes are bad");
    assert_eq!((fault.offset, fault.kind), (BAD_PAGES.start, EIO));
    let fault = tally.count(view.load::<u64>(BAD_PAGES.end - 3)).expect_err("its first bytes are bad");
    assert_eq!((fault.offset, fault.kind), (BAD_PAGES.end - 3, EIO));

    // Reads of every length class, up to the page that is bad, across it and behind it.
    let mut buf = vec![0; LEN];
    for len in [1, 5, 100, 1000, 5000, BAD_PAGES.start] {
        let start = BAD_PAGES.start - len;
        assert_eq!(tally.count(view.read_at(start, &mut buf[..len + 10])), Ok(len), "a short count before the fault");
        assert_holds_the_pattern(start..start + len, &buf[..len]);
        let fault = tally.count(view.read_at(BAD_PAGES.start, &mut buf[..len])).expect_err("bad");
        assert_eq!((fault.offset, fault.kind, fault.access), (BAD_PAGES.start, EIO, Access::Read));
        let fault = tally.count(view.read_exact_at(start, &mut buf[..len + 10])).expect_err("bad in the end");
        assert_eq!((fault.offset, fault.kind, fault.access), (BAD_PAGES.start, EIO, Access::Read));
        assert_holds_the_pattern(start..start + len, &buf[..len]);
    }
    let behind = BAD_PAGES.end..LEN;
    tally.count(view.read_exact_at(behind.start, &mut buf[behind.clone()])).expect("good");
    assert_holds_the_pattern(behind.clone(), &buf[behind]);

    // A store needs the rest of its page.
    let fault = tally.count(view.store(BAD_PAGES.start + 8, 1u64)).expect_err("bad");
    assert_eq!((fault.offset, fault.kind, fault.access), (BAD_PAGES.start + 8, EIO, Access::Write));
    let fault = tally.count(view.write_all_at(BAD_PAGES.start - 2, &[0; 5])).expect_err("bad");
    assert_eq!((fault.offset, fault.kind, fault.access), (BAD_PAGES.start, EIO, Access::Write));

    // And when the medium has recovered, nothing of it is left.
    fs.fail_reads(0..0, 0);
    assert_eq!(tally.count(view.load::<u8>(BAD_PAGES.start)), Ok(pattern_at(BAD_PAGES.start)));
    report("reads that fail on FUSE", &tally.to_string());
}

#[test]
fn chunks_end_before_the_page_that_cannot_be_read_and_go_on_when_it_can() {
    let test = "faulty_fs::chunks_end_before_the_page_that_cannot_be_read_and_go_on_when_it_can";
    let Some(mut fs) = mounted(test) else { return };
    let mut tally = Tally::default();
    for chunk_bytes in [1000, 1024, 3 * PAGE, LEN] {
        fs.fail_reads(BAD, libc::EIO);
        let (_file, mapping) = mapped(&fs);
        let (mut chunks, mut seen) = (mapping.view().chunks(chunk_bytes), Vec::new());
        let fault = loop {
            match tally.count(chunks.next_chunk().map(|chunk| chunk.map(<[u8]>::to_vec))) {
                Ok(chunk) => seen.extend(chunk.expect("the end is behind the bad page")),
                Err(fault) => break fault,
            }
        };
        assert_eq!((fault.offset, fault.kind, fault.access), (BAD_PAGES.start, EIO, Access::Read));
        assert!(seen == pattern(BAD_PAGES.start), "chunks of {chunk_bytes}");
        assert_eq!(chunks.next_chunk().map(|_| ()), Err(fault), "as long as it can't be read");
        fs.fail_reads(0..0, 0);
        while let Some(chunk) = tally.count(chunks.next_chunk()).expect("recovered") {
            seen.extend_from_slice(chunk);
        }
        assert!(seen == pattern(LEN), "chunks of {chunk_bytes}");
    }
    report("chunks that fail on FUSE", &tally.to_string());
}

#[test]
fn a_copy_between_views_tells_which_side_could_not_be_read() {
    let test = "faulty_fs::a_copy_between_views_tells_which_side_could_not_be_read";
    let Some(mut fs) = mounted(test) else { return };
    fs.fail_reads(BAD, libc::EIO);
    let (_file, faulty) = mapped(&fs);
    let sound = MapOptions::read_write().map(pattern_file(LEN)).expect("a mapping");
    let mut tally = Tally::default();
    for before in [0, 1, 20, 100, 3000, 9000] {
        let start = BAD_PAGES.start - before;
        let window = start..start + 10_000;
        let good = sound.view().slice(window.clone()).expect("inside");
        let bad = faulty.view().slice(window).expect("inside");
        good.fill(.., 0).expect("sound");
        let fault = tally.count(bad.copy_to(&good)).expect_err("the source is bad");
        assert_eq!((fault.offset, fault.kind, fault.access), (before, EIO, Access::Read));
        let mut copied = vec![0; before + 1];
        good.read_exact_at(0, &mut copied).expect("sound");
        assert_holds_the_pattern(start..start + before, &copied[..before]);
        assert_eq!(copied[before], 0, "nothing of the bad page came");

        good.fill(.., 9).expect("sound");
        let fault = tally.count(good.copy_to(&bad)).expect_err("the destination is bad");
        assert_eq!((fault.offset, fault.kind, fault.access), (before, EIO, Access::Write));
        // What was there again, for the next round.
        bad.write_all_at(0, &pattern(start + before)[start..]).expect("before the bad page");
    }
    report("copies that fail on FUSE", &tally.to_string());
}

#[test]
fn a_descriptor_for_direct_input_and_output_tells_the_same() {
    let test = "faulty_fs::a_descriptor_for_direct_input_and_output_tells_the_same";
    let Some(mut fs) = mounted(test) else { return };
    fs.fail_reads(BAD, libc::EIO);
    let mut options = File::options();
    let file = options.read(true).write(true).custom_flags(libc::O_DIRECT).open(fs.file()).expect("a file");
    let mapping = MapOptions::read_write().map(&file).expect("a mapping");
    let (view, mut tally) = (mapping.view(), Tally::default());
    for offset in [BAD_PAGES.start, BAD.start + 1, BAD_PAGES.start + PAGE - 1] {
        let fault = tally.count(view.load::<u8>(offset)).expect_err("bad");
        assert_eq!((fault.offset, fault.kind), (offset, EIO));
    }
    assert_eq!(tally.count(view.load::<u8>(5)), Ok(pattern_at(5)));
    report("O_DIRECT on FUSE", &tally.to_string());
}

#[test]
fn a_flush_tells_that_the_bytes_could_not_be_written_back() {
    let test = "faulty_fs::a_flush_tells_that_the_bytes_could_not_be_written_back";
    let Some(mut fs) = mounted(test) else { return };
    let (mut flushed, mut forgotten) = (0, 0);
    for (round, errno) in [libc::EIO, libc::ENOSPC].into_iter().enumerate() {
        let (_file, mapping) = mapped(&fs);
        let view = mapping.view().slice(3 * PAGE + 5 + round..).expect("inside");
        let at = view.offset();
        fs.fail_writes(Some(errno));
        view.store(0, 0xee_u8).expect("the page cache takes it");
        let Err(Error::Os { operation, source, .. }) = view.flush() else { panic!("the medium takes nothing") };
        assert_eq!((operation, source.raw_os_error()), ("flushing", Some(errno)));
        assert_eq!(fs.byte_on_medium(at), pattern_at(at));

        // The kernel may take the page for clean now, so that a second flush finds nothing to do, and nothing wrong.
        fs.fail_writes(None);
        if view.flush().is_ok() && fs.byte_on_medium(at) == pattern_at(at) {
            forgotten += 1;
        }
        view.store(0, 0xdd_u8).expect("the page cache takes it");
        view.flush().expect("the medium takes it");
        assert_eq!(fs.byte_on_medium(at), 0xdd);
        flushed += 1;
    }
    let figures = format!("{flushed} Ok, 1 Err(EIO), 1 Err(ENOSPC), {forgotten} of 2 forgotten by a second flush");
    report("flushes on FUSE", &figures);
}

#[test]
fn a_file_system_whose_server_has_died_is_an_error_for_what_is_not_in_memory() {
    let test = "faulty_fs::a_file_system_whose_server_has_died_is_an_error_for_what_is_not_in_memory";
    let Some(mut fs) = mounted(test) else { return };
    let (_file, mapping) = mapped(&fs);
    let (view, mut tally) = (mapping.view(), Tally::default());
    assert_eq!(tally.count(view.load::<u8>(0)), Ok(pattern_at(0)));
    fs.stop();
    let gone = FaultKind::Io(libc::ENOTCONN);
    let last = LEN - 1;
    let fault = tally.count(view.load::<u8>(last)).expect_err("nobody has it");
    assert_eq!((fault.offset, fault.kind, fault.access), (last, gone, Access::Read));
    let fault = tally.count(view.store(last, 1u8)).expect_err("nobody has it");
    assert_eq!((fault.offset, fault.kind, fault.access), (last, gone, Access::Write));
    let fault = tally.count(view.read_exact_at(0, &mut vec![0; LEN])).expect_err("nobody has the rest");
    assert_eq!(fault.kind, gone);
    report("a dead FUSE server", &tally.to_string());
}
