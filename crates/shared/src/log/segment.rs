//! A segment: a mapped file, and the steps from one record of it to the next.
//!
//! What a segment holds is untrusted: anybody who may write to the file can put anything there. Invariants:
//! - S1: every length and offset that comes from the file is checked against the segment before it is used.
//! - S2: each step goes on by at least a head, so that a walk ends.

use std::fs::File;
use std::io;
use std::sync::atomic::Ordering;

use crc32fast::Hasher;
use mapio_map::descriptor::{self, BorrowedDescriptor};
use mapio_map::{Access, Fault, MapMode, MapOptions, Mapping, View};

use super::directory::Directory;
use super::layout::{
    self, END_TAG, HEAD_BYTES, HEADER_BYTES, Head, Header, MARK_OFFSET, Mark, NoHeader, RECORD_TAG, Salt,
};
use crate::error::Error;
use crate::sys::{self, Opening};

/// How many bytes are checked, stored again or cleared in one go; they stay in the processor's cache.
const CHUNK_BYTES: usize = 1024;
/// Payloads up to this many bytes are looked at without making a buffer for it.
const SHORT_BYTES: usize = 256;
/// A mapped segment.
#[derive(Debug)]
pub(super) struct Segment {
    mapping: Mapping,
    header: Header,
    salt: Salt,
    /// What it is called in errors.
    name: String,
}

/// What is at the end of a walk, or next on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Zeros: nothing was committed here yet.
    Nothing,
    /// A record, which lies inside the segment and has the number that was expected. Its CRC has not been looked at.
    Record(Head),
    /// The segment's end; the next record is the first of another segment.
    End,
}

/// A walk has met what no writer leaves.
#[derive(Debug)]
pub(super) enum Bad {
    /// First byte of it, and what is wrong.
    Content(usize, &'static str),
    /// The bytes are not to be had.
    Fault(Fault),
}

impl From<Fault> for Bad {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Segment {
    /// Opens and maps a segment; `None` if there is none of that name.
    pub(super) fn open(directory: &Directory, first: u64, mode: MapMode) -> Result<Option<Self>, Error> {
        let opening = if mode == MapMode::ReadOnly { Opening::Read } else { Opening::ReadWrite };
        let Some(file) = directory.open_segment(first, opening)? else { return Ok(None) };
        let name = directory.segment_name(first);
        let header = read_header(&file, first, &name)?;
        Self::map(&file, header, name, mode).map(Some)
    }

    /// Makes a segment and maps it. Its name is there; that is on the disk once the folder is flushed.
    pub(super) fn create(directory: &Directory, header: &Header) -> Result<Self, Error> {
        let name = directory.segment_name(header.first);
        directory.create_segment(header, |file| Self::map(file, *header, name, MapMode::ReadWrite))
    }

    /// Maps a segment whose header is known.
    fn map(file: &File, header: Header, name: String, mode: MapMode) -> Result<Self, Error> {
        let len = usize::try_from(header.segment_bytes).map_err(|_| Error::TooLong {
            object: name.clone(),
            len: header.segment_bytes,
            most: u64::try_from(isize::MAX).unwrap_or(u64::MAX),
        })?;
        let mapped = MapOptions::new(mode).len(len).map(file);
        let mapping = mapped.map_err(|source| Error::Map { object: name.clone(), source })?;
        Ok(Self { mapping, header, salt: Salt::new(&header.log_id), name })
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn salt(&self) -> Salt {
        self.salt
    }

    fn file(&self) -> BorrowedDescriptor<'_> {
        descriptor::of(&self.mapping)
    }

    pub(super) fn view(&self) -> View<'_> {
        self.mapping.view()
    }

    /// Bytes of it.
    pub(super) fn len(&self) -> usize {
        self.mapping.len()
    }

    /// Where the last bytes are that are kept for the end record.
    pub(super) fn limit(&self) -> usize {
        self.len() - HEAD_BYTES
    }

