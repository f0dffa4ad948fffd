//! The process and its system, as `envi` tells them: in the words and the order of Java's
//! properties, which are what its readers look for.
//!
//! What it keeps true: nothing is told that is not so. What only a Java machine has is `<NA>`, as
//! Apache prints it for a property that its machine does not have. Nothing waits for the network:
//! the host's name is the kernel's, not one that a name server knows.

use std::path::PathBuf;

/// A fact that is not known, or that there is not.
const NOT_AVAILABLE: &str = "<NA>";
const MIB: u64 = 1 << 20;

/// What stays the same while the process runs.
#[derive(Debug)]
pub(crate) struct Environment {
    fixed: Vec<(&'static str, String)>,
}

impl Environment {
    /// Looks around once.
    pub(crate) fn read() -> Environment {
        let (user, home) = user();
        let path = |path: PathBuf| path.display().to_string();
        let facts = [
            ("host.name", kernel("hostname")),
            ("java.version", None),
            ("java.vendor", None),
            ("java.home", None),
            ("java.class.path", None),
            ("java.library.path", None),
            ("java.io.tmpdir", None),
            ("java.compiler", None),
            ("os.name", kernel("ostype").or_else(|| Some(std::env::consts::OS.to_owned()))),
            ("os.arch", Some(java_arch().to_owned())),
            ("os.version", kernel("osrelease")),
            ("user.name", user),
            ("user.home", home),
            ("user.dir", std::env::current_dir().ok().map(path)),
        ];
        let told = |fact: Option<String>| fact.unwrap_or_else(|| NOT_AVAILABLE.to_owned());
        Environment { fixed: facts.map(|(name, fact)| (name, told(fact))).into() }
    }

    /// Everything, with the memory of this moment.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let memory = Memory::read();
        let mib = |bytes: Option<u64>| {
            bytes.map_or_else(|| NOT_AVAILABLE.to_owned(), |bytes| format!("{}MB", bytes / MIB))
        };
        let mut facts = self.fixed.clone();
        facts.push(("os.memory.free", mib(memory.free_bytes)));
        facts.push(("os.memory.max", mib(memory.max_bytes)));
        facts.push(("os.memory.total", mib(memory.total_bytes)));
        facts
    }
}

/// The names that Java has for processors.
fn java_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        arch => arch,
    }
}

fn kernel(name: &str) -> Option<String> {
    read(&format!("/proc/sys/kernel/{name}"))
}

fn read(file: &str) -> Option<String> {
    std::fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
}

/// The name and the home directory of whoever the process runs as.
fn user() -> (Option<String>, Option<String>) {
    let uid = rustix::process::getuid().as_raw().to_string();
    let accounts = read("/etc/passwd").unwrap_or_default();
    let account = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, own) = (fields.next()?, fields.nth(1)? == uid);
        let home = fields.nth(2)?;
        own.then(|| (name.to_owned(), home.to_owned()))
    });
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    match account {
        Some((name, home)) => (Some(name), Some(home)),
        None => (variable("LOGNAME").or_else(|| variable("USER")), variable("HOME")),
    }
}

/// Memory in bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Memory {
    /// What the system could still give.
    free_bytes: Option<u64>,
    /// What the process may have at most: the machine's, or its control group's limit.
    max_bytes: Option<u64>,
    /// What the process has.
    total_bytes: Option<u64>,
}

impl Memory {
    fn read() -> Memory {
        let meminfo = read("/proc/meminfo").unwrap_or_default();
        let status = read("/proc/self/status").unwrap_or_default();
        let group = read("/sys/fs/cgroup/memory.max").and_then(|limit| limit.parse().ok());
        let machine = kib(&meminfo, "MemTotal:");
        let max_bytes = [machine, group].into_iter().flatten().min();
        Memory {
            free_bytes: kib(&meminfo, "MemAvailable:"),
            max_bytes,
            total_bytes: kib(&status, "VmRSS:"),
        }
    }
}

/// The line of this name, in bytes.
fn kib(lines: &str, name: &str) -> Option<u64> {
    let rest = lines.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_javas_names_in_javas_order() {
        let facts = Environment::read().facts();
        let names: Vec<&str> = facts.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            [
                "host.name",
                "java.version",
                "java.vendor",
                "java.home",
                "java.class.path",
                "java.library.path",
                "java.io.tmpdir",
                "java.compiler",
                "os.name",
                "os.arch",
                "os.version",
                "user.name",
                "user.home",
                "user.dir",
                "os.memory.free",
                "os.memory.max",
                "os.memory.total",
            ]
        );
        assert!(facts.iter().all(|(_, fact)| !fact.is_empty() && !fact.contains('\n')));
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(kib("MemFree: 1 kB\nMemTotal:    2048 kB\n", "MemTotal:"), Some(2 << 20));
        assert_eq!(kib("MemTotal: many kB", "MemTotal:"), None);
    }
}
