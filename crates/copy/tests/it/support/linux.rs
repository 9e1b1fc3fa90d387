//! What Linux has to tell of a tree.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::names_below;

/// What can be told of everything below a folder: contents, and the identity, which is kind, mode, owner, extended
/// attribute, and which names are one file; for comparing. Times are left out.
pub(crate) fn picture_of(folder: &Path) -> BTreeMap<PathBuf, (String, String)> {
    let mut first_names = BTreeMap::new();
    let mut picture = BTreeMap::new();
    for path in names_below(folder) {
        let metadata = path.symlink_metadata().expect("it is there");
        let name = path.strip_prefix(folder).expect("below it").to_owned();
        let first = first_names.entry((metadata.dev(), metadata.ino())).or_insert_with(|| name.clone()).clone();
        let kind = metadata.file_type();
        let contents = if kind.is_file() {
            let bytes = fs::read(&path).expect("readable");
            let mut hasher = DefaultHasher::new();
            hasher.write(&bytes);
            format!("{} bytes, {:x}", bytes.len(), hasher.finish())
        } else if kind.is_symlink() {
            format!("{:?}", fs::read_link(&path).expect("a link"))
        } else {
            String::new()
        };
        let (mode, uid, gid) = (metadata.mode(), metadata.uid(), metadata.gid());
        let mark = if kind.is_file() { mark_of(&path) } else { None };
        let identity = format!("{mode:o} {uid} {gid} {mark:?} of {first:?}");
        picture.insert(name, (contents, identity));
    }
    picture
}

/// The extended attribute that the tests use.
const MARK: &str = "user.mark";

/// Gives a file an extended attribute; `false` where there are none.
pub(crate) fn mark(path: &Path, value: &str) -> bool {
    rustix::fs::setxattr(path, MARK, value.as_bytes(), rustix::fs::XattrFlags::empty()).is_ok()
}

pub(crate) fn mark_of(path: &Path) -> Option<String> {
    let mut buffer = [0; 64];
    let len = rustix::fs::getxattr(path, MARK, &mut buffer[..]).ok()?;
    String::from_utf8(buffer[..len].to_vec()).ok()
}
