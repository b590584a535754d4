//! The `skybridge` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    skybridge::cli::main()
}
