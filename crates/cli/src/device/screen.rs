//! `mapio device screen`.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use mapio_device::screen::embedded_graphics_core::draw_target::DrawTarget;
use mapio_device::screen::embedded_graphics_core::geometry::Point;
use mapio_device::screen::{Attribute, Format, Framebuffer, Layout, Picture, Size, TextScreen, bochs, fbdev};
use mapio_device::{Mmio, System, model};
use serde::Serialize;
use tempfile::NamedTempFile;

use super::question::{Consent, consent};
use crate::output::{self, Answer};

/// What a text screen has if it is not said.
const CELLS: Size = Size::new(80, 25);
/// The mode of a picture if it is not said.
const MODE: (Size, Format) = (Size::new(640, 480), Format::Xrgb8888);
/// Bytes that a cell takes.
const CELL_BYTES: u64 = 2;
/// Bytes that a screen has at most: more than any there is.
const LARGEST_BYTES: u64 = 1 << 30;
/// Pixels of a character.
const GLYPH: Size = Size::new(9, 14);

/// Print and draw on screens that are memory, and see what is on them
///
/// TARGET is sim:text or sim:framebuffer (simulated ones, black at first, which end with the command), mem (the text
/// screen of a PC: the cells of /dev/mem, from 0xb8000 on, that /dev/port says are shown), fb:0 (/dev/fb0, as it is
/// set), or pci:1234:1111 (the display of QEMU and Bochs).
///
/// It is cleared, gets the picture, then the text, and is looked at then. Drawing on hardware is asked about on a
/// terminal, and refused without one, unless there is --yes. Exit status: 0 done, 1 not wanted, 2 error.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: mapio device screen sim:text --text 'Good morning.' --capture a.png
Example: dmesg | mapio device screen mem --clear --text - --yes")]
pub(super) struct Arguments {
    /// Which screen
    #[arg(value_parser = target)]
    target: Target,
    /// Columns and rows of text, as 80x25; or pixels and bits of each, as 640x480x32 (16, 24 or 32 bits)
    #[arg(long, value_name = "MODE", value_parser = mode)]
    mode: Option<Mode>,
    /// Clear it first
    #[arg(long)]
    clear: bool,
    /// Draw a PNG file in the middle, as large as fits
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Draw the picture in its own size
    #[arg(long, requires = "picture")]
    unscaled: bool,
    /// Print this from the first cell on; - is standard input
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Colours of the text, as yellow/blue for yellow on blue; default: light-gray/black
    #[arg(long, value_name = "COLOURS", value_parser = colours)]
    colours: Option<Attribute>,
    /// Print what is on a text screen then
    #[arg(long)]
    show: bool,
    /// Print that as a line of JSON
    #[arg(long, requires = "show")]
    json: bool,
    /// Save what is on the screen then as a PNG file
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// Draw on hardware without asking
    #[arg(long, short)]
    yes: bool,
    /// The folder in which sys and dev are, instead of the root
    #[arg(long, value_name = "DIR", hide = true)]
    root: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    SimulatedText,
    SimulatedFramebuffer,
    Memory,
    Framebuffer(usize),
    Bochs,
}

/// What `--mode` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Text(Size),
    Pixels(Size, Format),
}

/// What is on a text screen, as JSON.
#[derive(Debug, Serialize)]
struct ShownJson<'a> {
    /// A row each, without the blanks at its end.
    lines: Vec<&'a str>,
}

/// Where a picture is saved.
enum Capture {
    /// In a file that is made beside the one of this name, which it replaces once it is whole.
    Beside(NamedTempFile, PathBuf),
    /// In what is no regular file, such as a pipe, which can't be replaced.
    Special(File, PathBuf),
}

