//! The contract of the engines: one table of cases, run over every engine and file system, against a naive oracle.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::num::NonZero;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use mapio_copy::{
    Engine, Error, Facts, FileSystem, Meter, NamedFile, Plan, Reflink, Request, Sparse, Transferred, Workspace,
    transfer,
};
use mapio_map::FaultKind;
use mapio_testkit::{FaultyFs, SmallFs, pattern, report, skip};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

const PAGE: usize = 4096;
const MIB: usize = 1 << 20;

/// A folder on a file system.
struct Place {
    name: &'static str,
    folder: PathBuf,
    /// Keeps it there.
    _keeper: Keeper,
}

/// What keeps a folder.
#[expect(dead_code, reason = "only kept")]
enum Keeper {
    Folder(tempfile::TempDir),
    FileSystem(SmallFs),
}

/// A folder on each file system that there is.
fn places() -> Vec<Place> {
    let folder =
        |name, dir: tempfile::TempDir| Place { name, folder: dir.path().to_owned(), _keeper: Keeper::Folder(dir) };
    let mut places = vec![folder("temporary folder", tempfile::tempdir().expect("a folder"))];
    match tempfile::tempdir_in("/dev/shm") {
        Ok(dir) => places.push(folder("tmpfs", dir)),
        Err(error) => skip("engines on tmpfs", &error.to_string()),
    }
    for (name, made) in [
        ("ext4", SmallFs::ext4(96 << 20)),
        ("XFS", SmallFs::xfs(0)),
        ("btrfs", SmallFs::btrfs(256 << 20)),
        ("overlay", SmallFs::overlay()),
    ] {
        match made {
            Ok(fs) => {
                places.push(Place { name, folder: fs.path().to_owned(), _keeper: Keeper::FileSystem(fs) });
            }
            Err(error) => skip(&format!("engines on {name}"), &error.to_string()),
        }
    }
    places
}

/// A source: its bytes, and where in the file they are.
struct Case {
    name: String,
    len: usize,
    data: Vec<(usize, usize)>,
}

fn cases() -> Vec<Case> {
    let lengths = [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 5 * MIB + 123];
    let dense = lengths.map(|len| Case { name: format!("{len} bytes"), len, data: vec![(0, len)] });
    let sparse = [
        ("all hole", 5 * MIB + 7, vec![]),
        ("hole at the start", 3 * MIB, vec![(MIB, 2 * MIB)]),
        ("hole at the end", 3 * MIB + 5, vec![(0, MIB)]),
        ("hole in the middle", 3 * MIB, vec![(0, MIB), (2 * MIB, MIB)]),
        ("holes all over", 5 * MIB, (1..9).map(|i| (i * MIB / 2 + 64 * 1024, 64 * 1024)).collect()),
        ("data that starts and ends anywhere", 5 * MIB + 1, vec![(MIB + 1, 70_001), (4 * MIB + 4095, 2)]),
        ("one byte behind a hole", MIB + 1, vec![(MIB, 1)]),
    ];
    let sparse = sparse.map(|(name, len, data)| Case { name: name.to_owned(), len, data });
    dense.into_iter().chain(sparse).collect()
}

impl Case {
    /// Makes the source in a folder.
    fn make(&self, folder: &Path) -> PathBuf {
        let path = folder.join("source");
        let file = File::create(&path).expect("room");
        file.set_len(file_len(self.len)).expect("room");
        for &(at, len) in &self.data {
            file.write_all_at(&pattern(len), file_len(at)).expect("room");
        }
        path
    }
}

fn file_len(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("small")
}

/// Every engine, and the choice of the fastest; each with the buffers and threads that matter.
fn requests() -> Vec<Request> {
    let mut requests = Vec::new();
    // First as planned, then in odd pieces by several threads.
    for engine in Engine::ALL.map(Some).into_iter().chain([None]) {
        let plain = Request { engine, ..Request::default() };
        requests.push(plain);
        requests.push(Request { buffer_bytes: NonZero::new(40_961), threads: NonZero::new(3), ..plain });
    }
    requests
}

/// As `requests`, with everything that can become of holes; some of these engines fall back for some of that.
fn requests_for_holes() -> Vec<Request> {
    let mut requests = requests();
    for engine in Engine::ALL.map(Some).into_iter().chain([None]) {
        for sparse in [Sparse::Always, Sparse::Never] {
            requests.push(Request { engine, sparse, threads: NonZero::new(2), ..Request::default() });
        }
    }
    requests
}

