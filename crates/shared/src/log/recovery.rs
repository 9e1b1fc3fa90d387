//! Finding the end of a log whose writer has died, and making it one that a writer can go on from.
//!
//! What was flushed is believed to be there, and only its numbers are followed; behind that, every record is checked.
//! The first that is not whole ends the log. Invariants:
//! - E1: a record that was committed is kept if all before it are whole, in its own segment and in those before.
//! - E2: whoever dies in here leaves a log of which the next recovery keeps the same records: what is cut off loses its
//!   last segment first, and the bytes behind the cut go last.
//! - E3: behind the end there are only zeros.

use std::collections::VecDeque;

use mapio_map::MapMode;

use super::directory::Directory;
use super::index::Index;
use super::layout::{HEAD_BYTES, HEADER_BYTES};
use super::segment::{Bad, Segment, Step};
use crate::error::Error;

/// What a writer has found when it opened the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Where the log was cut, if it was: behind the last record that was whole.
    pub cut: Option<Cut>,
    /// Segments behind the cut, by the names that they have now: no part of the log, and left for who wants to look at
    /// them. A writer removes one only by giving its name to another one with the same first number.
    pub lost_segments: Vec<String>,
}

/// A place where a log was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cut {
    /// The segment's file.
    pub file: String,
    /// Its first byte that is no part of the log any more.
    pub offset: u64,
    /// What is wrong there.
    pub reason: String,
}

/// How much is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// What was flushed is there: if not, that is an error.
    Marks,
    /// Nothing: everything is checked, and cut at the first damage.
    Nothing,
}

/// The end of a log.
#[derive(Debug)]
pub(super) struct End {
    /// All segments that are left: first sequence number and bytes, ascending.
    pub(super) segments: VecDeque<(u64, u64)>,
    /// The segments that were looked through: the last ones, ascending. Only the last of them stays open, since there
    /// may be more than a process may have open.
    pub(super) walked: Vec<Walked>,
    /// The last segment that was looked through.
    pub(super) last: Option<Segment>,
    /// Whether the last segment has an end record: the next record begins a new one.
    pub(super) has_ended: bool,
    /// Number of the next record.
    pub(super) next: u64,
    /// Time of the last record.
    pub(super) time_ns: u64,
    /// The last segment's records.
    pub(super) index: Index,
    /// Records in the segments that were looked through.
    pub(super) records: u64,
    pub(super) recovery: Recovery,
    /// Segments that must lose their names.
    lost: Vec<u64>,
}

/// A segment that was looked through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walked {
    pub(super) first: u64,
    pub(super) bytes: u64,
    /// Where its records end.
    pub(super) at: usize,
    /// Number of the next record.
    next: u64,
    /// Whether it lacks its end record, though another segment follows.
    is_unended: bool,
}

/// How a walk through a segment has ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// At zeros.
    Open,
    /// At the end record.
    Ended,
    Bad(Bad),
}

/// A walk through a segment.
#[derive(Debug)]
pub(super) struct Walk {
    at: usize,
    /// Number behind the last record.
    pub(super) next: u64,
    time_ns: u64,
    /// Bytes of the records' payloads.
    pub(super) payload_bytes: u64,
    index: Index,
    pub(super) ending: Ending,
}

impl End {
    /// Looks for the end of a log that has these segments, ascending and at least one. Changes nothing.
    pub(super) fn find(directory: &Directory, segments: &[u64], trust: Trust) -> Result<Self, Error> {
        let start = match trust {
            Trust::Marks => first_unflushed(directory, segments)?,
            Trust::Nothing => 0,
        };
        let first = segments.first().copied().unwrap_or(0);
        let mut end = Self {
            segments: VecDeque::new(),
            walked: Vec::new(),
            last: None,
            has_ended: true,
            next: segments.get(start).copied().unwrap_or(first),
            time_ns: 0,
            index: Index::default(),
            records: 0,
            recovery: Recovery::default(),
            lost: Vec::new(),
        };
        for (place, &first) in segments.iter().enumerate().skip(start) {
            if !end.take(directory, first, segments.get(place + 1).copied(), trust)? {
                end.lose(directory, segments, if end.segment_is_kept(first) { place + 1 } else { place });
                break;
            }
        }
        for &first in &segments[..start] {
            end.segments.push_back((first, directory.segment_bytes(first)?));
        }
        end.segments.extend(end.walked.iter().map(|walked| (walked.first, walked.bytes)));
        Ok(end)
    }

