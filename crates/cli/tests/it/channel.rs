//! `channel`: messages from one command to another, through shared memory.

// SIGTERM.
#[cfg(not(windows))]
mod linux;

use std::io::{Read, Write};
use std::process::{Child, Output};
use std::time::{Duration, Instant};

use mapio_shared::channel::{Channel, ChannelOptions};
use mapio_testkit::{Interrupter, runner, skip};
use serde_json::Value;

use crate::support::{self, Folder, Name};

/// A guard against hanging, far above what anything takes.
const HANG: Duration = Duration::from_secs(120);

/// Starts `mapio channel`.
fn start(words: &[&str]) -> Child {
    support::start(&[&["channel"], words].concat())
}

/// Gives a command its standard input, and waits for it.
fn finish(mut child: Child, input: &[u8]) -> Output {
    let mut stdin = child.stdin.take().expect("a pipe");
    let written = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&written));
    let output = child.wait_with_output().expect("own child");
    // A command that ends early leaves the rest unread.
    let _ = writer.join();
    output
}

/// Runs `mapio channel` with a standard input, which must do it without a word of complaint.
fn done(words: &[&str], input: &[u8]) -> Vec<u8> {
    let output = finish(start(words), input);
    assert_eq!(output.status.code(), Some(0), "{words:?}: {output:?}");
    assert!(output.stderr.is_empty(), "{words:?}: {output:?}");
    output.stdout
}

/// What `stat` says, which must do it.
fn stat(name: &str) -> Value {
    serde_json::from_slice(&done(&["stat", "--json", name], b"")).expect("JSON")
}

/// Asks again and again until it is so.
fn until(mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < HANG, "what is waited for does not come");
    }
}

/// Waits until so many receive.
fn wait_for_receivers(name: &str, count: usize) {
    until(|| {
        // It may not be there yet.
        let output = finish(start(&["stat", "--json", name]), b"");
        let seen: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        seen["receivers"].as_array().is_some_and(|receivers| receivers.len() == count)
    });
}

/// Makes a channel as `create` does that is told nothing, and keeps it while others come and go.
fn kept(name: &Name) -> Channel<[u8]> {
    ChannelOptions::new().create(&name.0).expect("a new channel")
}

#[test]
fn lines_arrive_in_order_whoever_comes_first() {
    let lines: String = (0..5000).map(|i| format!("line {i}\n")).collect();
    let (name, other) = (Name::new(), Name::lasting());
    let receiver = start(&["receive", &name.0]);
    wait_for_receivers(&name.0, 1);
    // Its output is read while it comes: a pipe does not hold all of it.
    let receiver = std::thread::spawn(move || finish(receiver, b""));
    assert_eq!(done(&["send", &name.0], lines.as_bytes()), b"");
    assert_eq!(receiver.join().expect("no panic").stdout, lines.as_bytes());
    // What is sent to nobody waits, as far as there is room.
    done(&["send", &other.0], b"first\n\nlast");
    assert_eq!(stat(&other.0)["fill"], 3);
    assert_eq!(done(&["receive", &other.0], b""), b"first\n\nlast\n");
    assert_eq!(stat(&other.0)["fill"], 0);
}

#[test]
fn binary_messages_come_out_as_they_went_in() {
    let name = Name::lasting();
    let mut framed = Vec::new();
    for len in [0_u32, 1, 104, 105, 4096] {
        framed.extend(len.to_le_bytes());
        framed.extend((0..len).map(|i| i.to_le_bytes()[0]));
    }
    done(&["send", "--length-framed", &name.0], &framed);
    assert_eq!(done(&["receive", "--length-framed", &name.0], b""), framed);
    let cut = finish(start(&["send", "--length-framed", &name.0]), &framed[..6]);
    assert_eq!(cut.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&cut.stderr), "mapio: standard input ends inside a message\n");
    // What was whole was sent.
    assert_eq!(stat(&name.0)["fill"], 1);
}