/// A screen that is open.
enum Screen {
    Text(TextScreen<Mmio>),
    Pixels(Framebuffer<Mmio>),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SimulatedText => f.write_str("sim:text"),
            Self::SimulatedFramebuffer => f.write_str("sim:framebuffer"),
            Self::Memory => f.write_str("mem"),
            Self::Framebuffer(number) => write!(f, "fb:{number}"),
            Self::Bochs => f.write_str("pci:1234:1111"),
        }
    }
}

fn target(text: &str) -> Result<Target, String> {
    match text {
        "sim:text" => Ok(Target::SimulatedText),
        "sim:framebuffer" => Ok(Target::SimulatedFramebuffer),
        "mem" => Ok(Target::Memory),
        "pci:1234:1111" => Ok(Target::Bochs),
        _ => {
            let number = text.strip_prefix("fb:").and_then(|number| number.parse().ok());
            let screens = "sim:text, sim:framebuffer, mem, fb:0 or pci:1234:1111";
            number.map(Target::Framebuffer).ok_or_else(|| format!("'{text}' is no screen: use {screens}"))
        }
    }
}

fn mode(text: &str) -> Result<Mode, String> {
    let numbers: Option<Vec<u32>> = text.split('x').map(|number| number.parse().ok()).collect();
    let format = |bits| match bits {
        16 => Some(Format::Rgb565),
        24 => Some(Format::Rgb888),
        32 => Some(Format::Xrgb8888),
        _ => None,
    };
    let mode = match numbers.as_deref() {
        Some(&[columns, rows]) => Some(Mode::Text(Size::new(columns, rows))),
        Some(&[width, height, bits]) => format(bits).map(|format| Mode::Pixels(Size::new(width, height), format)),
        _ => None,
    };
    mode.ok_or_else(|| format!("'{text}' is no mode such as 80x25 or 640x480x32"))
}

