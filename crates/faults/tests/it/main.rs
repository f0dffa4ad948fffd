//! The preload library against a real process: what it wrote, what it synced, what survives.
//!
//! Every test runs the subject program under the library in a directory of its own, lets it die,
//! loses the power, and reads the directory that a restarted program would see.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bellwether_faults::preload_library;
use bellwether_faults::rng::Rng;
use bellwether_faults::rounds::options::fault_names;
use bellwether_faults::survivors::{Report, Tear, lose_power};

const SUBJECT: &str = env!("CARGO_BIN_EXE_faults-subject");

struct Machine {
    home: PathBuf,
}

impl Machine {
    /// A machine whose watched directory holds the durable file `old` with the bytes `old`.
    fn new(name: &str) -> Self {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if home.exists() {
            fs::remove_dir_all(&home).expect("an old test directory can be removed");
        }
        fs::create_dir_all(home.join("data")).expect("the test directory can be made");
        fs::write(home.join("data/old"), "old").expect("the test directory can be written");
        Self { home }
    }

    /// Runs the steps until the subject dies and gives their results.
    fn run(&self, environment: &[(&str, &str)], steps: &[&str]) -> Vec<String> {
        let library = preload_library(Path::new(SUBJECT)).expect("the library was built");
        let output = Command::new(SUBJECT)
            .args(steps)
            .current_dir(self.home.join("data"))
            .env("LD_PRELOAD", library)
            .env("FAULTS_DIR", self.home.join("data"))
            .env("FAULTS_SHADOW", self.home.join("shadow"))
            .envs(environment.iter().copied())
            .output()
            .expect("the subject starts");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!errors.contains("faults:") && !errors.contains("panicked"), "{errors}");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }

    fn lose_power(&self, tear: Tear, seed: u64) -> Report {
        lose_power(
            &self.home.join("data"),
            &self.home.join("shadow"),
            &self.home.join("before"),
            tear,
            &mut Rng::new(seed),
        )
        .expect("the survivors can be built")
    }

    /// The watched directory as `path=bytes` lines, zero bytes shown as dots.
    fn contents(&self) -> Vec<String> {
        let mut lines = Vec::new();
        list(&self.home.join("data"), "", &mut lines);
        lines.sort();
        lines
    }
}

fn list(directory: &Path, prefix: &str, lines: &mut Vec<String>) {
    for entry in fs::read_dir(directory).expect("the directory is readable") {
        let entry = entry.expect("the directory is readable");
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            lines.push(format!("{name}/"));
            list(&entry.path(), &format!("{name}/"), lines);
        } else {
            let bytes = fs::read(entry.path()).expect("the file is readable");
            let text = String::from_utf8_lossy(&bytes).replace('\0', ".");
            lines.push(format!("{name}={text}"));
        }
    }
}

/// The steps, all of which succeed, and what is there after the power loss.
fn check(name: &str, steps: &[&str], survivors: &[&str]) {
    check_under(name, &[], steps, survivors);
}

fn check_under(name: &str, environment: &[(&str, &str)], steps: &[&str], survivors: &[&str]) {
    let machine = Machine::new(name);
    let results = machine.run(environment, steps);
    assert_eq!(results, vec!["ok"; steps.len()], "{steps:?}");
    machine.lose_power(Tear::Nothing, 0);
    assert_eq!(machine.contents(), survivors, "{steps:?}");
}

#[test]
fn what_was_not_synced_is_gone() {
    check("unsynced", &["create a", "write a 123"], &["old=old"]);
    check("synced_without_name", &["create a", "write a 123", "fsync a"], &["old=old"]);
    check("name_without_bytes", &["create a", "write a 123", "dirsync ."], &["a=", "old=old"]);
    check(
        "both",
        &["create a", "write a 123", "fdatasync a", "write a 456", "dirsync ."],
        &["a=123", "old=old"],
    );
    check(
        "the_name_first",
        &["create a", "dirsync .", "write a 123", "fdatasync a", "write a 456"],
        &["a=123", "old=old"],
    );
}

#[test]
fn a_file_system_that_syncs_names_with_files_can_be_chosen() {
    let steps = ["create b", "mkdir d", "create d/a", "write d/a 123", "fsync d/a", "create c"];
    let environment = [("FAULTS_NAMES", "with-file")];
    check_under("names_with_file", &environment, &steps, &["b=", "d/", "d/a=123", "old=old"]);
}

#[test]
fn every_way_to_write_is_seen() {
    check(
        "positions",
        &[
            "create a",
            "dirsync .",
            "write-vectored a one two",
            "write-at a 8 xyz",
            "fsync a",
            "write-at a 1 Z",
        ],
        &["a=onetwo..xyz", "old=old"],
    );
    check("append", &["open-append old", "write old er", "fsync old"], &["old=older"]);
    check("copy", &["copy old new", "dirsync ."], &["new=", "old=old"]);
    check(
        "copied_and_synced",
        &["copy old new", "open-append new", "fsync new", "dirsync ."],
        &["new=old", "old=old"],
    );
}