    /// Looks at what is at `at`, where record `expected` belongs.
    pub(super) fn step(&self, at: usize, expected: u64) -> Result<Step, Bad> {
        // The end record may take the very last bytes; behind it, there is nothing.
        if at > self.limit() {
            return Ok(Step::Nothing);
        }
        // A1: pairs with R1 in `commit`; all other bytes of the record were stored before.
        let word = self.view().atomic::<u64>(at)?.load(Ordering::Acquire)?;
        if word == 0 {
            return Ok(Step::Nothing);
        }
        let mut bytes = [0; HEAD_BYTES];
        self.view().read_exact_at(at + 8, &mut bytes[8..])?;
        bytes[..8].copy_from_slice(&word.to_ne_bytes());
        let head = Head::decode(&bytes);
        match head.tag {
            RECORD_TAG => self.check_record(at, expected, head).map(|()| Step::Record(head)),
            END_TAG => self.check_end(at, expected, head).map(|()| Step::End),
            _ => Err(Bad::Content(at, "neither a record nor an end begins there")),
        }
    }

    fn check_record(&self, at: usize, expected: u64, head: Head) -> Result<(), Bad> {
        if at.checked_add(head.stride()).is_none_or(|end| end > self.limit()) {
            return Err(Bad::Content(at, "a record reaches beyond the segment"));
        }
        if head.sequence != expected {
            return Err(Bad::Content(at, "a record has not the sequence number that belongs there"));
        }
        Ok(())
    }

    fn check_end(&self, at: usize, expected: u64, head: Head) -> Result<(), Bad> {
        if head.len != 0 || head.hasher(self.salt).finalize() != head.crc {
            return Err(Bad::Content(at, "the segment's end does not match its checksum"));
        }
        // An end behind no record would lead back to the segment itself.
        if head.sequence != expected || expected <= self.header.first {
            return Err(Bad::Content(at, "the segment's end has not the sequence number that belongs there"));
        }
        Ok(())
    }

    /// Checks the CRC of a record that [`step`](Self::step) has found at `at`, where it is.
    pub(super) fn check_payload(&self, at: usize, head: &Head) -> Result<(), Bad> {
        let mut hasher = head.hasher(self.salt);
        let payload = self.payload(at, head)?;
        if payload.len() <= SHORT_BYTES {
            let mut bytes = [0; SHORT_BYTES];
            let bytes = &mut bytes[..payload.len()];
            self.view().read_exact_at(at + HEAD_BYTES, bytes)?;
            hasher.update(bytes);
            return check_crc(at, head, hasher);
        }
        let mut chunks = payload.chunks(CHUNK_BYTES);
        // The offset of a fault counts from the payload.
        let moved = |fault: Fault| match self.view().load::<u8>(at + HEAD_BYTES + fault.offset) {
            Err(fault) => Bad::Fault(fault),
            Ok(_) => Bad::Content(at, "a record's bytes could not be read"),
        };
        while let Some(chunk) = chunks.next_chunk().map_err(moved)? {
            hasher.update(chunk);
        }
        check_crc(at, head, hasher)
    }

    /// Copies the payload of a record that [`step`](Self::step) has found at `at` into a buffer, and checks the copy.
    pub(super) fn copy_payload(&self, at: usize, head: &Head, buffer: &mut Vec<u8>) -> Result<(), Bad> {
        buffer.clear();
        // At most what the segment has: S1.
        buffer.resize(usize::try_from(head.len).unwrap_or(0), 0);
        self.view().read_exact_at(at + HEAD_BYTES, buffer)?;
        let mut hasher = head.hasher(self.salt);
        hasher.update(buffer);
        check_crc(at, head, hasher)
    }

    /// The payload of a record that [`step`](Self::step) has found at `at`.
    pub(super) fn payload(&self, at: usize, head: &Head) -> Result<View<'_>, Fault> {
        let (start, len) = (at + HEAD_BYTES, usize::try_from(head.len).unwrap_or(usize::MAX));
        self.view().slice(start..start.saturating_add(len))
    }

    /// Checks that the batch that goes on at `at` with `head` is whole: answers the number behind its last record.
    pub(super) fn check_batch(&self, mut at: usize, mut head: Head) -> Result<u64, Bad> {
        let start = at;
        loop {
            self.check_payload(at, &head)?;
            let next = head.sequence.wrapping_add(1);
            if head.batch_left == 0 {
                return Ok(next);
            }
            at += head.stride();
            match self.step(at, next)? {
                Step::Record(follows) if follows.batch_left.checked_add(1) == Some(head.batch_left) => head = follows,
                _ => return Err(Bad::Content(start, "a batch is not whole")),
            }
        }
    }

