//! Our handler beside everybody else's: faults that are not ours go where they would have gone without us.
#![expect(unsafe_code, reason = "raw mappings that fault without a guard, foreign signal handlers, dlopen")]
#![expect(clippy::as_conversions, reason = "sigaction(2) keeps handlers as integers")]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::{SIGABRT, SIGBUS, SIGSEGV, c_int, c_void, siginfo_t};
use mapio_map::{FaultKind, MapOptions, fault};
use mapio_testkit::{bus_errors_tell_where, in_child, runner, skip};

use crate::support::{GUARDED, cut_mapping, pattern_file};

const PAGE: usize = 4096;

/// Faults that a foreign handler has seen and repaired.
static FOREIGN_FAULTS: AtomicUsize = AtomicUsize::new(0);
/// Start of the one page that the foreign handler feels responsible for.
static FOREIGN_PAGE: AtomicUsize = AtomicUsize::new(0);
/// What was there before the foreign handler, as the address of a `sigaction`.
static BEFORE_FOREIGN: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// A raw mapping of a page of a file that has no bytes: any access is a bus error.
pub(crate) fn raw_faulting_page() -> *mut u8 {
    let file = tempfile::tempfile().expect("a temporary file");
    raw_map(&file, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED)
}

fn raw_map(file: &File, protection: c_int, flags: c_int) -> *mut u8 {
    // SAFETY: a new range, which nothing else uses.
    let page = unsafe { libc::mmap(ptr::null_mut(), PAGE, protection, flags, file.as_raw_fd(), 0) };
    assert_ne!(page, libc::MAP_FAILED);
    page.cast()
}

/// A load without a guard.
pub(crate) fn raw_load(address: *const u8) -> u8 {
    // SAFETY: for the tests' purpose: the load faults, and the process dies or a foreign handler repairs it.
    unsafe { address.read_volatile() }
}

