use super::*;

fn facts(len: u64, file_system: FileSystem) -> Facts {
    Facts { from: file_system, to: file_system, same_device: true, processors: nonzero(8), ..Facts::new(len) }
}

fn auto(len: u64, file_system: FileSystem) -> (usize, usize, bool) {
    let plan = Plan::new(Request::default(), facts(len, file_system));
    assert_eq!(plan.engine, Engine::ReadWrite);
    (plan.buffer_bytes.get(), plan.threads.get(), plan.preallocate)
}

#[test]
fn auto_grows_with_the_file_and_knows_the_file_system() {
    assert_eq!(auto(0, FileSystem::Ext), (256 * KIB, 1, false));
    assert_eq!(auto((1 << 20) - 1, FileSystem::Ext), (256 * KIB, 1, false));
    assert_eq!(auto(1 << 20, FileSystem::Ext), (256 * KIB, 1, true));
    assert_eq!(auto(1 << 20, FileSystem::Xfs), (256 * KIB, 1, false));
    assert_eq!(auto(1 << 30, FileSystem::Ext), (512 * KIB, 2, true));
    assert_eq!(auto(1 << 30, FileSystem::Xfs), (512 * KIB, 2, false));
    assert_eq!(auto(1 << 30, FileSystem::Memory), (512 * KIB, 2, false));
    assert_eq!(auto(u64::MAX, FileSystem::Other), (512 * KIB, 2, false));
}

#[test]
fn a_large_source_that_is_not_cached_is_read_while_it_is_written() {
    let cold = |file_system, to_disk| {
        let facts = Facts { cached: Some(1 << 20), to_disk, ..facts(1 << 30, file_system) };
        let plan = Plan::new(Request::default(), facts);
        (plan.engine, plan.threads.get(), plan.preallocate)
    };
    assert_eq!(cold(FileSystem::Ext, false), (Engine::ReadWrite, 2, true));
    assert_eq!(cold(FileSystem::Xfs, false), (Engine::ReadWrite, 2, true));
    assert_eq!(cold(FileSystem::Btrfs, false), (Engine::ReadWrite, 2, false));
    assert_eq!(cold(FileSystem::Ext, true), (Engine::ReadWrite, 2, true));
    assert_eq!(cold(FileSystem::Xfs, true), (Engine::ReadWrite, 2, true));
    assert_eq!(cold(FileSystem::Btrfs, true), (Engine::ReadWrite, 2, false));
    let warm = Facts { cached: Some(1 << 30), to_disk: true, ..facts(1 << 30, FileSystem::Ext) };
    assert_eq!(Plan::new(Request::default(), warm).engine, Engine::ReadWrite);
}

#[test]
fn servers_copy_by_themselves_unless_holes_are_to_change() {
    for file_system in [FileSystem::Network, FileSystem::Zfs] {
        let engine = |request, facts| Plan::new(request, facts).engine;
        let facts = facts(5, file_system);
        let offloaded = if sys::OFFLOADS { Engine::CopyFileRange } else { Engine::ReadWrite };
        assert_eq!(engine(Request::default(), facts), offloaded);
        assert_eq!(engine(Request::default(), Facts { same_device: false, ..facts }), Engine::ReadWrite);
        assert_eq!(engine(Request::default(), Facts { len: 0, ..facts }), Engine::ReadWrite);
        for sparse in [Sparse::Always, Sparse::Never] {
            assert_eq!(engine(Request { sparse, ..Request::default() }, facts), Engine::ReadWrite);
        }
    }
}

#[test]
fn blocks_are_shared_where_that_may_work_and_nothing_speaks_against_it() {
    let reflink = |request, facts| Plan::new(request, facts).reflink;
    for (file_system, expected) in [
        (FileSystem::Btrfs, Reflink::Auto),
        (FileSystem::Xfs, Reflink::Auto),
        (FileSystem::Network, Reflink::Auto),
        (FileSystem::Other, Reflink::Auto),
        (FileSystem::Ext, Reflink::Never),
        (FileSystem::Memory, Reflink::Never),
        (FileSystem::Kernel, Reflink::Never),
    ] {
        assert_eq!(reflink(Request::default(), facts(5, file_system)), expected, "{file_system}");
        let always = Request { reflink: Reflink::Always, ..Request::default() };
        assert_eq!(reflink(always, facts(5, file_system)), Reflink::Always);
        let never = Request { reflink: Reflink::Never, ..Request::default() };
        assert_eq!(reflink(never, facts(5, file_system)), Reflink::Never);
    }
    let btrfs = facts(5, FileSystem::Btrfs);
    for sparse in [Sparse::Always, Sparse::Never] {
        assert_eq!(reflink(Request { sparse, ..Request::default() }, btrfs), Reflink::Never);
    }
    let asked = Request { engine: Some(Engine::ReadWrite), ..Request::default() };
    assert_eq!(reflink(asked, btrfs), Reflink::Never);
    assert_eq!(reflink(Request::default(), Facts { to: FileSystem::Xfs, ..btrfs }), Reflink::Never);
    // Subvolumes of btrfs have device numbers of their own.
    assert_eq!(reflink(Request::default(), Facts { same_device: false, ..btrfs }), Reflink::Auto);
}

