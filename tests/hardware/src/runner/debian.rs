//! Debian's kernels, fetched by apt-get from the archive that this machine uses, for processors that it need not have.
//!
//! What is kept of a package is the kernel, ready to be started, and the modules that are wanted, in a folder that comes
//! into being whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::machine::Machine;

/// A kernel to start.
pub(crate) struct Kernel {
    /// What QEMU loads.
    pub(crate) image: PathBuf,
    /// Modules in the order of loading, with their parameters.
    pub(crate) modules: Vec<(PathBuf, &'static str)>,
}

/// Fetches the kernel of a machine, if it is not kept yet.
pub(crate) fn fetch(machine: &Machine, folder: &Path) -> Result<()> {
    let kept = folder.join("kernel");
    if machine.modules.iter().all(|(name, _)| kept.join(format!("{name}.ko")).exists()) {
        return Ok(());
    }
    println!("  fetching {}", machine.kernel_package);
    let partial = folder.join("kernel.partial");
    remove(&partial)?;
    fs::create_dir(&partial).with_context(|| format!("making {}", partial.display()))?;
    let fetched = fetch_into(machine, &partial);
    if fetched.is_ok() {
        remove(&kept)?;
        fs::rename(partial.join("kept"), &kept).context("keeping the kernel")?;
    }
    remove(&partial)?;
    fetched
}

/// The kernel of a machine, which was fetched.
pub(crate) fn kernel(machine: &Machine, folder: &Path) -> Result<Kernel> {
    let kept = folder.join("kernel");
    let mut modules = Vec::new();
    for (name, parameters) in machine.modules {
        with_dependencies(&kept, name, parameters, &mut modules)?;
    }
    Ok(Kernel { image: kept.join("kernel"), modules })
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Fetches the package into a folder, and makes `kept` there.
fn fetch_into(machine: &Machine, folder: &Path) -> Result<()> {
    for state in ["lists/partial", "cache/archives/partial", "tree", "kept"] {
        fs::create_dir_all(folder.join(state)).context("making a folder for apt-get")?;
    }
    apt(machine, folder, "apt-get", &["update"])?;
    let depends = apt(machine, folder, "apt-cache", &["depends", machine.kernel_package])?;
    let package = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let package = package.with_context(|| format!("{} depends on no kernel", machine.kernel_package))?;
    apt(machine, folder, "apt-get", &["download", package])?;
    let tree = folder.join("tree");
    let file = find(folder, ".deb")?;
    run(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(&tree))?;
    let image = find(&tree.join("boot"), "")?;
    let kept = folder.join("kept");
    fs::write(kept.join("kernel"), startable(&image)?).context("writing the kernel")?;
    let release = find(&tree.join("lib/modules"), "")?;
    for (name, _) in machine.modules {
        keep_module(&release, name, &kept)?;
    }
    Ok(())
}

/// Runs a command of apt with a state of its own, as if this machine had the other processor.
fn apt(machine: &Machine, folder: &Path, command: &str, words: &[&str]) -> Result<String> {
    let option = |name: &str, path: &str| format!("{name}={}", folder.join(path).display());
    let mut apt = Command::new(command);
    apt.args(["-o", &format!("APT::Architecture={}", machine.debian)]);
    apt.args(["-o", &format!("APT::Architectures={}", machine.debian)]);
    apt.args(["-o", &option("Dir::State::lists", "lists"), "-o", &option("Dir::Cache", "cache")]);
    apt.args(["-o", "Dir::State::status=/dev/null", "-o", "APT::Sandbox::User=root", "-o", "APT::Get::List-Cleanup=0"]);
    run(apt.args(words).current_dir(folder))
}

/// Runs a command; answers what it has printed.
fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("running {name}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name}: {}", complaint.trim().lines().last().unwrap_or("it failed"));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The entry of a folder with that ending; without one, the kernel's, or the only one.
fn find(folder: &Path, ending: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path())).collect::<Vec<_>>();
    paths.retain(|path| path.to_string_lossy().ends_with(ending));
    if paths.len() > 1 {
        paths.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-")));
    }
    paths.pop().with_context(|| format!("{} has no *{ending}", folder.display()))
}

