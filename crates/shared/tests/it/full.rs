//! A full `/dev/shm`, by one that is small, in a mount namespace of its own.

use std::env;
use std::fs;
use std::process::Command;

use mapio_shared::{Error, Lifetime, SharedObject, SharedOptions};
use mapio_testkit::skip;

/// Tells the test that it runs where `/dev/shm` is small.
const SMALL: &str = "MAPIO_TEST_SMALL_SHM";

fn names() -> Vec<String> {
    let entries = fs::read_dir("/dev/shm").unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_full_file_system_is_one_error_and_leaves_nothing() {
    let test = "full::a_full_file_system_is_one_error_and_leaves_nothing";
    if env::var_os(SMALL).is_some() {
        return in_small_shm();
    }
    let mount = "mount -t tmpfs -o size=128k,nr_inodes=8 tmpfs /dev/shm && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", mount, "sh"]).arg(env::current_exe().unwrap());
    let output = command.args(["--exact", test, "--nocapture"]).env(SMALL, "1").output();
    match output {
        Ok(output) if output.status.success() => {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains("in a small file system"), "{said}");
        }
        Ok(output) if String::from_utf8_lossy(&output.stdout).contains("in a small file system") => {
            panic!("{output:?}");
        }
        other => skip(test, &format!("no mount namespace can be made here: {other:?}")),
    }
}

fn in_small_shm() {
    println!("in a small file system");
    assert_eq!(names(), Vec::<String>::new());
    let too_large = SharedOptions::new().len(1 << 20);
    for options in [too_large.clone(), too_large.clone().raw(), too_large.lifetime(Lifetime::LastHandle)] {
        let error = options.create("large").unwrap_err();
        assert!(is_full(&error), "{error:?}");
        assert!(error.to_string().contains("large"), "{error}");
        assert_eq!(names(), Vec::<String>::new());
    }
    let small = SharedOptions::new().len(64 << 10).create("small").unwrap();
    // There is no room for a second one, which is not what is wrong.
    let error = SharedOptions::new().len(64 << 10).create("small").unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error:?}");
    // Its memory was set aside, so all of it can be written to.
    for at in (0..small.len()).step_by(4096) {
        small.view().store(at, 1_u8).unwrap();
    }
    assert!(is_full(&small.set_len(1 << 20).unwrap_err()));
    assert_eq!(small.reopen().unwrap().len(), 64 << 10);
    assert!(is_full(&SharedOptions::new().len(64 << 10).create("second").unwrap_err()));
    assert_eq!(names(), ["small"]);
    // No more files, though there is room: a System V object needs one for its locks.
    let mut fillers = Vec::new();
    while let Ok(file) = fs::File::create_new(format!("/dev/shm/filler-{}", fillers.len())) {
        fillers.push(file);
    }
    let error = SharedOptions::new().len(10).create("none").unwrap_err();
    assert!(is_full(&error), "{error:?}");
    let error = SharedOptions::new().len(10).create_sysv_private().unwrap_err();
    assert!(is_full(&error), "{error:?}");
    let own = std::process::id().to_string();
    let segments = fs::read_to_string("/proc/sysvipc/shm").unwrap();
    assert!(!segments.lines().any(|line| line.split_whitespace().nth(4) == Some(&own)), "{segments}");
    SharedObject::remove("small").unwrap();
}

fn is_full(error: &Error) -> bool {
    matches!(error, Error::Os { source, .. } if source.raw_os_error() == Some(libc::ENOSPC))
}
