//! Airflow's own scheduler, triggerer, dag-processor and api-server, with both servers at once.
//!
//! Keeps true: one set of daemons is started for both servers, for it costs more than what is asked
//! of it. Leaves the daemons and the tests to `tests/daemons` of the package, which ends all that
//! it has started.

use std::time::Duration;

use super::Installed;
use crate::process::make_dir;
use crate::python::tests_with;
use crate::report::Report;
use crate::server::{Flavour, Launch};
use crate::workspace::Workspace;

const TESTS_LIMIT: Duration = Duration::from_mins(12);

/// The check of the stage `airflow`.
pub(super) fn check(workspace: &Workspace, installed: &Installed, report: &mut Report) {
    report.check("Airflow's own daemons with both servers", || {
        let home = workspace.scratch("daemons")?;
        let (ours, theirs) = (home.path().join("bellwether"), home.path().join("apache"));
        for own in [&ours, &theirs] {
            make_dir(own)?;
        }
        let ours = Launch::new(Flavour::Bellwether, &ours).line("tickTime=500");
        let theirs = Launch::new(Flavour::Apache, &theirs).line("tickTime=500");
        let mut pytest = installed.python(workspace);
        pytest.args(["-m", "pytest", "-q", "--tb=short", "tests/daemons"]);
        pytest.env("BELLWETHER_SCRATCH", home.path()).env("BELLWETHER_HARNESS", "restarts");
        // So wide that the summary has room for what was wrong.
        pytest.env("COLUMNS", "400");
        let servers = [("BELLWETHER_HOSTS", &ours), ("BELLWETHER_APACHE", &theirs)];
        tests_with(workspace, &servers, &mut pytest, TESTS_LIMIT)
    });
}
