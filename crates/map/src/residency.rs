//! Which pages of a view are in memory now.

/// The pages of a view that were in memory when they were asked for, made by
/// [`View::residency`](crate::View::residency), which says what that means on each system.
///
/// ```
/// use mapio_map::{Access, MapOptions};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// std::fs::write(&path, vec![7; 100_000])?;
/// let mapping = MapOptions::read_only().open(&path)?;
/// mapping.view().populate(Access::Read)?; // On Linux what was just written is in memory anyway.
/// let residency = mapping.view().residency()?;
/// assert_eq!(residency.resident_pages(), residency.pages().len());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Residency {
    page_bytes: usize,
    pages: Vec<bool>,
}

impl Residency {
    pub(crate) fn new(page_bytes: usize, pages: Vec<bool>) -> Self {
        Self { page_bytes, pages }
    }

    /// Bytes of a page.
    #[must_use]
    pub fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    /// Whether each page is in memory, from the page that holds the view's first byte to the one that holds its last.
    #[must_use]
    pub fn pages(&self) -> &[bool] {
        &self.pages
    }

    /// How many pages are in memory.
    #[must_use]
    pub fn resident_pages(&self) -> usize {
        self.pages.iter().filter(|&&resident| resident).count()
    }
}
