//! Several processes on one file: who sees which store, and what is left of it when a process or the machine dies.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mapio_map::{MapMode, MapOptions, Mapping};
use mapio_testkit::{Peer, SmallFs, pattern, pattern_at, report, skip};
use tempfile::TempDir;

const PAGE: usize = 4096;
const LEN: usize = 4 * PAGE + 100;

/// A process that has a file open and, if it was told so, mapped, and does what it is told with it.
struct Other(Peer);

impl Other {
    /// Starts one. The first thing that a test does: see [`Peer::start`].
    fn start(test: &str) -> Self {
        let (mut file, mut mapping) = (None, None);
        Self(Peer::start(test, move |request| obey(&mut file, &mut mapping, request)))
    }

    /// Opens a file and maps `len` bytes from `offset`.
    fn map(&mut self, mode: MapMode, path: &Path, offset: usize, len: usize) {
        let answer = self.0.ask(&format!("map {} {offset} {len} {}", name(mode), path.display()));
        assert_eq!(answer, "");
    }

    /// Loads bytes of its view.
    fn load(&mut self, offset: usize, len: usize) -> Vec<u8> {
        from_hex(&self.0.ask(&format!("load {offset} {len}")))
    }

    /// Stores bytes through its view.
    fn store(&mut self, offset: usize, bytes: &[u8]) {
        assert_eq!(self.0.ask(&format!("store {offset} {}", hex(bytes))), "");
    }

    /// Reads the file by read(2).
    fn read(&mut self, offset: usize, len: usize) -> Vec<u8> {
        from_hex(&self.0.ask(&format!("read {offset} {len}")))
    }

    /// Writes to the file by write(2).
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        assert_eq!(self.0.ask(&format!("write {offset} {}", hex(bytes))), "");
    }

    /// Dies as it stands.
    fn kill(self) {
        self.0.kill();
    }
}

/// The other process's side of [`Other`].
fn obey(file: &mut Option<File>, mapping: &mut Option<Mapping>, request: &str) -> String {
    let words: Vec<_> = request.splitn(5, ' ').collect();
    let number = |word: &str| word.parse::<usize>().expect("a number");
    let place = |word: &str| word.parse::<u64>().expect("a number");
    match (words.as_slice(), &*file, &*mapping) {
        (["map", mode, offset, len, path], ..) => {
            let opened = File::options().read(true).write(true).open(path).expect("a file");
            let options = MapOptions::new(mode_of(mode)).offset(place(offset)).len(number(len));
            *mapping = Some(options.map(&opened).expect("a mapping"));
            *file = Some(opened);
        }
        (["load", offset, len], _, Some(mapping)) => {
            let mut bytes = vec![0; number(len)];
            mapping.view().read_exact_at(number(offset), &mut bytes).expect("inside");
            return hex(&bytes);
        }
        (["store", offset, bytes], _, Some(mapping)) => {
            mapping.view().write_all_at(number(offset), &from_hex(bytes)).expect("inside");
        }
        (["read", offset, len], Some(file), _) => {
            let mut bytes = vec![0; number(len)];
            file.read_exact_at(&mut bytes, place(offset)).expect("inside");
            return hex(&bytes);
        }
        (["write", offset, bytes], Some(file), _) => {
            file.write_all_at(&from_hex(bytes), place(offset)).expect("room");
        }
        _ => panic!("what is `{request}`?"),
    }
    String::new()
}

fn name(mode: MapMode) -> &'static str {
    match mode {
        MapMode::ReadOnly => "read-only",
        MapMode::ReadWrite => "read-write",
        MapMode::CopyOnWrite => "copy-on-write",
    }
}

fn mode_of(word: &str) -> MapMode {
    let modes = [MapMode::ReadOnly, MapMode::ReadWrite, MapMode::CopyOnWrite];
    modes.into_iter().find(|&mode| name(mode) == word).expect("a mode")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("two digits");
    (0..text.len()).step_by(2).map(byte).collect()
}

/// A file of [`LEN`] bytes that several processes can open, with [`pattern`] in it.
fn shared_file() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("file");
    fs::write(&path, pattern(LEN)).expect("room");
    (dir, path)
}

fn bytes_of(mapping: &Mapping, offset: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    mapping.view().read_exact_at(offset, &mut bytes).expect("inside");
    bytes
}

/// Places and lengths: each width, both ends, unaligned, across pages.
const PLACES: [(usize, usize); 12] = [
    (0, 1),
    (1, 1),
    (2, 2),
    (4, 4),
    (8, 8),
    (13, 8),
    (PAGE - 1, 2),
    (PAGE + 3, 5),
    (2 * PAGE - 100, 300),
    (100, 3 * PAGE),
    (LEN - 1, 1),
    (LEN - 50, 50),
];