/// The ranges of a file that the file system takes for data.
fn data_ranges(file: &File) -> Vec<(u64, u64)> {
    let mut ranges = Vec::new();
    let mut at = 0;
    loop {
        match seek(file, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => return ranges,
            start => {
                let start = start.expect("lseek");
                at = seek(file, SeekFrom::Hole(start)).expect("lseek");
                ranges.push((start, at));
            }
        }
    }
}

/// The blocks of a file that are not all zeros, as ranges.
fn blocks_with_data(bytes: &[u8]) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for (index, block) in bytes.chunks(PAGE).enumerate() {
        let start = file_len(index * PAGE);
        let end = start + file_len(block.len());
        match ranges.last_mut() {
            _ if block == &[0; PAGE][..block.len()] => {}
            Some(last) if last.1 == start => last.1 = end,
            _ => ranges.push((start, end)),
        }
    }
    ranges
}

/// Copies to a new file, and answers it.
fn copy(source: &File, len: u64, request: Request, folder: &Path) -> (Result<Transferred, Error>, File) {
    let destination = tempfile::tempfile_in(folder).expect("room");
    let plan = Plan::new(request, Facts::between(source, &destination));
    let (from, to) = (Path::new("source"), Path::new("destination"));
    let (from, to) = (NamedFile::new(source, from), NamedFile::new(&destination, to));
    let transferred = transfer(from, to, len, &plan, &Meter::new(), &mut Workspace::new());
    (transferred, destination)
}

fn bytes_of(file: &File) -> Vec<u8> {
    let len = file.metadata().expect("a file").len();
    let mut bytes = vec![0; usize::try_from(len).expect("small")];
    file.read_exact_at(&mut bytes, 0).expect("the copy");
    bytes
}

#[test]
fn every_engine_keeps_the_contract_on_every_file_system() {
    let places = places();
    check_from_each_to_each(&places);
    for place in places {
        let mut passed: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for case in cases() {
            let path = case.make(&place.folder);
            let expected = fs::read(&path).expect("the source");
            // Appending is what it is open for, besides; engines must not mind.
            let source = File::options().read(true).append(true).open(&path).expect("the source");
            let source_data = data_ranges(&source);
            // What becomes of holes does not depend on the length, and half as many cases take half the time.
            let has_holes = case.data.iter().map(|(_, len)| len).sum::<usize>() < case.len;
            let requests = if has_holes || case.len < PAGE { requests_for_holes() } else { requests() };
            for request in requests {
                let name = request.engine.map_or("auto", Engine::name);
                let what = format!("{name}, {}, {}, {request:?}", place.name, case.name);
                let (transferred, destination) = copy(&source, file_len(case.len), request, &place.folder);
                let transferred = transferred.unwrap_or_else(|error| panic!("{what}: {error:?}"));
                assert!(bytes_of(&destination) == expected, "{what}: other bytes");
                assert_eq!(transferred.bytes, file_len(case.len), "{what}");
                if transferred.fallback.is_none() && request.engine.is_some() && case.len > 0 {
                    assert_eq!(Some(transferred.engine), request.engine, "{what}");
                }
                check_holes(&what, request, &transferred, &source_data, &expected, &destination);
                let counts = passed.entry(name.to_owned()).or_default();
                counts.0 += 1;
                counts.1 += usize::from(transferred.fallback.is_some());
            }
        }
        for (engine, (cases, fallbacks)) in passed {
            let words = format!("{engine}: {cases} cases passed, {fallbacks} of them by falling back");
            report(&format!("contract on {}", place.name), &words);
        }
    }
}

/// Copies short files from each file system to each other one.
fn check_from_each_to_each(places: &[Place]) {
    let cases = [vec![(0, 300_001)], vec![(65_536, 10_000), (200_000, 1)], vec![]];
    let cases = cases.map(|data| Case { name: format!("{data:?}"), len: 300_001, data });
    let mut passed = 0;
    for (from, case) in places.iter().flat_map(|from| cases.iter().map(move |case| (from, case))) {
        let source = File::open(case.make(&from.folder)).expect("the source");
        let expected = bytes_of(&source);
        for to in places {
            for request in requests().into_iter().step_by(2) {
                let (transferred, destination) = copy(&source, file_len(case.len), request, &to.folder);
                let what = format!("from {} to {}, {}, {request:?}", from.name, to.name, case.name);
                let transferred = transferred.unwrap_or_else(|error| panic!("{what}: {error:?}"));
                assert!(bytes_of(&destination) == expected, "{what}: other bytes");
                assert_eq!(transferred.bytes, file_len(case.len), "{what}");
                passed += 1;
            }
        }
    }
    let words = format!("{passed} cases passed, every engine, {} file systems", places.len());
    report("contract from each file system to each", &words);
}

