//! Whether a copy is what its source is, looked at by other means than those that copy.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use rustix::fs::{SeekFrom, lgetxattr, llistxattr, seek};
use rustix::io::Errno;

/// Bytes that are compared at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// What of a file is to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Same {
    /// Kinds, names and bytes.
    Contents,
    /// Modes, owners, times, extended attributes and hard links, too.
    Everything,
}

/// Fails with what differs.
pub fn compare(source: &Path, copy: &Path, same: Same) -> anyhow::Result<()> {
    let name = copy.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (from, to) = (fs::symlink_metadata(source)?, status(copy)?);
    ensure!(from.file_type() == to.file_type(), "{name} is of another kind");
    if from.is_dir() {
        let (names, copied) = (names(source)?, names(copy)?);
        ensure!(names == copied, "{name} has {} entries instead of {}", copied.len(), names.len());
        for entry in &names {
            compare(&source.join(entry), &copy.join(entry), same)?;
        }
    } else if from.is_symlink() {
        ensure!(fs::read_link(source)? == fs::read_link(copy)?, "{name} links to something else");
    } else {
        ensure!(!to.file_type().is_fifo() && from.len() == to.len(), "{name} has {} bytes", to.len());
        compare_bytes(&File::open(source)?, &File::open(copy)?, &name)?;
    }
    if same == Same::Everything {
        compare_attributes(source, copy, &from, &to).with_context(|| name)?;
    }
    Ok(())
}

fn status(copy: &Path) -> anyhow::Result<Metadata> {
    fs::symlink_metadata(copy).map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow::anyhow!("there is no copy"),
        _ => error.into(),
    })
}

fn names(folder: &Path) -> anyhow::Result<BTreeSet<OsString>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
}

fn compare_attributes(source: &Path, copy: &Path, from: &Metadata, to: &Metadata) -> anyhow::Result<()> {
    ensure!(from.mode() == to.mode(), "has mode {:o} instead of {:o}", to.mode(), from.mode());
    ensure!((from.uid(), from.gid()) == (to.uid(), to.gid()), "has another owner");
    let time = |status: &Metadata| (status.mtime(), status.mtime_nsec());
    ensure!(time(from) == time(to), "has time {:?} instead of {:?}", time(to), time(from));
    ensure!(from.is_dir() || from.nlink() == to.nlink(), "has {} names instead of {}", to.nlink(), from.nlink());
    ensure!(xattrs(source)? == xattrs(copy)?, "has other extended attributes");
    Ok(())
}

/// The extended attributes, by name.
fn xattrs(path: &Path) -> anyhow::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut list = vec![0; 64 << 10];
    let len = match llistxattr(path, &mut list[..]) {
        Ok(len) => len,
        Err(Errno::OPNOTSUPP) => 0,
        Err(errno) => return Err(errno.into()),
    };
    let mut found = BTreeMap::new();
    for name in list[..len].split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 64 << 10];
        let len = lgetxattr(path, name, &mut value[..])?;
        value.truncate(len);
        found.insert(name.to_owned(), value);
    }
    Ok(found)
}

/// Compares where either has data: both read as zeros elsewhere.
fn compare_bytes(source: &File, copy: &File, name: &str) -> anyhow::Result<()> {
    let (in_source, in_copy) = (data(source)?, data(copy)?);
    let mut blocks = (vec![0; BLOCK_BYTES], vec![0; BLOCK_BYTES]);
    let missing = if in_source == in_copy { &[][..] } else { &in_source[..] };
    for range in in_copy.iter().chain(missing) {
        let mut offset = range.start;
        while offset < range.end {
            let len = (range.end - offset).min(BLOCK_BYTES as u64) as usize;
            source.read_exact_at(&mut blocks.0[..len], offset)?;
            copy.read_exact_at(&mut blocks.1[..len], offset)?;
            ensure!(blocks.0[..len] == blocks.1[..len], "{name} differs from byte {offset} on");
            offset += len as u64;
        }
    }
    Ok(())
}

