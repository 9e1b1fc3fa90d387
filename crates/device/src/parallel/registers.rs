//! The registers of a parallel port, as the PC has them.
//!
//! IBM Personal System/2 Hardware Interface Technical Reference, "Parallel Port Controller"; names of the lines as in
//! IEEE 1284. The port turns some lines around: the names here are those of the bits, and say what a one means.

use crate::registers;

registers! {
    /// A parallel port of a PC, at 0x378, 0x278 or 0x3bc.
    pub block Port "parallel", 3 bytes {
        /// The eight data lines.
        data: Data "DATA" @ 0: u8 { read pure, write plain }
        /// What the printer says. Reading it takes back the interrupt.
        status: Status "STATUS" @ 1: u8 { read effect, write none } fields {
            /// No interrupt is pending (not on all ports).
            no_interrupt with_no_interrupt "NIRQ" [2],
            /// Line nFault is high: nothing is wrong.
            no_fault with_no_fault "NFAULT" [3],
            /// Line Select: the printer is online.
            online with_online "SELECT" [4],
            /// Line PError: there is no paper.
            paper_out with_paper_out "PERROR" [5],
            /// Line nAck is high: no byte is being acknowledged.
            no_ack with_no_ack "NACK" [6],
            /// The opposite of line Busy: the printer takes a byte.
            not_busy with_not_busy "NBUSY" [7],
        }
        /// What the port tells the printer, and what it does itself.
        control: Control "CONTROL" @ 2: u8 { read pure, write plain } fields {
            /// The opposite of line nStrobe: the data lines hold a byte.
            strobe with_strobe "STROBE" [0],
            /// The opposite of line nAutoFd: a line feed follows each carriage return.
            auto_feed with_auto_feed "AUTOFD" [1],
            /// Line nInit: zero resets the printer.
            no_init with_no_init "NINIT" [2],
            /// The opposite of line nSelectIn: this printer is meant.
            select_in with_select_in "SELECTIN" [3],
            /// The end of each acknowledgement interrupts.
            interrupt with_interrupt "IRQEN" [4],
            /// The data lines are inputs (not on all ports).
            input with_input "DIR" [5],
        }
    }
}
