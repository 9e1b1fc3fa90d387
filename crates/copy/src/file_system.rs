//! Which file system a file is on: statfs(2).

use std::os::fd::AsFd;

use crate::plan::FileSystem;

impl FileSystem {
    /// The file system that an open file is on; one that cannot be asked is `Other`.
    #[must_use]
    pub fn of(file: impl AsFd) -> Self {
        // The numbers are from statfs(2) and the kernel's include/uapi/linux/magic.h.
        #[allow(clippy::useless_conversion, reason = "the field has another type on other processors")]
        match rustix::fs::fstatfs(file).map(|stat| i64::from(stat.f_type) & 0xffff_ffff) {
            Ok(0xef53) => Self::Ext,
            Ok(0x5846_5342) => Self::Xfs,
            Ok(0x0102_1994 | 0x8584_58f6) => Self::Memory,
            // NFS, SMB, CIFS, SMB2, 9P, Ceph and FUSE, which may hide any of them.
            Ok(0x6969 | 0x517b | 0xff53_4d42 | 0xfe53_4d42 | 0x0102_1997 | 0x00c3_6400 | 0x6573_5546) => Self::Network,
            // proc, sysfs, cgroup, cgroup2, debugfs, tracefs, securityfs and configfs.
            Ok(
                0x9fa0 | 0x6265_6572 | 0x0027_e0eb | 0x6367_7270 | 0x6462_6720 | 0x7472_6163 | 0x7363_6673
                | 0x6265_6570,
            ) => Self::Kernel,
            Ok(_) | Err(_) => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn the_file_systems_of_every_linux_are_told_apart() {
        let of = |path| File::open(path).map(FileSystem::of);
        assert_eq!(of("/proc/version").unwrap(), FileSystem::Kernel);
        for (path, expected) in [("/sys/kernel", FileSystem::Kernel), ("/dev/shm", FileSystem::Memory)] {
            if let Ok(found) = of(path) {
                assert_eq!(found, expected, "{path}");
            }
        }
    }
}
