//! Loads and stores of `bytemuck`'s plain old data.

use bytemuck::{AnyBitPattern, NoUninit};

use crate::fault::Fault;
use crate::view::View;

impl View<'_> {
    /// Loads a value from `offset`, which need not be aligned: [`load`](Self::load) for `bytemuck`'s types. It is
    /// copied byte by byte, as far as anybody can tell, and may be torn.
    ///
    /// # Errors
    /// As [`read_exact_at`](Self::read_exact_at).
    pub fn load_pod<T: AnyBitPattern + NoUninit>(&self, offset: usize) -> Result<T, Fault> {
        let mut value = T::zeroed();
        self.read_exact_at(offset, bytemuck::bytes_of_mut(&mut value))?;
        Ok(value)
    }

    /// Stores a value at `offset`, which need not be aligned: [`store`](Self::store) for `bytemuck`'s types. May be
    /// seen torn.
    ///
    /// # Errors
    /// As [`write_all_at`](Self::write_all_at).
    pub fn store_pod<T: NoUninit>(&self, offset: usize, value: &T) -> Result<(), Fault> {
        self.write_all_at(offset, bytemuck::bytes_of(value))
    }
}

#[cfg(test)]
mod tests {
    use crate::MapOptions;

    #[test]
    fn plain_old_data_goes_in_and_comes_out_at_any_offset() {
        let mapping = MapOptions::read_write().len(100).memfd("pod").unwrap();
        let view = mapping.view();
        view.store_pod(3, &[1.5f64, -2.0]).unwrap();
        assert_eq!(view.load_pod::<[f64; 2]>(3), Ok([1.5, -2.0]));
        assert!(view.load_pod::<[u64; 2]>(90).is_err() && view.store_pod(99, &1u16).is_err());
    }
}