#[test]
fn a_store_of_one_process_is_seen_at_once_by_every_other() {
    let test = "sharing::a_store_of_one_process_is_seen_at_once_by_every_other";
    let (mut writer, mut reader) = (Other::start(test), Other::start(test));
    let (_dir, path) = shared_file();
    writer.map(MapMode::ReadWrite, &path, 0, LEN);
    reader.map(MapMode::ReadOnly, &path, 0, LEN);
    let ours = MapOptions::read_write().open(&path).expect("a mapping");
    let mut seen = 0;
    for round in 0..20_u8 {
        for (offset, len) in PLACES {
            writer.store(offset, &vec![round; len]);
            assert_eq!(reader.load(offset, len), vec![round; len]);
            assert_eq!(bytes_of(&ours, offset, len), vec![round; len]);
            ours.view().fill(offset..offset + len, !round).expect("inside");
            assert_eq!(reader.load(offset, len), vec![!round; len]);
            assert_eq!(writer.load(offset, len), vec![!round; len]);
            seen += 4;
        }
    }
    report("stores between 3 processes", &format!("{} stores, each seen twice: {seen} loads, 0 stale", seen / 2));
}

#[test]
fn a_copy_on_write_store_is_seen_by_nobody_else_and_not_by_the_file() {
    let test = "sharing::a_copy_on_write_store_is_seen_by_nobody_else_and_not_by_the_file";
    let (mut private, mut other) = (Other::start(test), Other::start(test));
    let (_dir, path) = shared_file();
    private.map(MapMode::CopyOnWrite, &path, 0, LEN);
    other.map(MapMode::ReadWrite, &path, 0, LEN);
    let mut expected = pattern(LEN);
    for (offset, len) in PLACES {
        private.store(offset, &vec![0xee; len]);
        expected[offset..offset + len].fill(0xee);
        assert_eq!(other.load(0, LEN), pattern(LEN));
        assert_eq!(private.read(0, LEN), pattern(LEN), "not even by read(2) in the same process");
        assert_eq!(fs::read(&path).expect("a file"), pattern(LEN));
        assert_eq!(private.load(0, LEN), expected);
    }
    // What others store there now is not seen where it was stored before. Elsewhere it may be or not (mmap(2)).
    for (offset, len) in PLACES {
        other.store(offset, &vec![0x11; len]);
        assert_eq!(private.load(offset, len), vec![0xee; len]);
    }
    report("copy-on-write", &format!("{} stores, seen by no other process and not by read(2)", PLACES.len()));
}

#[test]
fn stores_and_writes_are_one_to_all_processes() {
    let test = "sharing::stores_and_writes_are_one_to_all_processes";
    let (mut one, mut two) = (Other::start(test), Other::start(test));
    let (_dir, path) = shared_file();
    one.map(MapMode::ReadWrite, &path, 0, LEN);
    two.map(MapMode::ReadWrite, &path, 0, LEN);
    let mut seen = 0;
    for (round, (offset, len)) in (0_u8..).zip(PLACES) {
        one.store(offset, &vec![round; len]);
        assert_eq!(two.read(offset, len), vec![round; len], "a store, by read(2)");
        two.write(offset, &vec![!round; len]);
        assert_eq!(one.load(offset, len), vec![!round; len], "a write(2), by a load");
        assert_eq!(one.read(offset, len), two.load(offset, len));
        seen += 3;
    }
    report("stores and write(2)", &format!("{seen} of {seen} seen by the other process"));
}

#[test]
fn windows_at_odd_offsets_show_the_same_bytes_as_the_whole() {
    let test = "sharing::windows_at_odd_offsets_show_the_same_bytes_as_the_whole";
    let mut other = Other::start(test);
    let (_dir, path) = shared_file();
    let whole = MapOptions::read_write().open(&path).expect("a mapping");
    let windows = [(PAGE + 1 + 3, 5), (1, 1), (PAGE - 1, 2), (2 * PAGE - 1, PAGE + 3), (7, LEN - 7), (LEN - 3, 3)];
    for (offset, len) in windows {
        other.map(MapMode::ReadWrite, &path, offset, len);
        assert_eq!(other.load(0, len), bytes_of(&whole, offset, len));
        // Its first and last byte, and what lies beside them.
        let before = bytes_of(&whole, 0, LEN);
        other.store(0, &[0xaa]);
        other.store(len - 1, &[0xbb]);
        let mut expected = before;
        expected[offset] = 0xaa;
        expected[offset + len - 1] = 0xbb;
        assert_eq!(bytes_of(&whole, 0, LEN), expected);
        whole.view().write_all_at(offset, &pattern(offset + len)[offset..]).expect("inside");
        assert_eq!(other.load(0, len), pattern(offset + len)[offset..]);
        // A slice of a view of ours is the same window again.
        let slice = whole.view().slice(offset..offset + len).expect("inside");
        let mut bytes = vec![0; len];
        slice.read_exact_at(0, &mut bytes).expect("inside");
        assert_eq!(other.load(0, len), bytes);
    }
    assert_eq!(fs::read(&path).expect("a file"), pattern(LEN));
    report("windows at odd offsets", &format!("{} windows, each the same in both processes", windows.len()));
}

