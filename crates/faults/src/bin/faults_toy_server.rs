//! `faults-toy-server ZOO_CFG`: see `bellwether_faults::rounds::toy`.
#![expect(clippy::print_stderr, reason = "a program for the terminal")]

use std::path::Path;
use std::process::ExitCode;

use bellwether_faults::rounds::toy;

fn main() -> ExitCode {
    let config = std::env::args().nth(1).unwrap_or_default();
    let variant = std::env::var("BELLWETHER_BREAK").unwrap_or_default();
    let result = toy::Variant::named(&variant)
        .ok_or_else(|| std::io::Error::other(format!("no variant {variant}")))
        .and_then(|variant| toy::serve(Path::new(&config), variant));
    if let Err(error) = result {
        eprintln!("faults-toy-server: {error}");
    }
    ExitCode::FAILURE
}
