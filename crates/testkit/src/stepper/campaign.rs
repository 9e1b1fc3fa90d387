//! A region that is cut after each of its instructions, or after some of them, and what is left looked at each time.

use super::{Cut, Stepper, choose};
use crate::report;

impl Stepper {
    /// Kills a process after each instruction of a region, one run for each, and has what is left looked at.
    ///
    /// `prepare` is called before each run. `check` is called after it, and told whether the region has come to its
    /// end; it leaves behind what the next run needs. `limit` says after how many instructions at most, as in
    /// [`kill_points`](super::kill_points).
    ///
    /// A run that does not come by the instruction, because it goes another way than the one that was counted, is done
    /// again, and stepped from its start. Skips `test`, with the reason, where nothing can be traced. Reports how many
    /// were killed.
    ///
    /// # Panics
    /// A run has blocked, or died by itself; none was killed; `check` panics.
    pub fn kill_everywhere(
        &mut self,
        test: &str,
        case: &str,
        limit: usize,
        mut prepare: impl FnMut(),
        mut check: impl FnMut(bool),
    ) {
        prepare();
        let Some(count) = self.count_or_skip(test, case) else { return };
        check(true);
        let chosen = choose(count, limit);
        let mut killed = 0;
        for &point in &chosen.points {
            prepare();
            let mut cut = self.kill_at(case, point).expect("it was traced before");
            if cut == Cut::Missed {
                check(true);
                prepare();
                cut = self.kill_after(case, point).expect("it was traced before");
            }
            match cut {
                Cut::Killed => killed += 1,
                Cut::Over { .. } => {}
                other => panic!("after {point} of {count} instructions: {other:?}"),
            }
            check(cut != Cut::Killed);
        }
        assert!(killed > 0, "none of {count} instructions was the last");
        report(test, &format!("`{case}`: killed {killed} times within {count} instructions{chosen}"));
    }
}
