//! A file system of 64 KiB, which only the process that mounts it can see, and which ends with it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{getegid, geteuid};
use rustix::thread::UnshareFlags;

use super::raw::leave_namespaces;
use super::scene::Scene;

/// Mounts it in the scene's folder. Root may do that; others in a user namespace, where they are root to themselves, if
/// the administrator has not closed that.
///
/// # Errors
/// Neither is allowed here.
pub(super) fn mount_small_disk(scene: &Scene) -> anyhow::Result<PathBuf> {
    let folder = scene.path("disk");
    fs::create_dir_all(&folder).context("making a place for a disk")?;
    mount_at(&folder, scene.is_root()).context("the small disk can't be mounted")?;
    Ok(folder)
}

fn mount_at(folder: &Path, is_root: bool) -> anyhow::Result<()> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    if !is_root || leave_namespaces(UnshareFlags::NEWNS).is_err() {
        leave_namespaces(UnshareFlags::NEWUSER | UnshareFlags::NEWNS).context("making a user namespace")?;
        // In it the user keeps his number, as user_namespaces(7) wants it told.
        let maps = [("setgroups", "deny".to_owned()), ("uid_map", format!("{user} {user} 1"))];
        for (file, text) in maps.into_iter().chain([("gid_map", format!("{group} {group} 1"))]) {
            fs::write(format!("/proc/self/{file}"), text).context("describing a user namespace")?;
        }
    }
    // Nothing that is mounted here shows elsewhere.
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).context("making mounts private")?;
    mount("tmpfs", folder, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(c"size=64k,mode=700"))
        .context("mounting a disk of 64 KiB")
}