fn colours(text: &str) -> Result<Attribute, String> {
    text.parse().map_err(|error: mapio_device::Error| error.to_string())
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Answer> {
        let is_real = !matches!(self.target, Target::SimulatedText | Target::SimulatedFramebuffer);
        // Opening the display of QEMU sets its mode.
        let draws = self.clear || self.picture.is_some() || self.text.is_some() || self.target == Target::Bochs;
        // What can't be shown, read or saved is known before anything is drawn.
        self.check()?;
        let name = self.target.to_string();
        if is_real && draws && !self.yes && consent(&name, &format!("draw on {name}?"))? == Consent::Withheld {
            return Ok(Answer::No);
        }
        let capture = self.capture.as_deref().map(Capture::create).transpose()?;
        let picture = self.picture.as_deref().map(read_picture).transpose()?;
        let text = self.text.as_deref().map(read_text).transpose()?;
        let mut screen = self.open()?;
        if let (Screen::Pixels(screen), true) = (&screen, text.is_some()) {
            text_cells(screen.layout().size)?;
        }
        if self.clear {
            screen.clear(self.colours.unwrap_or_default())?;
        }
        if let Some(picture) = picture {
            screen.draw(&picture, self.unscaled)?;
        }
        if let Some(text) = text {
            screen.print(&text, self.colours.unwrap_or_default())?;
        }
        if let (Screen::Text(text), true) = (&screen, self.show) {
            self.show(text)?;
        }
        if let Some(capture) = capture {
            capture.save(&screen.picture()?)?;
        }
        Ok(Answer::Yes)
    }

    /// Refuses what this kind of screen does not do.
    fn check(&self) -> anyhow::Result<()> {
        let is_text = matches!(self.target, Target::SimulatedText | Target::Memory);
        anyhow::ensure!(is_text || !self.show, "--show is for text screens: --capture saves a picture");
        anyhow::ensure!(!is_text || self.picture.is_none(), "a text screen shows no picture");
        let bytes = match self.mode {
            None => 0,
            Some(Mode::Text(cells)) => {
                u64::from(cells.width).saturating_mul(cells.height.into()).saturating_mul(CELL_BYTES)
            }
            Some(Mode::Pixels(size, format)) => {
                let pixel_bytes = u64::try_from(format.bytes())?;
                u64::from(size.width).saturating_mul(size.height.into()).saturating_mul(pixel_bytes)
            }
        };
        anyhow::ensure!(bytes <= LARGEST_BYTES, "a screen of {bytes} bytes is too large: {LARGEST_BYTES} are the most");
        Ok(())
    }

    /// Prints what is in the cells.
    fn show(&self, screen: &TextScreen<Mmio>) -> anyhow::Result<()> {
        let text = screen.text()?;
        if self.json {
            return output::json(&ShownJson { lines: text.lines().collect() });
        }
        output::print(&text).map(drop)
    }

    fn open(&self) -> anyhow::Result<Screen> {
        let system = self.root.as_ref().map_or_else(System::default, System::at);
        Ok(match self.target {
            Target::SimulatedText => {
                let cells = self.cells()?;
                Screen::Text(TextScreen::new(model::screen::text(cells)?, cells)?)
            }
            Target::SimulatedFramebuffer => {
                let (size, format) = self.pixels()?;
                let layout = Layout::packed(size, format);
                Screen::Pixels(Framebuffer::new(model::screen::framebuffer(layout)?, layout)?)
            }
            Target::Memory => Screen::Text(TextScreen::open(&system, self.cells()?)?),
            Target::Framebuffer(number) => {
                anyhow::ensure!(self.mode.is_none(), "fb:{number} has the mode that the kernel has set");
                Screen::Pixels(fbdev::open(&system, number)?)
            }
            Target::Bochs => {
                let (size, format) = self.pixels()?;
                Screen::Pixels(bochs::open(&system, size, format)?)
            }
        })
    }

    fn cells(&self) -> anyhow::Result<Size> {
        match self.mode {
            None => Ok(CELLS),
            Some(Mode::Text(cells)) => Ok(cells),
            Some(Mode::Pixels(..)) => anyhow::bail!("a text screen has a mode such as 80x25"),
        }
    }

    fn pixels(&self) -> anyhow::Result<(Size, Format)> {
        match self.mode {
            None => Ok(MODE),
            Some(Mode::Pixels(size, format)) => Ok((size, format)),
            Some(Mode::Text(_)) => anyhow::bail!("this screen has a mode such as 640x480x32"),
        }
    }
}

impl Screen {
    fn clear(&mut self, attribute: Attribute) -> anyhow::Result<()> {
        match self {
            Self::Text(screen) => {
                screen.set_attribute(attribute);
                screen.clear()?;
            }
            Self::Pixels(screen) => screen.clear(attribute.background().rgb())?,
        }
        Ok(())
    }

    fn print(&mut self, text: &str, attribute: Attribute) -> anyhow::Result<()> {
        match self {
            Self::Text(screen) => {
                screen.set_attribute(attribute);
                screen.print(text)?;
            }
            // A text screen as large as fits, of which the rows that are printed on are drawn.
            Self::Pixels(screen) => {
                let pixels = screen.layout().size;
                let cells = text_cells(pixels)?;
                let mut drawn = TextScreen::new(model::screen::text(cells)?, cells)?;
                drawn.set_attribute(attribute);
                drawn.print(text)?;
                let rows = Size::new(cells.width, u32::try_from(drawn.position().row + 1)?.min(cells.height));
                let printed = TextScreen::new(drawn.into_bus(), rows)?;
                screen.draw_picture(&printed.picture()?, Point::new(0, 0))?;
                screen.bus().flush();
            }
        }
        Ok(())
    }

