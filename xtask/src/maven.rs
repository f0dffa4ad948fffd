//! Apache ZooKeeper itself, from Maven Central: the class path that starts its server and shell.
//!
//! Keeps true: the jars are those of one pinned version, resolved once into the cache, and a
//! half-finished download is never taken for a whole one. Leaves to `server` how they are started.

use std::path::Path;

use crate::process::{run, write};
use crate::workspace::{FETCH_LIMIT, Workspace};

/// The version that everything is compared with.
pub(crate) const APACHE_VERSION: &str = "3.9.5";

/// What Maven resolves. ZooKeeper's own pom marks what its distribution adds as provided or
/// optional; the versions are those that its release carries. JLine is left out: without it the
/// shell reads plain lines, which is what a script needs.
const DEPENDENCIES: &[(&str, &str, &str)] = &[
    ("org.apache.zookeeper", "zookeeper", APACHE_VERSION),
    ("ch.qos.logback", "logback-classic", "1.3.15"),
    ("com.fasterxml.jackson.core", "jackson-databind", "2.15.2"),
    ("commons-cli", "commons-cli", "1.5.0"),
    ("io.dropwizard.metrics", "metrics-core", "4.1.12.1"),
    ("org.eclipse.jetty", "jetty-server", "9.4.58.v20250814"),
    ("org.eclipse.jetty", "jetty-servlet", "9.4.58.v20250814"),
    ("org.xerial.snappy", "snappy-java", "1.1.10.5"),
];

/// The jars of Apache ZooKeeper and of what it needs at run time, as a Java class path.
pub(crate) fn class_path(workspace: &Workspace) -> Result<String, String> {
    let home = workspace.cached(&format!("apache-zookeeper-{APACHE_VERSION}"))?;
    let jars = home.join("jars");
    let pom = home.join("pom.xml");
    // The file that describes what is there is written last, so that it means a whole download.
    workspace.exclusively("maven", || {
        let listed = std::fs::read_to_string(&pom).is_ok_and(|text| text == pom_text());
        if !listed || !jars.is_dir() {
            download(workspace, &jars)?;
            write(&pom, pom_text())?;
        }
        Ok(format!("{}/*", jars.display()))
    })
}

fn download(workspace: &Workspace, jars: &Path) -> Result<(), String> {
    // Jars of an older list would still be on the class path.
    if jars.exists() {
        std::fs::remove_dir_all(jars).map_err(|e| format!("{}: {e}", jars.display()))?;
    }
    let project = workspace.scratch("maven")?;
    write(&project.path().join("pom.xml"), pom_text())?;
    let repository = workspace.cached("maven")?;
    let mut maven = workspace.command("mvn");
    maven.current_dir(project.path()).args(["-q", "-B"]);
    maven.arg(format!("-Dmaven.repo.local={}", repository.display()));
    maven.arg(format!("-DoutputDirectory={}", jars.display()));
    maven.arg("dependency:copy-dependencies");
    run(&mut maven, FETCH_LIMIT)?.success().map_err(|e| format!("mvn: {e}"))?;
    Ok(())
}

fn pom_text() -> String {
    let dependencies: String = DEPENDENCIES
        .iter()
        .map(|(group, name, version)| {
            format!(
                "    <dependency><groupId>{group}</groupId><artifactId>{name}</artifactId>\
                 <version>{version}</version></dependency>\n"
            )
        })
        .collect();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  \
         <modelVersion>4.0.0</modelVersion>\n  <groupId>bellwether</groupId>\n  \
         <artifactId>original</artifactId>\n  <version>1</version>\n  \
         <packaging>pom</packaging>\n  <dependencies>\n{dependencies}  </dependencies>\n</project>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pom_names_every_dependency_with_its_version() {
        let pom = pom_text();
        for (_, name, version) in DEPENDENCIES {
            let entry = format!("<artifactId>{name}</artifactId><version>{version}</version>");
            assert!(pom.contains(&entry), "{name}");
        }
    }
}
