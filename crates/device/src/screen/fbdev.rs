//! Framebuffers that the kernel drives: /dev/fbN (Linux's Documentation/fb/api.rst, include/uapi/linux/fb.h).
#![expect(unsafe_code, reason = "ioctl(2)")]

use std::fs::File;

use embedded_graphics_core::geometry::Size;
use rustix::ioctl::{Getter, Opcode, ioctl};

use super::format::Channel;
use super::{Format, Framebuffer, Layout};
use crate::bus::Mmio;
use crate::error::Error;
use crate::system::System;

// Linux's include/uapi/linux/fb.h.
const FBIOGET_VSCREENINFO: Opcode = 0x4600;
const FBIOGET_FSCREENINFO: Opcode = 0x4602;
/// Pixels that are what they show, in one piece.
const FB_TYPE_PACKED_PIXELS: u32 = 0;
/// A character device's major number.
const FB_MAJOR: u32 = 29;

/// `struct fb_bitfield`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
struct BitField {
    offset: u32,
    length: u32,
    msb_right: u32,
}

/// `struct fb_var_screeninfo`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
struct VarScreenInfo {
    xres: u32,
    yres: u32,
    xres_virtual: u32,
    yres_virtual: u32,
    xoffset: u32,
    yoffset: u32,
    bits_per_pixel: u32,
    grayscale: u32,
    red: BitField,
    green: BitField,
    blue: BitField,
    transp: BitField,
    /// `nonstd` and what follows, up to the reserved numbers.
    others: [u32; 20],
}

/// `struct fb_fix_screeninfo`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
struct FixScreenInfo {
    id: [u8; 16],
    smem_start: libc::c_ulong,
    smem_len: u32,
    kind: u32,
    type_aux: u32,
    visual: u32,
    xpanstep: u16,
    ypanstep: u16,
    ywrapstep: u16,
    line_length: u32,
    mmio_start: libc::c_ulong,
    mmio_len: u32,
    accel: u32,
    capabilities: u16,
    reserved: [u16; 2],
}

const _: () = assert!(size_of::<VarScreenInfo>() == 160);
const _: () = assert!(size_of::<FixScreenInfo>() == if size_of::<libc::c_ulong>() == 8 { 80 } else { 68 });

/// Opens /dev/fb of a number, as it is set now. A console of the kernel on it goes on writing there.
///
/// # Errors
/// [`Error::Os`]: `ENOENT` where there is none, `EACCES` for those who may not; [`Error::Unexpected`] for pixels that no
/// [`Format`] is, or what is no framebuffer; [`Error::Map`].
pub fn open(system: &System, number: usize) -> Result<Framebuffer<Mmio>, Error> {
    let path = system.path(format!("/dev/fb{number}"));
    let name = path.display().to_string();
    let unexpected = |reason: String| Error::Unexpected { object: name.clone(), reason };
    let file = File::options().read(true).write(true).open(&path);
    let file = file.map_err(|source| Error::os("opening", &*name, source))?;
    let stat = rustix::fs::fstat(&file).map_err(|source| Error::os("looking at", &*name, source))?;
    let is_device = rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::CharacterDevice;
    if !is_device || rustix::fs::major(stat.st_rdev) != FB_MAJOR {
        return Err(unexpected("it is no framebuffer".to_owned()));
    }
    let fail = |source| Error::os("asking for the mode of", &*name, source);
    // SAFETY: FBIOGET_VSCREENINFO stores a `struct fb_var_screeninfo`, which `VarScreenInfo` is.
    let get = unsafe { Getter::<FBIOGET_VSCREENINFO, VarScreenInfo>::new() };
    // SAFETY: as above; the device number is that of framebuffers.
    let var = unsafe { ioctl(&file, get) }.map_err(fail)?;
    // SAFETY: FBIOGET_FSCREENINFO stores a `struct fb_fix_screeninfo`, which `FixScreenInfo` is.
    let get = unsafe { Getter::<FBIOGET_FSCREENINFO, FixScreenInfo>::new() };
    // SAFETY: as above.
    let fix = unsafe { ioctl(&file, get) }.map_err(fail)?;
    let (start, layout) = layout(&var, &fix).map_err(unexpected)?;
    let end = start.checked_add(u64::try_from(layout.len_bytes()?).unwrap_or(u64::MAX));
    let end = end.ok_or_else(|| Error::invalid(&*name, "its end is too far away"))?;
    Framebuffer::new(Mmio::open(&path, start..end)?, layout)
}

