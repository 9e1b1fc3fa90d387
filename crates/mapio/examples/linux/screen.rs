//! Runs `screen` where programs may reach the registers of devices; elsewhere says why not.

#[cfg(not(unix))]
#[path = "no_device.rs"]
mod program;
#[cfg(unix)]
#[path = "../screen.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
