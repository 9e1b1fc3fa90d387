//! Devices, through the public interface.

mod buses;
mod pci;
mod registers;
mod serial;
mod system;
mod trace;
mod uio;
