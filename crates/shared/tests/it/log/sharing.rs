//! Readers in other processes, beside a live writer.

use std::time::Duration;

use mapio_shared::Error;
use mapio_shared::log::{Log, Options, Position, Reader};
use mapio_testkit::Peer;

use super::support::{SHORT, folder, payload};

/// The other process's side: `open DIR`, then `read COUNT`, which answers when so many records have come.
fn serve() -> impl FnMut(&str) -> String {
    let mut reader: Option<Reader> = None;
    move |request| {
        let (verb, word) = request.split_once(' ').expect("two words");
        if verb == "open" {
            reader = Some(Log::open(word).expect("a log").reader(Position::Start).expect("the start"));
            return String::new();
        }
        let (reader, count) = (reader.as_mut().expect("it was opened"), word.parse::<u64>().expect("a number"));
        let (mut buffer, mut read, mut missed) = (Vec::new(), 0, 0);
        while read + missed < count {
            match reader.read(&mut buffer, Some(Duration::from_secs(60))) {
                Ok(entry) if buffer == payload(entry.sequence, len_of(entry.sequence)) => read += 1,
                Ok(entry) => return format!("record {} has other bytes", entry.sequence),
                Err(Error::Lagged { missed: more, .. }) => missed += more,
                Err(error) => return error.to_string(),
            }
        }
        if read + missed == count { format!("read {read}") } else { format!("{read} and {missed} are not {count}") }
    }
}

fn len_of(sequence: u64) -> usize {
    usize::try_from(sequence * 7919 % 1000).expect("small")
}

#[test]
fn two_readers_in_other_processes_see_every_record_of_a_live_writer_once() {
    let test = "log::sharing::two_readers_in_other_processes_see_every_record_of_a_live_writer_once";
    let mut first = Peer::start(test, serve());
    let mut second = Peer::start(test, serve());
    let dir = folder();
    let path = dir.path().to_owned();
    let mut writer = Options::new().segment_bytes(64 << 10).open_or_create(&path).expect("a log");
    for peer in [&mut first, &mut second] {
        peer.ask(&format!("open {}", path.display()));
    }
    const COUNT: u64 = 5000;
    std::thread::scope(|scope| {
        let readers = [first, second].map(|mut peer| scope.spawn(move || peer.ask(&format!("read {COUNT}"))));
        let mut next = 0;
        while next < COUNT {
            if next.is_multiple_of(10) {
                let batch: Vec<_> = (next..next + 5).map(|number| payload(number, len_of(number))).collect();
                next = writer.append_batch(&batch).expect("room").end;
            } else {
                next = writer.append(&payload(next, len_of(next))).expect("room") + 1;
            }
        }
        for reader in readers {
            assert_eq!(reader.join().expect("it answers"), format!("read {COUNT}"));
        }
    });
}

#[test]
fn a_reader_that_is_overtaken_by_retention_is_told_and_goes_on() {
    let test = "log::sharing::a_reader_that_is_overtaken_by_retention_is_told_and_goes_on";
    let mut peer = Peer::start(test, serve());
    let dir = folder();
    let mut writer = SHORT.retain_bytes(3 * 8192).open_or_create(dir.path()).expect("a log");
    peer.ask(&format!("open {}", dir.path().display()));
    for number in 0..500 {
        writer.append(&payload(number, len_of(number))).expect("room");
    }
    let oldest = Log::open(dir.path()).expect("it").info().expect("whole").first_sequence;
    let answer = peer.ask("read 500");
    let read: u64 =
        answer.strip_prefix("read ").and_then(|read| read.parse().ok()).unwrap_or_else(|| panic!("{answer}"));
    // Its own segment stays mapped after it was removed; then it goes on at the oldest.
    assert!((500 - oldest..500).contains(&read), "{answer}, the oldest is {oldest}");
}
