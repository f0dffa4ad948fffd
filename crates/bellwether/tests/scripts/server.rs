//! zkServer.sh, zkServer-initialize.sh, and the container's first script.

use crate::home::{Home, eventually, said, script};
use std::process::{Child, Command, Stdio};

const NO_SERVER: &str = "Error contacting service. It is probably not running.\n";

fn found(home: &Home) -> String {
    format!("Client port found: {}. Client address: 127.0.0.1. Client SSL: false.\n", home.port)
}

#[test]
fn start_status_restart_and_stop_speak_as_apaches() {
    let home = Home::new("verbs", "");
    let run = |verb| home.run("zkServer.sh", &[verb]);
    let config = format!("Using config: {}/zoo.cfg\n", home.path("conf"));
    run("status").expect(1, &(found(&home) + NO_SERVER)).has(1, &[&config]);
    run("start").expect(0, "Starting zookeeper ... STARTED\n").has(0, &[&config]);
    home.serves();
    let first = home.pid();
    assert!(first.parse::<u32>().is_ok(), "no end of line: {first:?}");
    run("start")
        .expect(1, &format!("Starting zookeeper ... already running as process {first}.\n"));
    run("status").expect(0, &(found(&home) + "Mode: standalone\n"));
    let restarted = "Stopping zookeeper ... STOPPED\nStarting zookeeper ... STARTED\n";
    run("restart").expect(0, restarted);
    home.serves();
    assert_ne!(first, home.pid());
    run("stop").expect(0, "Stopping zookeeper ... STOPPED\n");
    assert!(!home.exists("data/zookeeper_server.pid"));
    let pid_file = home.path("data/zookeeper_server.pid");
    let none =
        format!("Stopping zookeeper ... no zookeeper to stop (could not find file {pid_file})\n");
    run("stop").expect(0, &none);
    let logs: Vec<_> = std::fs::read_dir(home.path("logs")).expect("it is there").collect();
    let name = logs[0].as_ref().expect("it is listed").file_name().into_string().expect("text");
    assert!(name.starts_with("zookeeper-") && name.contains("-server-"), "{name}");
    assert!(home.read(&format!("logs/{name}")).contains("serving clients="));
}

#[test]
fn a_stale_process_file_is_neither_a_server_nor_killed() {
    let home = Home::new("stale", "");
    let mut other = Command::new("sleep").arg("600").spawn().expect("it runs");
    home.write("data/zookeeper_server.pid", &other.id().to_string());
    // Apache's scripts take any process for the server, and kill it.
    home.run("zkServer.sh", &["stop"]).expect(0, "Stopping zookeeper ... STOPPED\n");
    assert!(other.try_wait().expect("it can be asked").is_none(), "it still runs");
    home.write("data/zookeeper_server.pid", &other.id().to_string());
    home.run("zkServer.sh", &["start"]).expect(0, "Starting zookeeper ... STARTED\n");
    home.serves();
    home.run("zkServer.sh", &["stop"]).expect(0, "Stopping zookeeper ... STOPPED\n");
    other.kill().expect("it runs");
    other.wait().expect("it was killed");
    home.write("data/zookeeper_server.pid", "not a number\n");
    home.run("zkServer.sh", &["start"]).expect(0, "Starting zookeeper ... STARTED\n");
    home.run("zkServer.sh", &["stop"]).expect(0, "Stopping zookeeper ... STOPPED\n");
}

