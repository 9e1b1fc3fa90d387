//! Random sequences of operations on a view, checked against the same operations on a plain file by pread and pwrite.

use std::fs::File;

use mapio_map::{FaultKind, MapMode, MapOptions, View};
use mapio_testkit::{FileAt, pattern};
use proptest::prelude::*;

use crate::support::pattern_file;

const LEN: usize = 9_000;

#[derive(Debug, Clone)]
enum Op {
    Read { offset: usize, len: usize },
    Write { offset: usize, bytes: Vec<u8> },
    Fill { offset: usize, len: usize, byte: u8 },
    Load(usize),
    Store(usize, u64),
    Copy { from: usize, to: usize, len: usize },
    Chunks(usize),
}

fn op() -> impl Strategy<Value = Op> {
    // Most offsets are inside, many near the page bounds and the end, some far outside.
    let offset = prop_oneof![4 => 0..LEN, 2 => 4080..4112usize, 2 => LEN - 20..LEN + 20, 1 => Just(usize::MAX)];
    let len = prop_oneof![6 => 0..300usize, 1 => 0..LEN];
    prop_oneof![
        (offset.clone(), len.clone()).prop_map(|(offset, len)| Op::Read { offset, len }),
        (offset.clone(), prop::collection::vec(any::<u8>(), 0..600))
            .prop_map(|(offset, bytes)| Op::Write { offset, bytes }),
        (offset.clone(), len.clone(), any::<u8>()).prop_map(|(offset, len, byte)| Op::Fill { offset, len, byte }),
        offset.clone().prop_map(Op::Load),
        (offset.clone(), any::<u64>()).prop_map(|(offset, value)| Op::Store(offset, value)),
        (0..LEN, 0..LEN, len).prop_map(|(from, to, len)| Op::Copy { from, to, len }),
        (1..LEN * 2).prop_map(Op::Chunks),
    ]
}

/// The oracle: a plain file that does not grow.
struct Plain(File);

impl Plain {
    fn read(&self, offset: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len.min(LEN.saturating_sub(offset))];
        let offset = u64::try_from(offset).expect("a file offset");
        if !bytes.is_empty() {
            self.0.read_exact_at(&mut bytes, offset).expect("inside");
        }
        bytes
    }

    fn write(&self, offset: usize, bytes: &[u8]) -> usize {
        let len = bytes.len().min(LEN.saturating_sub(offset));
        if len > 0 {
            self.0.write_all_at(&bytes[..len], u64::try_from(offset).expect("a file offset")).expect("inside");
        }
        len
    }
}

/// Applies an operation to both and compares what they answer.
fn step(op: &Op, view: &View<'_>, plain: &Plain) {
    let outside = |fault: mapio_map::Fault| assert_eq!(fault.kind, FaultKind::OutOfBounds { view_len: LEN });
    let fits = |offset: usize, len: usize| offset.checked_add(len).is_some_and(|end| end <= LEN);
    match op {
        Op::Read { offset, len } => {
            let mut buf = vec![0; *len];
            let read = view.read_at(*offset, &mut buf).expect("no fault");
            assert_eq!(buf[..read], plain.read(*offset, *len));
        }
        Op::Write { offset, bytes } => {
            assert_eq!(view.write_at(*offset, bytes).expect("no fault"), plain.write(*offset, bytes));
        }
        Op::Fill { offset, len, byte } => match view.fill(*offset..offset.saturating_add(*len), *byte) {
            Ok(()) => assert_eq!(plain.write(*offset, &vec![*byte; *len]), *len),
            Err(fault) => {
                outside(fault);
                assert!(!fits(*offset, *len) || *offset == usize::MAX);
            }
        },
        Op::Load(offset) => match view.load::<u64>(*offset) {
            Ok(value) => assert_eq!(value.to_ne_bytes(), *plain.read(*offset, 8)),
            Err(fault) => {
                outside(fault);
                assert!(!fits(*offset, 8));
            }
        },
        Op::Store(offset, value) => match view.store(*offset, *value) {
            Ok(()) => assert_eq!(plain.write(*offset, &value.to_ne_bytes()), 8),
            Err(fault) => {
                outside(fault);
                assert!(!fits(*offset, 8));
            }
        },
        Op::Copy { from, to, len } => {
            let (from_end, to_end) = ((from + len).min(LEN), (to + len).min(LEN));
            let source = view.slice(*from..from_end).expect("inside");
            let target = view.slice(*to..to_end).expect("inside");
            match source.copy_to(&target) {
                Ok(()) => {
                    plain.write(*to, &plain.read(*from, from_end - from));
                }
                Err(fault) => {
                    assert_eq!(fault.kind, FaultKind::OutOfBounds { view_len: to_end - to });
                    assert!(to_end - to < from_end - from);
                }
            }
        }
        Op::Chunks(chunk_bytes) => {
            let (mut chunks, mut seen) = (view.chunks(*chunk_bytes), Vec::new());
            while let Some(chunk) = chunks.next_chunk().expect("no fault") {
                seen.extend_from_slice(chunk);
            }
            assert_eq!(seen, plain.read(0, LEN));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_view_does_what_a_plain_file_does(
        ops in prop::collection::vec(op(), 1..60),
        lead in 0..5000usize,
        shared in any::<bool>(),
    ) {
        let file = pattern_file(lead + LEN);
        let mode = if shared { MapMode::ReadWrite } else { MapMode::CopyOnWrite };
        let offset = u64::try_from(lead).expect("small");
        let mapping = MapOptions::new(mode).offset(offset).map(&file).expect("a mapping");
        let plain = Plain(pattern_file(0));
        plain.write(0, &pattern(lead + LEN)[lead..]);
        for op in &ops {
            step(op, &mapping.view(), &plain);
        }
        // The file below sees all of it through a shared mapping, and nothing through a copy-on-write one.
        let mut below = vec![0; LEN];
        file.read_exact_at(&mut below, offset).expect("all of it");
        prop_assert_eq!(below, if shared { plain.read(0, LEN) } else { pattern(lead + LEN)[lead..].to_vec() });
    }
}
