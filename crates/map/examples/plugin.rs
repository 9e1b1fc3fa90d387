//! The crate inside a shared object: `tests/it/coexistence.rs` loads this beside the crate inside the program.
#![expect(unsafe_code, reason = "a function exported under its own name")]

use mapio_map::{FaultKind, MapOptions};

/// Maps more of a temporary file than it has, and reads there: answers 1 when that is an `Err` of the right kind, else
/// 0.
// SAFETY: no other object that is loaded with this one has a function of this name.
#[unsafe(no_mangle)]
pub extern "C" fn mapio_plugin_survives_a_fault() -> i32 {
    i32::from(survives().is_ok_and(|survives| survives))
}

fn survives() -> Result<bool, Box<dyn std::error::Error>> {
    let file = tempfile::tempfile()?;
    let mapping = MapOptions::read_only().len(8192).map(&file)?;
    let fault = mapping.view().load::<u64>(4096).unwrap_err();
    Ok(fault.offset == 4096 && fault.kind == FaultKind::Truncated { file_len: 0 })
}
