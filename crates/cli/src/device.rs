//! `mapio device`: registers of devices, real and simulated, by address and by name, and screens.
//!
//! A file for each verb. What is accessed is in `target.rs`, which of its registers in `place.rs`, and the models of
//! this process in `simulated.rs`.

mod dump;
mod list;
mod owner;
mod place;
mod question;
mod read;
mod screen;
mod serial;
mod simulated;
mod spacing;
mod target;
mod watch;
mod write;

use clap::{Args, Subcommand};

use crate::output::Answer;

/// List devices, read and write their registers, draw on screens
///
/// TARGET is 0xADDRESS of /dev/mem, port:0x2f8, pci:0000:00:03.0/bar0 or pci:VENDOR:DEVICE/bar0, pci:.../config,
/// uio:0/map0, fb:0, file:PATH (a memory image), sim:BLOCK (a simulated one), or com1 to com4, lpt1 to lpt3. Behind
/// it +OFFSET in bytes, .REGISTER, .REGISTER[INDEX] or .REGISTER.FIELD, by the names of its block; mapio device list
/// has the blocks.
///
/// Exit status: 0 done, 1 the answer is no, 2 error, or not all of it could be done, which standard error has told.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: mapio device read sim:16550.LCR
Example: mapio device write com1.LCR.DLAB=1 --yes")]
#[allow(rustdoc::broken_intra_doc_links, reason = "the text is the command's help, in which nothing is a link")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(list::Arguments),
    Read(read::Arguments),
    Write(write::Arguments),
    Dump(dump::Arguments),
    Watch(watch::Arguments),
    Serial(serial::Arguments),
    Screen(screen::Arguments),
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        match self.verb {
            Verb::List(arguments) => arguments.run(),
            Verb::Read(arguments) => arguments.run(),
            Verb::Write(arguments) => arguments.run(),
            Verb::Dump(arguments) => arguments.run(),
            Verb::Watch(arguments) => arguments.run(),
            Verb::Serial(arguments) => arguments.run(),
            Verb::Screen(arguments) => arguments.run(),
        }
    }
}
