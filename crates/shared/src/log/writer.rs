//! The writer of a log.
//!
//! ```text
//!          committed              prepared                     end of the segment
//! | records | zeros, in the page table | zeros, blocks set aside | 32 bytes for the end record |
//! ```
//! A record is stored behind `committed`, head and payload, all but the word of its head; then the word is stored, and
//! with that the record is there for everybody. Invariants:
//! - W1: behind the last committed record there are only zeros, but for the bytes of an append that is going on.
//! - W2: after a failure that leaves bytes of a record behind, or unknown what is on the disk, nothing more is
//!   appended.
//! - W3: all segments but the last have an end record, except between the making of one and the end of the one before.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mapio_map::MapMode;

use super::directory::{Directory, Lock, contents_are_foreign};
use super::flusher::{Active, Flusher};
use super::index::Index;
use super::layout::{self, HEAD_BYTES, HEADER_BYTES, Head, Header, RECORD_TAG};
use super::options::{Durability, Options};
use super::recovery::{End, Recovery, Trust, Walked};
use super::segment::{self, Segment};
use crate::clock::{nanoseconds, now_ns};
use crate::error::Error;
use crate::sys::{self, Opening};

/// Bytes that are set aside behind the last record at a time: as much as there is in the segment already, within these
/// bounds.
const PREPARED_BYTES: Range<usize> = 64 << 10..1 << 20;
/// Bytes after which a flush in each append notes how far it has come. The note costs the write of another page.
const MARK_EVERY_BYTES: usize = 1 << 20;
/// Bytes of finished segments that may be unflushed when flushing is left to the kernel.
const MOST_UNFLUSHED_BYTES: u64 = 1 << 30;

/// How the bytes of an append come into the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filling {
    /// By stores, into pages that were prepared.
    Stored,
    /// By the kernel, all of them.
    Written,
}

impl Filling {
    #[inline]
    fn of(payload: &[u8]) -> Self {
        if sys::is_written(payload.len()) { Self::Written } else { Self::Stored }
    }
}

/// What becomes of a log that is there, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    Required,
    Refused,
    Welcome,
}

/// The writer of a log; there is one at a time. Made by [`Options`].
///
/// A record that was appended is there for readers in all processes when the call returns, and survives the death of
/// this process from then on; for the machine's, see [`Durability`]. The lock ends when this is dropped or the process
/// dies; a child made by fork(2) without exec(2) shares it.
///
/// # Crashes
/// A process that dies in any call here, at any instruction, leaves all records that were appended before, once and
/// whole; the record or the batch that was being appended is there as a whole or not at all.
#[derive(Debug)]
pub struct Writer {
    options: Options,
    active: Arc<Active>,
    /// Where the next record belongs: as `active.committed`.
    at: usize,
    /// Up to where the segment takes stores without page faults.
    prepared: usize,
    next: u64,
    /// Time of the last record.
    time_ns: u64,
    /// Some of the active segment's records.
    index: Index,
    /// All segments: first sequence number and bytes, ascending; the last one is the active one.
    segments: VecDeque<(u64, u64)>,
    /// Of these, finished ones that were never flushed, ascending.
    unflushed: VecDeque<Unflushed>,
    /// Who has written the part of the active segment that was never flushed.
    origin: Origin,
    flusher: Option<Flusher>,
    /// The error after which nothing more is appended.
    failure: Option<String>,
    recovery: Recovery,
    directory: Directory,
    /// Held for its lock, until everything else is done.
    _lock: Lock,
}

/// A finished segment that was never flushed.
#[derive(Debug, Clone, Copy)]
struct Unflushed {
    /// Number of its first record.
    first: u64,
    bytes: u64,
    origin: Origin,
}

/// Who has written what was never flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// This writer alone.
    Own,
    /// An earlier one, too. A flush of his may have failed, and then the kernel takes pages for clean that the disk
    /// does not have: they are stored to before they are flushed.
    Found,
}