    fn draw(&mut self, picture: &Picture, unscaled: bool) -> anyhow::Result<()> {
        let Self::Pixels(screen) = self else { anyhow::bail!("a text screen shows no picture") };
        let size = screen.layout().size;
        let scaled = if unscaled { picture.clone() } else { picture.scaled_into(size)? };
        let middle = |outer: u32, inner: u32| i32::try_from((i64::from(outer) - i64::from(inner)) / 2);
        let corner = Point::new(middle(size.width, scaled.size().width)?, middle(size.height, scaled.size().height)?);
        screen.draw_picture(&scaled, corner)?;
        screen.bus().flush();
        Ok(())
    }

    fn picture(&self) -> anyhow::Result<Picture> {
        Ok(match self {
            Self::Text(screen) => screen.picture()?,
            Self::Pixels(screen) => screen.picture()?,
        })
    }
}

fn read_picture(path: &Path) -> anyhow::Result<Picture> {
    let file = File::open(path).with_context(|| format!("opening {}", output::name(path)))?;
    Picture::read_png(BufReader::new(file)).with_context(|| output::name(path))
}

fn read_text(text: &str) -> anyhow::Result<String> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).context("reading standard input")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Columns and rows of text that a picture has room for.
fn text_cells(pixels: Size) -> anyhow::Result<Size> {
    let cells = Size::new(pixels.width / GLYPH.width, pixels.height / GLYPH.height);
    let (width, height) = (GLYPH.width, GLYPH.height);
    let has_room = cells.width > 0 && cells.height > 0;
    anyhow::ensure!(
        has_room,
        "{}x{} pixels have no room for a character of {width}x{height}",
        pixels.width,
        pixels.height
    );
    Ok(cells)
}

impl Capture {
    /// Makes a file that can be written, and leaves one that has the name as it is.
    fn create(path: &Path) -> anyhow::Result<Self> {
        let creating = || format!("creating {}", output::name(path));
        // The file behind a link is replaced, and not the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        match fs::metadata(&path) {
            Ok(metadata) if !metadata.is_file() => {
                let file = File::options().write(true).open(&path).with_context(creating)?;
                return Ok(Self::Special(file, path));
            }
            Ok(_) => drop(File::options().write(true).open(&path).with_context(creating)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(creating),
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // What the file may have is for the umask to say, as of any new file.
        let permissions = fs::metadata(&path).map_or_else(|_| Permissions::from_mode(0o666), |old| old.permissions());
        let mut builder = tempfile::Builder::new();
        let file = builder.prefix(".mapio-").permissions(permissions).tempfile_in(folder).with_context(creating)?;
        Ok(Self::Beside(file, path))
    }

    /// Saves the picture; the file has its name once all of it is written.
    fn save(self, picture: &Picture) -> anyhow::Result<()> {
        let (Self::Beside(_, path) | Self::Special(_, path)) = &self;
        let name = output::name(path);
        let file = match &self {
            Self::Beside(file, _) => file.as_file(),
            Self::Special(file, _) => file,
        };
        let mut writer = BufWriter::new(file);
        picture.write_png(&mut writer).with_context(|| name.clone())?;
        writer.flush().with_context(|| format!("writing {name}"))?;
        drop(writer);
        if let Self::Beside(file, path) = self {
            file.persist(path).map_err(|error| error.error).with_context(|| format!("replacing {name}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_and_modes_are_read_or_refused() {
        assert_eq!(target("fb:12"), Ok(Target::Framebuffer(12)));
        assert_eq!(target("pci:1234:1111"), Ok(Target::Bochs));
        for bad in ["", "fb:", "fb:x", "sim:", "0xb8000"] {
            assert!(target(bad).is_err_and(|error| error.contains("is no screen: use sim:text")), "{bad}");
        }
        assert_eq!(mode("132x43"), Ok(Mode::Text(Size::new(132, 43))));
        assert_eq!(mode("640x480x16"), Ok(Mode::Pixels(Size::new(640, 480), Format::Rgb565)));
        for bad in ["", "80", "80x", "80x25x8", "1x2x3x4", "-1x5", "80 x 25"] {
            assert!(mode(bad).is_err(), "{bad}");
        }
    }
}