#[test]
fn what_cannot_be_started_says_so() {
    let home = Home::new("fails", "tickTime=soon");
    let said = home.run("zkServer.sh", &["start"]);
    said.expect(1, "Starting zookeeper ... FAILED TO START\n");
    said.has(1, &["The reason stands in ", ".out"]);
    assert!(!home.exists("data/zookeeper_server.pid"));
    let said = home.run("zkServer.sh", &["start", "none.cfg"]);
    said.has(1, &["Error: there is no ", "none.cfg", "--config or ZOOCFGDIR"]);
    let text = "myid could not be determined, will not able to locate clientPort in the server \
                configs.\nClient port not found. Looking for secureClientPort in the static \
                config.\nUnable to find either secure or unsecure client port in any configs. \
                Terminating.\n";
    home.run("zkServer.sh", &["status", "none.cfg"]).expect(1, text);
    let usage = "{start|start-foreground|stop|version|restart|status|print-cmd}";
    home.run("zkServer.sh", &["begin"]).expect(0, "").has(0, &["Usage: ", usage]);
    home.run("zkServer.sh", &[]).expect(0, "").has(0, &[usage]);
    let said = said_with(&home, "start", &[("ZOO_DATADIR_AUTOCREATE_DISABLE", "1")]);
    let missing = format!(
        "ZooKeeper data directory is missing at {} fix the path or run initialize\n",
        home.path("data")
    );
    said.expect(1, &missing);
}

fn said_with(home: &Home, verb: &str, env: &[(&str, &str)]) -> crate::home::Said {
    said(home.script("zkServer.sh").arg(verb).envs(env.iter().copied()))
}

#[test]
fn print_cmd_shows_the_command_with_the_properties() {
    let home = Home::new("print", "");
    let env = [
        ("SERVER_JVMFLAGS", "-Xmx1000m -Dzookeeper.snapCount=77"),
        ("JVMFLAGS", "-Djute.maxbuffer=4096 -XX:+UseG1GC"),
        ("ZOO_DATADIR_AUTOCREATE_DISABLE", "1"),
    ];
    let said = said_with(&home, "print-cmd", &env);
    let expected = format!(
        "{} server -Dzookeeper.datadir.autocreate=false -Dzookeeper.snapCount=77 \
         -Djute.maxbuffer=4096 {}/zoo.cfg > ",
        env!("CARGO_BIN_EXE_bellwether"),
        home.path("conf")
    );
    said.has(0, &[&expected, ".out 2>&1 < /dev/null\n"]);
    let version = home.run("zkServer.sh", &["version"]);
    version.has(0, &["Apache ZooKeeper, version 3.9.5 (bellwether "]);
}

#[test]
fn the_configuration_is_found_as_apaches_finds_it() {
    let home = Home::new("config", "");
    home.write("conf/other.cfg", &home.read("conf/zoo.cfg"));
    home.write("elsewhere/zoo.cfg", &home.read("conf/zoo.cfg"));
    home.write("elsewhere/java.env", "SERVER_JVMFLAGS=\"-Dfrom=java.env $UNSET_VARIABLE\"\n");
    home.write("elsewhere/zookeeper-env.sh", "JVMFLAGS=-Dfrom=zookeeper-env\n");
    let printed = |words: &[&str], env: &[(&str, &str)]| {
        let mut script = home.script("zkServer.sh");
        said(script.args(words).envs(env.iter().copied())).errors
    };
    let conf = home.path("conf");
    let using = |path: &str| format!("Using config: {path}\n");
    assert_eq!(printed(&["print-cmd", "other.cfg"], &[]), using(&format!("{conf}/other.cfg")));
    let elsewhere = home.path("elsewhere/zoo.cfg");
    assert_eq!(printed(&["print-cmd", &elsewhere], &[]), using(&elsewhere));
    let named = [("ZOOCFG", "other.cfg")];
    assert_eq!(printed(&["print-cmd"], &named), using(&format!("{conf}/other.cfg")));
    let dir = home.path("elsewhere");
    assert_eq!(printed(&["--config", &dir, "print-cmd"], &[]), using(&elsewhere));
    let said = home.run("zkServer.sh", &["--config", &dir, "print-cmd"]);
    said.has(0, &["-Dfrom=java.env", "-Dfrom=zookeeper-env"]);
}

