//! Devices, through the public interface.

mod anything;
mod buses;
mod edu;
mod framebuffer;
mod generated;
mod hostile;
mod parallel;
mod pci;
mod registers;
mod serial;
mod system;
mod text_screen;
mod trace;
mod uio;
