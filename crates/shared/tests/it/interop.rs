//! Raw objects, shared with programs of other languages, both ways.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use mapio_shared::{Error, SharedObject, SharedOptions};
use mapio_testkit::skip;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::support::TestName;

/// An interpreter that can do what a script needs, or why there is none.
fn python(needs: &str) -> Result<&'static str, String> {
    let can = |python: &&str| {
        let tried = Command::new(python).args(["-c", needs]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    ["python3", "/usr/bin/python3"].into_iter().find(can).ok_or_else(|| format!("no python3 does `{needs}`"))
}

fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it was there a moment ago");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success() && stderr.is_empty(), "{status}: {stdout}{stderr}");
    stdout.trim_end().to_owned()
}

/// Python before 3.13 takes each object that it opens for its own, and removes it when it ends.
const KEEP: &str = "from multiprocessing import resource_tracker, shared_memory
def keep(memory):
    resource_tracker.unregister('/' + memory.name, 'shared_memory')
    return memory
";

#[test]
fn python_sees_our_objects_and_we_see_its() {
    let test = "interop::python_sees_our_objects_and_we_see_its";
    let python = match python("from multiprocessing import shared_memory") {
        Ok(python) => python,
        Err(reason) => return skip(test, &reason),
    };
    let (ours, theirs) = (TestName::memory(), TestName::memory());
    let object = SharedOptions::new().len(4096).raw().create(&*ours).unwrap();
    object.view().write_all_at(10, b"from rust").unwrap();
    let script = format!(
        "{KEEP}import sys
ours = keep(shared_memory.SharedMemory(name=sys.argv[1]))
print(bytes(ours.buf[10:19]).decode())
ours.buf[100:111] = b'from python'
ours.close()
theirs = keep(shared_memory.SharedMemory(name=sys.argv[2], create=True, size=5000))
theirs.buf[0:3] = b'new'
theirs.close()"
    );
    let said = run(Command::new(python).args(["-c", &script, &*ours, &*theirs]));
    assert_eq!(said, "from rust");
    assert_eq!(object.view().load::<[u8; 11]>(100), Ok(*b"from python"));
    let theirs_here = SharedOptions::new().len(5000).raw().open(&*theirs).unwrap();
    assert_eq!(theirs_here.view().load::<[u8; 3]>(0), Ok(*b"new"));
    assert!(matches!(SharedOptions::new().open(&*theirs), Err(Error::Foreign { .. })));
    SharedObject::remove(&*theirs).unwrap();
    let gone = format!(
        "{KEEP}import sys\ntry:\n    shared_memory.SharedMemory(name=sys.argv[1])\nexcept FileNotFoundError:\n    print('gone')"
    );
    assert_eq!(run(Command::new(python).args(["-c", &gone, &*theirs])), "gone");
}

#[derive(Debug, Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Sample {
    time: f64,
    value: f32,
    channel: i32,
}

#[test]
fn an_array_of_numpy_is_read_and_written_by_its_type() {
    let test = "interop::an_array_of_numpy_is_read_and_written_by_its_type";
    let python = match python("import numpy; from multiprocessing import shared_memory") {
        Ok(python) => python,
        Err(reason) => return skip(test, &reason),
    };
    let name = TestName::memory();
    let object = SharedOptions::new().len(100 * 16).raw().create(&*name).unwrap();
    object.view().store(0, Sample { time: 0.5, value: 1.5, channel: -7 }).unwrap();
    let script = format!(
        "{KEEP}import sys, numpy
memory = keep(shared_memory.SharedMemory(name=sys.argv[1]))
kind = numpy.dtype([('time', '<f8'), ('value', '<f4'), ('channel', '<i4')])
samples = numpy.ndarray(100, dtype=kind, buffer=memory.buf)
print(samples[0]['time'], samples[0]['value'], samples[0]['channel'])
samples['time'][1:] = numpy.arange(1, 100) / 4
samples['value'][1:] = 2.5
samples['channel'][1:] = numpy.arange(1, 100)
del samples
memory.close()"
    );
    assert_eq!(run(Command::new(python).args(["-c", &script, &*name])), "0.5 1.5 -7");
    for i in 1..100_i16 {
        let expected = Sample { time: f64::from(i) / 4.0, value: 2.5, channel: i.into() };
        assert_eq!(object.view().load::<Sample>(usize::try_from(i).unwrap() * 16), Ok(expected));
    }
}

/// Compiles a program in a folder; `None` if there is no compiler, or not what the program includes.
fn compile(compiler: &str, folder: &Path, file: &str, program: &str) -> Result<Command, String> {
    let (source, executable) = (folder.join(file), folder.join("program"));
    fs::write(&source, program).expect("room");
    let mut command = Command::new(compiler);
    let output = command.arg("-o").arg(&executable).arg(&source).args(["-lrt", "-pthread"]).output();
    match output {
        Err(error) => Err(format!("{compiler}: {error}")),
        Ok(output) if !output.status.success() => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("No such file"), "the program is wrong: {said}");
            Err(format!("{compiler}: {}", said.lines().next().unwrap_or_default()))
        }
        Ok(_) => Ok(Command::new(executable)),
    }
}

