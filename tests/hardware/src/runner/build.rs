//! Builds what runs in the guest: the guest program and `mapio`, statically linked.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::machine::Machine;

/// What runs in the guest.
pub(crate) struct Programs {
    /// The guest program, its first process.
    pub(crate) guest: PathBuf,
    /// The command.
    pub(crate) mapio: PathBuf,
}

/// Cargo's target folder: this program is in a folder of it.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let program = std::env::current_exe().context("finding out where this program is")?;
    let folder = program.ancestors().nth(2).context("this program is in no folder")?;
    Ok(folder.to_owned())
}

/// Builds for a machine; the inner error is why that can't be tried on this one.
pub(crate) fn programs(machine: &Machine, target: &Path) -> Result<Result<Programs, String>> {
    if let Err(error) = add_target(machine.triple) {
        return Ok(Err(format!("no standard library for {}: {error:#}", machine.triple)));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let linker = format!("CARGO_TARGET_{}_LINKER", machine.triple.to_uppercase().replace('-', "_"));
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--bin", "guest", "--bin", "mapio"])
        .args(["--package", "mapio-hardware", "--package", "mapio-cli", "--target", machine.triple])
        .arg("--target-dir")
        .arg(target.join("hardware/build"))
        // The toolchain's own, which links for any processor.
        .env(linker, "rust-lld")
        // Nothing here is measured but QEMU; it should be built soon.
        .envs([("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")])
        .envs([("CARGO_PROFILE_RELEASE_DEBUG", "false"), ("CARGO_PROFILE_RELEASE_STRIP", "true")])
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env_remove("RUSTFLAGS")
        .current_dir(root)
        .output()
        .context("running cargo")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "building for {}: {}\n{complaint}", machine.triple, output.status);
    let built = target.join("hardware/build").join(machine.triple).join("release");
    Ok(Ok(Programs { guest: built.join("guest"), mapio: built.join("mapio") }))
}

fn add_target(triple: &str) -> Result<()> {
    let added = Command::new("rustup").args(["target", "add", triple]).output().context("running rustup")?;
    ensure!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr).trim());
    Ok(())
}
