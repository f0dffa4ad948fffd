//! Claims about whole configurations: who wins, what is refused, what is said, and that the table
//! is total.

use super::render::ConfFacts;
use super::setting::{self, Harmless, Place, Property, Status};
use super::*;
use bellwether_wire::quorum::LearnerType;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of its own for one test, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "bellwether-config-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

type Loaded = Result<(Config, Vec<Warning>), Vec<ConfigError>>;

fn properties(words: &[&str]) -> Vec<(String, String)> {
    words
        .iter()
        .map(|word| word.split_once('=').unwrap_or((word, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn load_text(text: &str, words: &[&str]) -> Loaded {
    let directory = Directory::new();
    let text = text.replace("@", directory.0.to_str().unwrap());
    let zoo_cfg = Some(directory.write("zoo.cfg", &text));
    load(&Args { zoo_cfg, properties: properties(words) })
}

/// A good configuration: the lines, and what every server needs.
#[track_caller]
fn good(lines: &str, words: &[&str]) -> (Config, Vec<Warning>) {
    let text = format!("dataDir=/d\nclientPort=2181\nadmin.enableServer=false\n{lines}");
    load_text(&text, words).unwrap_or_else(|errors| panic!("{}", all(&errors)))
}

/// The errors of a bad one, without the directory of the file.
#[track_caller]
fn bad(lines: &str, words: &[&str]) -> Vec<String> {
    let text = format!("dataDir=/d\nclientPort=2181\n{lines}");
    errors_of(load_text(&text, words))
}

#[track_caller]
fn errors_of(loaded: Loaded) -> Vec<String> {
    let errors = loaded.expect_err("an error is expected");
    errors.iter().map(|error| short(&error.to_string())).collect()
}

fn all<T: ToString>(messages: &[T]) -> String {
    messages.iter().map(|message| short(&message.to_string()) + "\n").collect()
}

/// Without the directory before `zoo.cfg`.
fn short(message: &str) -> String {
    let directory = format!("{}/bellwether-config-", std::env::temp_dir().display());
    let mut pieces = message.split(&directory);
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once('/').map_or(piece, |(_, rest)| rest))
}

#[track_caller]
fn only_warning(warnings: &[Warning]) -> String {
    let [one] = warnings else { panic!("one is expected: {}", all(warnings)) };
    short(&one.to_string())
}

#[test]
fn defaults_are_apaches() {
    let (config, warnings) = good("", &[]);
    assert_eq!(warnings, [], "{}", all(&warnings));
    assert_eq!(config.data_log_dir, PathBuf::from("/d"));
    assert_eq!(config.client_address, ClientAddress::Any { port: 2181 });
    // But for this one, which Java has at 50.
    assert_eq!(config.backlog, 4096);
    assert_eq!(
        (config.tick_time_ms, config.min_session_timeout_ms, config.max_session_timeout_ms),
        (3000, 6000, 60000)
    );
    assert_eq!(config.max_client_cnxns, NonZeroU32::new(60));
    assert_eq!(config.max_cnxns, None);
    assert_eq!(config.global_outstanding_limit, 1000);
    assert_eq!((config.jute_max_buffer, config.jute_extra_size), (0xf_ffff, 0xf_ffff));
    assert_eq!(config.snap_count, 100_000);
    assert_eq!(config.snap_size_limit_bytes, NonZeroU64::new(4 << 30));
    assert_eq!(config.txn_log_size_limit_bytes, None);
    assert_eq!(config.pre_alloc_bytes, 64 << 20);
    assert!(config.force_sync && config.digest_enabled && config.close_session_txn);
    assert!(config.serialize_last_processed_zxid && config.auth.digest.is_some());
    assert!(
        config.datadir_autocreate
            && config.db_autocreate
            && !config.skip_acl
            && !config.snapshot_trust_empty
    );
    assert!(!config.enforce_quota);
    assert!(!config.extended_types && !config.emulate_353_ttl && !config.reconfig_enabled);
    assert_eq!(config.snapshot_compression, Compression::None);
    assert_eq!(config.sessionless_timeout_ms, 10_000);
    assert_eq!(config.container_check_interval_ms, 60_000);
    assert_eq!(config.container_max_per_minute.get(), 10_000);
    assert_eq!(config.container_max_never_used_ms, None);
    assert_eq!(config.autopurge_interval_hours, None);
    assert_eq!(config.auth, AuthSettings::default());
    assert!(config.four_letter_words.allow("srvr") && !config.four_letter_words.allow("ruok"));
}

#[test]
fn conf_is_apaches_to_the_letter() {
    let (config, _) = good("maxClientCnxns=-3\ntickTime=500\ndataLogDir=/l", &[]);
    let facts = ConfFacts { client_port: 2181, data_dir_bytes: 7, data_log_dir_bytes: 9 };
    assert_eq!(
        config.conf_text(facts),
        "clientPort=2181\nsecureClientPort=-1\ndataDir=/d/version-2\ndataDirSize=7\n\
         dataLogDir=/l/version-2\ndataLogSize=9\ntickTime=500\nmaxClientCnxns=-3\n\
         minSessionTimeout=1000\nmaxSessionTimeout=10000\nclientPortListenBacklog=-1\nserverId=0\n"
    );
    assert_eq!(config.max_client_cnxns, None);
}

#[test]
fn the_embedded_default_listens_on_loopback_only() {
    let at_home = std::env::var_os("XDG_DATA_HOME").or(std::env::var_os("HOME")).is_some();
    match Config::embedded_default() {
        Ok(config) => {
            assert_eq!(config.client_address.to_string(), "127.0.0.1:2181");
            assert!(config.data_dir.ends_with("bellwether"), "{:?}", config.data_dir);
            assert_eq!(config.zoo_cfg, None);
        }
        Err(errors) => assert!(!at_home && errors.len() == 1, "{}", all(&errors)),
    }
}

#[test]
fn without_a_zoo_cfg_properties_set_its_keys_too() {
    let words = ["zookeeper.clientPort=0", "zookeeper.dataDir=/e"];
    let args = Args { zoo_cfg: None, properties: properties(&words) };
    let (config, warnings) = load(&args).expect("good");
    assert_eq!(config.client_address.to_string(), "127.0.0.1:0");
    assert_eq!(config.data_dir, PathBuf::from("/e"));
    assert!(warnings.iter().all(|w| w.severity == Severity::Note), "{}", all(&warnings));
}

#[test]
fn a_line_outranks_its_property_and_the_last_of_two_lines_counts() {
    let (config, _) = good("", &["zookeeper.snapCount=7"]);
    assert_eq!(config.snap_count, 7);
    let (config, warnings) = good("snapCount=8", &["zookeeper.snapCount=7"]);
    assert_eq!(config.snap_count, 8);
    assert!(all(&warnings).contains(
        "command line: -Dzookeeper.snapCount=7: no effect: outranked (zoo.cfg:4: snapCount=8)"
    ));
    let (config, warnings) = good("snapCount=8\nsnapCount=9", &[]);
    assert_eq!(config.snap_count, 9);
    assert!(all(&warnings).contains(
        "zoo.cfg:4: snapCount=8: no effect: given again (zoo.cfg:5: snapCount=9); the last counts"
    ));
    let fsync = |words: &[&str]| good("", words).0.fsync_warning_threshold_ms;
    assert_eq!(fsync(&["fsync.warningthresholdms=5"]), 5);
    let both = ["zookeeper.fsync.warningthresholdms=6", "fsync.warningthresholdms=5"];
    assert_eq!(fsync(&both), 6);
}

#[test]
fn every_error_is_reported_at_once_with_its_place_and_expectation() {
    let errors = bad(
        "tickTime=0\nminSessionTimeout=9000\nmaxSessionTimeout=100\nsnapCount=many\n\
         server.1=a:1\nserver.2=b:1:1\nsecureClientPort=2281\nbroken=\\u12\n\
         standaloneEnabled=maybe",
        &["jute.maxbuffer=0x", "zookeeper.audit.enable=true", "zookeeper.audit.impl.class=a.B"],
    );
    let text = errors.join("\n");
    for expected in [
        "zoo.cfg:10: `\\u12` is no character",
        "zoo.cfg:3: tickTime=0: expected a whole number from 1 to 2147483647",
        "zoo.cfg:6: snapCount=many: expected a whole number from 0 to 2147483647",
        "zoo.cfg:7: server.1=a:1: expected host:quorumPort:electionPort",
        "zoo.cfg:8: server.2=b:1:1: 1 is the port of the quorum and of elections",
        "zoo.cfg:9: secureClientPort=2281: refused: TLS does not exist",
        "zoo.cfg:11: standaloneEnabled=maybe: expected true or false",
        "command line: -Djute.maxbuffer=0x: expected a whole number from 1",
        "command line: -Dzookeeper.audit.enable=true, command line: \
         -Dzookeeper.audit.impl.class=a.B: the class a.B cannot be loaded",
        "zoo.cfg:4: minSessionTimeout=9000, zoo.cfg:5: maxSessionTimeout=100, zoo.cfg:3: \
         tickTime=0: expected minSessionTimeout (9000 ms",
    ] {
        assert!(text.contains(expected), "{expected}\nnot in:\n{text}");
    }
    assert_eq!(errors.len(), 10, "{text}");
}

#[test]
fn a_file_that_cannot_be_read_is_one_error() {
    let directory = Directory::new();
    for path in [directory.0.join("missing.cfg"), directory.0.clone()] {
        let zoo_cfg = Some(path.clone());
        let errors = load(&Args { zoo_cfg, properties: Vec::new() }).expect_err("unreadable");
        let [ConfigError::Unreadable { path: named, .. }] = errors.as_slice() else {
            panic!("{}", all(&errors))
        };
        assert_eq!(*named, path);
    }
}

#[test]
fn what_every_server_needs_is_demanded() {
    let errors = errors_of(load_text("tickTime=2000", &[]));
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("dataDir is not set: expected"), "{errors:?}");
    assert!(errors[1].starts_with("clientPort is not set"), "{errors:?}");
    let errors = errors_of(load_text("dataDir=/d\nclientPortAddress=127.0.0.1", &[]));
    assert!(errors[0].starts_with("zoo.cfg:2: clientPortAddress=127.0.0.1: clientPort is not set"));
    assert_eq!(errors_of(load_text("dataDir=\nclientPort=1", &[])).len(), 1);
    assert_eq!(errors_of(load_text("dataDir=/d\nclientPort=x", &[])).len(), 1);
}

#[test]
fn a_misspelt_key_is_named_beside_the_error_it_causes() {
    let directory = Directory::new();
    let zoo_cfg = Some(directory.write("zoo.cfg", "dataDir=/d\nclientport=2181"));
    let checked = check(&Args { zoo_cfg, properties: Vec::new() });
    assert!(checked.config.is_none() && checked.errors.len() == 1);
    assert!(all(&checked.warnings).contains("nearest known one is `clientPort`"));
}

#[test]
fn session_timeouts_follow_the_tick() {
    let timeouts = |lines: &str| {
        let (config, _) = good(lines, &[]);
        (config.min_session_timeout_ms, config.max_session_timeout_ms)
    };
    assert_eq!(timeouts("tickTime=500"), (1000, 10_000));
    assert_eq!(timeouts("tickTime=500\nminSessionTimeout=4\nmaxSessionTimeout=4"), (4, 4));
    assert_eq!(timeouts("tickTime=2147483647"), (i32::MAX as u32, i32::MAX as u32));
    assert_eq!(bad("minSessionTimeout=60001", &[]).len(), 1);
}

#[test]
fn addresses_are_bound_as_apache_binds_them() {
    let address = |lines: &str, words: &[&str]| good(lines, words).0.client_address.to_string();
    assert_eq!(address("", &[]), "all addresses, port 2181");
    assert_eq!(address("", &["java.net.preferIPv4Stack=true"]), "0.0.0.0:2181");
    assert_eq!(address("clientPortAddress=127.0.0.1", &[]), "127.0.0.1:2181");
    // Java opens a socket for both kinds of addresses here too.
    assert_eq!(address("clientPortAddress=0.0.0.0", &[]), "all addresses, port 2181");
    assert_eq!(address("clientPortAddress=::1", &[]), "[::1]:2181");
    assert_eq!(address("clientPortAddress=[::1]", &[]), "[::1]:2181");
    assert_eq!(address("clientPortAddress=::", &[]), "all addresses, port 2181");
    assert_eq!(bad("clientPortAddress=no.such.host.invalid", &[]).len(), 1);
}

#[test]
fn one_server_line_alone_is_taken_as_apache_takes_it() {
    let directory = Directory::new();
    directory.write("myid", "1\n");
    let data = directory.0.display();
    let with = |lines: &str| load_text(&format!("dataDir={data}\n{lines}"), &[]);
    let address = |lines: &str| with(lines).expect("good").0.client_address.to_string();
    assert_eq!(address("server.1=localhost:2888:3888;2181"), "all addresses, port 2181");
    assert_eq!(address("server.1=h:2888:3888;127.0.0.1:2182"), "127.0.0.1:2182");
    assert_eq!(address("clientPort=7\nserver.1=h:2888:3888"), "all addresses, port 7");
    assert_eq!(address("clientPort=7\nserver.2=h:2888:3888;9"), "all addresses, port 7");
    assert_eq!(address("clientPort=7\nserver.1=h:1:2;127.0.0.1:7"), "127.0.0.1:7");
    let errors = errors_of(with("clientPort=7\nserver.1=h:1:2;8"));
    assert!(errors[0].contains("two places for clients"), "{errors:?}");
    assert!(errors_of(with("server.1=h:1:2:observer;8"))[0].contains("an observer alone"));
    // An ensemble of one, which elects itself.
    let config = with("server.1=h:1:2;8\nstandaloneEnabled=false\ninitLimit=5\nsyncLimit=2");
    assert_eq!(config.expect("good").0.member.map(|member| member.my_id.0), Some(1));
    let errors = errors_of(with("clientPort=7\nstandaloneEnabled=false"));
    assert!(errors[0].contains("there is no server line"), "{errors:?}");
}

/// Three servers, of which this is the second.
const THREE: &str = "initLimit=10\nsyncLimit=5\nserver.1=a:2888:3888\nserver.2=b:2888:3888\n\
                     server.3=c:2888:3888\n";

/// What becomes of these lines where the file `myid` holds 2.
fn as_second(lines: &str, words: &[&str]) -> Loaded {
    let directory = Directory::new();
    directory.write("myid", "2\n");
    directory.write("zoo.cfg.dynamic.1f", "server.1=a:1:2\nserver.2=b:1:2;2182\nserver.3=c:1:2");
    let (path, data) = (directory.0.display().to_string(), directory.0.display());
    let text = format!("dataDir={data}\nclientPort=2181\nadmin.enableServer=false\n{lines}");
    let zoo_cfg = Some(directory.write("zoo.cfg", &text.replace('@', &path)));
    load(&Args { zoo_cfg, properties: properties(words) })
}

#[track_caller]
fn second(lines: &str) -> (Member, Vec<Warning>) {
    let (config, warnings) = as_second(lines, &[]).unwrap_or_else(|e| panic!("{}", all(&e)));
    (config.member.expect("a member"), warnings)
}

#[test]
fn several_server_lines_and_a_myid_make_a_member() {
    let (config, warnings) = as_second(THREE, &[]).unwrap_or_else(|e| panic!("{}", all(&e)));
    assert_eq!(warnings, [], "{}", all(&warnings));
    assert_eq!(config.session_server_id, 2);
    let member = config.member.expect("a member");
    assert_eq!((member.my_id.0, member.role), (2, LearnerType::Participant));
    assert_eq!((member.init_limit, member.sync_limit, member.connect_limit), (10, 5, 10));
    assert_eq!(
        member.ensemble.to_string(),
        "server.1=a:2888:3888:participant\nserver.2=b:2888:3888:participant\n\
         server.3=c:2888:3888:participant\nversion=0"
    );
    assert_eq!(member.own().addresses[0].quorum(), "b:2888");
    assert!(!member.listens_on_all_ips && !member.tcp_keep_alive && member.leader_serves);
    assert_eq!((member.cnx_timeout_ms, member.bind_attempts), (5000, NonZeroU32::new(3)));
    assert_eq!((member.commit_log_count, member.snapshot_size_factor), (500, 0.33));
    assert_eq!((member.snap_syncs_max, member.diff_syncs_max), (10, 100));
    assert_eq!((member.notify_ms_min, member.notify_ms_max), (200, 60_000));
    assert_eq!(member.observer_delay_ms, 200);
}

#[test]
fn conf_of_a_member_names_the_ensemble_and_has_no_last_line_break() {
    let conf = |lines: &str| {
        let (config, _) = as_second(lines, &[]).unwrap_or_else(|e| panic!("{}", all(&e)));
        let facts = ConfFacts { client_port: 2181, data_dir_bytes: 7, data_log_dir_bytes: 9 };
        let text = config.conf_text(facts);
        text.split_once("clientPortListenBacklog=-1\n").expect("every server has it").1.to_owned()
    };
    assert_eq!(
        conf(THREE),
        "serverId=2\ninitLimit=10\nsyncLimit=5\nelectionAlg=3\nelectionPort=3888\n\
         quorumPort=2888\npeerType=0\nmembership: \nserver.1=a:2888:3888:participant\n\
         server.2=b:2888:3888:participant\nserver.3=c:2888:3888:participant\nversion=0"
    );
    let observing = THREE.replace("b:2888:3888", "b:2889:3889:observer") + "server.4=d:1:2\n";
    let text = conf(&observing);
    assert!(text.contains("electionPort=3889\nquorumPort=2889\npeerType=1\n"), "{text}");
    assert!(text.contains("\nserver.2=b:2889:3889:observer\n"), "{text}");
}

#[test]
fn settings_of_the_ensemble_are_taken() {
    let (member, warnings) = second(&format!(
        "{THREE}connectToLearnerMasterLimit=3\nquorumListenOnAllIPs=true\n\
         electionPortBindRetry=0\ncnxTimeout=700\ntcpKeepAlive=true\nleaderServes=no\n\
         commitLogCount=600\nsnapshotSizeFactor=-1\nleader.maxConcurrentSnapSyncs=2\n\
         leader.maxConcurrentDiffSyncs=3\nfastleader.minNotificationInterval=100\n\
         fastleader.maxNotificationInterval=1000\nobserver.election.DelayMs=7\n\
         electionAlg=3\npeerType=participant"
    ));
    assert_eq!(warnings, [], "{}", all(&warnings));
    assert_eq!((member.connect_limit, member.bind_attempts), (3, None));
    assert!(member.listens_on_all_ips && member.tcp_keep_alive && !member.leader_serves);
    assert_eq!((member.cnx_timeout_ms, member.commit_log_count), (700, 600));
    assert!(member.snapshot_size_factor < 0.0);
    assert_eq!((member.snap_syncs_max, member.diff_syncs_max), (2, 3));
    assert_eq!((member.notify_ms_min, member.notify_ms_max), (100, 1000));
    assert_eq!(member.observer_delay_ms, 7);
    let (_, warnings) = second(&format!("{THREE}commitLogCount=1"));
    assert!(only_warning(&warnings).contains("it counts as 500"));
    let errors = errors_of(as_second(&format!("{THREE}electionAlg=1"), &[]));
    assert!(errors[0].contains("electionAlg=1: expected 3"), "{errors:?}");
}

#[test]
fn groups_and_weights_of_votes_are_taken() {
    let lines = format!("{THREE}group.1=1:2\ngroup.2=3\nweight.3=0\n");
    let (member, _) = second(&lines);
    let text = member.ensemble.to_string();
    assert!(text.contains("group.1=1:2") && text.contains("weight.3=0"), "{text}");
    let errors = errors_of(as_second(&format!("{THREE}group.1=1:2"), &[]));
    assert!(errors[0].contains("server.3=c:2888:3888:participant: the server is in no group"));
}

#[test]
fn a_members_lines_are_checked_as_apache_checks_them() {
    for (lines, expected) in [
        (THREE.replace("initLimit=10\n", ""), "initLimit is not set to a number of ticks"),
        (THREE.replace("syncLimit=5", "syncLimit=0"), "syncLimit=0: syncLimit is not set"),
        (THREE.replace("server.2", "server.4"), "myid in dataDir holds 2, and there is no line"),
        (format!("{THREE}server.x=d:1:2"), "expected server.N, where N is the number"),
        (format!("{THREE}server.4=d:1:2|e:1:2"), "several addresses of one server"),
        (format!("{THREE}observerMasterPort=5"), "followers do not serve observers"),
        (format!("{THREE}oraclePath=/x"), "an oracle does not exist"),
        (format!("{THREE}sslQuorum=true"), "refused"),
        (format!("{THREE}quorum.auth.enableSasl=true"), "SASL does not exist"),
        (format!("{THREE}peerType=boss"), "expected one of participant, observer"),
        ("server.2=b:1:2:observer".to_owned(), "an observer alone is no ensemble"),
        ("server.1=a:1:2\nserver.2=b:1:2:observer".to_owned(), "have nobody to follow"),
        (THREE.replace("b:2888:3888", "b:2888:3888;2189"), "two places for clients"),
    ] {
        let errors = errors_of(as_second(&lines, &[]));
        assert!(errors.iter().any(|error| error.contains(expected)), "{expected}: {errors:?}");
    }
    let errors = bad(THREE, &[]);
    assert!(errors[0].contains("there is no file myid in dataDir"), "{errors:?}");
    let directory = Directory::new();
    directory.write("myid", "255");
    let lines = THREE.replace("server.2", "server.255");
    let text = format!("dataDir={}\nclientPort=1\n{lines}", directory.0.display());
    let errors = errors_of(load_text(&text, &["zookeeper.extendedTypesEnabled=true"]));
    assert!(errors[0].contains("no more than 254 is possible"), "{errors:?}");
}

#[test]
fn what_is_odd_about_an_ensemble_is_remarked_on() {
    for (lines, expected) in [
        (THREE.replace("server.3=c:2888:3888\n", ""), "no failure of a server is survived"),
        (format!("{THREE}server.4=d:2888:3888"), "an odd number is better"),
        (THREE.replace("server.3=c", "server.3=a"), "server.1 has a:2888 too"),
        (
            THREE.replace("b:2888:3888", "b:2888:3888:observer") + "server.4=d:1:2",
            "the line counts",
        ),
    ] {
        let (_, warnings) = second(&lines);
        assert!(all(&warnings).contains(expected), "{expected}: {}", all(&warnings));
    }
    let observer = THREE.replace("b:2888:3888", "b:2888:3888:observer");
    let (member, warnings) = second(&format!("{observer}server.4=d:1:2\npeerType=observer"));
    assert_eq!((member.role, warnings.len()), (LearnerType::Observer, 0), "{}", all(&warnings));
}

#[test]
fn a_dynamic_file_has_the_server_lines_and_the_client_port() {
    let lines = "initLimit=10\nsyncLimit=5\ndynamicConfigFile=@/zoo.cfg.dynamic.1f";
    let errors = errors_of(as_second(lines, &[]));
    assert!(errors[0].contains("two places for clients"), "{errors:?}");
    let directory = Directory::new();
    directory.write("myid", "2");
    let dynamic = directory.write(
        "zoo.cfg.dynamic.1f",
        "server.1=a:1:2;2181\nserver.2=b:1:2;127.0.0.1:2182\nserver.3=c:1:2;2181\n",
    );
    let head = format!(
        "dataDir={}\ninitLimit=10\nsyncLimit=5\ndynamicConfigFile={}\n",
        directory.0.display(),
        dynamic.display()
    );
    let (config, _) = load_text(&head, &[]).unwrap_or_else(|e| panic!("{}", all(&e)));
    assert_eq!(config.client_address.to_string(), "127.0.0.1:2182");
    let member = config.member.expect("a member");
    assert!(member.ensemble.to_string().ends_with("version=1f"), "{}", member.ensemble);
    let errors = errors_of(load_text(&format!("{head}server.4=d:1:2"), &[]));
    assert!(errors[0].contains("must stand in the file that dynamicConfigFile names"));
    directory.write("zoo.cfg.dynamic.1f", "server.1=a:1:2;2181\ntickTime=5\nversion=1f\n");
    let errors = errors_of(load_text(&head, &[])).join("\n");
    assert!(errors.contains("tickTime=5: expected server.N, group.N and weight.N only"));
    assert!(errors.contains("the version stands in the name of this file"), "{errors}");
    let errors = errors_of(load_text("dataDir=/d\ndynamicConfigFile=/no/such/file", &[]));
    assert!(errors.iter().any(|error| error.contains("/no/such/file: cannot be read")));
}

#[test]
fn a_myid_that_is_no_number_stops_the_server_as_it_stops_apache() {
    let directory = Directory::new();
    directory.write("myid", "one");
    let text = format!("dataDir={}\nclientPort=1", directory.0.display());
    let errors = errors_of(load_text(&text, &[]));
    assert!(errors[0].contains("myid: `one` is no number"), "{errors:?}");
}

#[test]
fn what_has_no_effect_is_remarked_on_once_with_what_to_write() {
    for (lines, words, expected) in [
        (
            "ticktime=5",
            &[][..],
            "zoo.cfg:3: ticktime=...: no effect: the key is not known. The \
                                 nearest known one is `tickTime`",
        ),
        ("ticktime=5\nticktime=6", &[], "nearest known one is `tickTime`"),
        ("zookeeper.skipACL=yes", &[], "Write `skipACL`"),
        ("jute.maxbuffer=5", &[], "Write -Djute.maxbuffer=... on the command line"),
        ("zzzzzz.zzzzzz=5", &[], "no known one is near it"),
        ("", &["zookeeper.dataDir=/x"], "dataDir is read from zoo.cfg only"),
        ("", &["snapCount=5"], "The nearest one is `-Dzookeeper.snapCount`"),
        ("", &["tickTime=5"], "The nearest setting is `tickTime`, a line of zoo.cfg"),
        ("", &["zookeeper.snapcount=5"], "The nearest one is `-Dzookeeper.snapCount`"),
        ("forceSync=false", &[], "Apache takes every word but `no` for `yes` here"),
        ("forceSync=no", &[], "before they are on stable storage"),
        ("skipACL=yes", &[], "access is not checked"),
        ("autopurge.snapRetainCount=1", &[], "it counts as 3"),
        ("snapCount=1", &[], "it counts as 2"),
        ("dataLogDir=logs", &[], "a relative path depends on"),
        ("dataLogDir=/\u{fc}", &[], "letters beyond ASCII are read as UTF-8"),
    ] {
        let text = format!("dataDir=/d\nclientPort=2181\n{lines}");
        let (_, warnings) = load_text(&text, words).unwrap_or_else(|e| panic!("{}", all(&e)));
        let warnings: Vec<Warning> =
            warnings.into_iter().filter(|w| w.severity == Severity::Warning).collect();
        let text = only_warning(&warnings);
        assert!(text.contains(expected), "{expected}\nnot in:\n{text}");
    }
}

#[test]
fn nothing_that_would_weaken_what_was_asked_for_is_let_pass() {
    for line in [
        "oraclePath=/x",
        "secureClientPortAddress=::1",
        "ssl.keyStore.location=/k",
        "ssl.quorum.trustStore.password=x",
        "sslQuorum=true",
        "client.portUnification=true",
        "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
        "authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider",
        "authProvider.sso=com.example.Provider",
        "quorum.auth.enableSasl=true",
        "quorum.auth.serverRequireSasl=true",
        "sessionRequireClientSASLAuth=true",
        "metricsProvider.className=\
         org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider",
    ] {
        let errors = bad(line, &[]);
        assert!(errors.iter().all(|error| error.contains(": refused: ")), "{errors:?}");
        assert_eq!(errors.len(), line.lines().count(), "{errors:?}");
    }
}

#[test]
fn the_audit_log_lies_where_it_is_told_to() {
    let path = |text: &str, properties: &[&str]| {
        let (config, warnings) = good(text, properties);
        assert_eq!(warnings, [], "{}", all(&warnings));
        config.audit.map(|path| path.display().to_string())
    };
    assert_eq!(path("", &["zookeeper.log.dir=/l"]), None);
    let on = "audit.enable=true";
    assert_eq!(path(on, &[]).as_deref(), Some("./zookeeper_audit.log"));
    assert_eq!(path(on, &["zookeeper.log.dir=/l"]).as_deref(), Some("/l/zookeeper_audit.log"));
    let all = ["zookeeper.log.dir=/l", "zookeeper.auditlog.dir=/a", "zookeeper.auditlog.file=b"];
    assert_eq!(path(on, &all).as_deref(), Some("/a/b"));
    let apaches = format!("{on}\naudit.impl.class=org.apache.zookeeper.audit.Slf4jAuditLogger");
    assert!(path(&apaches, &[]).is_some());
}

#[test]
fn values_that_ask_for_nothing_are_accepted() {
    good(
        "sslQuorum=false\naudit.impl.class=not.Read\nenforce.auth.enabled=False\n\
         request_throttle_max_requests=0\nlargeRequestThreshold=-1\nconnection_throttle_tokens=0\n\
         authProvider.1=org.apache.zookeeper.server.auth.DigestAuthenticationProvider\n\
         metricsProvider.className=org.apache.zookeeper.metrics.impl.NullMetricsProvider\n\
         metricsProvider.httpPort=7000\nDigestAuthenticationProvider.digestAlg=sha-1\n\
         serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\nelectionAlg=3",
        &[],
    );
    assert_eq!(bad("electionAlg=2", &[]).len(), 1);
    assert_eq!(bad("serverCnxnFactory=com.example.Factory", &[]).len(), 1);
}

#[test]
fn the_files_of_foreign_suites_are_good() {
    let (config, _) = load_text(
        "admin.enableServer=false\ndataDir=@\ntickTime=500\ninitLimit=10\nsyncLimit=5\n\
         clientPort=10123\nreconfigEnabled=true\n4lw.commands.whitelist=*\n",
        &[
            "zookeeper.DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=",
            "zookeeper.extendedTypesEnabled=true",
            "zookeeper.emulate353TTLNodes=true",
        ],
    )
    .expect("what go-zookeeper's tests write");
    assert!(config.extended_types && config.emulate_353_ttl && config.reconfig_enabled);
    assert!(
        config.auth.digest.is_some_and(|digest| digest.super_digest.is_some())
            && config.four_letter_words.allow("ruok")
    );
    let (config, _) = load_text(
        "tickTime=2000\ndataDir=@\nclientPort=20000\nmaxClientCnxns=0\nadmin.serverPort=20003\n\
         serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n\
         4lw.commands.whitelist=*\nreconfigEnabled=true\nlocalSessionsEnabled=true\n\
         localSessionsUpgradingEnabled=true\ninitLimit=4\nsyncLimit=2\npeerType=participant\n",
        &[
            "readonlymode.enabled=true",
            "java.security.auth.login.config=@/jaas.conf",
            "zookeeper.log.dir=@",
            "log4j.configuration=file:@/log4j.properties",
        ],
    )
    .expect("what kazoo's harness writes for one server, without TLS and SASL");
    assert_eq!(config.max_client_cnxns, None);
    let container = "dataDir=@\ndataLogDir=@/log\ntickTime=2000\ninitLimit=5\nsyncLimit=2\n\
                     autopurge.snapRetainCount=3\nautopurge.purgeInterval=0\nmaxClientCnxns=60\n\
                     standaloneEnabled=true\nadmin.enableServer=true\n\
                     server.1=localhost:2888:3888;2181\n";
    let directory = Directory::new();
    directory.write("myid", "1\n");
    let text = container.replace('@', directory.0.to_str().unwrap());
    let (config, _) = load_text(&text, &[]).expect("what the official container image writes");
    assert_eq!(config.client_address, ClientAddress::Any { port: 2181 });
}

#[test]
fn one_line_says_that_there_is_no_admin_server() {
    let (_, warnings) = good("admin.enableServer=true\nadmin.serverPort=9000", &[]);
    let text = all(&warnings);
    assert!(text.contains("nothing listens on port 9000"), "{text}");
    assert_eq!(text.matches("zoo.cfg:5: admin.serverPort=9000: without effect").count(), 1);
    assert_eq!(good("", &[]).1, []);
}

#[test]
fn the_example_file_is_good_and_nothing_in_it_is_remarked_on() {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/zoo.cfg"));
    let checked = check(&Args { zoo_cfg: Some(path), properties: Vec::new() });
    assert!(checked.config.is_some(), "{}", all(&checked.errors));
    let warnings = checked.warnings.iter().filter(|w| w.severity == Severity::Warning).count();
    assert_eq!(warnings, 0, "{}", all(&checked.warnings));
}

#[test]
fn a_secret_is_in_no_message_and_no_listing() {
    let secret = "super:S3CRET";
    let words = [&*format!("zookeeper.DigestAuthenticationProvider.superDigest={secret}")];
    let (config, warnings) = good(
        "DigestAuthenticationProvider.superDigest=S3CRETtoo\nssl_keyStore_password=S3CRET\n\
         SASLAuthenticationProvider.superPassword=S3CRET",
        &words,
    );
    let facts = ConfFacts { client_port: 1, data_dir_bytes: 0, data_log_dir_bytes: 0 };
    let shown = [
        all(&warnings),
        config.effective_text(),
        config.conf_text(facts),
        format!("{config:?}"),
        format!("{warnings:?}"),
        bad("ssl.keyStore.password=S3CRET\nssl.trustStore.password=S3CRET", &words).join("\n"),
        bad("metricsProvider.ssl.keyStore.password=S3CRET\ntickTime=x", &[]).join("\n"),
    ];
    for text in shown {
        assert!(!text.contains("S3CRET"), "{text}");
    }
    assert_eq!(config.auth.digest.unwrap().super_digest.as_deref(), Some("S3CRETtoo"));
    assert!(config.effective.iter().any(|e| e.value == report::HIDDEN));
}

#[test]
fn numbers_are_decoded_as_java_decodes_each() {
    let (config, _) = good("snapCount=0x10\nmaxClientCnxns=010", &["jute.maxbuffer=#ff"]);
    assert_eq!(config.snap_count, 16);
    assert_eq!(config.max_client_cnxns, NonZeroU32::new(10));
    assert_eq!((config.jute_max_buffer, config.jute_extra_size), (255, 255));
    let (config, _) = good("jute.maxbuffer.extrasize=7", &[]);
    assert_eq!((config.jute_max_buffer, config.jute_extra_size), (0xf_ffff, 7));
    assert_eq!(bad("clientPort=0x10", &[]).len(), 1);
}

#[test]
fn the_effective_configuration_names_where_each_value_comes_from() {
    let (config, _) = good("observer.reconnectDelayMs=5", &["zookeeper.snapCount=7"]);
    let text = short(&config.effective_text().replace('\n', " \n "));
    for expected in ["# command line", "# default", "zoo.cfg:4, without effect"] {
        assert!(text.contains(expected), "{expected}\nnot in:\n{text}");
    }
}

/// The keys and properties that Apache ZooKeeper 3.9.5 reads on a server: first what
/// `QuorumPeerConfig` knows by name, then the Java properties.
const KNOWN: &str = "
    dataDir dataLogDir clientPort clientPortAddress secureClientPort secureClientPortAddress
    observerMasterPort clientPortListenBacklog tickTime maxClientCnxns minSessionTimeout
    maxSessionTimeout initLimit syncLimit connectToLearnerMasterLimit electionAlg
    quorumListenOnAllIPs peerType syncEnabled dynamicConfigFile autopurge.snapRetainCount
    autopurge.purgeInterval standaloneEnabled reconfigEnabled sslQuorum portUnification
    sslQuorumReloadCertFiles server.1 group.1 weight.1 quorum.auth.enableSasl
    quorum.auth.serverRequireSasl quorum.auth.learnerRequireSasl
    quorum.auth.learner.saslLoginContext quorum.auth.server.saslLoginContext
    quorum.auth.kerberos.servicePrincipal quorum.cnxn.threads.size jvm.pause.info-threshold.ms
    jvm.pause.warn-threshold.ms jvm.pause.sleep.time.ms jvm.pause.monitor metricsProvider.className
    metricsProvider.httpPort multiAddress.enabled multiAddress.reachabilityCheckTimeoutMs
    multiAddress.reachabilityCheckEnabled oraclePath localSessionsEnabled
    localSessionsUpgradingEnabled

    -Dzookeeper.snapCount -Dzookeeper.preAllocSize -Dzookeeper.forceSync -Djute.maxbuffer
    -Dzookeeper.extendedTypesEnabled -Dzookeeper.DigestAuthenticationProvider.superDigest
    -Dzookeeper.DigestAuthenticationProvider.digestAlg -Dzookeeper.skipACL
    -Dzookeeper.DigestAuthenticationProvider.enabled -Dzookeeper.4lw.commands.whitelist
    -Dzookeeper.globalOutstandingLimit -Dzookeeper.admin.enableServer -Dzookeeper.admin.serverPort
    -Dzookeeper.admin.serverAddress -Dzookeeper.admin.commandURL -Dzookeeper.admin.idleTimeout
    -Dzookeeper.admin.httpVersion -Dzookeeper.admin.portUnification -Dzookeeper.admin.forceHttps
    -Dzookeeper.admin.needClientAuth -Dzookeeper.admin.rateLimiterIntervalInMS
    -Dzookeeper.admin.restore.enabled -Dzookeeper.admin.snapshot.enabled
    -Dzookeeper.fsync.warningthresholdms -Dfsync.warningthresholdms -Dzookeeper.datadir.autocreate
    -Dzookeeper.db.autocreate -Dzookeeper.digest.enabled -Dzookeeper.leaderServes
    -Dreadonlymode.enabled -Dzookeeper.snapSizeLimitInKb -Dzookeeper.txnLogSizeLimitInKb
    -Dzookeeper.commitLogCount -Dzookeeper.snapshotSizeFactor -Dzookeeper.snapshot.trust.empty
    -Dzookeeper.snapshot.compression.method -Dzookeeper.flushDelay
    -Dzookeeper.maxWriteQueuePollTime -Dzookeeper.maxBatchSize -Dzookeeper.enforceQuota
    -Dzookeeper.closeSessionTxn.enabled -Dzookeeper.serializeLastProcessedZxid.enabled
    -Dzookeeper.jute.maxbuffer.extrasize -Dznode.container.checkIntervalMs
    -Dznode.container.maxPerMinute -Dznode.container.maxNeverUsedIntervalMs
    -Dzookeeper.emulate353TTLNodes -Dzookeeper.fastleader.minNotificationInterval
    -Dzookeeper.fastleader.maxNotificationInterval -Dzookeeper.learner.asyncSending
    -Dzookeeper.leader.closeSocketAsync -Dzookeeper.learner.closeSocketAsync
    -Dlearner.asyncSending -Dleader.closeSocketAsync -Dlearner.closeSocketAsync
    -Dzookeeper.observer.syncEnabled -Dzookeeper.observer.reconnectDelayMs
    -Dzookeeper.observer.election.DelayMs -Dzookeeper.observerMaster.sizeLimit
    -Dzookeeper.enforce.auth.enabled -Dzookeeper.enforce.auth.schemes
    -Dzookeeper.sessionRequireClientSASLAuth -Dzookeeper.allowSaslFailedClients
    -Dzookeeper.request_throttle_max_requests -Dzookeeper.request_throttle_stall_time
    -Dzookeeper.request_throttle_drop_stale -Dzookeeper.request_stale_connection_check
    -Dzookeeper.request_stale_latency_check -Dzookeeper.request_throttler.shutdownTimeout
    -Dzookeeper.throttled_op_wait_time -Dzookeeper.fips-mode -Dzookeeper.maxCnxns
    -Dzookeeper.nio.numSelectorThreads -Dzookeeper.nio.numWorkerThreads
    -Dzookeeper.nio.directBufferBytes -Dzookeeper.nio.sessionlessCnxnTimeout
    -Dzookeeper.nio.shutdownTimeout -Dzookeeper.commitProcessor.numWorkerThreads
    -Dzookeeper.commitProcessor.shutdownTimeout -Dzookeeper.commitProcessor.maxReadBatchSize
    -Dzookeeper.commitProcessor.maxCommitBatchSize
    -Dzookeeper.netty.server.outstandingHandshake.limit
    -Dzookeeper.netty.server.earlyDropSecureConnectionHandshakes
    -Dzookeeper.netty.advancedFlowControl.enabled -Dzookeeper.watchManagerName
    -Dzookeeper.watcherCleanIntervalInSeconds -Dzookeeper.watcherCleanThreadsNum
    -Dzookeeper.watcherCleanThreshold -Dzookeeper.maxInProcessingDeadWatchers
    -Dzookeeper.bitHashCacheSize -Dzookeeper.pathStats.delay -Dzookeeper.pathStats.enabled
    -Dzookeeper.pathStats.initialDelay -Dzookeeper.pathStats.maxDepth
    -Dzookeeper.pathStats.sampleRate -Dzookeeper.pathStats.slotCapacity
    -Dzookeeper.pathStats.slotDuration -Dzookeeper.pathStats.topPathMax
    -Dzookeeper.messageTracker.BufferSize -Dzookeeper.messageTracker.Enabled
    -Dzookeeper.testingonly.initialZxid -Dzookeeper.forceSnapshotSync
    -Dzookeeper.test.allowDiscontinuousProposals -Dzookeeper.audit.enable
    -Dzookeeper.audit.impl.class -Dzookeeper.authProvider.1 -Dzookeeper.ensembleAuthName
    -Dzookeeper.superUser -Dzookeeper.superUser.1
    -Dzookeeper.X509AuthenticationProvider.superUser
    -Dzookeeper.SASLAuthenticationProvider.superPassword -Dzookeeper.letAnySaslUserDoX
    -Dzookeeper.IPAuthenticationProvider.usexforwardedfor -Dzookeeper.sasl.serverconfig
    -Dzookeeper.kerberos.removeHostFromPrincipal -Dzookeeper.kerberos.removeRealmFromPrincipal
    -Dzookeeper.kerberos.canonicalizeHostNames -Dzookeeper.kerberos.minReLoginTimeMs
    -Dzookeeper.kinit -Dzookeeper.requireKerberosConfig -Dzookeeper.security.auth_to_local
    -Dzookeeper.server.realm -Djava.security.auth.login.config -Dzookeeper.serverCnxnFactory
    -Dzookeeper.ssl.keyStore.location -Dzookeeper.ssl.quorum.keyStore.location
    -Dzookeeper.client.portUnification -Dzookeeper.client.certReload
    -Dzookeeper.clientTcpKeepAlive -Dzookeeper.tcpKeepAlive -Dzookeeper.cnxTimeout
    -Dzookeeper.quorumCnxnTimeoutMs -Dzookeeper.electionPortBindRetry
    -Dzookeeper.connection_throttle_tokens -Dzookeeper.connection_throttle_fill_time
    -Dzookeeper.connection_throttle_fill_count -Dzookeeper.connection_throttle_freeze_time
    -Dzookeeper.connection_throttle_drop_increase -Dzookeeper.connection_throttle_drop_decrease
    -Dzookeeper.connection_throttle_decrease_ratio -Dzookeeper.connection_throttle_weight_enabled
    -Dzookeeper.connection_throttle_global_session_weight
    -Dzookeeper.connection_throttle_local_session_weight
    -Dzookeeper.connection_throttle_renew_session_weight -Dzookeeper.largeRequestThreshold
    -Dzookeeper.largeRequestMaxBytes -Dzookeeper.maxResponseCacheSize
    -Dzookeeper.maxGetChildrenResponseCacheSize -Dzookeeper.intBufferStartingSizeBytes
    -Dzookeeper.enableEagerACLCheck -Dzookeeper.follower.skipLearnerRequestToNextProcessor
    -Dzookeeper.forward_learner_requests_to_commit_processor_disabled
    -Dzookeeper.leader.ackLoggingFrequency -Dzookeeper.leader.maxTimeToWaitForEpoch
    -Dzookeeper.leader.maxConcurrentSnapSyncs -Dzookeeper.leader.maxConcurrentDiffSyncs
    -Dzookeeper.leaderConnectDelayDuringRetryMs -Dleader.nodelay -Dfollower.nodelay
    -Dzookeeper.multiAddress.enabled -Dzookeeper.multiAddress.reachabilityCheckEnabled
    -Dzookeeper.multiAddress.reachabilityCheckTimeoutMs -Dzookeeper.jmx.log4j.disable
    -Dzookeeper.log.dir -Dzookeeper.root.logger
";

#[test]
fn every_known_key_and_property_has_its_row() {
    for name in KNOWN.split_whitespace() {
        match name.strip_prefix("-D") {
            Some(property) => assert!(
                matches!(
                    setting::by_property(property),
                    Property::Sets(_) | Property::SetsAsOtherName(_)
                ),
                "{name}"
            ),
            None => {
                assert!(setting::by_key(name).is_some_and(|row| row.place != Place::Java), "{name}")
            }
        }
    }
}

#[test]
fn every_row_is_well_formed() {
    let mut keys = BTreeSet::new();
    for row in table::rows() {
        let key = row.key;
        assert!(keys.insert(key), "{key} has two rows");
        assert!(row.doc.ends_with('.') && row.doc.len() > 10, "{key}: {}", row.doc);
        assert!(!row.since.is_empty(), "{key}");
        assert!(
            row.default.is_empty() || matches!(row.kind.read(row.default), kinds::Read::Is(_)),
            "{key}: default {}",
            row.default
        );
        match row.status {
            Status::Honoured => {}
            Status::WithoutEffect(why) => assert!(!why.ends_with('.'), "{key}: {why}"),
            Status::Refused(why, harmless) => {
                assert!(!why.ends_with('.'), "{key}: {why}");
                // A default that is refused would refuse every server.
                assert!(
                    row.default.is_empty() || row.refuses(row.default).is_none(),
                    "{key}: {harmless:?}"
                );
                assert!(harmless != Harmless::False || row.refuses("true").is_some(), "{key}");
            }
        }
        let name = key.replace(".N", ".1").replace(".*", ".x");
        assert_eq!(setting::by_key(&name).map(|found| found.key), Some(key));
        if let Some(property) = row.property() {
            let property = property.replace(".N", ".1").replace(".*", ".x");
            let Property::Sets(found) = setting::by_property(&property) else {
                panic!("{key}: {property}")
            };
            assert_eq!(found.key, key);
        }
    }
}

#[test]
fn help_reference_and_compatibility_table_show_every_row() {
    let (help, reference, compat) =
        (render::help(), render::reference(), render::compat_rows().join("\n"));
    for row in table::rows() {
        assert!(help.contains(row.key), "{}", row.key);
        assert!(reference.contains(&row.key.replace('|', "\\|")), "{}", row.key);
        assert!(compat.contains(row.key), "{}", row.key);
    }
    assert_eq!(compat.lines().count(), table::rows().count());
    assert!(compat.lines().all(|line| line.matches(" | ").count() == 2));
    assert!(help.lines().all(|line| line.chars().count() <= 100), "help is readable");
}
