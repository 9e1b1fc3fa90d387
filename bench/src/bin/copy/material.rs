//! What is copied: files and trees, made anew for each case and always the same.

use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use mapio_bench::bytes_text;
use rustix::fs::{XattrFlags, setxattr};

/// Files of a tree have 0 to this many bytes.
const SMALL_MOST_BYTES: u64 = 16 << 10;
/// Bytes that are made at a time.
const BLOCK_BYTES: usize = 1 << 20;
/// The extended attribute of some files of a dressed tree.
const XATTR: &str = "user.bench";

/// What a source is like.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// One file without holes, of this many bytes.
    File(u64),
    /// One file of `len` bytes with this many pieces of data of 1 MiB each, evenly spread.
    Sparse { len: u64, pieces: u64 },
    /// Small files in folders.
    Tree { folders: usize, files: usize, dress: Dress },
}

/// What the files of a tree have besides their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dress {
    /// Nothing.
    Plain,
    /// Modes, times, some extended attributes; and links of both kinds among them.
    Full,
}

impl Shape {
    /// What it is, for a title.
    pub fn text(self) -> String {
        match self {
            Self::File(len) => format!("a file of {}", bytes_text(len)),
            Self::Sparse { len, pieces } => {
                format!("a file of {} with {} of data", bytes_text(len), bytes_text(pieces * BLOCK_BYTES as u64))
            }
            Self::Tree { folders: 1, files, .. } => format!("{files} files of 0 to 16 KiB in one folder"),
            Self::Tree { folders, files, .. } => format!("{files} files of 0 to 16 KiB in {folders} folders"),
        }
    }

    /// The room that a source and a copy with its holes filled take at most, in bytes.
    pub fn room_bytes(self) -> u64 {
        match self {
            Self::File(len) => 2 * len,
            Self::Sparse { len, pieces } => len + pieces * BLOCK_BYTES as u64,
            // A copy, a copy beside it while it is replaced, and as much for folders and the ends of blocks.
            Self::Tree { files, .. } => 4 * files as u64 * SMALL_MOST_BYTES,
        }
    }

    /// Bytes that a copy must not exceed in allocated blocks; `None` where all are to be allocated.
    pub fn most_allocated_bytes(self) -> Option<u64> {
        match self {
            Self::Sparse { pieces, .. } => Some(2 * pieces * BLOCK_BYTES as u64),
            Self::File(_) | Self::Tree { .. } => None,
        }
    }

    /// Makes it under a name that nothing has yet.
    pub fn make(self, path: &Path) -> anyhow::Result<()> {
        let mut random = Random::new();
        let made = match self {
            Self::File(len) => make_file(path, len, &mut random),
            Self::Sparse { len, pieces } => make_sparse(path, len, pieces, &mut random),
            Self::Tree { folders, files, dress } => make_tree(path, folders, files, dress, &mut random),
        };
        made.with_context(|| format!("making {}", self.text()))
    }
}

fn make_file(path: &Path, len: u64, random: &mut Random) -> anyhow::Result<()> {
    let mut file = BufWriter::with_capacity(BLOCK_BYTES, File::create_new(path)?);
    let mut left = len;
    while left > 0 {
        let bytes = left.min(BLOCK_BYTES as u64);
        file.write_all(&random.block()[..bytes as usize])?;
        left -= bytes;
    }
    Ok(file.flush()?)
}

fn make_sparse(path: &Path, len: u64, pieces: u64, random: &mut Random) -> anyhow::Result<()> {
    let file = File::create_new(path)?;
    file.set_len(len)?;
    // Aligned to blocks, since what a piece touches is allocated whole.
    let distance = (len / pieces) & !(BLOCK_BYTES as u64 - 1);
    for i in 0..pieces {
        file.write_all_at(random.block(), i * distance)?;
    }
    Ok(())
}

fn make_tree(path: &Path, folders: usize, files: usize, dress: Dress, random: &mut Random) -> anyhow::Result<()> {
    fs::create_dir(path)?;
    for folder in 0..folders {
        let folder = if folders == 1 { path.to_owned() } else { path.join(format!("folder-{folder:03}")) };
        if folders > 1 {
            fs::create_dir(&folder)?;
        }
        for i in 0..files / folders {
            let name = folder.join(format!("file-{i:05}"));
            let len = (random.next() % (SMALL_MOST_BYTES + 1)) as usize;
            fs::write(&name, &random.block()[..len])?;
            if dress == Dress::Full {
                dress_file(&name, i)?;
            }
        }
    }
    Ok(())
}

/// Gives a file attributes that depend on its number, and some of them links.
fn dress_file(name: &Path, i: usize) -> anyhow::Result<()> {
    if i % 10 == 3 {
        let path = CString::new(name.as_os_str().as_bytes())?;
        setxattr(&*path, XATTR, b"some value", XattrFlags::CREATE).context("setting an extended attribute")?;
    }
    let file = File::open(name)?;
    file.set_permissions(Permissions::from_mode([0o644, 0o600, 0o755, 0o444][i % 4]))?;
    file.set_modified(UNIX_EPOCH + Duration::new(1_600_000_000 + i as u64, 123_456_789))?;
    if i % 20 == 7 {
        symlink(name.file_name().context("a name")?, name.with_extension("symlink"))?;
    }
    if i % 50 == 9 {
        fs::hard_link(name, name.with_extension("link"))?;
    }
    Ok(())
}

/// xorshift64, and blocks of it that no tool takes for zeros or for each other.
struct Random {
    state: u64,
    block: Vec<u8>,
}

impl Random {
    fn new() -> Self {
        Self { state: 88_172_645_463_325_252, block: vec![0; BLOCK_BYTES] }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// The next block: a new word at the start of each 512 bytes does to tell blocks apart.
    fn block(&mut self) -> &[u8] {
        for start in (0..BLOCK_BYTES).step_by(512) {
            let word = self.next().to_ne_bytes();
            self.block[start..start + word.len()].copy_from_slice(&word);
        }
        &self.block
    }
}