/// What QEMU starts fastest: of a compressed kernel for PCs, the kernel itself, which an emulated processor would take
/// seconds to unpack. Where it is packed otherwise, the file as it is.
fn startable(image: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(image).with_context(|| format!("reading {}", image.display()))?;
    // Documentation/arch/x86/boot.rst: setup_sects, header, payload_offset and payload_length.
    let number = |at: usize| {
        let four = bytes.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(four)).ok()
    };
    if bytes.get(0x202..0x206) != Some(b"HdrS") {
        return Ok(bytes);
    }
    let setup_bytes = (usize::from(bytes[0x1f1]) + 1) * 512;
    let payload = number(0x248).zip(number(0x24c)).and_then(|(offset, len)| {
        let start = setup_bytes.checked_add(offset)?;
        bytes.get(start..start.checked_add(len)?)
    });
    let Some(payload) = payload.filter(|payload| payload.starts_with(b"\xfd7zXZ")) else { return Ok(bytes) };
    let unpacked = unxz(image, payload)?;
    Ok(if unpacked.starts_with(b"\x7fELF") { unpacked } else { bytes })
}

/// Unpacks what xz(1) has packed; bytes behind it, the kernel's length for one, are no part of it.
fn unxz(beside: &Path, packed: &[u8]) -> Result<Vec<u8>> {
    let file = beside.with_extension("xz");
    fs::write(&file, packed).with_context(|| format!("writing {}", file.display()))?;
    let output = Command::new("xz").args(["--decompress", "--stdout", "--single-stream"]).arg(&file).output();
    let output = output.context("running xz")?;
    ensure!(!output.stdout.is_empty(), "xz: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(output.stdout)
}

/// Copies a module and what it depends on out of a package's `lib/modules/RELEASE`.
fn keep_module(release: &Path, name: &str, kept: &Path) -> Result<()> {
    let file = kept.join(format!("{name}.ko"));
    if file.exists() {
        return Ok(());
    }
    let Some(path) = find_module(&release.join("kernel"), name)? else {
        bail!("the kernel has no module {name}");
    };
    let mut bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    if path.extension().is_some_and(|extension| extension == "xz") {
        bytes = unxz(&path, &bytes)?;
    }
    fs::write(&file, &bytes).with_context(|| format!("writing {}", file.display()))?;
    dependencies(&bytes).iter().try_for_each(|needed| keep_module(release, needed, kept))
}

fn find_module(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry.context("reading a folder")?.path();
        if path.is_dir() {
            if let Some(found) = find_module(&path, name)? {
                return Ok(Some(found));
            }
        } else {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            let stem = file.split('.').next().unwrap_or_default().replace('-', "_");
            if stem == name && file.contains(".ko") {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

/// What a module says that it depends on: `depends=a,b` among the strings of its `.modinfo` (modinfo(8)).
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let found = module.windows(KEY.len()).position(|window| window == KEY);
    let value = found.and_then(|at| module[at + KEY.len()..].split(|byte| *byte == 0).next()).unwrap_or_default();
    let names = String::from_utf8_lossy(value).replace('-', "_");
    names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Adds a module behind those that it depends on.
fn with_dependencies(
    kept: &Path,
    name: &str,
    parameters: &'static str,
    modules: &mut Vec<(PathBuf, &'static str)>,
) -> Result<()> {
    let path = kept.join(format!("{name}.ko"));
    if modules.iter().any(|(listed, _)| *listed == path) {
        return Ok(());
    }
    let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    for needed in dependencies(&bytes) {
        with_dependencies(kept, &needed, "", modules)?;
    }
    modules.push((path, parameters));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_names_what_it_depends_on() {
        let module = b"\x7fELF...license=GPL\0depends=parport,uio-helper\0retpoline=Y\0";
        assert_eq!(dependencies(module), ["parport", "uio_helper"]);
        assert!(dependencies(b"\0depends=\0name=uio\0").is_empty());
        assert!(dependencies(b"nothing").is_empty());
    }
}