/// Checks that holes are where they should be.
fn check_holes(
    what: &str,
    request: Request,
    transferred: &Transferred,
    source_data: &[(u64, u64)],
    bytes: &[u8],
    destination: &File,
) {
    let found = data_ranges(destination);
    let len = file_len(bytes.len());
    match request.sparse {
        _ if transferred.engine == Engine::Reflink => {}
        Sparse::Auto => assert_eq!(found, source_data, "{what}"),
        Sparse::Always => assert_eq!(found, blocks_with_data(bytes), "{what}"),
        Sparse::Never if bytes.is_empty() => assert_eq!(found, [], "{what}"),
        Sparse::Never => assert_eq!(found, [(0, len)], "{what}"),
    }
    if request.sparse == Sparse::Never {
        assert_eq!(transferred.hole_bytes, 0, "{what}");
    }
}

#[test]
fn a_source_with_fewer_bytes_than_asked_for_is_an_error_and_one_with_more_is_cut() {
    let mut checked = 0;
    // The file system has no part in it, but for how it treats holes.
    for place in places().into_iter().take(2) {
        for (len, asked) in [(5000, 5001), (5000, 4999), (PAGE, 3 * MIB), (3 * MIB, PAGE), (3 * MIB, 3 * MIB - 1)] {
            for data in [vec![(0, len)], vec![(0, 1)], vec![]] {
                let case = Case { name: String::new(), len, data };
                let source = File::open(case.make(&place.folder)).expect("the source");
                for request in requests() {
                    let (transferred, destination) = copy(&source, file_len(asked), request, &place.folder);
                    let what = format!("{}, {asked} of {len}, {request:?}", place.name);
                    match transferred {
                        Err(Error::Os { source, .. }) if asked > len => {
                            assert_eq!(source.kind(), ErrorKind::UnexpectedEof, "{what}: {source}");
                        }
                        Ok(_) if asked < len => {
                            assert!(bytes_of(&destination) == bytes_of(&source)[..asked], "{what}");
                        }
                        other => panic!("{what}: {other:?}"),
                    }
                    checked += 1;
                }
            }
        }
    }
    report("sources of other lengths", &format!("{checked} cases passed"));
}

#[test]
fn the_kernels_own_files_are_read_to_their_end_by_every_engine() {
    let dir = tempfile::tempdir().expect("a folder");
    for path in ["/proc/version", "/proc/self/limits", "/sys/kernel/mm/transparent_hugepage/enabled"] {
        let Ok(expected) = fs::read(path) else {
            skip("the kernel's own files", &format!("{path} is not there"));
            continue;
        };
        let source = File::open(path).expect("it was there");
        for request in requests() {
            let (transferred, destination) = copy(&source, 0, request, dir.path());
            let transferred = transferred.unwrap_or_else(|error| panic!("{path}, {request:?}: {error:?}"));
            assert_eq!(bytes_of(&destination), expected, "{path}, {request:?}");
            assert_eq!(transferred.engine, Engine::ReadWrite);
            let is_other = request.engine.is_some_and(|engine| engine != Engine::ReadWrite);
            assert_eq!(transferred.fallback.is_some(), is_other, "{path}, {request:?}");
        }
    }
}

