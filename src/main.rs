//! The `stanch` program. Everything is in the library; see `stanch::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    stanch::cli::main()
}
