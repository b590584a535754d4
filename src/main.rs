//! The `skybridge` program.
fn main() {}
