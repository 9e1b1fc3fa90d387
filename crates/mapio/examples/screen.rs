//! Text and a picture on screens that are memory, a location a cell or a pixel: screen [text|picture|pc|fb] FILE.png
//!
//! `text`, the default, and `picture` are screens in this process's memory. `pc` prints on the text screen of a PC, in
//! /dev/mem, and `fb` draws on /dev/fb0. Texts are shown, and pictures saved, as they are read back.
use std::env;
use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{Circle, PrimitiveStyle, Rectangle};
use mapio::device::screen::{Colour, Format, Framebuffer, Layout, TextScreen, fbdev};
use mapio::device::{self, RegisterIo, System, model};

const CELLS: Size = Size::new(80, 25);

/// Prints on any bus behind which a text screen is.
fn print(screen: &mut TextScreen<impl RegisterIo>) -> Result<(), device::Error> {
    screen.clear()?;
    for number in 0..16 {
        let colour = Colour::from_number(number);
        screen.set_attribute(colour.on(Colour::Black));
        screen.print(&format!("{number:2} {colour:14}"))?;
        // What is printed is a store of a character and of its colours to the next two bytes.
        screen.set_attribute(Colour::Black.on(colour));
        screen.print("  ░▒▓█ Ω ≈ π  \n")?;
    }
    Ok(())
}

/// Draws on anything that can be drawn on.
fn draw<D: DrawTarget<Color = Rgb888>>(screen: &mut D) -> Result<(), D::Error> {
    screen.clear(Rgb888::new(0x20, 0x30, 0x60))?;
    for (number, colour) in (0..).zip([Rgb888::RED, Rgb888::GREEN, Rgb888::YELLOW, Rgb888::CYAN]) {
        let corner = Point::new(40 + 60 * number, 40 + 30 * number);
        Circle::new(corner, 100).into_styled(PrimitiveStyle::with_stroke(colour, 8)).draw(screen)?;
        Rectangle::new(corner, Size::new(30, 30)).into_styled(PrimitiveStyle::with_fill(colour)).draw(screen)?;
    }
    Ok(())
}

fn run(which: &str, path: &Path) -> Result<(), Box<dyn Error>> {
    let picture = match which {
        "text" | "pc" => {
            let simulated = || TextScreen::new(model::screen::text(CELLS)?, CELLS);
            let mut screen = if which == "pc" { TextScreen::open(&System::default(), CELLS)? } else { simulated()? };
            print(&mut screen)?;
            println!("{}", screen.text()?.trim_end());
            screen.picture()?
        }
        "picture" | "fb" => {
            let layout = Layout::packed(Size::new(320, 240), Format::Xrgb8888);
            let simulated = || Framebuffer::new(model::screen::framebuffer(layout)?, layout);
            let mut screen = if which == "fb" { fbdev::open(&System::default(), 0)? } else { simulated()? };
            draw(&mut screen)?;
            screen.picture()?
        }
        _ => return Err(format!("'{which}' is none of text, picture, pc and fb").into()),
    };
    Ok(picture.write_png(File::create(path)?)?)
}

pub(crate) fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let shown = match arguments.as_slice() {
        [path] => run("text", path.as_ref()),
        [which, path] => run(which, path.as_ref()),
        _ => Err("usage: screen [text|picture|pc|fb] FILE.png".into()),
    };
    if let Err(error) = shown {
        let reason = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        eprintln!("screen: {error}{reason}");
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}
