//! The stage `apache`: the original can be had, starts, and answers. Every comparison rests on it.
//!
//! Keeps true: when this fails, the failures of the other deep stages mean nothing.
//! Leaves to them what is compared.

use crate::maven;
use crate::report::{Passed, Report};
use crate::server::{Flavour, Launch};
use crate::workspace::Workspace;

pub(crate) fn stage(workspace: &Workspace, report: &mut Report) {
    report.check("Apache ZooKeeper from Maven Central", || {
        maven::class_path(workspace)?;
        Ok(Passed::one())
    });
    for flavour in Flavour::BOTH {
        report.check(&format!("{flavour} starts, answers srvr and ends"), || {
            let home = workspace.scratch("start")?;
            let server = Launch::new(flavour, home.path()).start(workspace)?;
            let answer = server.word("srvr")?;
            let version = format!("Zookeeper version: {}", maven::APACHE_VERSION);
            if !answer.starts_with(&version) {
                return Err(server.explain(&format!("srvr answers {answer}")).into());
            }
            server.stop()?;
            Ok(Passed::one())
        });
    }
}
