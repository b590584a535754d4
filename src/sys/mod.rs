//! The seam to the operating system: file system calls, watch events, peer credentials.
