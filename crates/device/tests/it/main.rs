//! Devices, through the public interface.

mod buses;
mod pci;
mod registers;
mod system;
mod trace;
mod uio;
