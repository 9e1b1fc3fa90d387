//! Devices, through the public interface.

mod edu;
mod hostile;
mod parallel;
mod registers;
