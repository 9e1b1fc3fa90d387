//! Reading a log: from any place, in any process, while it is written or after.
//!
//! Nothing here writes to a file, so a folder that may only be read will do. What is read is not trusted: every
//! record's place and checksum are looked at before it is answered. Invariant: `next` is the number of the record that
//! belongs at `at` in `segment`.

use std::iter::FusedIterator;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mapio_map::{MapMode, View};

use super::audit::{self, Info, Repair, RepairMode, Verification};
use super::directory::Directory;
use super::index::{Index, Target};
use super::layout::{HEADER_BYTES, Head};
use super::segment::{self, Fate, Segment, Step};
use super::wait::Pauses;
use crate::error::Error;
use crate::sys::Opening;

/// How often a place is looked for again because the segment that holds it was removed meanwhile.
const ATTEMPTS: u32 = 16;
/// Pauses of a wait between two looks at what has become of the file.
const PAUSES_PER_LOOK: u32 = 100;

/// A log that exists, for reading and for questions about it.
#[derive(Debug, Clone)]
pub struct Log {
    directory: Arc<Directory>,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// At the oldest record that is there.
    Start,
    /// Behind the newest record: what is appended from now on.
    End,
    /// At the record with this sequence number, which may be the next one to be appended. If it was removed already,
    /// the first read answers [`Error::Lagged`].
    Sequence(u64),
    /// At the first record that is not older than this, in nanoseconds since 1970; behind the newest one if all are.
    Time(u64),
}

/// Reads a log record by record. Made by [`Log::reader`].
///
/// It keeps its segment mapped, and so goes on through what is removed while it is in there. Threads and processes may
/// have as many readers as they like; none of them costs the writer anything.
#[derive(Debug)]
pub struct Reader {
    directory: Arc<Directory>,
    segment: Segment,
    /// Offset of the next record.
    at: usize,
    /// Its sequence number.
    next: u64,
    /// Number behind the last record of the batch that was checked as a whole.
    checked: u64,
    /// Records that were asked for, and removed before they were read.
    missed: u64,
}

/// What is known of a record besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its number: each record has the next one.
    pub sequence: u64,
    /// When it was appended, in nanoseconds since 1970; never before the record in front of it.
    pub time_ns: u64,
}

/// A record in the mapped segment.
///
/// Its bytes have matched their checksum when it was found. They are not copied, so somebody who may write to the file
/// can still change them, as with any [`View`]; [`Reader::try_read`] checks the copy that it answers.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    entry: Entry,
    payload: View<'a>,
    segment: &'a Segment,
}

