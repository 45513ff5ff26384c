//! The `stanch` program. Everything is in the library; see `stanch::cli`.

use std::process::ExitCode;

/// Events are made by one thread and dropped by another, which the system's allocator answers with contention: under
/// load this one takes a quarter more pushes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    stanch::cli::main()
}
