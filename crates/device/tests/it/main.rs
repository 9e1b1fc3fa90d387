//! Devices, through the public interface.

mod buses;
mod generated;
mod pci;
mod registers;
mod system;
mod trace;
mod uio;