#[test]
fn holes_are_treated_as_cp_treats_them() {
    let holes = |sparse, allocated| {
        let facts = Facts { allocated, ..facts(10_000, FileSystem::Ext) };
        Plan::new(Request { sparse, ..Request::default() }, facts).holes
    };
    assert_eq!(holes(Sparse::Auto, 12_288), Holes::Absent);
    assert_eq!(holes(Sparse::Auto, 8192), Holes::Kept);
    for allocated in [0, 12_288] {
        assert_eq!(holes(Sparse::Always, allocated), Holes::Made);
        assert_eq!(holes(Sparse::Never, allocated), Holes::Filled);
    }
    let request = Request { sparse: Sparse::Always, ..Request::default() };
    assert!(!Plan::new(request, facts(1 << 30, FileSystem::Ext)).preallocate);
}

#[test]
fn what_is_to_be_on_the_disk_or_elsewhere_is_flushed_with_every_engine() {
    for engine in Engine::ALL.map(Some).into_iter().chain([None]) {
        let request = Request { engine, ..Request::default() };
        assert!(Plan::new(request, facts(1, FileSystem::Network)).flush);
        assert!(Plan::new(request, facts(1, FileSystem::Fuse)).flush);
        assert!(!Plan::new(request, facts(1, FileSystem::Ext)).flush);
        assert!(Plan::new(request, Facts { to_disk: true, ..facts(1, FileSystem::Ext) }).flush);
    }
}

#[test]
fn one_processor_gets_one_thread() {
    let facts = Facts { processors: nonzero(1), ..facts(1 << 30, FileSystem::Ext) };
    assert_eq!(Plan::new(Request::default(), facts).threads.get(), 1);
}

#[test]
fn what_was_asked_for_is_taken() {
    for engine in Engine::ALL {
        let request = Request { engine: Some(engine), buffer_bytes: NonZero::new(5), ..Request::default() };
        let plan = Plan::new(request, facts(1 << 30, FileSystem::Ext));
        assert_eq!((plan.engine, plan.buffer_bytes.get()), (engine, 5));
        let plan = Plan::new(Request { threads: NonZero::new(3), ..request }, facts(1 << 30, FileSystem::Ext));
        assert_eq!(plan.threads.get(), if engine.has_threads() { 3 } else { 1 }, "{engine}");
    }
    let request = Request { buffer_bytes: NonZero::new(7), ..Request::default() };
    assert_eq!(Plan::new(request, facts(1, FileSystem::Xfs)).buffer_bytes.get(), 7);
}

#[test]
fn the_reason_tells_the_facts() {
    let facts = Facts { cached: Some(77), allocated: 4096, ..facts(1 << 30, FileSystem::Xfs) };
    let reason = Plan::new(Request::default(), facts).reason();
    for word in ["1073741824 bytes", "4096 have blocks", "77 of them", "from XFS to XFS", "read-write", "holes stay"] {
        assert!(reason.contains(word), "{reason}");
    }
    for engine in Engine::ALL {
        let request = Request { engine: Some(engine), ..Request::default() };
        assert!(Plan::new(request, facts).reason().contains(&format!("{engine} was asked for")));
    }
}

#[test]
fn the_reason_is_not_that_of_another_plan() {
    let reason = |request, facts| Plan::new(request, facts).reason();
    for cached in [None, Some(0)] {
        let large = Facts { cached, ..facts(1 << 30, FileSystem::Ext) };
        let two = reason(Request::default(), large);
        assert!(two.contains("with 2 threads, s"), "{two}");
        let one = reason(Request::default(), Facts { processors: nonzero(1), ..large });
        assert!(one.contains("with one thread, since there is one processor"), "{one}");
        let asked = reason(Request { threads: NonZero::new(1), ..Request::default() }, large);
        assert!(asked.contains("with 1 thread(s) and buffers of 524288 bytes, some of which was asked for"), "{asked}");
    }
    let request = Request { buffer_bytes: NonZero::new(1 << 30), ..Request::default() };
    for len in [5, 2 << 20] {
        let asked = reason(request, facts(len, FileSystem::Ext));
        assert!(!asked.contains("small buffer") && asked.contains("buffers of 1073741824 bytes"), "{asked}");
    }
}
