//! `mapio device serial`.

mod kept;
mod terminal;
mod world;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use mapio_device::model::serial::{Peer, Timing, Uart};
use mapio_device::model::{self, Simulated};
use mapio_device::register::Block;
use mapio_device::serial::{
    DataBits, Flow, Ns16550, PC_CLOCK_HZ, Parity, Pl011, Serial, Settings, StopBits, ns16550, pl011,
};
use mapio_device::{Driven, Polled, System};

use super::owner;
use super::question::{Consent, consent};
use super::spacing::Spacing;
use super::target::{self, Enabling, Room, Target};
use crate::duration::duration;
use crate::output::{self, Answer};
use kept::Keep;
use terminal::{Listen, Terminal, Times};
use world::World;

/// UARTCLK of QEMU's machines, in hertz.
const PL011_CLOCK_HZ: u32 = 24_000_000;
/// The clock of a simulated 16550, in hertz: it makes fast speeds too.
const SIMULATED_CLOCK_HZ: u32 = 48_000_000;

/// Talk to a serial port
///
/// On a terminal, keys go to the port and its bytes to the screen, until Ctrl-]. Else standard input is sent, to the
/// last bit, and what comes goes to standard output, until nothing has come for the time of --linger.
///
/// TARGET is a 16550 or a PL011: com1 to com4, port:0x2f8, pci:0000:00:04.0/bar0, uio:0, 0xADDRESS, or sim:16550 or
/// sim:pl011, whose other end sends everything back, or is a pseudo-terminal with --pty.
///
/// Hardware is set up for that, which is asked about on a terminal, and refused without one, unless there is --yes. A
/// port that a driver of the kernel's has, by /proc/tty/driver or /sys/bus/pci, is refused without --force. Speed, format,
/// lines and interrupts are put back at the end.
///
/// Exit status: 0 done, 1 not wanted, 2 an error, or not all of it: bytes were lost, or came wrong, which standard error
/// has told.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: echo hello | mapio device serial sim:pl011
Example: mapio device serial com2 --baud 9600 --yes
Example: mapio device serial 0xfe650000 --stride 4 --io-width 32 --yes")]
pub(super) struct Arguments {
    /// The port
    #[arg(value_parser = target::parse)]
    target: Target,
    /// Bits a second; default: 115200
    #[arg(long, value_name = "N", default_value_t = 115_200, hide_default_value = true)]
    baud: u32,
    /// Data bits of a byte, 5 to 8; default: 8
    #[arg(long, value_name = "N", default_value = "8", hide_default_value = true, value_parser = data_bits)]
    bits: DataBits,
    /// The check bit: none, odd, even, mark or space; default: none
    #[arg(long, value_enum, value_name = "KIND", default_value_t = ParityKind::None)]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    parity: ParityKind,
    /// Stop bits, 1 or 2; default: 1
    #[arg(long, value_name = "N", default_value = "1", hide_default_value = true, value_parser = stop_bits)]
    stop: StopBits,
    /// How the receiver stops the sender: none, rts-cts or xon-xoff; default: none
    #[arg(long, value_enum, value_name = "KIND", default_value_t = FlowKind::None)]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    flow: FlowKind,
    /// 16550 or pl011, where the target does not say which it is; default: 16550
    #[arg(long, value_enum, value_name = "CHIP", hide_possible_values = true)]
    chip: Option<ChipKind>,
    #[command(flatten)]
    spacing: Spacing,
    /// Hertz of the chip's clock; default: 1843200 as in PCs, of a PL011 24000000
    #[arg(long, value_name = "HZ")]
    clock: Option<u32>,
    /// Ask the chip again and again; the default where there is no interrupt
    #[arg(long)]
    poll: bool,
    /// Sleep until the device interrupts
    ///
    /// Possible with sim: (the default there), uio:, and pci: that was given to uio_pci_generic.
    #[arg(long, conflicts_with = "poll")]
    interrupt: bool,
    /// Make a pseudo-terminal the other end of a simulated port
    ///
    /// Its name is printed to standard error.
    #[arg(long)]
    pty: bool,
    /// Without a terminal: how long to wait behind the input's end; default: 500ms
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "500ms", hide_default_value = true)]
    linger: Duration,
    /// Without a terminal: how long the other end may take nothing; default: 10s
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s", hide_default_value = true)]
    timeout: Duration,
    /// Use hardware without asking
    #[arg(long, short)]
    yes: bool,
    /// Use it also while a driver of the kernel's has it
    #[arg(long)]
    force: bool,
    /// Print a last line of JSON that counts bytes and errors
    ///
    /// sent, received, errors (bytes that came wrong, or were lost), dropped (bytes of the input that were not sent).
    #[arg(long)]
    json: bool,
    /// The folder in which sys and dev are, instead of the root
    #[arg(long, value_name = "DIR", hide = true)]
    root: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ParityKind {
    None,
    Odd,
    Even,
    Mark,
    Space,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FlowKind {
    None,
    RtsCts,
    XonXoff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ChipKind {
    #[value(name = "16550")]
    Ns16550,
    Pl011,
}

impl ChipKind {
    /// Its registers.
    fn block(self) -> &'static Block {
        match self {
            Self::Ns16550 => &ns16550::Registers::BLOCK,
            Self::Pl011 => &pl011::Registers::BLOCK,
        }
    }
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Answer> {
        let chip = self.chip_kind()?;
        self.check_target(chip)?;
        if self.target.is_simulated() { self.run_simulated(chip) } else { self.run_real(chip) }
    }

    fn run_simulated(&self, chip: ChipKind) -> anyhow::Result<Answer> {
        match chip {
            ChipKind::Ns16550 => {
                let clock_hz = self.clock.unwrap_or(SIMULATED_CLOCK_HZ);
                let bus = Simulated::new(model::Ns16550::with_clock(Timing::Real, clock_hz));
                self.simulated(&bus, Ns16550::new(bus.clone(), clock_hz)?.with_automatic_flow())
            }
            ChipKind::Pl011 => {
                let clock_hz = self.clock.unwrap_or(PL011_CLOCK_HZ);
                let bus = Simulated::new(model::Pl011::with_clock(Timing::Real, clock_hz));
                self.simulated(&bus, Pl011::new(bus.clone(), clock_hz)?)
            }
        }
    }

    fn run_real(&self, chip: ChipKind) -> anyhow::Result<Answer> {
        let (target, system) = (&self.target, self.root.as_ref().map_or_else(System::default, System::at));
        let registers = chip.block().len;
        if !self.force {
            let bytes = self.spacing.bus_bytes(registers).context("the range is too long")?;
            owner::refuse_driven(target, &system, u64::try_from(bytes)?)?;
        }
        let question = format!("set up {} and use it as a serial port?", target.name);
        if !self.yes && consent(&target.name, &question)? == Consent::Withheld {
            return Ok(Answer::No);
        }
        let bus = self.spacing.open(target, &system, Room::exactly(registers), Enabling::Enable)?;
        match chip {
            ChipKind::Ns16550 => self.real(&system, Ns16550::new(bus, self.clock.unwrap_or(PC_CLOCK_HZ))?),
            ChipKind::Pl011 => self.real(&system, Pl011::new(bus, self.clock.unwrap_or(PL011_CLOCK_HZ))?),
        }
    }

    /// Refuses what is a part of a port, or none, and what this kind of port does not have.
    fn check_target(&self, chip: ChipKind) -> anyhow::Result<()> {
        let target = &self.target;
        anyhow::ensure!(target.register.is_none(), "a serial port is all of its registers, and not one of them");
        anyhow::ensure!(!target.is_file(), "{} is a file, and no serial port", target.name);
        let is_inside = target.is_simulated() && target.offset != 0;
        anyhow::ensure!(!is_inside, "{} is inside of a port, which begins at offset 0", target.name);
        self.spacing.check(Some(chip.block()))?;
        if target.is_simulated() {
            anyhow::ensure!(
                !self.spacing.is_given(),
                "the registers of a simulated port stand side by side: no --stride"
            );
        } else {
            anyhow::ensure!(!self.pty, "--pty is for simulated ports: {} has another end of its own", target.name);
        }
        Ok(())
    }

    fn simulated<M: Uart + 'static>(&self, bus: &Simulated<M>, chip: impl Keep) -> anyhow::Result<Answer> {
        let peer = Peer::of(bus);
        if matches!(self.flow, FlowKind::RtsCts) {
            peer.heed_cts();
        }
        let world = if self.pty { World::pty(peer)? } else { World::echo(peer)? };
        if self.poll { self.talk(chip, Polled, world) } else { self.talk(chip, Driven::new(bus.interrupt()?), world) }
    }

    fn real(&self, system: &System, chip: impl Keep) -> anyhow::Result<Answer> {
        if self.interrupt {
            let interrupt = self.target.interrupt(system)?;
            return self.talk(chip, Driven::new(interrupt), World::Real);
        }
        self.talk(chip, Polled, World::Real)
    }

    /// Sets the port up, carries bytes until the end, and puts it back.
    fn talk<C: Keep>(&self, mut chip: C, waiting: impl Listen, world: World) -> anyhow::Result<Answer> {
        let kept = chip.keep()?;
        let port = Serial::new(chip, waiting, self.settings())?;
        let times = Times { linger: self.linger, stuck: self.timeout };
        let mut terminal = Terminal::new(port, world, times)?;
        let talked = terminal.run();
        let (mut port, counts, last) = terminal.into_parts();
        let is_back = port.chip().put_back(kept);
        if self.json {
            // What has come may have no line break at its end.
            let start = if last.is_none_or(|last| last == b'\n') { "" } else { "\n" };
            output::line(&format!("{start}{}", serde_json::to_string(&counts)?))?;
        }
        talked?;
        is_back?;
        Ok(if counts.is_whole() { Answer::Yes } else { Answer::Partly })
    }

    fn chip_kind(&self) -> anyhow::Result<ChipKind> {
        let told = match self.target.block {
            None => return Ok(self.chip.unwrap_or(ChipKind::Ns16550)),
            Some("16550") => ChipKind::Ns16550,
            Some("pl011") => ChipKind::Pl011,
            Some(other) => bail!("{} is no serial port but {other}", self.target.name),
        };
        match self.chip {
            Some(chip) if chip != told => bail!("{} is another chip than --chip says", self.target.name),
            _ => Ok(told),
        }
    }

    fn settings(&self) -> Settings {
        let parity = match self.parity {
            ParityKind::None => Parity::None,
            ParityKind::Odd => Parity::Odd,
            ParityKind::Even => Parity::Even,
            ParityKind::Mark => Parity::Mark,
            ParityKind::Space => Parity::Space,
        };
        let flow = match self.flow {
            FlowKind::None => Flow::None,
            FlowKind::RtsCts => Flow::RtsCts,
            FlowKind::XonXoff => Flow::XonXoff,
        };
        Settings { baud: self.baud, data_bits: self.bits, parity, stop_bits: self.stop, flow }
    }
}

fn data_bits(text: &str) -> Result<DataBits, String> {
    Ok(match text {
        "5" => DataBits::Five,
        "6" => DataBits::Six,
        "7" => DataBits::Seven,
        "8" => DataBits::Eight,
        _ => return Err(format!("'{text}' is not 5, 6, 7 or 8")),
    })
}

fn stop_bits(text: &str) -> Result<StopBits, String> {
    match text {
        "1" => Ok(StopBits::One),
        "2" => Ok(StopBits::Two),
        _ => Err(format!("'{text}' is neither 1 nor 2")),
    }
}
