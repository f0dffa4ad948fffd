//! Apache's programs from Maven Central: the class path that starts ZooKeeper's server and shell,
//! and the one of Curator, which its users write their programs with.
//!
//! Keeps true: the jars are those of pinned versions, resolved once into the cache, and a
//! half-finished download is never taken for a whole one. Leaves to `server` how they are started.

use std::path::Path;

use crate::process::{run, write};
use crate::workspace::{FETCH_LIMIT, Workspace};

/// The version that everything is compared with.
pub(crate) const APACHE_VERSION: &str = "3.9.5";

/// The last Curator whose clients are written for ZooKeeper 3.9.
const CURATOR_VERSION: &str = "5.9.0";

/// Jars that stand on a class path together.
#[derive(Debug)]
struct Bundle {
    name: &'static str,
    version: &'static str,
    /// Group, name and version; Maven adds what these need.
    dependencies: &'static [(&'static str, &'static str, &'static str)],
}

/// The original. ZooKeeper's own pom marks what its distribution adds as provided or
/// optional; the versions are those that its release carries. JLine is left out: without it the
/// shell reads plain lines, which is what a script needs.
const ZOOKEEPER: Bundle = Bundle {
    name: "apache-zookeeper",
    version: APACHE_VERSION,
    dependencies: &[
        ("org.apache.zookeeper", "zookeeper", APACHE_VERSION),
        ("ch.qos.logback", "logback-classic", "1.3.15"),
        ("com.fasterxml.jackson.core", "jackson-databind", "2.15.2"),
        ("commons-cli", "commons-cli", "1.5.0"),
        ("io.dropwizard.metrics", "metrics-core", "4.1.12.1"),
        ("org.eclipse.jetty", "jetty-server", "9.4.58.v20250814"),
        ("org.eclipse.jetty", "jetty-servlet", "9.4.58.v20250814"),
        ("org.xerial.snappy", "snappy-java", "1.1.10.5"),
    ],
};

/// Curator's recipes and service discovery with the client of the pinned version.
const CURATOR: Bundle = Bundle {
    name: "apache-curator-discovery",
    version: CURATOR_VERSION,
    dependencies: &[
        ("org.apache.zookeeper", "zookeeper", APACHE_VERSION),
        ("org.apache.curator", "curator-recipes", CURATOR_VERSION),
        ("org.apache.curator", "curator-x-discovery", CURATOR_VERSION),
        ("ch.qos.logback", "logback-classic", "1.3.15"),
        ("io.dropwizard.metrics", "metrics-core", "4.1.12.1"),
        ("org.xerial.snappy", "snappy-java", "1.1.10.5"),
    ],
};

/// The jars of Apache ZooKeeper and of what it needs at run time, as a Java class path.
pub(crate) fn class_path(workspace: &Workspace) -> Result<String, String> {
    resolved(workspace, &ZOOKEEPER)
}

/// The jars of Curator, of ZooKeeper's client, and of what they need, as a Java class path.
pub(crate) fn curator_class_path(workspace: &Workspace) -> Result<String, String> {
    resolved(workspace, &CURATOR)
}

fn resolved(workspace: &Workspace, bundle: &Bundle) -> Result<String, String> {
    let home = workspace.cached(&format!("{}-{}", bundle.name, bundle.version))?;
    let jars = home.join("jars");
    let pom = home.join("pom.xml");
    let wanted = pom_text(bundle);
    // The file that describes what is there is written last, so that it means a whole download.
    workspace.exclusively("maven", || {
        let listed = std::fs::read_to_string(&pom).is_ok_and(|text| text == wanted);
        if !listed || !jars.is_dir() {
            download(workspace, &wanted, &jars)?;
            write(&pom, &wanted)?;
        }
        Ok(format!("{}/*", jars.display()))
    })
}

fn download(workspace: &Workspace, pom: &str, jars: &Path) -> Result<(), String> {
    // Jars of an older list would still be on the class path.
    if jars.exists() {
        std::fs::remove_dir_all(jars).map_err(|e| format!("{}: {e}", jars.display()))?;
    }
    let project = workspace.scratch("maven")?;
    write(&project.path().join("pom.xml"), pom)?;
    let repository = workspace.cached("maven")?;
    let mut maven = workspace.command("mvn");
    maven.current_dir(project.path()).args(["-q", "-B"]);
    maven.arg(format!("-Dmaven.repo.local={}", repository.display()));
    maven.arg(format!("-DoutputDirectory={}", jars.display()));
    maven.arg("dependency:copy-dependencies");
    run(&mut maven, FETCH_LIMIT)?.success().map_err(|e| format!("mvn: {e}"))?;
    Ok(())
}

fn pom_text(bundle: &Bundle) -> String {
    let dependencies: String = bundle
        .dependencies
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
        for bundle in [ZOOKEEPER, CURATOR] {
            let pom = pom_text(&bundle);
            for (_, name, version) in bundle.dependencies {
                let entry = format!("<artifactId>{name}</artifactId><version>{version}</version>");
                assert!(pom.contains(&entry), "{name}");
            }
        }
    }
}