#[test]
fn the_process_file_can_lie_elsewhere() {
    let home = Home::new("pidfile", "");
    let file = home.path("run/deep/server.pid");
    let env = [("ZOOPIDFILE", file.as_str())];
    said_with(&home, "start", &env).expect(0, "Starting zookeeper ... STARTED\n");
    assert!(home.exists("run/deep/server.pid") && !home.exists("data/zookeeper_server.pid"));
    said_with(&home, "stop", &env).expect(0, "Stopping zookeeper ... STOPPED\n");
    assert!(!home.exists("run/deep/server.pid"));
}

/// Kills and waits when dropped.
struct Foreground(Child);

impl Drop for Foreground {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn in_the_foreground_the_script_becomes_the_server() {
    let home = Home::new("foreground", "");
    let mut script = home.script("zkServer.sh");
    script.arg("start-foreground").env("JVMFLAGS", "-Dzookeeper.4lw.commands.whitelist=isro");
    let child = script.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let mut server = Foreground(child);
    home.serves();
    let program = std::fs::read_link(format!("/proc/{}/exe", server.0.id())).expect("it runs");
    let built = std::fs::canonicalize(env!("CARGO_BIN_EXE_bellwether")).expect("it is built");
    assert_eq!(program, built);
    assert_eq!(home.word("isro"), "rw", "the property is in effect");
    Command::new("kill").arg(server.0.id().to_string()).status().expect("kill can be run");
    assert_eq!(server.0.wait().expect("it ends").code(), Some(0));
}

#[test]
fn status_finds_the_port_of_a_member_and_its_dynamic_file() {
    let home = Home::new("member", "");
    home.run("zkServer.sh", &["start"]).expect(0, "Starting zookeeper ... STARTED\n");
    home.serves();
    home.write("data/myid", "7\n");
    let port = home.port;
    let line = format!("server.7=127.0.0.1:2888:3888;127.0.0.1:{port}\n");
    let data = home.path("data");
    home.write("conf/static.cfg", &format!("dataDir={data}\n{line}"));
    home.run("zkServer.sh", &["status", "static.cfg"])
        .expect(0, &(found(&home) + "Mode: standalone\n"));
    home.write("conf/members", &line);
    let members = home.path("conf/members");
    home.write("conf/dynamic.cfg", &format!("dataDir={data}\ndynamicConfigFile={members}\n"));
    let looked = "Client port not found in static config file. Looking in dynamic config file.\n";
    home.run("zkServer.sh", &["status", "dynamic.cfg"])
        .expect(0, &(looked.to_owned() + &found(&home) + "Mode: standalone\n"));
    home.run("zkServer.sh", &["stop"]).expect(0, "Stopping zookeeper ... STOPPED\n");
}

#[test]
fn initialize_makes_apaches_files_and_says_its_words() {
    let home = Home::new("initialize", "");
    let run = |words: &[&str]| home.run("zkServer-initialize.sh", words);
    run(&["--myid=3"]).expect(0, "Using myid of 3\n");
    assert_eq!(home.read("data/myid"), "3\n");
    assert!(home.exists("data/version-2") && home.exists("data/initialize"));
    let data = home.path("data");
    run(&[]).expect(
        1,
        &format!(
            "ZooKeeper data directory already exists at {data} (or use --force to force \
             re-initialization)\n"
        ),
    );
    home.write("data/version-2/log.1", "old");
    run(&["--force"]).expect(
        0,
        &format!(
            "Force enabled, data/txnlog directories will be re-initialized\nNo myid provided, be \
             sure to specify it in {data}/myid if using non-standalone\n"
        ),
    );
    assert!(!home.exists("data/version-2/log.1") && !home.exists("data/myid"));
    run(&["--configfile=/none"]).expect(1, "Unable to find config file at /none\n");
    home.write("conf/empty.cfg", "");
    let empty = home.path("conf/empty.cfg");
    run(&["--configfile", &empty])
        .expect(1, &format!("Unable to determine dataDir from {empty}\n"));
    run(&["--odd"]).has(1, &["Unknown option: --odd\nusage: ", "--configfile=", "(1-255)"]);
    run(&["--help"]).has(1, &["usage: "]);
    home.run("zkServer.sh", &["start"]).expect(0, "Starting zookeeper ... STARTED\n");
    home.serves();
    run(&["--force"]).has(1, &["A server uses ", "stop it first. Nothing was changed."]);
    assert!(home.word("srvr").contains("Mode: standalone"));
    home.run("zkServer.sh", &["stop"]).expect(0, "Stopping zookeeper ... STOPPED\n");
}

#[test]
fn with_its_own_log_directory_both_are_initialized() {
    let home = Home::new("initialize-two", "");
    let logs = home.path("txnlog");
    home.write(
        "conf/zoo.cfg",
        &format!("{}dataLogDir={logs}\ndb.autocreate=false\n", home.read("conf/zoo.cfg")),
    );
    home.run("zkServer-initialize.sh", &["--myid", "1"]).expect(0, "Using myid of 1\n");
    assert!(home.exists("txnlog/version-2") && home.exists("data/version-2"));
    // The server finds the word and serves an empty database.
    home.run("zkServer.sh", &["start"]).expect(0, "Starting zookeeper ... STARTED\n");
    home.serves();
    home.run("zkServer.sh", &["stop"]).expect(0, "Stopping zookeeper ... STOPPED\n");
    std::fs::remove_dir_all(home.path("data/version-2")).expect("it is there");
    home.run("zkServer-initialize.sh", &[]).expect(
        1,
        &format!(
            "ZooKeeper txnlog directory already exists at {logs} (or use --force to force \
             re-initialization)\n"
        ),
    );
}

#[test]
fn the_container_writes_its_files_once_and_becomes_the_server() {
    let home = Home::new("container", "");
    std::fs::remove_file(home.path("conf/zoo.cfg")).expect("it was made");
    let bin = script("zkServer.sh").parent().expect("it has one").display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").expect("it is set"));
    let start = |words: &[&str], env: &[(&str, &str)]| {
        let mut script = home.script("docker-entrypoint.sh");
        script.env_remove("ZOOCFGDIR").env("PATH", &path).args(words).envs(env.iter().copied());
        for (name, dir) in [("CONF_DIR", "conf"), ("DATA_DIR", "data"), ("DATA_LOG_DIR", "datalog")]
        {
            script.env(format!("ZOO_{name}"), home.path(dir));
        }
        script
    };
    let servers = format!("server.1=127.0.0.1:2888:3888;127.0.0.1:{}", home.port);
    let env = [
        ("ZOO_MY_ID", "1"),
        ("ZOO_SERVERS", servers.as_str()),
        ("ZOO_TICK_TIME", "500"),
        ("ZOO_MAX_CLIENT_CNXNS", "7"),
        ("ZOO_4LW_COMMANDS_WHITELIST", "conf, isro"),
        ("ZOO_CFG_EXTRA", "snapCount=77 extendedTypesEnabled=true"),
    ];
    said(&mut start(&["true"], &env)).expect(0, "");
    let text = format!(
        "dataDir={}\ndataLogDir={}\ntickTime=500\ninitLimit=5\nsyncLimit=2\n\
         autopurge.snapRetainCount=3\nautopurge.purgeInterval=0\nmaxClientCnxns=7\n\
         standaloneEnabled=true\nadmin.enableServer=true\n{servers}\n\
         4lw.commands.whitelist=conf, isro\nsnapCount=77\nextendedTypesEnabled=true\n",
        home.path("data"),
        home.path("datalog")
    );
    assert_eq!(home.read("conf/zoo.cfg"), text);
    assert_eq!(home.read("data/myid"), "1\n");
    // What is there stays: the variables mean nothing to it.
    let mut server = start(&["zkServer.sh", "start-foreground"], &[("ZOO_MY_ID", "9")]);
    let server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let _server = Foreground(server);
    home.serves();
    assert_eq!((home.read("conf/zoo.cfg"), home.read("data/myid")), (text, "1\n".to_owned()));
    eventually("the settings are in effect", || home.word("conf").contains("maxClientCnxns=7"));
}
