//! Our own command: built from this repository, so that what is measured is what is there.

use std::env;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;
use tempfile::TempDir;

/// The workspace that has the command.
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");

/// mapio under the names by which it is called.
pub struct Mapio {
    folder: TempDir,
}

impl Mapio {
    /// Takes this program; or builds it; or, without the repository, takes the one beside this bench.
    pub fn find(given: Option<PathBuf>) -> anyhow::Result<Self> {
        let program = match given {
            Some(program) => program,
            None if Path::new(MANIFEST).exists() => build()?,
            None => env::current_exe()?.with_file_name("mapio"),
        };
        let program = std::fs::canonicalize(&program).with_context(|| format!("no mapio at {}", program.display()))?;
        let folder = tempfile::tempdir().context("making a folder for links")?;
        for name in ["cp", "mapio"] {
            symlink(&program, folder.path().join(name)).context("linking mapio")?;
        }
        Ok(Self { folder })
    }

    /// A link that makes it behave as cp does.
    pub fn cp(&self) -> PathBuf {
        self.folder.path().join("cp")
    }

    /// A link by its own name.
    pub fn mapio(&self) -> PathBuf {
        self.folder.path().join("mapio")
    }
}

/// Builds the release, and answers where cargo says that it is.
fn build() -> anyhow::Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--package", "mapio-cli", "--message-format", "json-render-diagnostics"]);
    let said =
        command.args(["--manifest-path", MANIFEST]).stderr(Stdio::inherit()).output().context("starting cargo")?;
    ensure!(said.status.success(), "mapio can't be built");
    let said = String::from_utf8_lossy(&said.stdout);
    let executable = |line| serde_json::from_str::<Value>(line).ok()?["executable"].as_str().map(PathBuf::from);
    said.lines()
        .filter_map(executable)
        .find(|path| path.ends_with("mapio"))
        .context("cargo does not say where mapio is")
}