/// Where the first visible pixel is, in bytes, and the others.
fn layout(var: &VarScreenInfo, fix: &FixScreenInfo) -> Result<(u64, Layout), String> {
    if fix.kind != FB_TYPE_PACKED_PIXELS {
        return Err(format!("its pixels are not packed, but of type {}", fix.kind));
    }
    let format = format(var).ok_or_else(|| {
        let parts = [var.red, var.green, var.blue].map(|part| (part.offset, part.length));
        format!("its pixels of {} bits are of no known format: {parts:?}", var.bits_per_pixel)
    })?;
    let pixel_bytes = u64::from(var.bits_per_pixel / u8::BITS);
    let start = u64::from(var.yoffset) * u64::from(fix.line_length) + u64::from(var.xoffset) * pixel_bytes;
    let stride_bytes = usize::try_from(fix.line_length).map_err(|_| "its rows are too long".to_owned())?;
    Ok((start, Layout { size: Size::new(var.xres, var.yres), format, stride_bytes }))
}

fn format(var: &VarScreenInfo) -> Option<Format> {
    let channels: [Channel; 3] = [var.red, var.green, var.blue].map(|part| (part.offset, part.length));
    let bytes = usize::try_from(var.bits_per_pixel / u8::BITS).ok()?;
    let is_same = |format: &Format| format.bytes() == bytes && format.channels() == channels;
    Format::ALL.into_iter().find(is_same).filter(|_| var.bits_per_pixel.is_multiple_of(u8::BITS) && var.grayscale == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(channels: [Channel; 3], bits_per_pixel: u32) -> VarScreenInfo {
        let [red, green, blue] = channels.map(|(offset, length)| BitField { offset, length, msb_right: 0 });
        VarScreenInfo {
            xres: 640,
            yres: 480,
            xoffset: 2,
            yoffset: 3,
            bits_per_pixel,
            red,
            green,
            blue,
            ..VarScreenInfo::default()
        }
    }

    #[test]
    fn every_format_is_known_by_its_bits_and_no_other_is() {
        let fix = FixScreenInfo { line_length: 4096, ..FixScreenInfo::default() };
        for wanted in Format::ALL {
            let bits = u32::try_from(wanted.bytes()).expect("small") * 8;
            let (start, found) = layout(&mode(wanted.channels(), bits), &fix).expect("a format");
            assert_eq!(found, Layout { size: Size::new(640, 480), format: wanted, stride_bytes: 4096 });
            assert_eq!(start, 3 * 4096 + 2 * u64::from(bits / 8));
        }
        assert!(layout(&mode([(0, 8); 3], 8), &fix).is_err());
        assert!(layout(&mode([(10, 5), (5, 5), (0, 5)], 16), &fix).is_err());
        assert!(layout(&mode(Format::Rgb565.channels(), 15), &fix).is_err());
        let planes = FixScreenInfo { kind: 1, ..fix };
        assert!(layout(&mode(Format::Rgb565.channels(), 16), &planes).is_err());
    }

    #[test]
    fn a_file_that_is_no_framebuffer_is_not_asked() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("dev")).expect("room");
        std::fs::write(folder.path().join("dev/fb0"), [0; 100]).expect("room");
        let system = System::at(folder.path());
        let error = open(&system, 0).expect_err("it is a regular file").to_string();
        assert!(error.ends_with("dev/fb0: it is no framebuffer"), "{error}");
        assert!(matches!(open(&system, 1), Err(Error::Os { .. })));
    }
}