/// Repairs a fault in the foreign page by mapping zeros over it; passes on what it does not know, as a handler should.
extern "C" fn foreign_handler(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel's siginfo of a fault.
    let page = unsafe { info.as_ref() }.map_or(0, si_addr) & !(PAGE - 1);
    if page == FOREIGN_PAGE.load(Ordering::Relaxed) {
        FOREIGN_FAULTS.fetch_add(1, Ordering::Relaxed);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        // SAFETY: replaces a page that only the test uses.
        unsafe { libc::mmap(page as *mut c_void, PAGE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        return;
    }
    let before = BEFORE_FOREIGN[usize::from(signal == SIGSEGV)].load(Ordering::Relaxed) as *const libc::sigaction;
    // SAFETY: leaked by `install_foreign`, so valid for ever.
    let before = unsafe { *before };
    assert!(before.sa_flags & libc::SA_SIGINFO != 0, "ours, or std's");
    // SAFETY: SA_SIGINFO says what kind of function it is.
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
        unsafe { std::mem::transmute(before.sa_sigaction) };
    handler(signal, info, context);
}

pub(crate) fn install_foreign() {
    for (slot, signal) in [SIGBUS, SIGSEGV].into_iter().enumerate() {
        // SAFETY: zeros are a valid sigaction.
        let mut before: Box<libc::sigaction> = Box::new(unsafe { std::mem::zeroed() });
        // SAFETY: zeros are a valid sigaction.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = foreign_handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: queries what is there.
        unsafe { libc::sigaction(signal, ptr::null(), &raw mut *before) };
        BEFORE_FOREIGN[slot].store(Box::into_raw(before).addr(), Ordering::Relaxed);
        // SAFETY: the handler is async-signal-safe.
        unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    }
}

/// The address that a fault was at.
pub(crate) fn si_addr(info: &siginfo_t) -> usize {
    // SAFETY: the handlers here are for signals that carry an address.
    unsafe { info.si_addr() }.addr()
}

/// Sends the calling thread a SIGBUS that no access has caused; delivered before this returns.
fn send_bus_error() {
    // SAFETY: async-signal-safe, to this thread.
    assert_eq!(unsafe { libc::raise(SIGBUS) }, 0);
}

/// One of our faults, which must be an `Err` and no business of anybody else.
pub(crate) fn our_fault_is_an_error() {
    let (_file, mapping) = cut_mapping(MapOptions::read_write(), 2 * PAGE, 0);
    let before = FOREIGN_FAULTS.load(Ordering::Relaxed);
    let fault = mapping.view().load::<u32>(PAGE).expect_err("cut");
    assert_eq!(fault.kind, FaultKind::Truncated { file_len: 0 });
    assert!(mapping.view().store(PAGE, 1u32).is_err());
    assert!(mapping.view().read_at(0, &mut [0; 5000]).is_err());
    assert_eq!(FOREIGN_FAULTS.load(Ordering::Relaxed), before, "a foreign handler has seen our fault");
}

/// A fault of somebody else's, which must reach him and be repaired.
pub(crate) fn a_foreign_fault_is_repaired() {
    let page = raw_faulting_page();
    FOREIGN_PAGE.store(page.addr(), Ordering::Relaxed);
    let before = FOREIGN_FAULTS.load(Ordering::Relaxed);
    assert_eq!(raw_load(page), 0);
    assert_eq!(FOREIGN_FAULTS.load(Ordering::Relaxed), before + 1);
}

/// A guarded copy whose other side, a buffer in foreign memory, faults: the foreign handler repairs that too.
fn a_fault_in_the_callers_buffer_is_foreign() {
    let mapping = MapOptions::read_only().map(pattern_file(PAGE)).expect("a mapping");
    for len in [1, 3, 20, 100, 300, PAGE] {
        let page = raw_faulting_page();
        FOREIGN_PAGE.store(page.addr(), Ordering::Relaxed);
        let before = FOREIGN_FAULTS.load(Ordering::Relaxed);
        // SAFETY: for the test's purpose: memory whose faults its owner repairs.
        let buf = unsafe { std::slice::from_raw_parts_mut(page, len) };
        assert_eq!(mapping.view().read_exact_at(0, buf), Ok(()));
        assert_eq!(buf, mapio_testkit::pattern(len));
        assert_eq!(FOREIGN_FAULTS.load(Ordering::Relaxed), before + 1);
    }
}

pub(crate) fn assert_done(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

pub(crate) fn assert_died_of(signal: c_int, output: &Output) {
    assert_eq!(output.status.signal(), Some(signal), "{output:?}");
}

#[test]
fn a_foreign_handler_installed_before_ours_gets_its_own_faults() {
    if !bus_errors_tell_where("coexistence::a_foreign_handler_installed_before_ours_gets_its_own_faults") {
        return;
    }
    assert_done(&in_child("coexistence::a_foreign_handler_installed_before_ours_gets_its_own_faults", || {
        install_foreign();
        our_fault_is_an_error();
        a_foreign_fault_is_repaired();
        a_fault_in_the_callers_buffer_is_foreign();
        our_fault_is_an_error();
    }));
}

#[test]
fn a_foreign_handler_installed_after_ours_gets_its_own_faults_and_passes_on_ours() {
    if !bus_errors_tell_where(
        "coexistence::a_foreign_handler_installed_after_ours_gets_its_own_faults_and_passes_on_ours",
    ) {
        return;
    }
    assert_done(&in_child(
        "coexistence::a_foreign_handler_installed_after_ours_gets_its_own_faults_and_passes_on_ours",
        || {
            our_fault_is_an_error();
            install_foreign();
            our_fault_is_an_error();
            a_foreign_fault_is_repaired();
            a_fault_in_the_callers_buffer_is_foreign();
            our_fault_is_an_error();
        },
    ));
}

#[test]
fn a_stack_overflow_is_still_reported_by_std() {
    #[expect(unconditional_recursion, reason = "the case under test")]
    fn recurse(depth: u64) -> u64 {
        let frame = std::hint::black_box([depth; 64]);
        recurse(depth + 1) + frame[3]
    }
    let output = in_child("coexistence::a_stack_overflow_is_still_reported_by_std", || {
        our_fault_is_an_error();
        println!("{}", recurse(0));
    });
    assert_died_of(SIGABRT, &output);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("has overflowed its stack"), "{stderr}");
}

#[test]
fn an_unguarded_bus_error_still_kills_by_sigbus() {
    let output = in_child("coexistence::an_unguarded_bus_error_still_kills_by_sigbus", || {
        our_fault_is_an_error();
        raw_load(raw_faulting_page());
    });
    assert_died_of(SIGBUS, &output);
}

#[test]
fn an_unguarded_segmentation_fault_still_kills_by_sigsegv() {
    let output = in_child("coexistence::an_unguarded_segmentation_fault_still_kills_by_sigsegv", || {
        our_fault_is_an_error();
        raw_load(ptr::without_provenance(8));
    });
    assert_died_of(SIGSEGV, &output);
}

#[test]
fn a_fault_with_the_default_action_before_us_still_kills() {
    let output = in_child("coexistence::a_fault_with_the_default_action_before_us_still_kills", || {
        for signal in [SIGBUS, SIGSEGV] {
            // SAFETY: the default action.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        our_fault_is_an_error();
        raw_load(raw_faulting_page());
    });
    assert_died_of(SIGBUS, &output);
}

/// Sends a child two signals that no access has caused: it survives the first, which does not disarm us, and dies of
/// the second.
fn the_second_signal_kills(test: &str, prepare: impl FnOnce(), after_the_first: impl FnOnce()) {
    let output = in_child(test, || {
        prepare();
        our_fault_is_an_error();
        send_bus_error();
        after_the_first();
        our_fault_is_an_error();
        println!("survived the first");
        send_bus_error();
    });
    assert!(String::from_utf8_lossy(&output.stdout).contains("survived the first"), "{output:?}");
    assert_died_of(SIGBUS, &output);
}

#[test]
fn a_signal_that_was_only_sent_does_what_it_did_without_us_and_does_not_disarm_us() {
    let test = "coexistence::a_signal_that_was_only_sent_does_what_it_did_without_us_and_does_not_disarm_us";
    // std's handler takes the first one for a stray fault: it restores the default action and returns.
    the_second_signal_kills(test, || {}, || assert!(fault::status().armed));
}

#[test]
fn an_ignored_signal_stays_ignored() {
    assert_done(&in_child("coexistence::an_ignored_signal_stays_ignored", || {
        // SAFETY: ignoring is a valid action.
        unsafe { libc::signal(SIGBUS, libc::SIG_IGN) };
        our_fault_is_an_error();
        for _ in 0..3 {
            send_bus_error();
        }
        our_fault_is_an_error();
    }));
}

/// A handler of the old kind, with one argument.
extern "C" fn counts_signals(_: c_int) {
    FOREIGN_FAULTS.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn a_handler_of_one_argument_that_is_to_be_reset_is_called_once() {
    let test = "coexistence::a_handler_of_one_argument_that_is_to_be_reset_is_called_once";
    let install = || {
        // SAFETY: zeros are a valid sigaction.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = counts_signals as *const () as usize;
        action.sa_flags = libc::SA_RESETHAND;
        // SAFETY: the handler is async-signal-safe.
        unsafe { libc::sigaction(SIGBUS, &raw const action, ptr::null_mut()) };
    };
    the_second_signal_kills(test, install, || assert_eq!(FOREIGN_FAULTS.load(Ordering::Relaxed), 1));
}

/// The documented limit: the kernel does not deliver a fault under a blocked signal, it kills.
#[test]
fn a_fault_in_a_thread_that_blocks_the_signal_kills() {
    let test = "coexistence::a_fault_in_a_thread_that_blocks_the_signal_kills";
    if runner().is_some() {
        return skip(test, "the emulator lets a fault under a blocked signal happen again for ever");
    }
    let output = in_child(test, || {
        our_fault_is_an_error();
        block_bus_errors();
        our_fault_is_an_error();
        // Only accesses without signals come here.
        assert!(!fault::status().blocked);
        raw_load(raw_faulting_page());
    });
    assert_died_of(SIGBUS, &output);
}

pub(crate) fn block_bus_errors() {
    // SAFETY: zeros are a valid, empty set.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: a valid set and signal number.
    unsafe { libc::sigaddset(&raw mut set, SIGBUS) };
    // SAFETY: a valid set.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) };
}

#[test]
fn status_tells_of_a_blocked_signal_and_of_a_handler_in_front() {
    assert_done(&in_child("coexistence::status_tells_of_a_blocked_signal_and_of_a_handler_in_front", || {
        if !GUARDED {
            return; // No handler is involved: `status` is constant, as documented.
        }
        assert!(!fault::status().armed, "nothing was mapped yet");
        our_fault_is_an_error();
        assert!(fault::status().armed && !fault::status().blocked);
        block_bus_errors();
        assert!(fault::status().blocked);
        install_foreign();
        assert!(!fault::status().armed);
    }));
}

/// The path of the shared object that holds another copy of the crate; `cargo test` builds it with the other examples.
fn plugin() -> Option<std::ffi::CString> {
    let program = std::env::current_exe().ok()?;
    let path = program.parent()?.parent()?.join("examples/libplugin.so");
    path.exists().then(|| std::ffi::CString::new(path.into_os_string().into_encoded_bytes()).expect("no NUL"))
}

#[test]
fn a_program_and_a_shared_object_may_both_hold_the_crate() {
    let test = "coexistence::a_program_and_a_shared_object_may_both_hold_the_crate";
    if cfg!(target_feature = "crt-static") {
        return skip(test, "a statically linked program loads no shared objects");
    }
    let Some(plugin) = plugin() else {
        return skip(test, "examples/libplugin.so is not built: run `cargo test` for the whole package");
    };
    let output = in_child(test, || {
        our_fault_is_an_error();
        // SAFETY: the object's initialisers are std's only.
        let object = unsafe { libc::dlopen(plugin.as_ptr(), libc::RTLD_NOW) };
        assert!(!object.is_null());
        // SAFETY: a valid object and name.
        let symbol = unsafe { libc::dlsym(object, c"mapio_plugin_survives_a_fault".as_ptr()) };
        assert!(!symbol.is_null());
        // SAFETY: the type it has in examples/plugin.rs.
        let plugin_survives: extern "C" fn() -> i32 = unsafe { std::mem::transmute(symbol) };
        our_fault_is_an_error();
        assert_eq!(plugin_survives(), 1, "its fault is an Err there");
        our_fault_is_an_error();
        assert_eq!(plugin_survives(), 1);
        // SAFETY: nothing of it is used below, but its handler.
        unsafe { libc::dlclose(object) };
        our_fault_is_an_error();
        println!("survived everything");
        raw_load(raw_faulting_page());
    });
    assert!(String::from_utf8_lossy(&output.stdout).contains("survived everything"), "{output:?}");
    assert_died_of(SIGBUS, &output);
}