impl Log {
    /// Opens a log for reading. It may be written at the same time.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no folder, or no segment in it; [`Error::Os`] if it can't be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let directory = Directory::open(path.as_ref())?;
        if directory.contents()?.segments.is_empty() {
            return Err(Error::NotFound { object: format!("a log in {}", directory.name()) });
        }
        Ok(Self { directory: Arc::new(directory) })
    }

    /// Makes a reader that begins at a position. Looks through one segment at most, and through a part of that where
    /// there is an index.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a sequence number behind the next one; [`Error::Closed`] if all segments are gone;
    /// [`Error::Foreign`], [`Error::Corrupt`], [`Error::Fault`] for a segment that is none, or damaged;
    /// [`Error::Os`] and [`Error::Map`] for what the system refuses.
    pub fn reader(&self, position: Position) -> Result<Reader, Error> {
        for _ in 0..ATTEMPTS {
            if let Some(reader) = self.try_reader(position)? {
                return Ok(reader);
            }
        }
        Err(Error::Closed { object: self.directory.name() })
    }

    /// Tells what is in the log, without looking at its records' bytes.
    ///
    /// # Errors
    /// As [`reader`](Self::reader).
    pub fn info(&self) -> Result<Info, Error> {
        audit::info(&self.directory)
    }

    /// Checks every record of every segment. Damage is part of the answer.
    ///
    /// # Errors
    /// [`Error::Os`], [`Error::Map`] for what the system refuses.
    pub fn verify(&self) -> Result<Verification, Error> {
        audit::verify(&self.directory)
    }

    /// Cuts a log that is damaged behind the last record before the damage, or tells where it would.
    ///
    /// Everything is checked, whatever was flushed. Segments behind the cut, and a first segment that can't be used,
    /// get the suffix `.lost`; without a first segment, the next writer begins a new log. Nobody but a writer changes a
    /// log, so this is one as long as it runs.
    ///
    /// # Errors
    /// As [`Options::open`](super::Options::open), but damage is none.
    pub fn repair(path: impl AsRef<Path>, mode: RepairMode) -> Result<Repair, Error> {
        audit::repair(path.as_ref(), mode)
    }

    /// Finds the place; `None` if the segments have changed meanwhile.
    fn try_reader(&self, position: Position) -> Result<Option<Reader>, Error> {
        let segments = self.directory.contents()?.segments;
        let (Some(&oldest), Some(&newest)) = (segments.first(), segments.last()) else {
            return Err(Error::Closed { object: self.directory.name() });
        };
        let (first, target) = match position {
            Position::Start => (oldest, None),
            Position::End => (newest, Some(Target::Sequence(u64::MAX))),
            Position::Sequence(wanted) => {
                let place = segments.partition_point(|&first| first <= wanted);
                (place.checked_sub(1).map_or(oldest, |place| segments[place]), Some(Target::Sequence(wanted)))
            }
            Position::Time(wanted) => match self.segment_before(&segments, wanted)? {
                Some(first) => (first, Some(Target::Time(wanted))),
                None => return Ok(None),
            },
        };
        let Some(segment) = Segment::open(&self.directory, first, MapMode::ReadOnly)? else { return Ok(None) };
        let directory = Arc::clone(&self.directory);
        let mut reader = Reader { directory, segment, at: HEADER_BYTES, next: first, checked: 0, missed: 0 };
        if let Some(target) = target {
            reader.skip_to(target)?;
        }
        match position {
            Position::Sequence(wanted) if wanted < first => reader.missed = first - wanted,
            Position::Sequence(wanted) if wanted > reader.next => {
                if self.directory.contents()?.segments.last() != Some(&newest) {
                    // A writer has begun another segment meanwhile.
                    return Ok(None);
                }
                let reason = format!("it ends before record {wanted}: the next one is {}", reader.next);
                return Err(Error::invalid(self.directory.name(), reason));
            }
            _ => {}
        }
        Ok(Some(reader))
    }

    /// The last segment that was begun before a time, or the first one; `None` if one of them is gone.
    fn segment_before(&self, segments: &[u64], time_ns: u64) -> Result<Option<u64>, Error> {
        let (mut low, mut high) = (0, segments.len());
        // Those below `low` were begun before; those from `high` on were not.
        while low < high {
            let middle = low + (high - low) / 2;
            let first = segments[middle];
            let Some(file) = self.directory.open_segment(first, Opening::Read)? else { return Ok(None) };
            let header = segment::read_header(&file, first, &self.directory.segment_name(first))?;
            if header.created_ns < time_ns { low = middle + 1 } else { high = middle }
        }
        Ok(segments.get(low.saturating_sub(1)).copied())
    }
}