    /// Stores a record without publishing it: all but its word.
    pub(super) fn put(&self, at: usize, head: &[u8; HEAD_BYTES], payload: &[u8]) -> Result<(), Error> {
        if sys::is_written(payload.len()) {
            return self.write(at, head, payload);
        }
        let view = self.view();
        let put = view.write_all_at(at + 8, &head[8..]).and_then(|()| view.write_all_at(at + HEAD_BYTES, payload));
        put.map_err(|fault| self.fault(fault))
    }

    /// Does what [`put`](Self::put) does by the system's call: into the same pages, and before whatever this thread
    /// stores next.
    #[cold]
    fn write(&self, at: usize, head: &[u8; HEAD_BYTES], payload: &[u8]) -> Result<(), Error> {
        let fail = |source: io::Error| Error::os("writing to", &self.name.clone())(source);
        let (mut head, mut payload) = (&head[8..], payload);
        let mut offset = u64::try_from(at + 8).map_err(|_| fail(io::ErrorKind::InvalidInput.into()))?;
        while !payload.is_empty() {
            let written = sys::write_parts_at(self.file(), [head, payload], offset).map_err(fail)?;
            let of_head = written.min(head.len());
            (head, payload) = (&head[of_head..], &payload[written - of_head..]);
            match u64::try_from(written) {
                Ok(written @ 1..) => offset += written,
                _ => return Err(fail(io::ErrorKind::WriteZero.into())),
            }
        }
        Ok(())
    }

    /// Publishes what [`put`](Self::put) has stored at `at`, and all that was stored before.
    pub(super) fn commit(&self, at: usize, head: &[u8; HEAD_BYTES]) -> Result<(), Fault> {
        let mut word = [0; 8];
        word.copy_from_slice(&head[..8]);
        // R1: pairs with A1 in `step`.
        self.view().atomic::<u64>(at)?.store(u64::from_ne_bytes(word), Ordering::Release)
    }

    /// Ends the segment at `at`: the next record is `next`, in another segment.
    pub(super) fn end(&self, at: usize, next: u64, time_ns: u64) -> Result<(), Error> {
        let head = Head { len: 0, tag: END_TAG, sequence: next, time_ns, batch_left: 0, crc: 0 };
        let head = head.seal(self.salt, &[]);
        self.put(at, &head, &[])?;
        self.commit(at, &head).map_err(|fault| self.fault(fault))
    }

    /// The byte up to which everything was flushed.
    pub(super) fn mark(&self) -> Result<usize, Fault> {
        let word = self.view().atomic::<u64>(MARK_OFFSET)?.load(Ordering::Relaxed)?;
        let mark = Mark::decode(u64::from_le(word), &self.header);
        Ok(mark.filter(|&mark| mark <= self.len()).unwrap_or(HEADER_BYTES))
    }

    /// Notes that everything up to this byte was flushed.
    pub(super) fn set_mark(&self, offset: usize) -> Result<(), Fault> {
        let word = Mark::encode(offset, &self.header).to_le();
        self.view().atomic::<u64>(MARK_OFFSET)?.store(word, Ordering::Relaxed)
    }

    /// Brings all of it to the disk.
    pub(super) fn sync(&self) -> Result<(), Error> {
        sys::sync_mapping(&self.mapping).map_err(Error::os("flushing", &self.name))
    }

    /// Stores the bytes from the mark to `end` again, so that a flush writes them to the disk whatever the kernel
    /// believes is there.
    pub(super) fn store_again(&self, end: usize) -> Result<(), Error> {
        let mut bytes = [0; CHUNK_BYTES];
        let mut at = self.mark().map_err(|fault| self.fault(fault))?;
        while at < end {
            let part = &mut bytes[..CHUNK_BYTES.min(end - at)];
            let stored = self.view().read_exact_at(at, part).and_then(|()| self.view().write_all_at(at, part));
            stored.map_err(|fault| self.fault(fault))?;
            at += part.len();
        }
        Ok(())
    }

    /// Makes every byte from `start` on zero, on the disk too. Touches no page that is in a hole or was never written.
    pub(super) fn clear(&self, start: usize) -> Result<(), Error> {
        let (mut at, mut was_zero) = (start, true);
        while at < self.len() {
            let Some((data, end)) = self.next_data(at)? else { break };
            was_zero &= self.clear_range(data, end)?;
            at = end;
        }
        // Else the machine's death could bring back a record that follows one that was stored over those before it.
        if was_zero { Ok(()) } else { self.sync() }
    }