/// The ranges that are no holes.
fn data(file: &File) -> anyhow::Result<Vec<Range<u64>>> {
    let (mut ranges, mut offset) = (Vec::new(), 0);
    loop {
        let start = match seek(file, SeekFrom::Data(offset)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(ranges),
            Err(errno) => return Err(errno.into()),
        };
        offset = seek(file, SeekFrom::Hole(start))?;
        ranges.push(start..offset);
    }
}

/// Changes a byte of each file of a tree.
pub fn spoil(path: &Path) -> anyhow::Result<()> {
    let status = fs::symlink_metadata(path)?;
    if status.is_dir() {
        return names(path)?.iter().try_for_each(|name| spoil(&path.join(name)));
    }
    if status.len() > 0 {
        let file = File::options().read(true).write(true).open(path)?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, 0)?;
        file.write_all_at(&[!byte[0]], 0)?;
    }
    Ok(())
}

/// Bytes of the blocks that the files of a tree have.
pub fn allocated_bytes(path: &Path) -> anyhow::Result<u64> {
    let status = fs::symlink_metadata(path)?;
    if !status.is_dir() {
        return Ok(status.blocks() * 512);
    }
    let mut sum = 0;
    for name in names(path)? {
        sum += allocated_bytes(&path.join(name))?;
    }
    Ok(sum)
}

/// Whether all extents of a file are shared with another file: filefrag(8), which asks FIEMAP.
pub fn is_shared(path: &Path) -> anyhow::Result<bool> {
    let said = Command::new("filefrag").args(["-s", "-v"]).arg(path).output().context("asking filefrag")?;
    ensure!(said.status.success(), "filefrag: {}", String::from_utf8_lossy(&said.stderr).trim());
    Ok(are_extents_shared(&String::from_utf8_lossy(&said.stdout)))
}

/// Whether all extents that filefrag lists have the flag; their lines begin with a number.
fn are_extents_shared(listing: &str) -> bool {
    let number = |line: &&str| line.trim_start().split(':').next().is_some_and(|first| first.parse::<u64>().is_ok());
    let mut extents = listing.lines().filter(number).peekable();
    extents.peek().is_some() && extents.all(|line| line.contains("shared"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_are_shared_if_all_are() {
        let header = "Filesystem type is: 58465342\nFile size of a is 8388608 (2048 blocks of 4096 bytes)\n \
                      ext:     logical_offset:        physical_offset: length:   expected: flags:\n";
        let (shared, own) = (
            "   0:        0..    1023:         24..      1047:   1024:             shared\n",
            "   1:     1024..    2047:       1048..      2071:   1024:             last,eof\n",
        );
        assert!(are_extents_shared(&format!("{header}{shared}a: 1 extent found\n")));
        assert!(!are_extents_shared(&format!("{header}{shared}{own}a: 2 extents found\n")));
        assert!(!are_extents_shared(header), "no extent");
    }

    #[test]
    fn copies_differ_by_bytes_holes_and_attributes() {
        let folder = tempfile::tempdir().expect("a folder");
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        File::create(&a).and_then(|file| file.set_len(3 << 20)).expect("room");
        fs::write(&b, vec![0; 3 << 20]).expect("room");
        compare(&a, &b, Same::Contents).expect("a hole reads as zeros");
        spoil(&b).expect("room");
        let error = compare(&a, &b, Same::Contents).expect_err("spoilt");
        assert_eq!(error.to_string(), "b differs from byte 0 on");
        spoil(&b).expect("room");
        File::options().write(true).open(&a).and_then(|file| file.write_all_at(b"x", 2 << 20)).expect("room");
        let error = compare(&a, &b, Same::Contents).expect_err("a byte differs");
        assert_eq!(error.to_string(), "b differs from byte 2097152 on");
        let error = compare(&a, &folder.path().join("c"), Same::Contents).expect_err("nothing there");
        assert_eq!(error.to_string(), "there is no copy");
    }
}