#[test]
fn a_length_is_durable_with_the_next_sync() {
    check("cut", &["open-append old", "truncate old 1"], &["old=old"]);
    check("cut_synced", &["open-append old", "truncate old 1", "fsync old"], &["old=o"]);
    check(
        "cut_and_lengthened",
        &["open-append old", "truncate old 1", "truncate old 3", "fdatasync old"],
        &["old=o.."],
    );
    check("truncated_by_open", &["create old", "write old n"], &["old=old"]);
    check("rewritten", &["create old", "write old n", "fsync old"], &["old=n"]);
}

#[test]
fn names_change_with_their_directory() {
    check("renamed", &["rename old new"], &["old=old"]);
    check("renamed_synced", &["rename old new", "dirsync ."], &["new=old"]);
    check("unlinked", &["unlink old"], &["old=old"]);
    check("unlinked_synced", &["unlink old", "dirsync ."], &[]);
    check("linked", &["link old too", "dirsync ."], &["old=old", "too=old"]);
    check(
        "replaced",
        &["create t", "write t new", "fsync t", "rename t old", "dirsync ."],
        &["old=new"],
    );
    check("replaced_unsynced", &["create t", "write t n", "fsync t", "rename t old"], &["old=old"]);
    check(
        "replaced_by_unsynced_bytes",
        &["create t", "write t new", "rename t old", "dirsync ."],
        &["old="],
    );
}

#[test]
fn a_new_directory_needs_its_own_and_its_parents_sync() {
    let make = ["mkdir d", "create d/a", "write d/a 123", "fsync d/a"];
    let with = |more: &[&'static str]| [&make[..], more].concat();
    check("made", &make, &["old=old"]);
    check("made_inner", &with(&["dirsync d"]), &["old=old"]);
    check("made_outer", &with(&["dirsync ."]), &["d/", "old=old"]);
    check("made_both", &with(&["dirsync d", "dirsync ."]), &["d/", "d/a=123", "old=old"]);
}

#[test]
fn an_unlinked_files_inode_number_is_not_mistaken_for_a_new_file() {
    let mut steps = vec!["unlink old"];
    let names: Vec<String> = (0..20).map(|i| format!("n{i}")).collect();
    let more: Vec<String> = names
        .iter()
        .flat_map(|n| [format!("create {n}"), format!("write {n} new"), format!("fsync {n}")])
        .collect();
    steps.extend(more.iter().map(String::as_str));
    check("inode_reuse", &steps, &["old=old"]);
}

#[test]
fn a_failed_sync_loses_what_it_should_have_kept_for_good() {
    let machine = Machine::new("failed_sync");
    let steps = ["create a", "dirsync .", "write a 123", "fsync a", "fsync a", "write a 456"];
    let steps = [&steps[..], &["fsync a"]].concat();
    let results = machine.run(&[("FAULTS_PLAN", "fsync errno=EIO path=/a once")], &steps);
    assert_eq!(results, ["ok", "ok", "ok", "5", "ok", "ok", "ok"]);
    let fired = fs::read_to_string(machine.home.join("shadow/fired")).expect("it is recorded");
    assert!(fired.starts_with("fsync EIO ") && fired.ends_with("/a\n"), "{fired}");
    machine.lose_power(Tear::Nothing, 0);
    assert_eq!(machine.contents(), ["a=...456", "old=old"]);
}

#[test]
fn every_call_can_be_failed() {
    let machine = Machine::new("failed_calls");
    let plan = "open errno=EMFILE path=/no; write errno=ENOSPC after=1 once; \
                truncate errno=EIO; rename errno=EROFS; unlink errno=EIO; mkdir errno=ENOSPC; \
                link errno=EIO; dirsync errno=EIO once; write short after=2 once";
    let steps = [
        ("create no", "24"),
        ("create a", "ok"),
        ("write a 12", "ok"),
        ("write a 34", "28"),
        ("write a 5678", "ok"), // In two parts: the standard library goes on after a short one.
        ("truncate a 1", "5"),
        ("rename a b", "30"),
        ("unlink a", "5"),
        ("link a b", "5"),
        ("mkdir d", "28"),
        ("fdatasync a", "ok"),
        ("dirsync .", "5"),
        ("dirsync .", "ok"),
    ];
    let results = machine.run(&[("FAULTS_PLAN", plan)], &steps.map(|(step, _)| step));
    assert_eq!(results, steps.map(|(_, result)| result));
    machine.lose_power(Tear::Nothing, 0);
    assert_eq!(machine.contents(), ["a=125678", "old=old"]);
}

#[test]
fn a_shadow_goes_on_when_only_the_process_died() {
    let machine = Machine::new("process_crash");
    let steps = ["create a", "dirsync .", "write a 123", "create b", "unlink old"];
    machine.run(&[], &steps);
    // The next process sees the page cache of the one before, but it is still not durable ...
    machine.run(&[], &["create c", "open-append a", "write a 4", "create d"]);
    assert_eq!(machine.contents(), ["a=1234", "b=", "c=", "d="]);
    // ... until someone syncs it.
    machine.run(&[], &["open-append a", "fdatasync a"]);
    machine.lose_power(Tear::Nothing, 0);
    assert_eq!(machine.contents(), ["a=1234", "old=old"]);
}

#[test]
fn a_process_killed_before_its_shadow_was_whole_has_changed_nothing() {
    let machine = Machine::new("no_shadow_yet");
    machine.lose_power(Tear::Random, 1);
    assert_eq!(machine.contents(), ["old=old"]);
    for part in ["inodes", "dirs"] {
        fs::create_dir_all(machine.home.join("shadow").join(part)).expect("it can be made");
    }
    fs::write(machine.home.join("shadow/inodes/1"), "half").expect("it can be written");
    machine.lose_power(Tear::Random, 1);
    assert_eq!(machine.contents(), ["old=old"]);
}

#[test]
fn what_survives_of_the_unsynced_follows_from_the_seed() {
    let text = "x".repeat(4000);
    let write = format!("write a {text}");
    let steps = ["create a", "dirsync .", "write a 123", "fsync a", &write, "create b"];
    let survive = |seed| {
        let machine = Machine::new("seeded");
        machine.run(&[], &steps);
        let report = machine.lose_power(Tear::Random, seed);
        let contents = machine.contents();
        assert!(contents.iter().any(|line| line.starts_with("a=123")), "synced bytes are there");
        (contents, report)
    };
    let outcomes: Vec<_> = (0..12).map(survive).collect();
    assert_eq!(outcomes, (0..12).map(survive).collect::<Vec<_>>());
    assert!(outcomes.iter().any(|(_, report)| report.files_torn_count > 0));
    assert!(outcomes.iter().any(|(contents, _)| contents.iter().any(|line| line == "b=")));
    assert!(outcomes.iter().any(|(contents, _)| !contents.iter().any(|line| line == "b=")));
}

#[test]
fn a_process_without_the_environment_is_left_alone() {
    let library = preload_library(Path::new(SUBJECT)).expect("the library was built");
    let machine = Machine::new("inert");
    let output = Command::new(SUBJECT)
        .args(["create a", "write a 1", "fsync a", "dirsync ."])
        .current_dir(machine.home.join("data"))
        .env("LD_PRELOAD", library)
        .output()
        .expect("the subject starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ok\nok\nok\nok\n");
    assert!(!machine.home.join("shadow").exists());
}

/// Runs crash rounds against the toy server, and gives the exit code and what was printed.
fn crash_rounds(name: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let output = Command::new(env!("CARGO_BIN_EXE_crash-rounds"))
        .args(["--command", env!("CARGO_BIN_EXE_faults-toy-server"), "--seed", "11"])
        .args(arguments)
        .arg("--work")
        .arg(work)
        .output()
        .expect("the driver starts");
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&printed).into_owned())
}