impl Writer {
    pub(super) fn open(path: &Path, options: Options, existing: Existing) -> Result<Self, Error> {
        if existing != Existing::Required {
            Directory::create(path)?;
        }
        let directory = Directory::open(path)?;
        let name = directory.name();
        let contents = directory.contents()?;
        if contents_are_foreign(&contents) {
            return Err(Error::Foreign { object: name, reason: "the folder holds something else than a log" });
        }
        if contents.segments.is_empty() && existing == Existing::Required {
            return Err(Error::NotFound { object: format!("the log {name}") });
        }
        let lock = directory.lock()?;
        // Again, now that nobody else changes it.
        let contents = directory.contents()?;
        match (existing, contents.segments.is_empty()) {
            (Existing::Refused, false) => return Err(Error::Exists { object: format!("the log {name}") }),
            (Existing::Required, true) => return Err(Error::NotFound { object: format!("the log {name}") }),
            _ => {}
        }
        directory.tidy(&contents)?;
        if contents.segments.is_empty() {
            Self::begin(directory, lock, options, 0, new_id(&name)?)
        } else {
            let end = End::find(&directory, &contents.segments, Trust::Marks)?;
            Self::go_on(directory, lock, options, end)
        }
    }

    /// Begins a log with its first segment.
    fn begin(directory: Directory, lock: Lock, options: Options, next: u64, id: [u8; 16]) -> Result<Self, Error> {
        let time_ns = now_ns();
        let header = Header { log_id: id, first: next, created_ns: time_ns, segment_bytes: options.segment_bytes };
        let segment = Segment::create(&directory, &header)?;
        directory.sync()?;
        let segments = VecDeque::from([(next, header.segment_bytes)]);
        Self::with(directory, lock, options, (segment, HEADER_BYTES), next, time_ns, segments)
    }

    /// Goes on with a log whose end was found.
    fn go_on(directory: Directory, lock: Lock, options: Options, mut end: End) -> Result<Self, Error> {
        end.settle(&directory)?;
        let is_flushed = options.durability != Durability::Kernel;
        if is_flushed {
            end.flush(&directory)?;
        }
        let (next, time_ns, mut segments) = (end.next, end.time_ns, std::mem::take(&mut end.segments));
        let unflushed: VecDeque<_> = match is_flushed {
            true => VecDeque::new(),
            false => {
                let found =
                    |walked: &Walked| Unflushed { first: walked.first, bytes: walked.bytes, origin: Origin::Found };
                end.walked.iter().map(found).collect()
            }
        };
        let last = end.last.take().zip(end.walked.last().map(|walked| walked.at));
        let (last, has_ended) = (last.ok_or_else(|| Error::NotFound { object: directory.name() })?, end.has_ended);
        let (active, at) = if has_ended {
            // Its successor was lost, or never made.
            let header = Header {
                log_id: last.0.header().log_id,
                first: next,
                created_ns: now_ns().max(time_ns),
                segment_bytes: options.segment_bytes,
            };
            segments.push_back((next, header.segment_bytes));
            let made = Segment::create(&directory, &header)?;
            directory.sync()?;
            (made, HEADER_BYTES)
        } else {
            last
        };
        let mut writer = Self::with(directory, lock, options, (active, at), next, time_ns, segments)?;
        writer.recovery = end.recovery;
        writer.unflushed = unflushed;
        if has_ended {
            return writer.retain().map(|()| writer);
        }
        writer.origin = writer.unflushed.pop_back().map_or(Origin::Own, |active| active.origin);
        writer.index = end.index;
        writer.retain().map(|()| writer)
    }

