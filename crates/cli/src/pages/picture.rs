//! A row of cells that shows which pages are in memory. Pure.
//!
//! Each cell stands for a part of the pages, all as large as each other but for one page, and shows how full it is. A
//! cell is blank only if nothing of it is in memory, and full only if all of it is, however many pages it stands for.

use std::ops::Range;

/// The marks of a cell: nothing, up to a third, up to two thirds, less than all, all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks([char; 5]);

impl Marks {
    pub(crate) const BLOCKS: Self = Self([' ', '░', '▒', '▓', '█']);
    pub(crate) const ASCII: Self = Self([' ', '.', 'o', 'O', '#']);

    /// What the marks mean, in a line.
    pub(crate) fn legend(self) -> String {
        let [none, third, two_thirds, less, all] = self.0;
        format!(
            "  a cell: '{none}' none in memory, {third} up to 1/3, {two_thirds} up to 2/3, {less} less than all, {all} all"
        )
    }

    fn of(self, resident: u64, pages: u64) -> char {
        let level = match resident {
            0 => 0,
            _ if resident >= pages => 4,
            _ if 3 * resident <= pages => 1,
            _ if 3 * resident <= 2 * pages => 2,
            _ => 3,
        };
        self.0[level]
    }
}

/// How many pages a cell stands for at most, if there are `cells` cells at most; 0 where there are no pages.
pub(crate) fn pages_a_cell(pages: u64, cells: u64) -> u64 {
    pages.div_ceil(cells.clamp(1, pages.max(1)))
}

/// Draws `pages` pages in `cells` cells at most, a page a cell where there are fewer; `runs` are those in memory, by
/// number, in order and without overlaps.
pub(crate) fn draw(runs: &[Range<u64>], pages: u64, cells: u64, marks: Marks) -> String {
    let cells = cells.clamp(1, pages.max(1)).min(pages);
    // Page numbers and cells fit 64 bits each, their products may not.
    let first_page =
        |cell: u64| u64::try_from(u128::from(cell) * u128::from(pages) / u128::from(cells)).unwrap_or(pages);
    let mut runs = runs.iter().cloned().peekable();
    let resident_in = |cell: Range<u64>| {
        let mut resident = 0;
        while let Some(run) = runs.peek() {
            resident += run.end.min(cell.end).saturating_sub(run.start.max(cell.start));
            if run.end > cell.end {
                break;
            }
            runs.next();
        }
        resident
    };
    let parts = (0..cells).map(|cell| first_page(cell)..first_page(cell + 1));
    parts
        .scan(resident_in, |resident_in, part| Some(marks.of(resident_in(part.clone()), part.end - part.start)))
        .collect()
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "one run is a list of runs")]
mod tests {
    use super::*;

    fn drawn(runs: &[Range<u64>], pages: u64, cells: u64) -> String {
        draw(runs, pages, cells, Marks::ASCII)
    }

    #[test]
    fn fewer_pages_than_cells_are_a_cell_each() {
        assert_eq!(drawn(&[], 0, 10), "");
        assert_eq!(drawn(&[], 3, 10), "   ");
        assert_eq!(drawn(&[0..1, 2..3], 3, 10), "# #");
        assert_eq!(drawn(&[0..10], 10, 10), "##########");
    }

    #[test]
    fn a_cell_shows_how_full_it_is() {
        assert_eq!(drawn(&[0..50], 100, 10), "#####     ");
        assert_eq!(drawn(&[0..3, 10..14, 20..27, 30..39, 40..50], 50, 5), ".oOO#");
        // A page of a million can be seen, and one that is missing, too.
        assert_eq!(drawn(&[700_000..700_001], 1_000_000, 4), "  . ");
        assert_eq!(drawn(&[0..700_000, 700_001..1_000_000], 1_000_000, 4), "##O#");
        assert_eq!(draw(&[0..50], 100, 4, Marks::BLOCKS), "██  ");
    }

    #[test]
    fn a_run_over_a_border_counts_on_both_sides() {
        assert_eq!(drawn(&[5..15], 30, 3), "oo ");
        assert_eq!(drawn(&[5..25], 30, 3), "o#o");
        assert_eq!(drawn(&[9..11], 20, 2), "..");
    }

    #[test]
    fn it_agrees_with_counting_page_by_page() {
        let resident: Vec<bool> = (0..97u64).map(|page| page * page % 7 < 3).collect();
        let runs: Vec<_> =
            (0..97u64).filter(|&page| resident[usize::try_from(page).unwrap()]).map(|page| page..page + 1).collect();
        for cells in 1..=97 {
            let naive: String = (0..cells)
                .map(|cell| {
                    let part = &resident[usize::try_from(cell * 97 / cells).unwrap()
                        ..usize::try_from((cell + 1) * 97 / cells).unwrap()];
                    let count = part.iter().filter(|&&page| page).count();
                    Marks::ASCII.of(u64::try_from(count).unwrap(), u64::try_from(part.len()).unwrap())
                })
                .collect();
            assert_eq!(drawn(&runs, 97, cells), naive, "{cells}");
        }
    }

    #[test]
    fn the_largest_numbers_and_no_cells_do_no_harm() {
        assert_eq!(drawn(&[0..u64::MAX / 3], u64::MAX / 3, 3), "###");
        assert_eq!(drawn(&[0..1], 5, 0), ".");
        assert_eq!((pages_a_cell(0, 5), pages_a_cell(3, 5), pages_a_cell(11, 5)), (0, 1, 3));
    }

    #[test]
    fn the_legend_fits_a_terminal() {
        assert!(Marks::BLOCKS.legend().chars().count() <= 80);
    }
}
