//! Waiting: how a driver waits until its device is ready. The driver is the same either way.

use std::hint;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::interrupt::Interrupt;

/// How often a device is looked at after its interrupt, at most, before the next one is waited for: some interrupt a
/// moment before their registers say why.
const LOOKS: usize = 8;

/// How long nobody looks at a device that does not interrupt: so much time costs an interrupt that was lost.
const LOST: Duration = Duration::from_millis(50);

/// How often a device is looked at before another program gets the processor.
const SPINS: u32 = 16;

/// How a driver waits.
pub trait Waiting {
    /// Whether the device is to interrupt.
    const INTERRUPTS: bool;

    /// Waits until `look` finds what it looks for, and answers that. It looks at the device, and takes away the reason
    /// of its interrupt, at least once, and at last when the time is over. `object` is what the error calls it.
    ///
    /// # Errors
    /// [`Error::Timeout`], those of `look`, which end it, and those of the interrupt.
    fn wait_for<T>(
        &mut self,
        object: &str,
        timeout: Duration,
        look: impl FnMut() -> Result<Option<T>, Error>,
    ) -> Result<T, Error>;

    /// Lets about so much time pass, for what no interrupt tells.
    fn pause(&mut self, time: Duration);
}

/// Looks at the device again and again: the fastest answer, and a busy processor.
#[derive(Debug, Clone, Copy, Default)]
pub struct Polled;

/// Sleeps until the device interrupts.
///
/// Now and then it looks all the same, so that an interrupt which is lost costs time and nothing else.
#[derive(Debug)]
pub struct Driven<I> {
    interrupt: I,
}

impl<I: Interrupt> Driven<I> {
    /// Waits by this interrupt.
    pub fn new(interrupt: I) -> Self {
        Self { interrupt }
    }

    /// The interrupt.
    pub fn interrupt(&mut self) -> &mut I {
        &mut self.interrupt
    }
}

impl Waiting for Polled {
    const INTERRUPTS: bool = false;

    fn wait_for<T>(
        &mut self,
        object: &str,
        timeout: Duration,
        mut look: impl FnMut() -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let end = End::after(timeout);
        let mut spins = 0_u32;
        loop {
            let is_over = end.left().is_zero();
            if let Some(found) = look()? {
                return Ok(found);
            }
            if is_over {
                return Err(Error::Timeout { object: object.to_owned(), after: timeout });
            }
            spins = spins.wrapping_add(1);
            if spins.is_multiple_of(SPINS) {
                thread::yield_now();
            } else {
                hint::spin_loop();
            }
        }
    }

    fn pause(&mut self, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            thread::yield_now();
        }
    }
}

impl<I: Interrupt> Waiting for Driven<I> {
    const INTERRUPTS: bool = true;

    fn wait_for<T>(
        &mut self,
        object: &str,
        timeout: Duration,
        mut look: impl FnMut() -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let end = End::after(timeout);
        loop {
            let left = end.left();
            if let Some(found) = look()? {
                return Ok(found);
            }
            if left.is_zero() {
                return Err(Error::Timeout { object: object.to_owned(), after: timeout });
            }
            if self.interrupt.wait(Some(left.min(LOST)))? > 0 {
                let served = (0..LOOKS).find_map(|_| look().transpose());
                // Served first, then armed: a line that is still up would interrupt at once. And armed in any case:
                // what could not be served now is waited for later.
                self.interrupt.rearm()?;
                if let Some(found) = served {
                    return found;
                }
            }
        }
    }

    fn pause(&mut self, time: Duration) {
        thread::sleep(time);
    }
}

impl<I: AsFd> AsFd for Driven<I> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.interrupt.as_fd()
    }
}

/// When a time-out is over; never, if that is too far away to be told.
struct End(Option<Instant>);

impl End {
    fn after(timeout: Duration) -> Self {
        Self(Instant::now().checked_add(timeout))
    }

    fn left(&self) -> Duration {
        self.0.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Interrupts as often as it is told to, and writes down what is done to it.
    struct Told {
        file: std::fs::File,
        interrupts: usize,
        calls: Vec<&'static str>,
    }

    impl Told {
        fn new(interrupts: usize) -> Self {
            Self { file: std::fs::File::open("/dev/null").expect("it is there"), interrupts, calls: Vec::new() }
        }
    }

    impl AsFd for Told {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.file.as_fd()
        }
    }

    impl Interrupt for Told {
        fn wait(&mut self, timeout: Option<Duration>) -> Result<u64, Error> {
            self.calls.push("wait");
            if let Some(left) = self.interrupts.checked_sub(1) {
                self.interrupts = left;
                return Ok(1);
            }
            thread::sleep(timeout.expect("all waits are bounded"));
            Ok(0)
        }

        fn rearm(&mut self) -> Result<(), Error> {
            self.calls.push("rearm");
            Ok(())
        }
    }

    #[test]
    fn no_time_is_one_look() {
        let mut looks = 0;
        let mut never = || {
            looks += 1;
            Ok(None::<()>)
        };
        let error = Polled.wait_for("a device", Duration::ZERO, &mut never).expect_err("it never is");
        assert_eq!(error.to_string(), "a device: no answer within 0ns");
        assert_eq!(looks, 1);
        let mut driven = Driven::new(Told::new(0));
        assert_eq!(driven.wait_for("a device", Duration::ZERO, || Ok(Some(7))).expect("it is"), 7);
        assert!(driven.wait_for("a device", Duration::ZERO, || Ok(None::<()>)).is_err());
        assert!(driven.interrupt().calls.is_empty());
    }

    #[test]
    fn what_is_found_at_the_last_look_is_found() {
        let start = Instant::now();
        let late = || Ok((start.elapsed() > Duration::from_millis(2)).then_some(()));
        Polled.wait_for("a device", Duration::from_secs(60), late).expect("it comes");
        // No interrupt comes: the look at the end is what finds it.
        let mut driven = Driven::new(Told::new(0));
        driven.wait_for("a device", Duration::from_secs(60), late).expect("it comes");
        assert!(Polled.wait_for("a device", Duration::from_millis(1), || Ok(None::<()>)).is_err());
        Polled.wait_for("a device", Duration::MAX, || Ok(Some(()))).expect("there is no such instant");
    }

    #[test]
    fn an_interrupt_is_armed_again_after_the_device_was_served() {
        let mut driven = Driven::new(Told::new(3));
        let mut looks = 0;
        let third = || {
            looks += 1;
            Ok((looks == LOOKS + 3).then_some(()))
        };
        driven.wait_for("a device", Duration::from_secs(60), third).expect("it comes");
        assert_eq!(driven.interrupt().calls, ["wait", "rearm", "wait", "rearm"]);
    }

    #[test]
    fn an_error_ends_it() {
        let mut driven = Driven::new(Told::new(1));
        let fails = || Err::<Option<()>, _>(Error::invalid("a device", "it is broken"));
        assert!(matches!(driven.wait_for("a device", Duration::MAX, fails), Err(Error::Invalid { .. })));
        let mut looks = 0;
        let fails_then = || {
            looks += 1;
            if looks == 1 { Ok(None::<()>) } else { Err(Error::invalid("a device", "it is broken")) }
        };
        assert!(matches!(driven.wait_for("a device", Duration::MAX, fails_then), Err(Error::Invalid { .. })));
        assert_eq!(driven.interrupt().calls, ["wait", "rearm"], "it interrupts again, once it is mended");
        assert!(matches!(Polled.wait_for("a device", Duration::MAX, fails), Err(Error::Invalid { .. })));
    }
}
