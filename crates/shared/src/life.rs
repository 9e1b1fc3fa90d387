//! The question on which everything rests that outlives its users: is a participant alive?

use crate::error::Error;

/// Tells the living from the dead.
pub(crate) trait Liveness {
    /// The number of whoever asks: 1 to 2^30 - 1.
    fn number(&self) -> u32;

    /// Whether the participant of that number is alive; a number that was never given counts as dead.
    ///
    /// "Dead" is for ever: no number is given twice. "Alive" is as of the call, which is a system call. All that a dead
    /// one has done comes before the answer: the kernel keeps its list of locks under a lock of its own, from which the
    /// dead one's was taken after his last instruction.
    fn is_alive(&self, number: u32) -> Result<bool, Error>;
}

/// Participants of loom's models, which die when they are told to.
#[cfg(all(test, loom))]
pub(crate) mod model {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicBool, Ordering};

    use super::Liveness;
    use crate::error::Error;

    /// One of several threads that stand for processes.
    #[derive(Clone)]
    pub(crate) struct Mortal {
        number: u32,
        dead: Arc<Vec<AtomicBool>>,
    }

    impl Mortal {
        /// As many as asked for, with numbers from 1.
        pub(crate) fn several(count: u32) -> Vec<Self> {
            let dead = Arc::new((0..=count).map(|_| AtomicBool::new(false)).collect::<Vec<_>>());
            (1..=count).map(|number| Self { number, dead: dead.clone() }).collect()
        }

        /// Dies: what it has done is done, and it does nothing more.
        pub(crate) fn die(self) {
            // As the kernel: whoever learns of the death sees what came before it.
            self.dead[usize::try_from(self.number).unwrap()].store(true, Ordering::Release);
        }
    }

    impl Liveness for Mortal {
        fn number(&self) -> u32 {
            self.number
        }

        fn is_alive(&self, number: u32) -> Result<bool, Error> {
            let dead = self.dead.get(usize::try_from(number).unwrap()).is_none_or(|dead| dead.load(Ordering::Acquire));
            Ok(number != 0 && !dead)
        }
    }
}