#[test]
fn json_tells_texts_from_bytes() {
    let name = Name::lasting();
    let sent: Value = serde_json::from_slice(&done(&["send", "--json", &name.0], b"text\n\xff\n")).expect("JSON");
    assert_eq!((&sent["messages"], &sent["bytes"]), (&2.into(), &5.into()));
    let received = String::from_utf8(done(&["receive", "--json", &name.0], b"")).expect("UTF-8");
    let expected = "{\"position\":0,\"bytes\":4,\"text\":\"text\"}\n{\"position\":1,\"bytes\":1,\"hex\":\"ff\"}\n";
    assert_eq!(received, expected);
}

#[test]
fn every_receiver_of_a_broadcast_gets_all_and_late_ones_get_history() {
    let name = Name::lasting();
    done(&["create", "--broadcast", &name.0], b"");
    let receivers = [start(&["receive", &name.0]), start(&["receive", &name.0])];
    wait_for_receivers(&name.0, 2);
    done(&["send", &name.0], b"a\nb\nc\n");
    for receiver in receivers {
        assert_eq!(finish(receiver, b"").stdout, b"a\nb\nc\n");
    }
    assert_eq!(done(&["receive", "--from", "oldest", &name.0], b""), b"a\nb\nc\n");
    assert_eq!(done(&["receive", "--from", "1", &name.0], b""), b"c\n");
}

#[test]
fn what_has_given_way_is_told() {
    let name = Name::lasting();
    done(&["create", "--broadcast", "--full", "drop-oldest", "--capacity", "4", &name.0], b"");
    let receiver = start(&["receive", &name.0]);
    wait_for_receivers(&name.0, 1);
    // It stands still as soon as its pipe is full, which nobody reads yet.
    let lines: String = (0..1000).map(|i| format!("{i:04000}\n")).collect();
    done(&["send", &name.0], lines.as_bytes());
    let output = finish(receiver, b"");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("overwritten before they were read"), "{said}");
    assert!(printed.ends_with("0999\n") && printed.lines().count() < 1000, "{} lines", printed.lines().count());
}

#[test]
fn a_receiver_ends_by_time_by_count_and_by_signal() {
    let test = "channel::a_receiver_ends_by_time_by_count_and_by_signal";
    if runner().is_some() {
        return skip(test, "the signal would go to the runner");
    }
    let mut interrupter = Interrupter::start(test);
    let name = Name::lasting();
    let output = finish(start(&["receive", "--timeout", "10ms", &name.0]), b"");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
    done(&["send", &name.0], b"1\n2\n3\n");
    assert_eq!(done(&["receive", "-n", "2", &name.0], b""), b"1\n2\n");
    let receiver = start(&["receive", "--follow", &name.0]);
    wait_for_receivers(&name.0, 1);
    until(|| stat(&name.0)["fill"] == 0);
    interrupter.interrupt(&receiver);
    let output = finish(receiver, b"");
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"3\n"[..]), "{output:?}");
    assert_eq!(stat(&name.0)["receivers"], Value::Array(Vec::new()));
}

#[test]
fn a_sender_that_waits_for_room_ends_by_a_signal() {
    let test = "channel::a_sender_that_waits_for_room_ends_by_a_signal";
    if runner().is_some() {
        return skip(test, "the signal would go to the runner");
    }
    let mut interrupter = Interrupter::start(test);
    ends_while_it_waits_for_room(|sender| interrupter.interrupt(sender));
}

/// Asks a sender to end that waits for room.
fn ends_while_it_waits_for_room(mut ask_to_end: impl FnMut(&Child)) {
    let name = Name::lasting();
    done(&["create", "--capacity", "2", &name.0], b"");
    let mut sender = start(&["send", "--json", &name.0]);
    sender.stdin.as_mut().expect("a pipe").write_all(b"1\n2\n3\n").expect("room");
    until(|| stat(&name.0)["fill"] == 2);
    ask_to_end(&sender);
    let output = sender.wait_with_output().expect("own child");
    let sent: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &sent["messages"]), (Some(0), &2.into()));
}

