//! memmap2's own unit tests. They name what they test by `crate::` and `super::`, which is mapio's module `compat`
//! here.

// What the tests find at the root of memmap2.
#[allow(unused_imports, reason = "some of the tests are for other platforms")]
use mapio_map::compat::{Advice, Mmap, MmapMut, MmapOptions, RemapOptions, UncheckedAdvice};

#[allow(clippy::all, reason = "the text is memmap2's")]
mod map {
    include!(concat!(env!("OUT_DIR"), "/map.rs"));
}

mod advice {
    pub(crate) use mapio_map::compat::{Advice, UncheckedAdvice};

    include!(concat!(env!("OUT_DIR"), "/advice.rs"));
}

#[test]
fn none_of_them_is_lost() {
    // Two are for addresses of 32 bits only.
    let on_this = if cfg!(target_pointer_width = "32") { 0 } else { 2 };
    let run = env!("MEMMAP2_TESTS").parse::<usize>().expect("build.rs has counted") - on_this;
    let feature = usize::from(!cfg!(feature = "stable_deref_trait"));
    let listed = std::process::Command::new(std::env::current_exe().expect("this program")).arg("--list").output();
    let listed = String::from_utf8(listed.expect("it runs").stdout).expect("names of tests");
    let ours = "none_of_them_is_lost: test";
    let theirs = listed.lines().filter(|line| line.ends_with(": test") && *line != ours).count();
    assert_eq!(theirs, run - feature);
    use std::io::Write;
    // Past the harness, for the CI script. A closed standard error leaves nobody to tell.
    let _ = writeln!(std::io::stderr(), "figures: memmap2 0.9.12: {theirs} of its own tests");
}
