//! The Python package and kazoo: what a get costs the client's process, and how long an import
//! takes.
//!
//! Keeps true: both ask one server of ours, in turn, each in a process of its own. Leaves measuring
//! to `python/bellwether-client/bench/compare.py`.

use crate::json::Json;
use crate::python::Installed;
use crate::report::say;
use crate::workspace::Workspace;

/// The section begins with this.
pub(super) const HEADING: &str = "\n## The Python package and kazoo\n";
/// What is measured, as compare.py names it.
const MEASURES: [&str; 3] = ["sync get", "asynchronous get", "import"];

/// Measures, and gives the section.
pub(super) fn measure(workspace: &Workspace, rounds: u32) -> Result<String, String> {
    let printed = Installed::make(workspace)?.compare(workspace, rounds)?;
    let figures = printed.lines().last().unwrap_or_default();
    say(printed.trim_end());
    render(rounds, &Json::parse(figures)?)
}

fn render(rounds: u32, figures: &Json) -> Result<String, String> {
    let mut section = format!(
        "{HEADING}\nCPU of the whole client process, user and system, all threads, per get of 100 \
         bytes from Bellwether; the\nasynchronous ones with 100 in flight: 100 tasks of asyncio, and \
         a window of kazoo's `get_async`. Import: wall time.\nMedians of {rounds} rounds; written by \
         `cargo xtask bench --part python`.\n\n\
         A sync get is two wake-ups between two threads, for either client. Between idle cores they \
         cost several times\nwhat they cost on a busy one: the first row moves from run to run, and \
         the ratio with it.\n\n| | bellwether us | kazoo 2.11 us | kazoo ÷ ours |\n\
         | --- | ---: | ---: | ---: |\n"
    );
    for measure in MEASURES {
        let number = |side: &str| match figures.get(measure).and_then(|row| row.get(side)) {
            Some(Json::Number(number)) => Ok(*number),
            found => Err(format!("compare.py printed {found:?} for {measure}")),
        };
        let (ours, theirs) = (number("bellwether_us")?, number("kazoo_us")?);
        let ratio = theirs / ours;
        section.push_str(&format!("| {measure} | {ours:.1} | {theirs:.1} | {ratio:.1} |\n"));
    }
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_both_figures_and_their_ratio() {
        let row = r#"{"bellwether_us": 50.0, "kazoo_us": 200.0}"#;
        let text = MEASURES.map(|measure| format!("{measure:?}: {row}")).join(",");
        let json = Json::parse(&format!("{{{text}}}")).expect("it is well formed");
        let section = render(3, &json).expect("every figure is there");
        assert!(section.contains("| sync get | 50.0 | 200.0 | 4.0 |"), "{section}");
        assert!(render(3, &Json::parse("{}").expect("it is well formed")).is_err());
    }
}
