//! What the two ends do, and what is timed of it. Every message carries its number; a wrong one is an error.

use std::fs::File;
use std::io::{Read, Write};
use std::time::Instant;

use anyhow::Context;
use mapio_bench::median;

use crate::link::{Link, Loan, Side, Task, check, check_number, put_number};
use crate::place::DONE;

/// Round trips that are timed by one look at the clock, which takes as long as the fastest of them.
const BATCH: u64 = 50;
/// The number of the messages that start a stream, and of the one that ends it.
const GO: u64 = u64::MAX - 1;

/// Messages that go there and back; answers the median over batches of the time of one.
pub fn round_trip<L: Link>(task: &Task) -> anyhow::Result<Option<f64>> {
    let mut link = L::open(task)?;
    let mut message = vec![0xa5; task.job.message_bytes];
    let batches = (task.job.messages / BATCH).max(1);
    let warm_up = batches.div_ceil(10);
    let mut times = Vec::new();
    // Odd numbers go there, even ones come back; 0 is what memory that nobody has written holds.
    let mut number = 1;
    for batch in 0..warm_up + batches {
        let start = Instant::now();
        for _ in 0..BATCH {
            if task.side == Side::Near {
                put_number(&mut message, number);
                link.send(&message)?;
                link.receive(&mut message)?;
                check_number(&message, number + 1)?;
            } else {
                link.receive(&mut message)?;
                check_number(&message, number)?;
                put_number(&mut message, number + 1);
                link.send(&message)?;
            }
            number += 2;
        }
        if batch >= warm_up {
            times.push(start.elapsed().as_nanos() as f64 / BATCH as f64);
        }
    }
    Ok((task.side == Side::Near).then(|| median(times)))
}

/// Messages that are copied in and out.
pub fn stream<L: Link>(task: &Task) -> anyhow::Result<Option<f64>> {
    let mut message = vec![0x5a; task.job.message_bytes];
    let mut received = message.clone();
    flow::<L>(
        task,
        |link, number| {
            put_number(&mut message, number);
            link.send(&message)
        },
        |link, number| {
            link.receive(&mut received)?;
            check_number(&received, number)
        },
    )
}

/// Messages that are made and read where they are.
pub fn loan<L: Loan>(task: &Task) -> anyhow::Result<Option<f64>> {
    flow::<L>(task, L::send_number, |link, number| check(link.receive_number()?, number))
}

/// Messages from the far end to the near one; answers the time of one.
fn flow<L: Link>(
    task: &Task,
    mut send: impl FnMut(&mut L, u64) -> anyhow::Result<()>,
    mut receive: impl FnMut(&mut L, u64) -> anyhow::Result<()>,
) -> anyhow::Result<Option<f64>> {
    let mut link = L::open(task)?;
    let warm_up = task.job.messages.div_ceil(10);
    let numbers = 1..=warm_up + task.job.messages;
    // The first one each way: before it has come, some know nobody whom they would keep a second one for.
    if task.side == Side::Far {
        receive(&mut link, GO)?;
        send(&mut link, GO)?;
        receive(&mut link, GO)?;
        for number in numbers {
            send(&mut link, number)?;
        }
        // What was sent may be in this end's hands until it is received.
        receive(&mut link, GO)?;
        return Ok(None);
    }
    send(&mut link, GO)?;
    receive(&mut link, GO)?;
    send(&mut link, GO)?;
    let mut start = Instant::now();
    for number in numbers {
        receive(&mut link, number)?;
        if number == warm_up {
            start = Instant::now();
        }
    }
    let time = start.elapsed();
    send(&mut link, GO)?;
    Ok(Some(time.as_nanos() as f64 / task.job.messages as f64))
}

/// Messages from the near end to all far ones; answers the time of one, until the last of them has got the last.
pub fn broadcast<L: Link>(task: &Task) -> anyhow::Result<Option<f64>> {
    // A pipe, by which the far ends say that they have got all. With both ends open, nobody waits here for anybody.
    let mut done = File::options().read(true).write(true).open(task.place.join(DONE)).context("opening a pipe")?;
    let mut link = L::open(task)?;
    let mut message = vec![0x5a; task.job.message_bytes];
    let mut time = None;
    let mut numbers = 0..0;
    // One message, before which some know nobody to keep messages for; then two times all, the first to warm up.
    for count in [1, task.job.messages, task.job.messages] {
        numbers = numbers.end..numbers.end + count;
        let start = Instant::now();
        if task.side == Side::Near {
            for number in numbers.clone() {
                put_number(&mut message, number);
                link.send(&message)?;
            }
            done.read_exact(&mut vec![0; task.job.readers])?;
            time = Some(start.elapsed().as_nanos() as f64 / task.job.messages as f64);
        } else {
            for number in numbers.clone() {
                link.receive(&mut message)?;
                check_number(&message, number)?;
            }
            done.write_all(&[1])?;
        }
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Job, Work};
    use crate::place::Place;

    /// A channel that receives what nobody has sent.
    struct Liar;

    impl Link for Liar {
        fn open(_: &Task) -> anyhow::Result<Self> {
            Ok(Self)
        }

        fn send(&mut self, _: &[u8]) -> anyhow::Result<()> {
            Ok(())
        }

        fn receive(&mut self, message: &mut [u8]) -> anyhow::Result<()> {
            put_number(message, 77);
            Ok(())
        }
    }

    impl Loan for Liar {
        fn send_number(&mut self, _: u64) -> anyhow::Result<()> {
            Ok(())
        }

        fn receive_number(&mut self) -> anyhow::Result<u64> {
            Ok(77)
        }
    }

    #[test]
    fn a_wrong_message_stops_each_end_of_all_work() {
        let place = Place::new().expect("a folder");
        let job = Job { work: Work::RoundTrip, message_bytes: 64, messages: 100, readers: 1 };
        let task =
            |side| Task { contender: "liar".to_owned(), side, job, place: place.path().to_owned(), processor: None };
        let (near, far) = (task(Side::Near), task(Side::Far));
        let outcomes = [
            round_trip::<Liar>(&near),
            round_trip::<Liar>(&far),
            stream::<Liar>(&near),
            stream::<Liar>(&far),
            loan::<Liar>(&near),
            loan::<Liar>(&far),
            broadcast::<Liar>(&far),
        ];
        for (i, outcome) in outcomes.into_iter().enumerate() {
            let error = outcome.expect_err("the number is wrong").to_string();
            assert!(error.starts_with("message 77 has come"), "{i}: {error}");
        }
    }
}
