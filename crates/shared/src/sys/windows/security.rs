//! Who may use what is made: the nine bits of chmod(2) as a security descriptor.
//!
//! Its access list names the user of this process and everybody, each for what its three bits say, and the system
//! itself. Nothing is inherited. A group that is allowed something else than everybody can't be told: the primary group
//! of an account of this machine is `None`, which all such accounts are in, and that of a domain's all its users.
#![expect(unsafe_code, reason = "calls of advapi32.dll that fill buffers or read descriptors, LocalFree")]

use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::sync::OnceLock;

use mapio_map::nt::check;
use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GetTokenInformation, PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES,
    SetKernelObjectSecurity, TOKEN_QUERY, TokenUser,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};
use windows_sys::core::PWSTR;

use super::wide;

#[cfg(test)]
use windows_sys::Win32::Security::Authorization::ConvertSecurityDescriptorToStringSecurityDescriptorW;
#[cfg(test)]
use windows_sys::Win32::Security::GetKernelObjectSecurity;

/// What is for the user alone.
pub(super) const PRIVATE: u32 = 0o600;
/// Those of three bits that mean something: reading and writing.
const MEANT: u32 = 0o6;

/// A security descriptor; freed when dropped.
#[derive(Debug)]
pub(super) struct Security {
    descriptor: PSECURITY_DESCRIPTOR,
}

impl Security {
    /// What the nine bits of chmod(2) say, for the user of this process.
    ///
    /// # Errors
    /// `Unsupported` for a group that may read or write what everybody may not, or the other way round.
    pub(super) fn new(permissions: u32) -> io::Result<Self> {
        let [user_bits, group_bits, all_bits] = [6, 3, 0].map(|shift| permissions >> shift & MEANT);
        if group_bits != all_bits {
            let reason = format!(
                "permissions {permissions:03o}: on Windows the group's are those of everybody, since the user's primary \
                 group is that of all users"
            );
            return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
        }
        let (user, all) = (entry(true, user_bits, user()?), entry(false, all_bits, "WD"));
        let list = format!("D:P(A;;GA;;;SY){user}{all}");
        let list = wide(&list);
        let mut descriptor = ptr::null_mut();
        // SAFETY: the text ends with a zero, and the result is a local.
        check(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                list.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                ptr::null_mut(),
            )
        })?;
        Ok(Self { descriptor })
    }

    /// To be given to whatever makes a kernel object; lives no longer than this.
    pub(super) fn attributes(&self) -> io::Result<SECURITY_ATTRIBUTES> {
        let bytes = u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).map_err(io::Error::other)?;
        Ok(SECURITY_ATTRIBUTES { nLength: bytes, lpSecurityDescriptor: self.descriptor, bInheritHandle: 0 })
    }

    /// Gives its access list to what is open, for `WRITE_DAC` at least.
    pub(super) fn apply(&self, object: BorrowedHandle<'_>) -> io::Result<()> {
        // SAFETY: the handle is open, and the descriptor lives as long as this.
        check(unsafe { SetKernelObjectSecurity(object.as_raw_handle(), DACL_SECURITY_INFORMATION, self.descriptor) })
    }
}

impl Drop for Security {
    fn drop(&mut self) {
        // SAFETY: it came from the conversion, which says that it is to be freed so, and is freed here only.
        let rest = unsafe { LocalFree(self.descriptor) };
        // It fails only for what is no such memory.
        let _ = rest;
    }
}

/// The entry of one, for three bits. Who has none of them has no entry, but the user, who may always look at it, change
/// its permissions, and remove it; who may read and write it himself may do everything, as who opens by creating asks
/// for.
fn entry(is_user: bool, bits: u32, sid: &str) -> String {
    let rights = match (is_user, bits) {
        (true, 0o6) => "GA",
        (true, 0o4) => "RCSDWDGRGX",
        (true, 0o2) => "RCSDWDGW",
        (true, _) => "RCSDWD",
        (false, 0o6) => "GRGWGX",
        (false, 0o4) => "GRGX",
        (false, 0o2) => "GW",
        (false, _) => return String::new(),
    };
    format!("(A;;{rights};;;{sid})")
}

/// The identifier of this process's user, as text.
fn user() -> io::Result<&'static str> {
    /// It is the same as long as the process lives.
    static USER: OnceLock<String> = OnceLock::new();
    match USER.get() {
        Some(user) => Ok(user),
        None => {
            let user = user_of(&token()?)?;
            Ok(USER.get_or_init(|| user))
        }
    }
}

