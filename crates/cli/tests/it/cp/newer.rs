//! What is newer than the cp that the others are compared with: written down from GNU's manual.