    fn with(
        directory: Directory,
        lock: Lock,
        options: Options,
        (segment, at): (Segment, usize),
        next: u64,
        time_ns: u64,
        segments: VecDeque<(u64, u64)>,
    ) -> Result<Self, Error> {
        let marked = segment.mark().map_err(|fault| segment.fault(fault))?;
        let active = Arc::new(Active::new(segment, at, marked));
        let flusher = match options.durability {
            Durability::Interval(interval) => Some(Flusher::start(Arc::clone(&active), interval)?),
            Durability::Always | Durability::Kernel => None,
        };
        Ok(Self {
            options,
            active,
            at,
            prepared: at,
            next,
            time_ns,
            index: Index::default(),
            segments,
            unflushed: VecDeque::new(),
            origin: Origin::Own,
            flusher,
            failure: None,
            recovery: Recovery::default(),
            directory,
            _lock: lock,
        })
    }

    /// Appends a record, and answers its sequence number: 0 for the first of a log, then one more each time.
    ///
    /// Makes no system call, except to set more of a segment aside (each 64 KiB to 1 MiB), to begin a segment, and to
    /// flush where that was asked for; then it blocks for the disk.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a record that no segment holds. [`Error::Os`] when there is no space, or a file can't be
    /// made: nothing was appended, and the same call may succeed later. [`Error::Fault`] when somebody has cut the
    /// segment short, and [`Error::Os`] when a flush fails: it is not known whether the record is there, or will be
    /// after a crash, and from then on all answers are [`Error::Failed`].
    #[inline]
    pub fn append(&mut self, payload: &[u8]) -> Result<u64, Error> {
        let stride = layout::stride(payload.len());
        let filling = Filling::of(payload);
        self.make_room(stride, filling).map_err(|error| exact(error, payload.len()))?;
        let time_ns = self.stamp();
        let sequence = self.next;
        let head = self.head(payload, sequence, time_ns, 0);
        self.active.segment.put(self.at, &head, payload).map_err(|error| self.take_back(error))?;
        self.active.segment.commit(self.at, &head).map_err(|fault| self.fail_by(fault))?;
        self.index.note(self.at, sequence, time_ns);
        self.publish(stride, sequence + 1)?;
        Ok(sequence)
    }

    /// Appends several records at once, and answers their sequence numbers.
    ///
    /// All of them become readable by one atomic store, in their order, with the same time; after any crash all of them
    /// are there or none is. With [`Durability::Always`] they are flushed once.
    ///
    /// # Errors
    /// As [`append`](Self::append); [`Error::TooLong`] also when all together are more than a segment holds.
    pub fn append_batch<T: AsRef<[u8]>>(&mut self, payloads: &[T]) -> Result<Range<u64>, Error> {
        // Each is asked for its bytes once: another answer the second time would spoil the log.
        let payloads: Vec<&[u8]> = payloads.iter().map(AsRef::as_ref).collect();
        let strides = payloads.iter().map(|payload| layout::stride(payload.len()));
        let total = strides.fold(0, usize::saturating_add);
        let count = u32::try_from(payloads.len()).unwrap_or(u32::MAX);
        let is_long = payloads.iter().all(|payload| Filling::of(payload) == Filling::Written);
        self.make_room(total, if is_long { Filling::Written } else { Filling::Stored })?;
        let (first, time_ns) = (self.next, self.stamp());
        let (mut at, mut sequence, mut left) = (self.at, first, count);
        let mut first_head = None;
        for payload in payloads {
            left = left.saturating_sub(1);
            let head = self.head(payload, sequence, time_ns, left);
            self.active.segment.put(at, &head, payload).map_err(|error| self.take_back(error))?;
            // The word of the first one hides them all, until it is stored.
            if first_head.is_some() {
                self.active.segment.commit(at, &head).map_err(|fault| self.fail_by(fault))?;
            }
            first_head.get_or_insert(head);
            (at, sequence) = (at + layout::stride(payload.len()), sequence + 1);
        }
        let Some(head) = first_head else { return Ok(first..first) };
        self.active.segment.commit(self.at, &head).map_err(|fault| self.fail_by(fault))?;
        self.index.note(self.at, first, time_ns);
        self.publish(total, sequence)?;
        Ok(first..sequence)
    }