fn token() -> io::Result<OwnedHandle> {
    // SAFETY: takes no arguments, and answers a constant.
    let process = unsafe { GetCurrentProcess() };
    let mut token = ptr::null_mut();
    // SAFETY: the handle is this process's, and the result is a local.
    check(unsafe { OpenProcessToken(process, TOKEN_QUERY, &raw mut token) })?;
    // SAFETY: a handle that was made just now, and is nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

fn user_of(token: &OwnedHandle) -> io::Result<String> {
    // The answer begins with a pointer to the identifier, which is behind it: of 68 bytes at most.
    let mut buffer = [0_u64; 32];
    let bytes = u32::try_from(size_of_val(&buffer)).map_err(io::Error::other)?;
    let (place, mut told) = (buffer.as_mut_ptr(), 0);
    // SAFETY: the handle is open, and the call fills at most so many bytes.
    check(unsafe { GetTokenInformation(token.as_raw_handle(), TokenUser, place.cast(), bytes, &raw mut told) })?;
    // SAFETY: the call has written a structure there that begins with this pointer (`TOKEN_USER`), and the buffer is
    // aligned for it.
    let sid: PSID = unsafe { place.cast::<PSID>().read() };
    let mut text = ptr::null_mut();
    // SAFETY: the identifier lies in the buffer, which lives, and the result is a local.
    check(unsafe { ConvertSidToStringSidW(sid, &raw mut text) })?;
    // SAFETY: 1. the conversion has made it just now, and nobody else has it.
    Ok(unsafe { take_text(text) })
}

/// A text as a conversion of the system has made it; frees it.
///
/// # Safety
/// 1. The text ends with a zero, is to be freed by LocalFree, and is nobody else's.
unsafe fn take_text(text: PWSTR) -> String {
    let mut units = Vec::new();
    loop {
        // SAFETY: the text ends with a zero, by duty 1 of this function, and no unit behind that is read.
        let unit = unsafe { text.wrapping_add(units.len()).read() };
        if unit == 0 {
            break;
        }
        units.push(unit);
    }
    // SAFETY: it is to be freed so, and nobody else's, by duty 1 of this function.
    let rest = unsafe { LocalFree(text.cast()) };
    // It fails only for what is no such memory.
    let _ = rest;
    OsString::from_wide(&units).to_string_lossy().into_owned()
}

/// The access list of what is open, as text.
#[cfg(test)]
pub(super) fn list_of(object: BorrowedHandle<'_>) -> io::Result<String> {
    // More than any list of the tests takes.
    let mut buffer = [0_u64; 512];
    let bytes = u32::try_from(size_of_val(&buffer)).map_err(io::Error::other)?;
    let (object, list, mut told) = (object.as_raw_handle(), DACL_SECURITY_INFORMATION, 0);
    let place: PSECURITY_DESCRIPTOR = buffer.as_mut_ptr().cast();
    // SAFETY: the handle is open, and the call fills at most so many bytes.
    check(unsafe { GetKernelObjectSecurity(object, list, place, bytes, &raw mut told) })?;
    // SAFETY: 1. the call has written a descriptor there, which lives.
    unsafe { list_text(place) }
}

/// The access list of a descriptor as text.
///
/// # Safety
/// 1. It is a descriptor, and lives until this is over.
#[cfg(test)]
unsafe fn list_text(descriptor: PSECURITY_DESCRIPTOR) -> io::Result<String> {
    let (mut text, mut units) = (ptr::null_mut(), 0);
    let (list, revision) = (DACL_SECURITY_INFORMATION, SDDL_REVISION_1);
    let (place, count) = (&raw mut text, &raw mut units);
    // SAFETY: the descriptor lives, by duty 1 of this function, and both results are locals.
    check(unsafe { ConvertSecurityDescriptorToStringSecurityDescriptorW(descriptor, revision, list, place, count) })?;
    // SAFETY: 1. the conversion has made it just now, and nobody else has it.
    Ok(unsafe { take_text(text) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(security: &Security) -> String {
        // SAFETY: 1. it is a descriptor, which lives.
        unsafe { list_text(security.descriptor) }.unwrap()
    }

    #[test]
    fn what_the_user_may_everybody_may_not_unless_it_is_said() {
        let lists = [0o600, 0o644, 0o666, 0o711].map(|permissions| text(&Security::new(permissions).unwrap()));
        assert_eq!(lists.each_ref().map(|list| list.contains(";;;WD)")), [false, true, true, false], "{lists:?}");
        assert!(lists.iter().all(|list| list.starts_with("D:P(") && list.contains(";;;SY)")), "{lists:?}");
        assert_eq!(lists.each_ref().map(|list| list.matches("(A;").count()), [2, 3, 3, 2], "{lists:?}");
    }

    #[test]
    fn a_group_that_is_not_everybody_is_refused() {
        for permissions in [0o660, 0o640, 0o664, 0o604, 0o606, 0o620] {
            let refused = Security::new(permissions).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
            assert!(refused.to_string().starts_with(&format!("permissions {permissions:03o}: ")), "{refused}");
        }
    }
}
