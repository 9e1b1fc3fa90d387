//! Framebuffers that the kernel drives: /dev/fbN (Linux's Documentation/fb/api.rst, include/uapi/linux/fb.h).
#![expect(unsafe_code, reason = "ioctl(2)")]

use std::fs::File;
use std::ops::Range;

use embedded_graphics_core::geometry::Size;
use mapio_map::page_bytes;
use rustix::ioctl::{Getter, Opcode, ioctl};

use super::format::Channel;
use super::{Format, Framebuffer, Layout};
use crate::bus::Mmio;
use crate::error::Error;
use crate::system::{self, System};

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
/// [`Error::Os`]: `ENOENT` where there is none, `EACCES` for those who may not; [`Error::Unexpected`] for pixels that
/// no [`Format`] is, for some that its memory does not have, or for what is no framebuffer; [`Error::Map`];
/// [`Error::Invalid`] for pixels that are not aligned.
pub fn open(system: &System, number: usize) -> Result<Framebuffer<Mmio>, Error> {
    let path = system.path(format!("/dev/fb{number}"));
    let name = path.display().to_string();
    let unexpected = |reason: String| Error::Unexpected { object: name.clone(), reason };
    let file = File::options().read(true).write(true).open(&path);
    let file = file.map_err(|source| Error::os("opening", &*name, source))?;
    let is_framebuffer = system::is_device(&file, FB_MAJOR);
    if !is_framebuffer.map_err(|source| Error::os("looking at", &*name, source))? {
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
    let (range, layout) = place(&var, &fix, page_bytes()).map_err(unexpected)?;
    Framebuffer::new(Mmio::open(&path, range)?, layout)
}

/// Which bytes of the file the visible pixels are, and how they lie there.
///
/// A mapping begins with the page in which the framebuffer's memory begins (`vm_iomap_memory` in Linux's mm/memory.c),
/// and behind the memory may come registers (`fb_io_mmap` in its drivers/video/fbdev/core/fb_io_fops.c), which no
/// pixel must reach.
fn place(var: &VarScreenInfo, fix: &FixScreenInfo, page_bytes: usize) -> Result<(Range<u64>, Layout), String> {
    if fix.kind != FB_TYPE_PACKED_PIXELS {
        return Err(format!("its pixels are not packed, but of type {}", fix.kind));
    }
    let format = format(var).ok_or_else(|| {
        let parts = [var.red, var.green, var.blue].map(|part| (part.offset, part.length));
        format!("its pixels of {} bits are of no known format: {parts:?}", var.bits_per_pixel)
    })?;
    let stride_bytes = usize::try_from(fix.line_length).map_err(|_| "its rows are too long".to_owned())?;
    let layout = Layout { size: Size::new(var.xres, var.yres), format, stride_bytes };
    let len = layout.len_bytes().map_err(|error| error.to_string())?;
    let far = || format!("what it shows, from row {} and column {} on, is too far away", var.yoffset, var.xoffset);
    let rows = u64::from(var.yoffset).checked_mul(fix.line_length.into());
    let columns = u64::from(var.xoffset).checked_mul((var.bits_per_pixel / u8::BITS).into());
    let first = rows.zip(columns).and_then(|(rows, columns)| rows.checked_add(columns)).ok_or_else(far)?;
    let end = u64::try_from(len).ok().and_then(|len| first.checked_add(len)).ok_or_else(far)?;
    if end > u64::from(fix.smem_len) {
        return Err(format!("what it shows ends at byte {end}, and its memory has {}", fix.smem_len));
    }
    let lead = usize::try_from(fix.smem_start).ok().and_then(|start| u64::try_from(start % page_bytes).ok());
    let range = lead.and_then(|lead| Some(lead.checked_add(first)?..lead.checked_add(end)?)).ok_or_else(far)?;
    Ok((range, layout))
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

    /// Memory of so many rows of 4096 bytes.
    fn memory(rows: u32) -> FixScreenInfo {
        FixScreenInfo { line_length: 4096, smem_len: rows * 4096, ..FixScreenInfo::default() }
    }

    fn refusal(var: &VarScreenInfo, fix: &FixScreenInfo) -> String {
        place(var, fix, 4096).expect_err("it is none")
    }

    #[test]
    fn every_format_is_known_by_its_bits_and_no_other_is() {
        let fix = memory(500);
        for wanted in Format::ALL {
            let bits = u32::try_from(wanted.bytes()).expect("small") * 8;
            let (range, found) = place(&mode(wanted.channels(), bits), &fix, 4096).expect("a format");
            assert_eq!(found, Layout { size: Size::new(640, 480), format: wanted, stride_bytes: 4096 });
            let start = 3 * 4096 + 2 * u64::from(bits / 8);
            assert_eq!(range, start..start + 479 * 4096 + 640 * u64::from(bits / 8));
        }
        let refused = |channels, bits| refusal(&mode(channels, bits), &fix);
        assert_eq!(refused([(0, 8); 3], 8), "its pixels of 8 bits are of no known format: [(0, 8), (0, 8), (0, 8)]");
        assert!(refused([(10, 5), (5, 5), (0, 5)], 16).contains("no known format"));
        assert!(refused(Format::Rgb565.channels(), 15).contains("no known format"));
        let planes = FixScreenInfo { kind: 1, ..fix };
        assert_eq!(refusal(&mode(Format::Rgb565.channels(), 16), &planes), "its pixels are not packed, but of type 1");
    }

    #[test]
    fn memory_that_begins_within_a_page_is_found_there() {
        let var = mode(Format::Xrgb8888.channels(), 32);
        let (aligned, layout) = place(&var, &memory(500), 4096).expect("it is one");
        for (start, page_bytes, lead) in [
            (0xe000_0000, 4096, 0),
            (0xe000_0010, 4096, 0x10),
            (0xe000_0fff, 4096, 0xfff),
            (0xe000_1010, 0x1_0000, 0x1010),
        ] {
            let (range, same) =
                place(&var, &FixScreenInfo { smem_start: start, ..memory(500) }, page_bytes).expect("one");
            assert_eq!((range, same), (aligned.start + lead..aligned.end + lead, layout), "{start:#x}");
        }
    }

    #[test]
    fn pixels_that_the_memory_does_not_have_are_an_error() {
        let var = mode(Format::Xrgb8888.channels(), 32);
        // Three rows above, 480 shown: the last one ends within the 483rd.
        let last = 482 * 4096 + (2 + 640) * 4;
        assert!(place(&var, &FixScreenInfo { smem_len: last, ..memory(0) }, 4096).is_ok());
        let less = FixScreenInfo { smem_len: last - 1, smem_start: 0x100, ..memory(0) };
        let wanted = format!("what it shows ends at byte {last}, and its memory has {}", last - 1);
        assert_eq!(refusal(&var, &less), wanted);
        let most = FixScreenInfo { line_length: u32::MAX, smem_len: u32::MAX, ..memory(0) };
        let far = VarScreenInfo { xoffset: u32::MAX, yoffset: u32::MAX, ..var };
        assert!(refusal(&far, &most).contains("is too far away"), "{}", refusal(&far, &most));
        let near = VarScreenInfo { yoffset: 1 << 31, ..var };
        assert!(refusal(&near, &most).contains("ends at byte"), "{}", refusal(&near, &most));
        for none in [VarScreenInfo { xres: 0, ..var }, VarScreenInfo { xres: 1025, ..var }] {
            assert!(refusal(&none, &memory(500)).starts_with("framebuffer: "), "{}", refusal(&none, &memory(500)));
        }
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
