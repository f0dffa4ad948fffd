//! The tour of `docs/airflow/tour.md`, done as it stands there.
//!
//! Keeps true: the page's environment gets the wheels that users get, our server in the form that
//! users get, and Airflow of the pinned versions. Leaves the steps to `tests/tour` of the package.

use std::time::Duration;

use super::Installed;
use crate::kazoo::judge;
use crate::process::{free_port, run};
use crate::report::{Failure, Passed};
use crate::server::bellwether;
use crate::workspace::Workspace;

/// It took one minute on two busy cores, most of it Airflow's own.
const TOUR_LIMIT: Duration = Duration::from_mins(20);

/// Does the tour, and tells how long it took.
pub(super) fn tour(workspace: &Workspace, installed: &Installed) -> Result<Passed, Failure> {
    let home = workspace.scratch("tour")?;
    let mut pytest = installed.python(workspace);
    pytest.args(["-m", "pytest", "-q", "-s", "--tb=short", "-o", "faulthandler_timeout=0"]);
    pytest.arg("--basetemp").arg(home.path().join("tour")).arg("tests/tour");
    pytest.env("BELLWETHER_PROGRAM", bellwether(workspace)?);
    pytest.env("BELLWETHER_WHEELS", installed.home.path().join("wheels"));
    pytest.env("BELLWETHER_SCRATCH", home.path());
    pytest.env("BELLWETHER_HOSTS", format!("127.0.0.1:{}", free_port()?));
    let done = run(&mut pytest, TOUR_LIMIT)?;
    judge(&done)?;
    let took = done.stdout.lines().find(|line| line.starts_with("the tour took"));
    let took = took.ok_or("it does not say how long it took")?;
    Ok(Passed::noting(took))
}
