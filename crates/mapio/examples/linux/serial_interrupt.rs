//! Runs `serial_interrupt` where programs may reach the registers of devices; elsewhere says why not.

#[cfg(not(unix))]
#[path = "no_device.rs"]
mod program;
#[cfg(unix)]
#[path = "../serial_interrupt.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
