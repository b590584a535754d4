//! Configuration files and their defaults.
