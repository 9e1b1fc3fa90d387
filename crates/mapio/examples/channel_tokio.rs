//! Receives another process's messages in an async runtime, beside other things.
//!
//!     channel_tokio receive NAME
//!     channel_tokio send NAME TEXT...
//!
//! Start both in any order. The receiver ends when the sender has left and everything was received.
#![expect(unsafe_code, reason = "tokio trusts a descriptor to stay what it is")]

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use mapio::shared::Error::Disconnected;
use mapio::shared::channel::{Channel, ChannelOptions};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Builder;
use tokio::time::interval;

type Failed = Box<dyn Error + Send + Sync>;

fn open(name: &str) -> Result<Channel<[u8]>, Failed> {
    Ok(ChannelOptions::new().open_or_create(name)?)
}

fn send(name: &str, texts: &[String]) -> Result<(), Failed> {
    let mut sender = open(name)?.sender()?;
    for text in texts {
        sender.send(text.as_bytes())?;
    }
    Ok(())
}

async fn receive(name: String) -> Result<(), Failed> {
    let mut receiver = open(&name)?.receiver()?;
    // SAFETY: a notifier has one descriptor, from when it is made until it is dropped.
    let notifier = unsafe { AsyncFd::register_with_interest(receiver.notifier()?, Interest::READABLE) }?;
    let mut text = [0; 4096];
    loop {
        // Nothing is waited for but here, so other tasks run.
        notifier.readable().await?.clear_ready();
        notifier.get_ref().rearm()?;
        loop {
            match receiver.try_receive(&mut text) {
                Ok(Some(len)) => println!("{}", String::from_utf8_lossy(&text[..len])),
                Ok(None) => break,
                Err(Disconnected { .. }) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The other things.
async fn tick() {
    let mut seconds = interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        println!("tick");
    }
}

fn run(arguments: &[String]) -> Result<(), Failed> {
    match arguments {
        [verb, name, texts @ ..] if verb == "send" => send(name, texts),
        [verb, name] if verb == "receive" => Builder::new_current_thread().enable_all().build()?.block_on(async {
            tokio::spawn(tick());
            receive(name.clone()).await
        }),
        _ => Err("usage: channel_tokio receive NAME, or channel_tokio send NAME TEXT...".into()),
    }
}

pub(crate) fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("channel_tokio: {error}");
            ExitCode::from(2)
        }
    }
}