#[test]
fn shared_blocks_that_must_be_and_cannot_are_an_error() {
    let request = Request { reflink: Reflink::Always, ..Request::default() };
    for place in places() {
        for len in [0, 5000, MIB] {
            let case = Case { name: String::new(), len, data: vec![(0, len)] };
            let source = File::open(case.make(&place.folder)).expect("the source");
            let (transferred, destination) = copy(&source, file_len(len), request, &place.folder);
            match (place.name, transferred) {
                ("XFS" | "btrfs", Ok(transferred)) => {
                    assert_eq!(transferred.engine, Engine::Reflink);
                    assert!(bytes_of(&destination) == bytes_of(&source));
                }
                ("tmpfs" | "ext4", Err(Error::Os { operation, .. })) => assert_eq!(operation, "failed to clone"),
                // Whatever is below.
                ("temporary folder" | "overlay", _) => {}
                (name, other) => panic!("{name}, {len}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_file_that_fits_the_buffer_takes_one_read_and_one_write() {
    let dir = tempfile::tempdir().expect("a folder");
    let source = tempfile::tempfile_in(dir.path()).expect("room");
    source.write_all_at(&pattern(5000), 0).expect("room");
    let destination = tempfile::tempfile_in(dir.path()).expect("room");
    let path = Path::new("file");
    let plan = Plan::new(Request { reflink: Reflink::Never, ..Request::default() }, Facts::new(5000));
    let meter = Meter::new();
    let (from, to) = (NamedFile::new(&source, path), NamedFile::new(&destination, path));
    transfer(from, to, 5000, &plan, &meter, &mut Workspace::new()).expect("a copy");
    assert_eq!((meter.calls(), meter.bytes(), meter.files()), (2, 5000, 1));
}

#[test]
fn a_copy_that_was_stopped_says_so_with_every_engine() {
    let dir = tempfile::tempdir().expect("a folder");
    let source = tempfile::tempfile_in(dir.path()).expect("room");
    source.write_all_at(&pattern(3 * MIB), 0).expect("room");
    let meter = Meter::new();
    meter.stop();
    for engine in Engine::ALL {
        let destination = tempfile::tempfile_in(dir.path()).expect("room");
        let request = Request { engine: Some(engine), ..Request::default() };
        let plan = Plan::new(request, Facts::between(&source, &destination));
        let path = Path::new("file");
        let (from, to) = (NamedFile::new(&source, path), NamedFile::new(&destination, path));
        match transfer(from, to, file_len(3 * MIB), &plan, &meter, &mut Workspace::new()) {
            Err(Error::Cancelled { .. }) => {}
            // Sharing is one step.
            Ok(transferred) if transferred.engine == Engine::Reflink => {}
            other => panic!("{engine}: {other:?}"),
        }
    }
    assert_eq!(meter.bytes(), 0);
}

#[test]
fn a_limited_copy_is_whole_with_every_engine() {
    let dir = tempfile::tempdir().expect("a folder");
    let source = tempfile::tempfile_in(dir.path()).expect("room");
    source.write_all_at(&pattern(MIB + 5), 0).expect("room");
    for engine in Engine::ALL {
        let destination = tempfile::tempfile_in(dir.path()).expect("room");
        let request = Request { engine: Some(engine), threads: NonZero::new(2), ..Request::default() };
        let plan = Plan::new(request, Facts::between(&source, &destination));
        let path = Path::new("file");
        let (from, to) = (NamedFile::new(&source, path), NamedFile::new(&destination, path));
        // Fast enough not to wait for, and slow enough for more pieces than one.
        let meter = Meter::new().limit(NonZero::new(64 << 20).expect("not zero"));
        transfer(from, to, file_len(MIB + 5), &plan, &meter, &mut Workspace::new()).expect("a copy");
        assert!(bytes_of(&destination) == pattern(MIB + 5), "{engine}");
    }
}

/// The blocks that GNU cp gives the copy, as the oracle.
#[test]
fn a_copy_has_as_many_blocks_as_one_by_cp() {
    let test = "engines::a_copy_has_as_many_blocks_as_one_by_cp";
    let dir = tempfile::tempdir().expect("a folder");
    let file_system = FileSystem::of(File::open(dir.path()).expect("a folder"));
    if !matches!(file_system, FileSystem::Ext | FileSystem::Memory) {
        return skip(test, &format!("{file_system} gives files more blocks than they need, and takes its time"));
    }
    // The last nine: those with holes, and the two longest without.
    for case in cases().into_iter().skip(7) {
        let path = case.make(dir.path());
        let source = File::open(&path).expect("the source");
        for (sparse, name) in [(Sparse::Auto, "auto"), (Sparse::Always, "always"), (Sparse::Never, "never")] {
            let copied = dir.path().join("copied");
            // Blocks are not to be shared, which cp does where it can.
            let mut cp = Command::new("cp");
            let cp = cp.args(["--reflink=never", &format!("--sparse={name}")]).args([&path, &copied]);
            match cp.status() {
                Ok(status) if status.success() => {}
                other => return skip(test, &format!("cp, of GNU coreutils, is needed: {other:?}")),
            }
            let expected = blocks_on_disk(&File::open(&copied).expect("the copy"));
            for engine in Engine::ALL.map(Some).into_iter().chain([None]) {
                let request = Request { engine, sparse, reflink: Reflink::Never, ..Request::default() };
                let (transferred, destination) = copy(&source, file_len(case.len), request, dir.path());
                if transferred.expect("a copy").engine != Engine::Reflink {
                    assert_eq!(blocks_on_disk(&destination), expected, "{request:?}, {}", case.name);
                }
            }
        }
    }
}

/// The blocks of a file, after it has got them.
fn blocks_on_disk(file: &File) -> u64 {
    file.sync_all().expect("a disk");
    file.metadata().expect("a file").blocks()
}

#[test]
fn a_source_that_can_not_be_read_is_an_error_with_every_engine() {
    const LEN: usize = 3 * MIB;
    let test = "engines::a_source_that_can_not_be_read_is_an_error_with_every_engine";
    let mut fs = match FaultyFs::new(test, LEN) {
        Ok(fs) => fs,
        Err(error) => return skip(test, &error.to_string()),
    };
    let dir = tempfile::tempdir().expect("a folder");
    for request in requests() {
        for at in [0, 2 * MIB + 5, LEN - 1] {
            fs.fail_reads(at..at + 1, Errno::IO.raw_os_error());
            let source = File::open(fs.file()).expect("the source");
            match copy(&source, file_len(LEN), request, dir.path()).0 {
                Err(Error::Os { operation, source, .. }) => {
                    assert_eq!(source.raw_os_error(), Some(Errno::IO.raw_os_error()), "{operation}, {request:?}");
                }
                Err(Error::Fault { kind, .. }) => {
                    assert_eq!(kind, FaultKind::Io(Errno::IO.raw_os_error()), "{request:?}");
                }
                other => panic!("{request:?}, byte {at}: {other:?}"),
            }
        }
        fs.fail_reads(0..0, Errno::IO.raw_os_error());
        let source = File::open(fs.file()).expect("the source");
        let (transferred, destination) = copy(&source, file_len(LEN), request, dir.path());
        transferred.unwrap_or_else(|error| panic!("{request:?}: {error:?}"));
        assert!(bytes_of(&destination) == pattern(LEN), "{request:?}");
    }
}

/// Cuts the source while it is copied. Whether that comes in the middle is the scheduler's choice; whenever it comes,
/// the copy fails or is right.
#[test]
fn a_source_that_is_cut_in_the_middle_is_an_error_or_was_read_before_with_every_engine() {
    const LEN: usize = 8 * MIB;
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    let bytes = pattern(LEN);
    let path = dir.path().join("source");
    for request in requests() {
        let mut errors = 0;
        for _attempt in 0..4 {
            fs::write(&path, &bytes).expect("room");
            let source = File::options().read(true).write(true).open(&path).expect("own file");
            let destination = tempfile::tempfile_in(dir.path()).expect("room");
            let plan = Plan::new(request, Facts::between(&source, &destination));
            let meter = Meter::new();
            let transferred = std::thread::scope(|scope| {
                let copying = scope.spawn(|| {
                    let (from, to) = (NamedFile::new(&source, &path), NamedFile::new(&destination, &path));
                    transfer(from, to, file_len(LEN), &plan, &meter, &mut Workspace::new())
                });
                while meter.bytes() == 0 && !copying.is_finished() {
                    std::hint::spin_loop();
                }
                source.set_len(4096 + 5).expect("own file");
                copying.join().expect("no panic")
            });
            match transferred {
                Ok(_) => assert!(bytes_of(&destination) == bytes, "{request:?}: other bytes"),
                Err(Error::Os { source, .. }) => {
                    assert_eq!(source.kind(), ErrorKind::UnexpectedEof, "{request:?}");
                    errors += 1;
                }
                Err(error) => panic!("{request:?}: {error:?}"),
            }
        }
        let name = request.engine.map_or("auto", Engine::name);
        report("sources that are cut", &format!("{name}: {errors} errors and {} right copies", 4 - errors));
    }
}
