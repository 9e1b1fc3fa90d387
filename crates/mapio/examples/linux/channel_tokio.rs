//! Runs `channel_tokio` where the runtime waits for descriptors; elsewhere says why not.

#[cfg(not(unix))]
#[path = "no_descriptor.rs"]
mod program;
#[cfg(unix)]
#[path = "../channel_tokio.rs"]
mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