#[test]
fn a_server_that_keeps_its_promises_passes_every_fault() {
    for fault in fault_names().split(", ") {
        let (code, printed) = crash_rounds(fault, &["--rounds", "3", "--faults", fault]);
        assert!(printed.ends_with("\n3 passed, 0 failed\n"), "{fault}: {printed}");
        assert_eq!(code, Some(0), "{fault}");
    }
}

#[test]
fn a_server_that_breaks_a_promise_is_caught() {
    for (variant, faults, symptom) in [
        ("ack-before-sync", "slow-sync", "lost: "),
        ("no-dir-sync", "kill", "lost: "),
        ("retry-after-failed-sync", "log-sync-error", "went on after a failure: "),
        ("ignore-failed-write", "log-full", "went on after a failure: "),
        ("no-recovery-sync", "process-crash", "refused to start: "),
    ] {
        let arguments = ["--rounds", "60", "--faults", faults, "--break", variant];
        let (code, printed) =
            crash_rounds(variant, &[&arguments[..], &["--until-caught"]].concat());
        assert!(printed.starts_with("seed 11\n"), "{variant}: {printed}");
        assert!(printed.contains(symptom), "{variant}: {printed}");
        assert!(printed.contains("  repeat: crash-rounds --command "), "{variant}: {printed}");
        assert!(printed.ends_with("\n1 passed, 0 failed\n"), "{variant}: {printed}");
        assert_eq!(code, Some(0), "{variant}");
    }
}

#[test]
fn an_expectation_that_is_not_met_fails_the_run() {
    let (code, printed) = crash_rounds("unmet", &["--rounds", "1", "--expect-caught"]);
    assert!(printed.ends_with("caught in 0 of 1 rounds\n0 passed, 1 failed\n"), "{printed}");
    assert_eq!(code, Some(1));
}

#[test]
fn rounds_that_cannot_be_run_are_not_taken_for_a_catch() {
    let arguments = ["--rounds", "1", "--expect-caught", "--command", "/nonexistent/server"];
    let (code, printed) = crash_rounds("no_server", &arguments);
    assert!(printed.contains("could not be run: starting /nonexistent/server"), "{printed}");
    assert_eq!(code, Some(2));
}