    /// Takes a segment in; `false` if the log ends in it or before it, though there are more.
    fn take(&mut self, directory: &Directory, first: u64, follower: Option<u64>, trust: Trust) -> Result<bool, Error> {
        let segment = match self.open(directory, first) {
            Err(error) if trust == Trust::Nothing && is_damage(&error) => {
                self.cut(directory.segment_name(first), 0, error.to_string());
                return Ok(false);
            }
            opened => opened?,
        };
        let checked_from = match trust {
            Trust::Marks => segment.mark().map_err(|fault| segment.fault(fault))?,
            Trust::Nothing => HEADER_BYTES,
        };
        let walk = walk(&segment, checked_from, self.time_ns);
        self.records += walk.next.saturating_sub(first);
        (self.next, self.time_ns, self.index) = (walk.next, walk.time_ns, walk.index);
        self.has_ended = matches!(walk.ending, Ending::Ended);
        let name = segment.name().to_owned();
        let is_believed = walk.at < checked_from && trust == Trust::Marks;
        let error = match walk.ending {
            Ending::Bad(bad) => Some(segment.error(bad)),
            Ending::Open if is_believed => Some(segment.corrupt(walk.at, "a record that was flushed is missing")),
            Ending::Open | Ending::Ended => None,
        };
        let bytes = segment.header().segment_bytes;
        self.walked.push(Walked { first, bytes, at: walk.at, next: walk.next, is_unended: false });
        self.last = Some(segment);
        match (error, follower) {
            (Some(error), _) if is_believed || !is_damage(&error) => Err(error),
            (Some(error), _) => {
                self.cut(name, walk.at, error.to_string());
                Ok(false)
            }
            (None, Some(follower)) if follower != self.next => self.miss(directory, follower, walk.at, trust),
            (None, Some(_)) => {
                if let Some(walked) = self.walked.last_mut() {
                    walked.is_unended = !self.has_ended;
                }
                Ok(true)
            }
            (None, None) => Ok(true),
        }
    }

    /// There is a segment, but not the one that follows.
    fn miss(&mut self, directory: &Directory, follower: u64, at: usize, trust: Trust) -> Result<bool, Error> {
        let reason = "its first sequence number does not follow";
        if self.has_ended && trust == Trust::Marks {
            return Err(Error::Corrupt { object: directory.segment_name(follower), offset: 0, reason });
        }
        let name = self.last.as_ref().map_or_else(|| directory.name(), |segment| segment.name().to_owned());
        self.cut(name, at, format!("the records before number {follower} are missing"));
        Ok(false)
    }

    fn open(&self, directory: &Directory, first: u64) -> Result<Segment, Error> {
        let segment = reopen(directory, first)?;
        match &self.last {
            Some(before) if before.header().log_id != segment.header().log_id => {
                let object = segment.name().to_owned();
                Err(Error::Foreign { object, reason: "it belongs to another log" })
            }
            _ => Ok(segment),
        }
    }

    fn segment_is_kept(&self, first: u64) -> bool {
        self.walked.last().is_some_and(|walked| walked.first == first)
    }

    fn cut(&mut self, file: String, at: usize, reason: String) {
        self.recovery.cut = Some(Cut { file, offset: u64::try_from(at).unwrap_or(u64::MAX), reason });
    }

    /// The segments from this place on are no part of the log any more.
    fn lose(&mut self, directory: &Directory, segments: &[u64], from: usize) {
        self.lost = segments[from..].to_vec();
        self.recovery.lost_segments =
            self.lost.iter().map(|&first| format!("{}.lost", directory.segment_name(first))).collect();
    }