impl Reader {
    /// Answers the next record, where it lies; `None` if it was not appended yet. Does not block.
    ///
    /// # Errors
    /// [`Error::Lagged`] when records were removed before they were read: the next call answers the oldest one that is
    /// there. [`Error::Corrupt`] for bytes that no writer has left, which may be those of a writer whose machine died,
    /// until the next writer has recovered the log; [`Error::Fault`] when the segment was cut short or can't be read;
    /// [`Error::Foreign`] when another log's segment is in the way. The position stays as it was, so that another call
    /// answers the same until something changes. [`Error::Os`] and [`Error::Map`] for what the system refuses.
    pub fn try_next(&mut self) -> Result<Option<Record<'_>>, Error> {
        let Some(head) = self.find()? else { return Ok(None) };
        let at = self.at;
        // A batch was checked record by record.
        if head.sequence >= self.checked {
            self.segment.check_payload(at, &head).map_err(|bad| self.segment.error(bad))?;
        }
        self.go_on(&head);
        let payload = self.segment.payload(at, &head).map_err(|fault| self.segment.fault(fault))?;
        Ok(Some(Record { entry: entry(&head), payload, segment: &self.segment }))
    }

    /// Copies the next record into a buffer, whose length becomes the record's; `None` if it was not appended yet. Does
    /// not block.
    ///
    /// # Errors
    /// As [`try_next`](Self::try_next).
    pub fn try_read(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Entry>, Error> {
        let Some(head) = self.find()? else { return Ok(None) };
        self.segment.copy_payload(self.at, &head, buffer).map_err(|bad| self.segment.error(bad))?;
        self.go_on(&head);
        Ok(Some(entry(&head)))
    }

    /// Copies the next record into a buffer, and waits for it: for so long at most, or for ever.
    ///
    /// # Errors
    /// [`Error::Timeout`], and [`Error::Closed`] when the log was removed; for the rest as
    /// [`try_next`](Self::try_next).
    pub fn read(&mut self, buffer: &mut Vec<u8>, timeout: Option<Duration>) -> Result<Entry, Error> {
        if let Some(entry) = self.try_read(buffer)? {
            return Ok(entry);
        }
        if self.wait(timeout)?
            && let Some(entry) = self.try_read(buffer)?
        {
            return Ok(entry);
        }
        Err(Error::Timeout { object: self.directory.name(), waited: timeout.unwrap_or(Duration::MAX) })
    }

    /// Waits until there is a record to read: for so long at most, or for ever. Answers whether there is.
    ///
    /// It looks again and again, with pauses of at most a millisecond, and so notices a record about as late.
    ///
    /// # Errors
    /// [`Error::Closed`] when the log was removed; for the rest as [`try_next`](Self::try_next).
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<bool, Error> {
        let mut pauses = Pauses::new(timeout);
        while self.find()?.is_none() {
            match pauses.pause() {
                None => return Ok(false),
                Some(count) if count.is_multiple_of(PAUSES_PER_LOOK) => self.look_around()?,
                Some(_) => {}
            }
        }
        Ok(true)
    }

    /// Goes through the records that are there; ends behind the newest one, and goes on from there when it is asked for
    /// again.
    pub fn records(&mut self) -> Records<'_> {
        Records { reader: self, is_over: false }
    }

    /// Goes to another position.
    ///
    /// # Errors
    /// As [`Log::reader`]; the position is then as it was.
    pub fn seek(&mut self, position: Position) -> Result<(), Error> {
        *self = Log { directory: Arc::clone(&self.directory) }.reader(position)?;
        Ok(())
    }

    /// The sequence number of the next record.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// The head of the next record, if there is one; its batch is whole.
    fn find(&mut self) -> Result<Option<Head>, Error> {
        if self.missed > 0 {
            return Err(Error::Lagged { object: self.directory.name(), missed: std::mem::take(&mut self.missed) });
        }
        loop {
            match self.segment.step(self.at, self.next).map_err(|bad| self.segment.error(bad))? {
                Step::Nothing => return Ok(None),
                // Each one has a larger number, and there are only so many files.
                Step::End if self.follow()? => {}
                Step::End => return Ok(None),
                Step::Record(head) => {
                    if head.batch_left > 0 && head.sequence >= self.checked {
                        let checked = self.segment.check_batch(self.at, head);
                        self.checked = checked.map_err(|bad| self.segment.error(bad))?;
                    }
                    return Ok(Some(head));
                }
            }
        }
    }

    fn go_on(&mut self, head: &Head) {
        self.at += head.stride();
        self.next = self.next.wrapping_add(1);
    }

    /// Goes to the segment behind the end of this one; `false` if it is not there yet.
    fn follow(&mut self) -> Result<bool, Error> {
        for _ in 0..ATTEMPTS {
            if let Some(segment) = Segment::open(&self.directory, self.next, MapMode::ReadOnly)? {
                self.enter(segment)?;
                return Ok(true);
            }
            let segments = self.directory.contents()?.segments;
            let place = segments.partition_point(|&first| first < self.next);
            match segments.get(place) {
                None if segments.is_empty() => return Err(Error::Closed { object: self.directory.name() }),
                // Cut off by a repair: the next writer makes it again.
                None => return Ok(false),
                // Made between the two looks.
                Some(&first) if first == self.next => {}
                Some(&first) => {
                    if let Some(segment) = Segment::open(&self.directory, first, MapMode::ReadOnly)? {
                        let missed = first - self.next;
                        self.next = first;
                        self.enter(segment)?;
                        return Err(Error::Lagged { object: self.directory.name(), missed });
                    }
                }
            }
        }
        Err(Error::Closed { object: self.directory.name() })
    }

    /// Goes to the first record of a segment.
    fn enter(&mut self, segment: Segment) -> Result<(), Error> {
        if segment.header().log_id != self.segment.header().log_id {
            let object = segment.name().to_owned();
            return Err(Error::Foreign { object, reason: "it belongs to another log" });
        }
        (self.segment, self.at) = (segment, HEADER_BYTES);
        Ok(())
    }

    /// Finds out whether the log is still there, when nothing has happened for a while.
    fn look_around(&mut self) -> Result<(), Error> {
        let fate = self.segment.fate(&self.directory)?;
        match fate {
            Fate::There => Ok(()),
            Fate::Cut { len } => Err(self.segment.corrupt(usize::try_from(len).unwrap_or(0), "the file ends there")),
            // It may have been ended before it was removed.
            Fate::Removed if self.find()?.is_some() => Ok(()),
            Fate::Removed if self.segment.fate(&self.directory)? != Fate::Removed => Ok(()),
            Fate::Removed => Err(Error::Closed { object: self.directory.name() }),
        }
    }

    /// Goes forward in the segment to what is looked for, or to the last place where it may still come.
    fn skip_to(&mut self, target: Target) -> Result<(), Error> {
        if let Some(index) = Index::read(&self.directory, self.segment.header()) {
            (self.at, self.next) = index.start(&self.segment, target);
        }
        while let Step::Record(head) = self.segment.step(self.at, self.next).map_err(|bad| self.segment.error(bad))? {
            let is_there = match target {
                Target::Sequence(wanted) => head.sequence >= wanted,
                Target::Time(wanted) => head.time_ns >= wanted,
            };
            if is_there {
                break;
            }
            self.go_on(&head);
        }
        Ok(())
    }
}

