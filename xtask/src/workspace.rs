//! Where things are: the checkout, the cache, and how cargo and Python are called in them.
//!
//! Keeps true: everything that is kept between runs lies below one directory of the user's cache,
//! can be deleted at any time, and is made again from the package registries.
//! Leaves to the stages what they put there.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{Scratch, create, make_dir, read, run, write};

/// How long a package registry may take.
pub(crate) const FETCH_LIMIT: Duration = Duration::from_mins(10);

/// Variables that `cargo run` sets for us and that would reach build scripts of our children.
const CARGO_VARIABLES: [&str; 3] = ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_BIN_"];

/// The checkout and the cache of this run.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    cache: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Finds the checkout that contains the manifest cargo ran, and makes the cache.
    pub(crate) fn discover() -> Result<Self, String> {
        let start = match env::var_os("CARGO_MANIFEST_DIR") {
            Some(manifest) => PathBuf::from(manifest),
            None => env::current_dir().map_err(|e| format!("no current directory: {e}"))?,
        };
        let root = start
            .ancestors()
            .find(|path| path.join("xtask").is_dir() && path.join("Cargo.toml").is_file())
            .ok_or("this is not a checkout: no Cargo.toml beside an xtask directory")?;
        let cache = cache_dir(env::var_os("XDG_CACHE_HOME"), env::var_os("HOME"))?;
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(target) => root.join(target),
            None => cache.join("target"),
        };
        make_dir(&cache)?;
        let workspace = Self { root: root.to_owned(), cache, target };
        Scratch::sweep(&workspace.cache.join("scratch"));
        Ok(workspace)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A directory of the cache, made when it is missing.
    pub(crate) fn cached(&self, name: &str) -> Result<PathBuf, String> {
        let path = self.cache.join(name);
        make_dir(&path)?;
        Ok(path)
    }

    /// Runs something that fills a part of the cache, while no other process does.
    pub(crate) fn exclusively<T>(
        &self,
        part: &str,
        fill: impl FnOnce() -> Result<T, String>,
    ) -> Result<T, String> {
        let path = self.cached("locks")?.join(part);
        let lock = create(&path)?;
        lock.lock().map_err(|e| format!("cannot lock {}: {e}", path.display()))?;
        fill()
    }

    /// A directory on the cache's file system that disappears with its owner.
    pub(crate) fn scratch(&self, name: &str) -> Result<Scratch, String> {
        Scratch::new(&self.cached("scratch")?, name)
    }

    /// A program of the workspace that was built with this profile.
    pub(crate) fn built(&self, profile: &str, program: &str) -> PathBuf {
        self.target.join(profile).join(program)
    }

    /// A program that runs in the checkout.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        for (name, _) in env::vars_os() {
            let ours = name.to_str().unwrap_or_default();
            if CARGO_VARIABLES.iter().any(|prefix| ours.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        command
    }

    /// The cargo that runs us, with the target directory of this run.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = self.command(cargo);
        command.args(arguments).env("CARGO_TARGET_DIR", &self.target);
        command.env("CARGO_TERM_COLOR", "never");
        command
    }

    /// The `bin` directory of a virtual environment that holds exactly these requirements.
    pub(crate) fn python(&self, requirements: &str) -> Result<PathBuf, String> {
        let wanted = read(&self.root.join(requirements))?;
        let name = requirements.replace(['/', '.'], "-");
        let venv = self.cached("python")?.join(&name);
        let mark = venv.join("installed.txt");
        self.exclusively(&name, || {
            if fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
                return Ok(venv.join("bin"));
            }
            let mut python = self.command("python3");
            python.args(["-m", "venv", "--clear"]).arg(&venv);
            run(&mut python, FETCH_LIMIT)?
                .success()
                .map_err(|e| format!("python3 -m venv: {e}"))?;
            let mut install = self.command(venv.join("bin/python"));
            install.args([
                "-m",
                "pip",
                "install",
                "-q",
                "--no-input",
                "--no-deps",
                "-r",
                requirements,
            ]);
            run(&mut install, FETCH_LIMIT)?.success().map_err(|e| format!("pip install: {e}"))?;
            write(&mark, &wanted)?;
            Ok(venv.join("bin"))
        })
    }

    /// The files of the project, relative to its root: tracked, or new and not ignored.
    pub(crate) fn files(&self) -> Result<Vec<String>, String> {
        let mut git = self.command("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let listed = run(&mut git, Duration::from_mins(1))?
            .success()
            .map_err(|e| format!("git ls-files: {e}"))?;
        let names = listed.stdout.split('\0').filter(|name| !name.is_empty());
        let present = names.filter(|name| self.root.join(name).is_file());
        let mut files: Vec<String> = present.map(str::to_owned).collect();
        files.sort();
        files.dedup();
        Ok(files)
    }
}

/// The directory below the user's cache, by the XDG rule that a relative path is ignored.
fn cache_dir(
    xdg: Option<std::ffi::OsString>,
    home: Option<std::ffi::OsString>,
) -> Result<PathBuf, String> {
    let xdg = xdg.map(PathBuf::from).filter(|path| path.is_absolute());
    let home = home.map(|home| PathBuf::from(home).join(".cache"));
    let base = xdg.or(home).ok_or("neither XDG_CACHE_HOME nor HOME is set: no place for caches")?;
    Ok(base.join("bellwether"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_follows_xdg_and_then_home() {
        let check = |xdg: Option<&str>, home: Option<&str>, expected: Option<&str>| {
            let found = cache_dir(xdg.map(Into::into), home.map(Into::into)).ok();
            assert_eq!(found, expected.map(PathBuf::from));
        };
        check(Some("/x"), Some("/h"), Some("/x/bellwether"));
        check(None, Some("/h"), Some("/h/.cache/bellwether"));
        check(Some("relative"), Some("/h"), Some("/h/.cache/bellwether"));
        check(None, None, None);
    }
}