#[test]
fn a_process_that_is_killed_loses_none_of_its_stores() {
    let test = "sharing::a_process_that_is_killed_loses_none_of_its_stores";
    let mut others: Vec<_> = PLACES.map(|_| Other::start(test)).into();
    let (_dir, path) = shared_file();
    let mut expected = pattern(LEN);
    for (byte, (offset, len)) in (0xe0_u8..).zip(PLACES) {
        let mut other = others.pop().expect("one for each place");
        other.map(MapMode::ReadWrite, &path, 0, LEN);
        other.store(offset, &vec![byte; len]);
        other.kill();
        expected[offset..offset + len].fill(byte);
        assert!(fs::read(&path).expect("a file") == expected, "by read(2)");
        let mapping = MapOptions::read_only().open(&path).expect("a mapping");
        assert!(bytes_of(&mapping, 0, LEN) == expected, "by a load");
    }
    report("processes killed after a store", &format!("{} killed, 0 bytes lost", PLACES.len()));
}

/// What is done to a store before the power is lost.
#[derive(Debug, Clone, Copy)]
enum Before {
    Nothing,
    /// `View::flush`.
    Flush,
    /// The mapping is dropped and the file synced.
    DropAndSync,
}

/// Stores to a new file on a disk that loses its power then; answers whether the store is there afterwards.
fn survives(disk: &SmallFs, name: &str, before: Before) -> bool {
    let path = disk.path().join(name);
    fs::write(&path, pattern(LEN)).expect("room");
    let file = File::options().read(true).write(true).open(&path).expect("a file");
    file.sync_all().expect("a disk");
    let stored = PAGE + 3..2 * PAGE + 5;
    {
        let mapping = MapOptions::read_write().map(&file).expect("a mapping");
        let window = mapping.view().slice(stored.clone()).expect("inside");
        window.fill(.., 0xee).expect("room");
        match before {
            Before::Nothing | Before::DropAndSync => {}
            Before::Flush => window.flush().expect("a disk"),
        }
    }
    if let Before::DropAndSync = before {
        file.sync_all().expect("a disk");
    }
    drop(file);
    disk.lose_power().expect("no file of it is open");

    let left = fs::read(&path).expect("a file that was synced");
    assert_eq!(left.len(), LEN);
    assert!((0..LEN).filter(|at| !stored.contains(at)).all(|at| left[at] == pattern_at(at)), "nothing else changed");
    left[stored].iter().all(|&byte| byte == 0xee)
}

#[test]
fn a_loss_of_power_takes_the_stores_that_were_not_flushed_and_no_other() {
    let test = "a_loss_of_power_takes_the_stores_that_were_not_flushed_and_no_other";
    // Once to find out whether this machine can: an emulator does not know the ioctl.
    let disk = match SmallFs::ext4(16 << 20).and_then(|disk| disk.lose_power().map(|()| disk)) {
        Ok(disk) => disk,
        Err(error) => return skip(test, &format!("a disk that loses its power needs root and e2fsprogs: {error}")),
    };
    const ROUNDS: usize = 5;
    let count =
        |before: Before| (0..ROUNDS).filter(|round| survives(&disk, &format!("{before:?}-{round}"), before)).count();
    let (unflushed, flushed, synced) = (count(Before::Nothing), count(Before::Flush), count(Before::DropAndSync));
    assert_eq!(flushed, ROUNDS, "flush has promised it");
    assert_eq!(synced, ROUNDS, "fsync(2) has promised it");
    // The kernel may write back at any moment, also what nobody has asked it for; but not each time.
    assert!(unflushed < ROUNDS, "the loss of power has lost nothing");
    let figures = format!("not flushed {unflushed}, flushed {flushed}, mapping dropped and file synced {synced}");
    report("stores on ext4 that survive a loss of power", &format!("{figures}, of {ROUNDS} each"));
}