#[test]
fn a_sender_that_waits_for_its_input_ends_by_a_signal() {
    let test = "channel::a_sender_that_waits_for_its_input_ends_by_a_signal";
    if runner().is_some() {
        return skip(test, "the signal would go to the runner");
    }
    let mut interrupter = Interrupter::start(test);
    let name = Name::lasting();
    let mut sender = start(&["send", "--json", &name.0]);
    let mut input = sender.stdin.take().expect("a pipe");
    input.write_all(b"1\n2\n3").expect("room");
    until(|| {
        // It may not be there yet.
        let output = finish(start(&["stat", "--json", &name.0]), b"");
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default()["fill"] == 2
    });
    interrupter.interrupt(&sender);
    let output = sender.wait_with_output().expect("own child");
    let sent: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &sent["messages"]), (Some(0), &2.into()), "the third is not whole");
    drop(input);
}

#[test]
fn a_receiver_learns_that_its_sender_was_killed() {
    let name = Name::new();
    let _kept = kept(&name);
    let receiver = start(&["receive", &name.0]);
    let mut sender = start(&["send", &name.0]);
    sender.stdin.as_mut().expect("a pipe").write_all(b"last words\n").expect("room");
    wait_for_receivers(&name.0, 1);
    until(|| stat(&name.0)["sent"] == 1);
    sender.kill().expect("own child");
    sender.wait().expect("own child");
    let output = finish(receiver, b"");
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"last words\n"[..]), "{output:?}");
}

#[test]
fn nobody_who_reads_is_no_error() {
    let name = Name::new();
    let _kept = kept(&name);
    let mut receiver = start(&["receive", "--follow", &name.0]);
    wait_for_receivers(&name.0, 1);
    done(&["send", &name.0], b"one\n");
    let mut stdout = receiver.stdout.take().expect("a pipe");
    let mut line = [0; 4];
    stdout.read_exact(&mut line).expect("a line");
    drop(stdout);
    let output = receiver.wait_with_output().expect("own child");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
}

#[test]
fn a_closed_channel_takes_nothing_more() {
    let name = Name::lasting();
    done(&["send", "--close", &name.0], b"end\n");
    let refused = finish(start(&["send", &name.0]), b"more\n");
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("was closed"), "{refused:?}");
    assert_eq!(done(&["receive", "--follow", &name.0], b""), b"end\n");
}

#[test]
fn wrong_words_are_one_line() {
    let (folder, name) = (Folder::new(), Name::lasting());
    folder.fails(&["channel", "stat", &name.0], &[&name.0, "does not exist"]);
    folder.fails(&["channel", "monitor", &name.0], &["does not exist"]);
    folder.fails(&["channel", "monitor", "-n", "0", &name.0], &["--count"]);
    folder.fails(&["channel", "create", "a/b"], &["a/b", "slash"]);
    folder.fails(&["channel", "create", "--capacity", "1g", &name.0], &["capacity"]);
    folder.fails(&["channel", "create", "--full", "later", &name.0], &["later"]);
    folder.fails(&["channel", "create", "--senders", "3", &name.0], &["--broadcast"]);
    done(&["create", "--message-len", "10", &name.0], b"");
    folder.fails(&["channel", "create", &name.0], &["exists already"]);
    let long = finish(start(&["send", &name.0]), b"short\n01234567890\n");
    assert_eq!(long.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&long.stderr), "mapio: a line is longer than the 10 bytes that fit\n");
    let wrong = finish(start(&["receive", "--broadcast", &name.0]), b"");
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("kind spsc, not kind broadcast"), "{wrong:?}");
}

#[test]
fn channels_are_listed_and_watched() {
    let name = Name::new();
    let _kept = kept(&name);
    done(&["send", &name.0], b"x\ny\n");
    let list = String::from_utf8(done(&["list", "--json"], b"")).expect("UTF-8");
    let mine = list.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mine: Vec<Value> = mine.filter(|seen| seen["name"] == *name.0).collect();
    assert_eq!((mine.len(), &mine[0]["sent"], &mine[0]["kind"]), (1, &2.into(), &"spsc".into()));
    let watched = String::from_utf8(done(&["monitor", "-n", "2", "--interval", "1ms", &name.0], b"")).expect("UTF-8");
    assert_eq!(watched.lines().count(), 2, "{watched}");
    assert!(watched.starts_with("2 sent, -/s, 2 there"), "{watched}");
}