impl Record<'_> {
    /// Its number: each record has the next one.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.entry.sequence
    }

    /// When it was appended, in nanoseconds since 1970; never before the record in front of it.
    #[must_use]
    pub fn time_ns(&self) -> u64 {
        self.entry.time_ns
    }

    /// Bytes of it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.payload.len()
    }

    /// Whether it has no bytes, as a record may.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }

    /// Its bytes, in the mapped segment.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        self.payload
    }

    /// Copies its bytes.
    ///
    /// # Errors
    /// [`Error::Fault`] if somebody has cut the segment short since the record was found.
    pub fn to_vec(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; self.payload.len()];
        self.payload.read_exact_at(0, &mut bytes).map_err(|fault| self.segment.fault(fault))?;
        Ok(bytes)
    }
}

/// The records that are there, with copies of their bytes; made by [`Reader::records`].
///
/// [`Error::Lagged`] is an item like others; after any other error there are no more.
#[derive(Debug)]
pub struct Records<'a> {
    reader: &'a mut Reader,
    is_over: bool,
}

impl Iterator for Records<'_> {
    type Item = Result<(Entry, Vec<u8>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let mut bytes = Vec::new();
        let item = self.reader.try_read(&mut bytes).map(|entry| entry.map(|entry| (entry, bytes))).transpose();
        self.is_over = !matches!(item, Some(Ok(_) | Err(Error::Lagged { .. })));
        item
    }
}

impl FusedIterator for Records<'_> {}

fn entry(head: &Head) -> Entry {
    Entry { sequence: head.sequence, time_ns: head.time_ns }
}
