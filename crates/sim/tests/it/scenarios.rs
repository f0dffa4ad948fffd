//! The text scenarios: what the server does is what their traces say.

use bellwether_sim::scenario::{self, OnDifference, Verdict};

#[test]
fn every_scenario_does_what_its_trace_says() {
    let rewrite = std::env::var_os("UPDATE_EXPECT").is_some();
    let on_difference = if rewrite { OnDifference::Rewrite } else { OnDifference::Report };
    let mut failures = Vec::new();
    for path in scenario::all().unwrap() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        match scenario::run_file(&path, on_difference) {
            Verdict::Same => {}
            Verdict::Differs { .. } if rewrite => {}
            Verdict::Differs { line, expected, seen } => {
                failures.push(format!("{name}:{line}\n  expected: {expected}\n  seen:     {seen}"));
            }
            Verdict::Failed(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