    /// Makes the log end where the end was found.
    pub(super) fn settle(&self, directory: &Directory) -> Result<(), Error> {
        for walked in self.walked.iter().filter(|walked| walked.is_unended) {
            let segment = reopen(directory, walked.first)?;
            segment.end(walked.at, walked.next, segment.header().created_ns)?;
        }
        // The last one first: if we die in between, the next recovery finds the same cut.
        for &first in self.lost.iter().rev() {
            directory.set_aside(first)?;
        }
        if !self.lost.is_empty() {
            directory.sync()?;
        }
        match (&self.last, self.walked.last()) {
            (Some(segment), Some(walked)) if !self.has_ended => clear(segment, walked.at),
            _ => Ok(()),
        }
    }

    /// Brings all that was looked through to the disk, whatever an earlier flush has answered, and notes that.
    ///
    /// After a flush that failed, the kernel takes pages for clean that the disk does not have; so they are stored to.
    pub(super) fn flush(&self, directory: &Directory) -> Result<(), Error> {
        for (place, walked) in self.walked.iter().enumerate() {
            let is_last = place + 1 == self.walked.len();
            let end = if self.has_ended || !is_last { walked.at + HEAD_BYTES } else { walked.at };
            let segment = reopen(directory, walked.first)?;
            // The last one also has zeros to flush, where something was cut off.
            if is_last || segment.mark().map_err(|fault| segment.fault(fault))? < end {
                segment.store_again(end)?;
                segment.sync()?;
                segment.set_mark(end).map_err(|fault| segment.fault(fault))?;
            }
        }
        Ok(())
    }
}

/// Opens a segment that was listed.
fn reopen(directory: &Directory, first: u64) -> Result<Segment, Error> {
    let segment = Segment::open(directory, first, MapMode::ReadWrite)?;
    segment.ok_or_else(|| Error::NotFound { object: directory.segment_name(first) })
}

/// Makes a segment end at a place.
fn clear(segment: &Segment, at: usize) -> Result<(), Error> {
    let fault = |fault| segment.fault(fault);
    if segment.mark().map_err(fault)? > at {
        // Only a repair cuts there. On the disk before the rest is gone, or that would be an error once more.
        segment.set_mark(at).map_err(fault)?;
        segment.sync()?;
    }
    segment.clear(at)
}

/// The place of the first segment that may not be on the disk as a whole.
fn first_unflushed(directory: &Directory, segments: &[u64]) -> Result<usize, Error> {
    for place in (1..segments.len()).rev() {
        let before = segments[place - 1];
        let segment = Segment::open(directory, before, MapMode::ReadOnly)?;
        let segment = segment.ok_or_else(|| Error::NotFound { object: directory.segment_name(before) })?;
        let mark = segment.mark().map_err(|fault| segment.fault(fault))?;
        let end = mark.checked_sub(HEAD_BYTES).filter(|&at| at >= HEADER_BYTES);
        if end.is_some_and(|at| matches!(segment.step(at, segments[place]), Ok(Step::End))) {
            return Ok(place);
        }
    }
    Ok(0)
}

/// Walks through a segment, and checks the records from `checked_from` on. `time_ns` is that of the last record before.
pub(super) fn walk(segment: &Segment, checked_from: usize, time_ns: u64) -> Walk {
    let header = segment.header();
    let (mut at, mut next, mut payload_bytes, mut index) = (HEADER_BYTES, header.first, 0, Index::default());
    let mut time_ns = time_ns.max(header.created_ns);
    // The number behind the last batch that was checked.
    let mut checked = next;
    let ending = loop {
        let head = match segment.step(at, next) {
            Err(bad) => break Ending::Bad(bad),
            Ok(Step::Nothing) => break Ending::Open,
            Ok(Step::End) => break Ending::Ended,
            Ok(Step::Record(head)) => head,
        };
        if at >= checked_from && next >= checked {
            match segment.check_batch(at, head) {
                Ok(behind) => checked = behind,
                Err(bad) => break Ending::Bad(bad),
            }
        }
        if head.time_ns < time_ns {
            break Ending::Bad(Bad::Content(at, "a record is older than the one before"));
        }
        index.note(at, next, head.time_ns);
        payload_bytes += u64::from(head.len);
        (at, next, time_ns) = (at + head.stride(), next.wrapping_add(1), head.time_ns);
    };
    Walk { at, next, time_ns, payload_bytes, index, ending }
}

/// Whether an error is one of the bytes, rather than one of getting at them.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Corrupt { .. } | Error::Foreign { .. })
}
