//! Systems that have no such calls.

/// Says so.
pub(crate) fn run() -> std::io::Result<()> {
    let reason = "this program shows the calls of Windows (`producer` and `consumer` run here)";
    Err(std::io::Error::new(std::io::ErrorKind::Unsupported, reason))
}
