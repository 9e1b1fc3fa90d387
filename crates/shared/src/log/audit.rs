//! Questions about a log as a whole: what is in it, whether it is whole; and cutting off what is not.

use std::path::Path;

use mapio_map::MapMode;

use super::directory::Directory;
use super::layout::{HEADER_BYTES, Header};
use super::recovery::{self, End, Ending, Recovery, Trust};
use super::segment::{Segment, Step};
use crate::error::Error;

/// What is in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// Whether somebody is writing to it.
    pub has_writer: bool,
    /// Random; no other log has it.
    pub log_id: [u8; 16],
    /// Number of the oldest record that is there, or would be.
    pub first_sequence: u64,
    /// Number of the next record.
    pub next_sequence: u64,
    /// Time of the newest record, in nanoseconds since 1970; `None` if its segment is empty.
    pub last_time_ns: Option<u64>,
    /// From the oldest one on.
    pub segments: Vec<SegmentInfo>,
}

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentInfo {
    /// The file.
    pub file: String,
    /// Number of its first record.
    pub first_sequence: u64,
    /// When it was begun, in nanoseconds since 1970.
    pub created_ns: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Byte up to which everything is known to have been flushed.
    pub flushed_bytes: u64,
}

/// What a check of all records has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Segments that were looked at.
    pub segments: u64,
    /// Records that are whole, before the first damage of their segment; of a batch, all or none.
    pub records: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// The first damage of each segment that has any. A writer whose machine has died leaves some in the last segments
    /// that it wrote to; the next writer cuts that off.
    pub damage: Vec<Damage>,
}

/// Something that no writer leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The segment's file.
    pub file: String,
    /// First byte concerned, from the start of the file.
    pub offset: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// Whether a repair is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepairMode {
    /// It is.
    Cut,
    /// It is only told what it would do.
    DryRun,
}

/// What a repair has done, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repair {
    /// Where the log was cut, and what is no part of it any more.
    pub recovery: Recovery,
    /// Records that are left.
    pub records: u64,
    /// Number that the next record will have.
    pub next_sequence: u64,
}

pub(super) fn info(directory: &Directory) -> Result<Info, Error> {
    let mut segments = Vec::new();
    let mut last = None;
    for first in directory.contents()?.segments {
        // One that is gone was the oldest.
        let Some(segment) = Segment::open(directory, first, MapMode::ReadOnly)? else { continue };
        let mark = segment.mark().map_err(|fault| segment.fault(fault))?;
        segments.push(SegmentInfo {
            file: segment.name().to_owned(),
            first_sequence: first,
            created_ns: segment.header().created_ns,
            bytes: segment.header().segment_bytes,
            flushed_bytes: u64::try_from(mark).unwrap_or(u64::MAX),
        });
        last = Some(segment);
    }
    let last = last.ok_or_else(|| Error::Closed { object: directory.name() })?;
    let (mut at, mut next_sequence, mut last_time_ns) = (HEADER_BYTES, last.header().first, None);
    while let Step::Record(head) = last.step(at, next_sequence).map_err(|bad| last.error(bad))? {
        (at, next_sequence, last_time_ns) = (at + head.stride(), next_sequence.wrapping_add(1), Some(head.time_ns));
    }
    Ok(Info {
        has_writer: directory.is_locked()?,
        log_id: last.header().log_id,
        first_sequence: segments.first().map_or(next_sequence, |segment| segment.first_sequence),
        next_sequence,
        last_time_ns,
        segments,
    })
}

pub(super) fn verify(directory: &Directory) -> Result<Verification, Error> {
    let mut found = Verification::default();
    let mut before = None;
    for first in directory.contents()?.segments {
        found.segments += 1;
        let checked = match Segment::open(directory, first, MapMode::ReadOnly) {
            // Removed meanwhile: it was the oldest.
            Ok(None) => Ok(None),
            Ok(Some(segment)) => found.check(&segment, before),
            Err(error) => Err(error),
        };
        before = match checked {
            Ok(end) => end,
            Err(error) => {
                found.note(error)?;
                None
            }
        };
    }
    Ok(found)
}

impl Verification {
    /// Checks a segment that follows this header and number; answers its own, for the next one.
    fn check(&mut self, segment: &Segment, before: Option<(Header, u64)>) -> Result<Option<(Header, u64)>, Error> {
        let header = *segment.header();
        if let Some((earlier, next)) = before {
            if earlier.log_id != header.log_id {
                let object = segment.name().to_owned();
                return Err(Error::Foreign { object, reason: "it belongs to another log" });
            }
            if next != header.first {
                return Err(segment.corrupt(0, "its first sequence number does not follow"));
            }
        }
        let walk = recovery::walk(segment, HEADER_BYTES, header.created_ns);
        self.records += walk.next.wrapping_sub(header.first);
        self.payload_bytes += walk.payload_bytes;
        match walk.ending {
            Ending::Bad(bad) => Err(segment.error(bad)),
            Ending::Open | Ending::Ended => Ok(Some((header, walk.next))),
        }
    }

    /// Takes note of damage; another error is the caller's.
    fn note(&mut self, error: Error) -> Result<(), Error> {
        let damage = match error {
            Error::Corrupt { object, offset, reason } => Damage { file: object, offset, reason: reason.to_owned() },
            Error::Foreign { object, reason } => Damage { file: object, offset: 0, reason: reason.to_owned() },
            Error::Fault { object, source } => {
                let offset = u64::try_from(source.offset).unwrap_or(u64::MAX);
                Damage { file: object, offset, reason: source.kind.to_string() }
            }
            other => return Err(other),
        };
        self.damage.push(damage);
        Ok(())
    }
}

pub(super) fn repair(path: &Path, mode: RepairMode) -> Result<Repair, Error> {
    let directory = Directory::open(path)?;
    let nothing = || Error::NotFound { object: format!("a log in {}", directory.name()) };
    if directory.contents()?.segments.is_empty() {
        return Err(nothing());
    }
    let _lock = directory.lock()?;
    let segments = directory.contents()?.segments;
    if segments.is_empty() {
        return Err(nothing());
    }
    let end = End::find(&directory, &segments, Trust::Nothing)?;
    if mode == RepairMode::Cut {
        end.settle(&directory)?;
        end.flush(&directory)?;
    }
    debug_assert!(end.recovery.cut.is_some() || end.recovery.lost_segments.is_empty());
    // Without any segment, the next writer begins a new log.
    let next_sequence = if end.walked.is_empty() { 0 } else { end.next };
    Ok(Repair { records: end.records, next_sequence, recovery: end.recovery })
}