/// Opens a POSIX object of ours and a segment of ours, and makes one of each.
const C_PROGRAM: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

static char *map(int fd, int create) {
    if (fd < 0 || (create && ftruncate(fd, 8192))) { perror("shm_open"); exit(1); }
    char *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) { perror("mmap"); exit(1); }
    return memory;
}

static char *attach(int id) {
    char *memory = shmat(id, NULL, 0);
    if (memory == (char *)-1) { perror("shmat"); exit(1); }
    return memory;
}

int main(int argc, char **argv) {
    char *ours = map(shm_open(argv[1], O_RDWR, 0), 0);
    printf("%s ", ours);
    strcpy(ours + 4096, "from C");
    strcpy(map(shm_open(argv[2], O_RDWR | O_CREAT | O_EXCL, 0600), 1), "made by C");
    key_t our_key = strtoul(argv[3], NULL, 0), their_key = strtoul(argv[4], NULL, 0);
    char *segment = attach(shmget(our_key, 0, 0));
    printf("%s\n", segment);
    strcpy(segment + 100, "from C");
    strcpy(attach(shmget(their_key, 8192, IPC_CREAT | IPC_EXCL | 0600)), "made by C");
    return 0;
}
"#;

#[test]
fn a_c_program_sees_our_objects_and_we_see_its() {
    let test = "interop::a_c_program_sees_our_objects_and_we_see_its";
    let folder = tempfile::tempdir().unwrap();
    let mut program = match compile("gcc", folder.path(), "program.c", C_PROGRAM) {
        Ok(program) => program,
        Err(reason) => return skip(test, &reason),
    };
    let [ours, theirs, our_segment, their_segment] =
        [TestName::memory(), TestName::memory(), TestName::sysv(), TestName::sysv()];
    let raw = SharedOptions::new().raw().len(8192);
    let (object, segment) = (raw.create(&*ours).unwrap(), raw.create(&*our_segment).unwrap());
    object.view().write_all_at(0, b"posix\0").unwrap();
    segment.view().write_all_at(0, b"sysv\0").unwrap();
    let keys = [&our_segment, &their_segment].map(|name| name.strip_prefix("sysv:").unwrap().to_owned());
    let said = run(program.arg(format!("/{}", &*ours)).arg(format!("/{}", &*theirs)).args(keys));
    assert_eq!(said, "posix sysv");
    assert_eq!(object.view().load::<[u8; 6]>(4096), Ok(*b"from C"));
    assert_eq!(segment.view().load::<[u8; 6]>(100), Ok(*b"from C"));
    for name in [theirs, their_segment] {
        let found = raw.open(&*name).unwrap();
        assert_eq!(found.view().load::<[u8; 9]>(0), Ok(*b"made by C"), "{}", &*name);
        assert!(matches!(SharedOptions::new().open(&*name), Err(Error::Foreign { .. })));
        assert!(matches!(SharedOptions::new().len(1).create(&*name), Err(Error::Exists { .. })));
    }
}

const BOOST_PROGRAM: &str = r#"
#include <boost/interprocess/mapped_region.hpp>
#include <boost/interprocess/shared_memory_object.hpp>
#include <cstring>
#include <iostream>
using namespace boost::interprocess;

int main(int argc, char **argv) {
    shared_memory_object ours(open_only, argv[1], read_write);
    mapped_region region(ours, read_write);
    char *memory = static_cast<char *>(region.get_address());
    std::cout << memory << " " << region.get_size() << std::endl;
    std::strcpy(memory + 100, "from Boost");
    shared_memory_object theirs(create_only, argv[2], read_write);
    theirs.truncate(5000);
    mapped_region other(theirs, read_write);
    std::strcpy(static_cast<char *>(other.get_address()), "made by Boost");
}
"#;

#[test]
fn boost_interprocess_sees_our_objects_and_we_see_its() {
    let test = "interop::boost_interprocess_sees_our_objects_and_we_see_its";
    let folder = tempfile::tempdir().unwrap();
    let mut program = match compile("g++", folder.path(), "program.cpp", BOOST_PROGRAM) {
        Ok(program) => program,
        Err(reason) => return skip(test, &reason),
    };
    let (ours, theirs) = (TestName::memory(), TestName::memory());
    let object = SharedOptions::new().raw().len(6000).create(&*ours).unwrap();
    object.view().write_all_at(0, b"from rust\0").unwrap();
    assert_eq!(run(program.args([&*ours, &*theirs])), "from rust 6000");
    assert_eq!(object.view().load::<[u8; 10]>(100), Ok(*b"from Boost"));
    let found = SharedOptions::new().raw().len(5000).open(&*theirs).unwrap();
    assert_eq!(found.view().load::<[u8; 13]>(0), Ok(*b"made by Boost"));
}
