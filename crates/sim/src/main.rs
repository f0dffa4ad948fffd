//! Seeds in, a verdict out; and the runner of the text scenarios.

use bellwether_sim::scenario::{self, OnDifference, Verdict};
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let out = &mut io::stdout().lock();
    let result = match args.split_first() {
        Some((command, rest)) if command == "scenario" => run_scenarios(rest, out),
        Some(_) | None => writeln!(out, "usage").map(|()| false),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

fn run_scenarios(args: &[String], out: &mut impl Write) -> io::Result<bool> {
    let rewrite = args.iter().any(|arg| arg == "--rewrite");
    let on_difference = if rewrite { OnDifference::Rewrite } else { OnDifference::Report };
    let wanted: Vec<_> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let paths = scenario::all().map_err(io::Error::other)?;
    let (mut passed, mut failed) = (0, 0);
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !wanted.is_empty() && !wanted.iter().any(|wanted| **wanted == name) {
            continue;
        }
        match scenario::run_file(&path, on_difference) {
            Verdict::Same => passed += 1,
            Verdict::Differs { line, expected, seen } => {
                let done = if rewrite { "rewritten" } else { "differs" };
                writeln!(out, "{name}: {done} from line {line}")?;
                writeln!(out, "  expected: {expected}\n  seen:     {seen}")?;
                failed += usize::from(!rewrite);
                passed += usize::from(rewrite);
            }
            Verdict::Failed(error) => {
                writeln!(out, "{name}: {error}")?;
                failed += 1;
            }
        }
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(failed == 0)
}
