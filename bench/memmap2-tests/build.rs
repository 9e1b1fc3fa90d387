//! Finds memmap2's source, and tells the tests where it is.
//!
//! Its unit tests are `test/map.rs`, which can be included as it is, and the module `tests` at the end of
//! `src/advice.rs`, which is cut out.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let source = source_of("memmap2");
    let map = read(&source.join("test/map.rs"));
    let advice = read(&source.join("src/advice.rs"));
    let start = advice.find("#[cfg(test)]\nmod tests {").expect("src/advice.rs ends with its tests");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where to write"));
    fs::write(out.join("map.rs"), &map).expect("room");
    fs::write(out.join("advice.rs"), &advice[start..]).expect("room");
    let count = [&map, &advice].map(|text| text.lines().filter(|line| line.trim() == "#[test]").count());
    println!("cargo::rustc-env=MEMMAP2_TESTS={}", count.iter().sum::<usize>());
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folder of a package that this one depends on.
fn source_of(name: &str) -> PathBuf {
    // Without the net if all is there, and it is: cargo has just built the package. Only other packages may be missing.
    let metadata = metadata(&["--offline"]).or_else(|_| metadata(&[])).unwrap_or_else(|error| panic!("{error}"));
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let package = packages.iter().find(|package| package["name"] == name).expect("a dependency of this package");
    let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
    manifest.parent().expect("a file is in a folder").to_owned()
}

fn metadata(more: &[&str]) -> Result<Value, String> {
    let cargo = env::var_os("CARGO").expect("cargo runs this");
    let target = env::var("TARGET").expect("cargo says for what");
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version=1", "--locked", "--filter-platform", &target]).args(more);
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}