    /// Makes a range zero; answers whether it was.
    fn clear_range(&self, start: usize, end: usize) -> Result<bool, Error> {
        let mut bytes = [0; CHUNK_BYTES];
        let (mut at, mut was_zero) = (start, true);
        while at < end {
            let part = &mut bytes[..CHUNK_BYTES.min(end - at)];
            self.view().read_exact_at(at, part).map_err(|fault| self.fault(fault))?;
            if *part != [0; CHUNK_BYTES][..part.len()] {
                self.view().fill(at..at + part.len(), 0).map_err(|fault| self.fault(fault))?;
                was_zero = false;
            }
            at += part.len();
        }
        Ok(was_zero)
    }

    /// The next range from `at` on that may hold anything but zeros, which is not empty.
    fn next_data(&self, at: usize) -> Result<Option<(usize, usize)>, Error> {
        let offset = u64::try_from(at).unwrap_or(u64::MAX);
        let data = sys::next_data(self.file(), offset).map_err(Error::os("looking for data in", &self.name))?;
        let inside = |offset| usize::try_from(offset).map_or(self.len(), |at| at.min(self.len()));
        Ok(data.map(|data| (inside(data.start), inside(data.end))).filter(|(start, end)| start < end))
    }

    /// Has `start..end` ready for stores that take no page fault: the pages are entered.
    pub(super) fn prepare(&self, start: usize, end: usize) -> Result<(), Error> {
        let offset = |at| u64::try_from(at).unwrap_or(u64::MAX);
        let prepared = sys::prepare(self.file(), offset(start)..offset(end));
        prepared.map_err(Error::os("setting space aside in", &self.name))?;
        if let Ok(pages) = self.view().slice(start..end) {
            // What can't be entered now will be when it is stored to, or answer the reason.
            let _ = pages.populate(Access::Write);
        }
        Ok(())
    }

    /// What has become of the file while nothing happens: whether it still has a name and its length.
    pub(super) fn fate(&self, directory: &Directory) -> Result<Fate, Error> {
        let fail = || Error::os("reading the status of", &self.name);
        match sys::file_len(self.file()).map_err(fail())? {
            len if len < self.header.segment_bytes => Ok(Fate::Cut { len }),
            _ if directory.keeps(self.header.first, self.file()).map_err(fail())? => Ok(Fate::There),
            _ => Ok(Fate::Removed),
        }
    }

    pub(super) fn fault(&self, source: Fault) -> Error {
        Error::Fault { object: self.name.clone(), source }
    }

    pub(super) fn error(&self, bad: Bad) -> Error {
        match bad {
            Bad::Content(at, reason) => self.corrupt(at, reason),
            Bad::Fault(fault) => self.fault(fault),
        }
    }

    pub(super) fn corrupt(&self, at: usize, reason: &'static str) -> Error {
        let offset = u64::try_from(at).unwrap_or(u64::MAX);
        Error::Corrupt { object: self.name.clone(), offset, reason }
    }
}

/// What has become of a segment's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    There,
    /// It has no name any more.
    Removed,
    /// It has only so many bytes.
    Cut {
        len: u64,
    },
}

/// Reads and checks the header of an open segment.
pub(super) fn read_header(file: &File, first: u64, name: &str) -> Result<Header, Error> {
    let corrupt = |offset, reason| Error::Corrupt { object: name.to_owned(), offset, reason };
    let mut bytes = [0; layout::FIXED_HEADER_BYTES];
    let read = sys::read_at(file, &mut bytes, 0).map_err(Error::os("reading", name))?;
    if read < bytes.len() {
        return Err(corrupt(u64::try_from(read).unwrap_or(0), "the file ends there"));
    }
    let header = Header::decode(&bytes).map_err(|no_header| match no_header {
        NoHeader::Foreign(reason) => Error::Foreign { object: name.to_owned(), reason },
        NoHeader::Corrupt(reason) => corrupt(0, reason),
    })?;
    if header.first != first {
        return Err(corrupt(32, "the header has another sequence number than the name"));
    }
    let len = sys::file_len(descriptor::of(file)).map_err(Error::os("reading the status of", name))?;
    if len < header.segment_bytes {
        return Err(corrupt(len, "the file ends there"));
    }
    Ok(header)
}

/// Compares what a hasher has seen with what the head says.
fn check_crc(at: usize, head: &Head, hasher: Hasher) -> Result<(), Bad> {
    if hasher.finalize() == head.crc { Ok(()) } else { Err(Bad::Content(at, "a record does not match its checksum")) }
}
