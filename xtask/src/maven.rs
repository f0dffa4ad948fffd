//! Programs from Maven Central: the class path that starts ZooKeeper's server and shell, the one of
//! Curator, which its users write their programs with, and the engines for searching.
//!
//! Keeps true: the jars are those of pinned versions, resolved once into the cache, and a
//! half-finished download is never taken for a whole one. Leaves to `server` how they are started.

use std::path::{Path, PathBuf};

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
    /// What the artifacts are: `jar` or `zip`.
    kind: &'static str,
    /// Group, name and version; Maven adds what these need.
    dependencies: &'static [(&'static str, &'static str, &'static str)],
}

/// The original. ZooKeeper's own pom marks what its distribution adds as provided or
/// optional; the versions are those that its release carries. JLine is left out: without it the
/// shell reads plain lines, which is what a script needs.
const ZOOKEEPER: Bundle = Bundle {
    name: "apache-zookeeper",
    version: APACHE_VERSION,
    kind: "jar",
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
    kind: "jar",
    dependencies: &[
        ("org.apache.zookeeper", "zookeeper", APACHE_VERSION),
        ("org.apache.curator", "curator-recipes", CURATOR_VERSION),
        ("org.apache.curator", "curator-x-discovery", CURATOR_VERSION),
        ("ch.qos.logback", "logback-classic", "1.3.15"),
        ("io.dropwizard.metrics", "metrics-core", "4.1.12.1"),
        ("org.xerial.snappy", "snappy-java", "1.1.10.5"),
    ],
};

const OPENSEARCH_VERSION: &str = "3.4.0";
const ELASTICSEARCH_VERSION: &str = "9.2.0";

const OPENSEARCH: Bundle = Bundle {
    name: "opensearch",
    version: OPENSEARCH_VERSION,
    kind: "zip",
    dependencies: &[(
        "org.opensearch.distribution.integ-test-zip",
        "opensearch",
        OPENSEARCH_VERSION,
    )],
};

const ELASTICSEARCH: Bundle = Bundle {
    name: "elasticsearch",
    version: ELASTICSEARCH_VERSION,
    kind: "zip",
    dependencies: &[(
        "org.elasticsearch.distribution.integ-test-zip",
        "elasticsearch",
        ELASTICSEARCH_VERSION,
    )],
};

/// A module that the zip of an engine leaves out, with what it needs.
#[derive(Debug)]
pub(crate) struct Module {
    /// Where it stands below the engine's `modules`.
    pub(crate) directory: &'static str,
    class: &'static str,
    bundle: Bundle,
}

impl Module {
    /// The file by which an engine of this version knows it.
    pub(crate) fn descriptor(&self, version: &str) -> String {
        let (name, class) = (self.directory, self.class);
        format!(
            "name={name}\ndescription={name}\nversion={version}\n\
             opensearch.version={version}\njava.version=21\nclassname={class}\n"
        )
    }
}

const MODULES: [Module; 2] = [
    Module {
        directory: "reindex",
        class: "org.opensearch.index.reindex.ReindexModulePlugin",
        bundle: Bundle {
            name: "opensearch-reindex",
            version: OPENSEARCH_VERSION,
            kind: "jar",
            dependencies: &[("org.opensearch.plugin", "reindex-client", OPENSEARCH_VERSION)],
        },
    },
    Module {
        directory: "lang-painless",
        class: "org.opensearch.painless.PainlessModulePlugin",
        bundle: Bundle {
            name: "opensearch-painless",
            version: OPENSEARCH_VERSION,
            kind: "jar",
            dependencies: &[("org.opensearch.plugin", "lang-painless", OPENSEARCH_VERSION)],
        },
    },
];

/// What is searched with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    OpenSearch,
    Elasticsearch,
}

impl Engine {
    pub(crate) const ALL: [Self; 2] = [Self::OpenSearch, Self::Elasticsearch];

    fn bundle(self) -> &'static Bundle {
        match self {
            Self::OpenSearch => &OPENSEARCH,
            Self::Elasticsearch => &ELASTICSEARCH,
        }
    }

    /// Of its program, of its directory, and of its zip.
    pub(crate) fn name(self) -> &'static str {
        self.bundle().name
    }

    pub(crate) fn version(self) -> &'static str {
        self.bundle().version
    }

    /// What its zip leaves out and what can be added. Elasticsearch publishes no such modules.
    pub(crate) fn modules(self) -> &'static [Module] {
        match self {
            Self::OpenSearch => &MODULES,
            Self::Elasticsearch => &[],
        }
    }

    /// Where its program looks for Java, for options, and for its configuration.
    pub(crate) fn environment(
        self,
        java: &Path,
        config: &Path,
    ) -> [(&'static str, std::ffi::OsString); 3] {
        let names = match self {
            Self::OpenSearch => {
                ["OPENSEARCH_JAVA_HOME", "OPENSEARCH_JAVA_OPTS", "OPENSEARCH_PATH_CONF"]
            }
            Self::Elasticsearch => ["ES_JAVA_HOME", "ES_JAVA_OPTS", "ES_PATH_CONF"],
        };
        let [home, options, path] = names;
        [(home, java.into()), (options, "-Xms512m -Xmx512m".into()), (path, config.into())]
    }
}

/// The directory with the zip of an engine.
pub(crate) fn engine(workspace: &Workspace, engine: Engine) -> Result<PathBuf, String> {
    directory(workspace, engine.bundle())
}

/// The directory with the jars of a module and of what it needs.
pub(crate) fn module(workspace: &Workspace, module: &Module) -> Result<PathBuf, String> {
    directory(workspace, &module.bundle)
}

/// The jars of Apache ZooKeeper and of what it needs at run time, as a Java class path.
pub(crate) fn class_path(workspace: &Workspace) -> Result<String, String> {
    resolved(workspace, &ZOOKEEPER)
}

/// The jars of Curator, of ZooKeeper's client, and of what they need, as a Java class path.
pub(crate) fn curator_class_path(workspace: &Workspace) -> Result<String, String> {
    resolved(workspace, &CURATOR)
}

fn resolved(workspace: &Workspace, bundle: &Bundle) -> Result<String, String> {
    Ok(format!("{}/*", directory(workspace, bundle)?.display()))
}

fn directory(workspace: &Workspace, bundle: &Bundle) -> Result<PathBuf, String> {
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
        Ok(jars)
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
    // A jar is what Maven takes it for without a word.
    let kind = match bundle.kind {
        "jar" => String::new(),
        kind => format!("<type>{kind}</type>"),
    };
    let dependencies: String = bundle
        .dependencies
        .iter()
        .map(|(group, name, version)| {
            format!(
                "    <dependency><groupId>{group}</groupId><artifactId>{name}</artifactId>\
                 <version>{version}</version>{kind}</dependency>\n"
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
        for bundle in [ZOOKEEPER, CURATOR, OPENSEARCH, ELASTICSEARCH] {
            let pom = pom_text(&bundle);
            for (_, name, version) in bundle.dependencies {
                let entry = format!("<artifactId>{name}</artifactId><version>{version}</version>");
                assert!(pom.contains(&entry), "{name}");
            }
            assert_eq!(pom.contains("<type>zip</type>"), bundle.kind == "zip", "{}", bundle.name);
        }
    }
}