    /// Brings everything that was appended to the disk, and waits for it.
    ///
    /// # Errors
    /// [`Error::Os`] when the disk fails; from then on, all answers are [`Error::Failed`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.check()?;
        let flushed = self.flush_finished(0).and_then(|()| self.flush_active());
        flushed.map_err(|error| self.fail(error))
    }

    /// Removes the segments that the options do not retain. Every segment that is begun does that, too; a log to which
    /// little is appended may want it more often.
    ///
    /// # Errors
    /// [`Error::Os`] when a file can't be removed; the log is as good as before.
    pub fn retain(&mut self) -> Result<(), Error> {
        self.retain_with(0)
    }

    /// The sequence number that the next record will have.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// The longest payload of a record, in bytes, that the segments of this writer hold.
    #[must_use]
    pub fn most_bytes(&self) -> usize {
        let most = usize::try_from(self.options.segment_bytes).unwrap_or(usize::MAX) - HEADER_BYTES - 2 * HEAD_BYTES;
        most.min(usize::try_from(u32::MAX).unwrap_or(usize::MAX))
    }

    /// What was found when the log was opened.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Ends writing: flushes, unless that is left to the kernel, and gives the log up to another writer.
    ///
    /// Dropping does the same, and can't tell of an error.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn close(mut self) -> Result<(), Error> {
        self.finish()
    }

    /// The bytes of a record's head.
    #[inline]
    fn head(&self, payload: &[u8], sequence: u64, time_ns: u64, batch_left: u32) -> [u8; HEAD_BYTES] {
        // Longer ones were refused before: no segment holds them.
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let head = Head { len, tag: RECORD_TAG, sequence, time_ns, batch_left, crc: 0 };
        head.seal(self.active.segment.salt(), payload)
    }

    /// The time of the next record: now, but never before the last one.
    #[inline]
    fn stamp(&mut self) -> u64 {
        self.time_ns = self.time_ns.max(now_ns());
        self.time_ns
    }

    /// Makes so many bytes of a segment ready to be stored to, with nothing of them in any record yet.
    #[inline]
    fn make_room(&mut self, bytes: usize, filling: Filling) -> Result<(), Error> {
        self.check()?;
        match self.at.checked_add(bytes) {
            Some(end) if end <= self.prepared => Ok(()),
            _ => self.make_more_room(bytes, filling),
        }
    }

    #[cold]
    fn make_more_room(&mut self, bytes: usize, filling: Filling) -> Result<(), Error> {
        let most = usize::try_from(self.options.segment_bytes).unwrap_or(usize::MAX) - HEADER_BYTES - HEAD_BYTES;
        let fits_here = self.at.checked_add(bytes).is_some_and(|end| end <= self.active.segment.limit());
        if !fits_here && bytes > most {
            let wide = |bytes: usize| u64::try_from(bytes.saturating_sub(HEAD_BYTES)).unwrap_or(u64::MAX);
            return Err(Error::TooLong { object: self.directory.name(), len: wide(bytes), most: wide(most) });
        }
        if self.next.checked_add(u64::from(u32::MAX)).is_none() {
            return Err(Error::invalid(self.directory.name(), "there are no more sequence numbers"));
        }
        if !fits_here {
            self.begin_segment()?;
        }
        if filling == Filling::Written {
            return Ok(());
        }
        let used = (self.at - HEADER_BYTES).clamp(PREPARED_BYTES.start, PREPARED_BYTES.end);
        let segment = &self.active.segment;
        let end = self.at.saturating_add(used.max(bytes)).min(segment.limit());
        // With the last record, the end record gets its place.
        segment.prepare(self.prepared, if end == segment.limit() { segment.len() } else { end })?;
        self.prepared = end;
        Ok(())
    }

    /// Makes a segment, ends the last one, and goes on in the new one.
    fn begin_segment(&mut self) -> Result<(), Error> {
        self.retain_with(self.options.segment_bytes)?;
        let time_ns = self.stamp();
        let header = Header {
            log_id: self.active.segment.header().log_id,
            first: self.next,
            created_ns: time_ns,
            segment_bytes: self.options.segment_bytes,
        };
        // First, so that a full disk changes nothing. If we die now, the next writer ends the segment before.
        let made = Segment::create(&self.directory, &header)?;
        // It can't be made a second time, and records in the old one would get its numbers.
        self.directory.sync().map_err(|error| self.fail(error))?;
        let made = Arc::new(Active::new(made, HEADER_BYTES, HEADER_BYTES));
        let finished = Arc::clone(&self.active);
        finished.segment.end(self.at, self.next, time_ns).map_err(|error| self.fail(error))?;
        // R2, as in `publish`.
        finished.committed.store(self.at + HEAD_BYTES, Ordering::Release);
        self.segments.push_back(facts(&made.segment));
        if self.options.durability == Durability::Kernel {
            let (first, bytes) = facts(&finished.segment);
            self.unflushed.push_back(Unflushed { first, bytes, origin: self.origin });
        } else {
            finished.flush(0).map_err(|error| self.fail(error))?;
        }
        // Only a hint: without it, readers take longer to find a place.
        let _ = self.index.write(&self.directory, finished.segment.header());
        self.index = Index::default();
        if let Some(flusher) = &self.flusher {
            flusher.switch_to(Arc::clone(&made));
        }
        (self.active, self.at, self.prepared) = (made, HEADER_BYTES, HEADER_BYTES);
        self.origin = Origin::Own;
        // Finished segments are flushed through mappings of their own, and a flush need not find what was stored
        // through another one before that is unmapped.
        drop(finished);
        self.flush_finished(MOST_UNFLUSHED_BYTES).map_err(|error| self.fail(error))?;
        // The finished one may go now, too.
        self.retain_with(0)
    }

    /// Counts what was committed, and flushes it if that was asked for.
    #[inline]
    fn publish(&mut self, bytes: usize, next: u64) -> Result<(), Error> {
        self.at += bytes;
        // What was written has its pages, too.
        self.prepared = self.prepared.max(self.at);
        self.next = next;
        // R2: pairs with A2 in `Active::flush`.
        self.active.committed.store(self.at, Ordering::Release);
        match (&self.flusher, self.options.durability) {
            (Some(flusher), _) => flusher.note(),
            (None, Durability::Always) => self.active.flush(MARK_EVERY_BYTES).map_err(|error| self.fail(error))?,
            (None, _) => {}
        }
        Ok(())
    }

    /// Flushes the active segment.
    fn flush_active(&mut self) -> Result<(), Error> {
        if self.origin == Origin::Found {
            self.active.segment.store_again(self.at)?;
            self.origin = Origin::Own;
        }
        self.active.flush(0)
    }

    /// Flushes the oldest finished segments, until at most so many bytes of them are left.
    fn flush_finished(&mut self, most_bytes: u64) -> Result<(), Error> {
        let mut left: u64 = self.unflushed.iter().map(|unflushed| unflushed.bytes).sum();
        while left > most_bytes
            && let Some(&Unflushed { first, bytes, origin }) = self.unflushed.front()
        {
            if let Some(segment) = Segment::open(&self.directory, first, MapMode::ReadWrite)? {
                let end = end_of(&segment)?;
                if origin == Origin::Found {
                    segment.store_again(end)?;
                }
                segment.sync()?;
                segment.set_mark(end).map_err(|fault| segment.fault(fault))?;
            }
            self.unflushed.pop_front();
            left -= bytes;
        }
        Ok(())
    }

    /// Removes what the options do not retain when so many more bytes are wanted.
    fn retain_with(&mut self, more_bytes: u64) -> Result<(), Error> {
        let mut total = self.segments.iter().map(|(_, bytes)| bytes).sum::<u64>() + more_bytes;
        let oldest_ns = self.options.retain_age.map(|age| now_ns().saturating_sub(nanoseconds(age)));
        // The last one stays.
        while self.segments.len() > 1
            && let (Some(&(first, bytes)), Some(&(second, _))) = (self.segments.front(), self.segments.get(1))
        {
            let is_too_much = self.options.retain_bytes.is_some_and(|most| total > most);
            if !is_too_much && !self.is_older(second, oldest_ns)? {
                break;
            }
            self.directory.remove_segment(first)?;
            self.segments.pop_front();
            self.unflushed.retain(|unflushed| unflushed.first != first);
            total -= bytes;
        }
        Ok(())
    }

    /// Whether a segment was begun before this time, so that all records before it are older.
    fn is_older(&self, first: u64, oldest_ns: Option<u64>) -> Result<bool, Error> {
        let Some(oldest_ns) = oldest_ns else { return Ok(false) };
        let Some(file) = self.directory.open_segment(first, Opening::Read)? else { return Ok(false) };
        let header = segment::read_header(&file, first, &self.directory.segment_name(first))?;
        Ok(header.created_ns < oldest_ns)
    }

    /// Refuses to go on after a failure.
    #[inline]
    fn check(&mut self) -> Result<(), Error> {
        if let Some(error) = self.flusher.as_ref().and_then(Flusher::failure) {
            return Err(self.fail(error));
        }
        match &self.failure {
            None => Ok(()),
            Some(reason) => Err(Error::Failed { object: self.directory.name(), reason: reason.clone() }),
        }
    }

    /// A record could not be stored. What there is of it is removed, so that another can be; if that fails, too,
    /// nothing more is appended.
    #[cold]
    fn take_back(&mut self, error: Error) -> Error {
        let is_fault = matches!(error, Error::Fault { .. });
        if is_fault || self.active.segment.clear(self.at).is_err() { self.fail(error) } else { error }
    }

    #[cold]
    fn fail_by(&mut self, fault: mapio_map::Fault) -> Error {
        let error = self.active.segment.fault(fault);
        self.fail(error)
    }

    /// Takes note of a failure after which nothing more is appended.
    #[cold]
    fn fail(&mut self, error: Error) -> Error {
        self.failure = Some(error.to_string());
        error
    }

    fn finish(&mut self) -> Result<(), Error> {
        if let Some(flusher) = &mut self.flusher {
            flusher.end();
        }
        self.check()?;
        match self.options.durability {
            Durability::Kernel => Ok(()),
            Durability::Always | Durability::Interval(_) => self.flush(),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // `close` tells; who drops does not ask. Twice is no harm: there is nothing left to flush.
        let _ = self.finish();
    }
}

/// The error of a single record, whose length is told without what pads it.
#[cold]
fn exact(error: Error, payload_len: usize) -> Error {
    match error {
        Error::TooLong { object, most, .. } => {
            Error::TooLong { object, len: u64::try_from(payload_len).unwrap_or(u64::MAX), most }
        }
        other => other,
    }
}

/// First sequence number and bytes of a segment.
fn facts(segment: &Segment) -> (u64, u64) {
    (segment.header().first, segment.header().segment_bytes)
}

/// Where a finished segment's records end, with the end record.
fn end_of(segment: &Segment) -> Result<usize, Error> {
    let (mut at, mut next) = (HEADER_BYTES, segment.header().first);
    loop {
        match segment.step(at, next).map_err(|bad| segment.error(bad))? {
            segment::Step::Record(head) => (at, next) = (at + head.stride(), next.wrapping_add(1)),
            segment::Step::End => return Ok(at + HEAD_BYTES),
            segment::Step::Nothing => return Ok(at),
        }
    }
}

/// A random number that no other log has.
fn new_id(name: &str) -> Result<[u8; 16], Error> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| Error::os("making an id for", name)(error.into()))?;
    Ok(id)
}
