//! The help of the copy, and its version.

/// How the copy is called, and what it calls itself.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    /// What messages begin with: the name it was called by, as cp has it; `mapio` otherwise.
    pub(super) program: String,
    /// What is to be typed to call it: `cp`, or `mapio copy`.
    pub(super) command: String,
}

/// What is typed to call it as one of mapio's commands.
const SUBCOMMAND: &str = "mapio copy";

impl Called {
    /// As one of mapio's commands.
    pub(crate) fn as_subcommand() -> Self {
        Self { program: "mapio".to_owned(), command: SUBCOMMAND.to_owned() }
    }

    /// As cp, by this name.
    pub(crate) fn as_cp(name: String) -> Self {
        Self { program: name.clone(), command: name }
    }

    pub(super) fn is_subcommand(&self) -> bool {
        self.command == SUBCOMMAND
    }
}

/// All options: what `--help` says.
pub(super) fn text(command: &str) -> String {
    format!(
        "\
Usage: {command} [OPTION]... [-T] SOURCE DEST
       {command} [OPTION]... SOURCE... DIRECTORY
       {command} [OPTION]... -t DIRECTORY SOURCE...
Copy SOURCE to DEST, or many of them into DIRECTORY: what cp does, with cp's options.
{CP}{OWN}"
    )
}

/// What the program says it is.
pub(super) fn version(called: &Called) -> String {
    let version = env!("CARGO_PKG_VERSION");
    if called.is_subcommand() {
        format!("mapio copy {version}")
    } else {
        format!("cp (mapio) {version}: takes the options of GNU cp 9.5")
    }
}

const CP: &str = "
  -a, --archive                -dR --preserve=all
      --attributes-only        copy the attributes, not the contents
  -b, --backup[=CONTROL]       keep what is replaced: CONTROL is none, simple, numbered or
                                 existing (numbered if there is one already); -b has no CONTROL.
                                 Default: $VERSION_CONTROL, then existing
      --copy-contents          with -r, read pipes and devices instead of making them
  -d                           --no-dereference --preserve=links
      --debug                  -v, and say how each file was copied
  -f, --force                  remove a destination that can't be opened, and try again
  -H                           follow symbolic links that are operands
  -i, --interactive            ask before a file is overwritten
      --keep-directory-symlink follow links to folders in the destination
  -l, --link                   make hard links instead of copies
  -L, --dereference            follow all symbolic links
  -n, --no-clobber             leave files that exist alone
  -P, --no-dereference         copy symbolic links as links
  -p                           --preserve=mode,ownership,timestamps
      --preserve[=LIST]        keep mode, ownership, timestamps (these by default), links, context,
                                 xattr, or all
      --no-preserve=LIST       do not keep these
      --parents                make the whole path of each source below DIRECTORY
  -R, -r, --recursive          copy folders with all that is in them
      --reflink[=WHEN]         share blocks instead of copying: always (if no WHEN is given), auto
                                 (the default) or never
      --remove-destination     remove each destination that exists instead of opening it
      --sparse=WHEN            make holes: auto (as the source has them, the default), always
                                 (of zeros, too) or never
      --strip-trailing-slashes take slashes off the ends of the sources
  -s, --symbolic-link          make symbolic links instead of copies
  -S, --suffix=SUFFIX          end backups with this; default: $SIMPLE_BACKUP_SUFFIX, then ~
  -t, --target-directory=DIR   copy into this folder
  -T, --no-target-directory    take DEST as the name of the copy, even if a folder has it
  -u, --update[=WHICH]         replace WHICH files that exist: all, none, none-fail (as none, and
                                 fail) or older (if no WHICH is given)
  -v, --verbose                say each name
  -x, --one-file-system        stay on this file system
  -Z, --context[=CTX]          set the SELinux security context, where there is SELinux
      --help                   print this
      --version                print the version
";

const OWN: &str = "
What only mapio has:
      --engine=NAME            move the bytes by: auto (the default), read-write, mapped,
                                 mapped-source, mapped-destination, copy-file-range, reflink,
                                 splice, uring or direct
      --buffer=BYTES           at a time: 1 to 1g; default: by the size of the file
      --threads=N              use so many threads; default: by the work and the processors
      --verify                 read each copy back from the disk and compare, then tell of it
      --atomic                 give every file its name only when it is whole
      --inplace                write to files that exist, as GNU cp does, instead of replacing them
      --resume                 go on with a large copy that was interrupted
      --sync[=file|tree]       wait for the disk: after each file (the default), or at the end
      --io-limit=BYTES         read at most so many bytes a second
      --evict                  leave no new pages in the page cache
      --progress[=WHEN]        show how far it is: auto (on a terminal, after a second), always or
                                 never
      --explain                say why each file is copied the way it is
      --json                   print a line of JSON for each file, and one for all

k, m and g stand for 1024, 1024^2 and 1024^3 bytes.
Exit status: 0 all was copied, 1 something was not.

Example: mapio copy -a --verify --sync=tree photos /mnt/backup/
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::arguments::{LETTERS, OPTIONS};

    #[test]
    fn the_help_has_every_option_and_fits_a_terminal() {
        let text = text("mapio copy");
        // Abolished long ago, and understood all the same.
        for spec in OPTIONS.iter().filter(|spec| spec.long != "path") {
            let is_there = |line: &str| {
                line.trim_start().starts_with('-')
                    && line.contains(&format!("--{}", spec.long))
                    && spec.short.is_none_or(|letter| line.contains(&format!("-{},", char::from(letter))))
            };
            assert!(text.lines().any(is_there), "--{}", spec.long);
        }
        for (letter, _) in LETTERS {
            assert!(text.contains(&format!("  -{}", char::from(letter))) || letter == b'r');
        }
        assert!(text.lines().all(|line| line.len() <= 100));
    }
}
