//! From values to a `Config`: units, addresses, and the rules that involve more than one setting.
//!
//! What it keeps true: every rule that Apache checks is checked, after all values were read, and
//! each broken one is reported. Where this server is stricter than Apache, the rule says why.
//!
//! What it leaves to others: single values (`values`), and acting on the result.

use super::auth;
use super::member::{self, ClientPart, Membership};
use super::report::Findings;
use super::throttle;
use super::values::Values;
use super::words::FourLetterWords;
use super::{Args, AsWritten, ClientAddress, Compression, Config, Member};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};

/// What the system is asked for when no backlog is given; it takes what it allows (`somaxconn`).
/// Java asks for 50, and who is turned away beyond that waits a second before trying again, which
/// is what most of the clients of a server that died would do.
const BACKLOG: u32 = 4096;
const SNAP_COUNT_MIN: u32 = 2;
const SNAP_RETAIN_COUNT_MIN: u32 = 3;

pub(super) fn build(args: &Args, values: &Values, findings: &mut Findings) -> Option<Config> {
    let data_dir = data_dir(args, values, findings);
    let Membership { member, client } = member::membership(values, data_dir.as_deref(), findings);
    let client_address = client_address(values, client, findings);
    let (min_session_timeout_ms, max_session_timeout_ms) = session_timeouts(values, findings);
    remark(values, findings);
    let snap_retain_count = snap_retain_count(values, findings);
    let auth = auth::settings(values, findings);
    let data_dir = data_dir?;
    let read_only_mode = values.flag("readonlymode.enabled");
    let jute_extra = values.int_if_any("jute.maxbuffer.extrasize");
    let jute_max_buffer = number(values.int("jute.maxbuffer"));
    Some(Config {
        zoo_cfg: args.zoo_cfg.clone(),
        data_log_dir: values.text_if_any("dataLogDir").map_or(data_dir.clone(), PathBuf::from),
        data_dir,
        datadir_autocreate: values.flag("datadir.autocreate"),
        db_autocreate: values.flag("db.autocreate"),
        client_address: client_address?,
        backlog: backlog(values),
        client_tcp_keep_alive: values.flag("clientTcpKeepAlive"),
        tick_time_ms: number(values.int("tickTime")),
        min_session_timeout_ms,
        max_session_timeout_ms,
        sessionless_timeout_ms: number(values.int("nio.sessionlessCnxnTimeout")),
        session_server_id: member.as_ref().map_or(1, Member::session_byte),
        member,
        max_client_cnxns: NonZeroU32::new(number(values.int("maxClientCnxns"))),
        max_cnxns: NonZeroU32::new(number(values.int("maxCnxns"))),
        global_outstanding_limit: number(values.int("globalOutstandingLimit")),
        throttles: throttle::all(values, findings),
        jute_max_buffer,
        jute_extra_size: jute_extra.map_or(jute_max_buffer, number),
        snap_count: number(values.int("snapCount")).max(SNAP_COUNT_MIN),
        snap_size_limit_bytes: bytes_of_kib(values.int("snapSizeLimitInKb")),
        txn_log_size_limit_bytes: bytes_of_kib(values.int("txnLogSizeLimitInKb")),
        pre_alloc_bytes: bytes_of_kib(values.int("preAllocSize")).map_or(0, NonZeroU64::get),
        force_sync: values.flag("forceSync"),
        fsync_warning_threshold_ms: long(values.int("fsync.warningthresholdms")),
        snapshot_compression: compression(values),
        snapshot_trust_empty: values.flag("snapshot.trust.empty"),
        digest_enabled: values.flag("digest.enabled"),
        close_session_txn: values.flag("closeSessionTxn.enabled"),
        serialize_last_processed_zxid: values.flag("serializeLastProcessedZxid.enabled"),
        autopurge_interval_hours: NonZeroU32::new(number(values.int("autopurge.purgeInterval"))),
        autopurge_snap_retain_count: snap_retain_count,
        extended_types: values.flag("extendedTypesEnabled"),
        emulate_353_ttl: values.flag("emulate353TTLNodes"),
        container_check_interval_ms: number(values.int("znode.container.checkIntervalMs")),
        container_max_per_minute: NonZeroU32::new(number(
            values.int("znode.container.maxPerMinute"),
        ))
        .unwrap_or(NonZeroU32::MIN),
        container_max_never_used_ms: NonZeroU64::new(long(
            values.int("znode.container.maxNeverUsedIntervalMs"),
        )),
        skip_acl: values.flag("skipACL"),
        audit: audit(values, findings),
        auth,
        enforce_quota: values.flag("enforceQuota"),
        four_letter_words: FourLetterWords::parse(
            &values.text("4lw.commands.whitelist"),
            read_only_mode,
        ),
        reconfig_enabled: values.flag("reconfigEnabled"),
        effective: values.effective(),
        as_written: AsWritten {
            max_client_cnxns: values.int("maxClientCnxns"),
            backlog: values.int("clientPortListenBacklog"),
        },
    })
}

/// The only class that writes the audit log.
const AUDIT_CLASS: &str = "org.apache.zookeeper.audit.Slf4jAuditLogger";

/// The audit log's file. A class of someone else's would be a silent loss of their audit.
fn audit(values: &Values, findings: &mut Findings) -> Option<PathBuf> {
    if !values.flag("audit.enable") {
        return None;
    }
    let class = values.text("audit.impl.class");
    if class != AUDIT_CLASS {
        findings.broken_rule(
            ["audit.enable", "audit.impl.class"]
                .into_iter()
                .filter_map(|key| values.written(key))
                .collect(),
            format!(
                "the class {class} cannot be loaded: classes of Java are not. Remove audit.impl.class \
                 for the audit log in Apache's own form, or audit.enable for none"
            ),
        );
    }
    let given = values.text_if_any("auditlog.dir").or_else(|| values.text_if_any("log.dir"));
    let dir = given.filter(|dir| !dir.is_empty()).map_or_else(|| ".".into(), PathBuf::from);
    Some(dir.join(values.text("auditlog.file")))
}

/// Below zero means zero wherever a row allows it.
fn number(value: i64) -> u32 {
    u32::try_from(value.max(0)).expect("the row's range ends at Java's largest int")
}

fn long(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Zero and below: no limit. The rows' ranges leave room for the bytes.
fn bytes_of_kib(kib: i64) -> Option<NonZeroU64> {
    NonZeroU64::new(long(kib).saturating_mul(1024))
}

fn backlog(values: &Values) -> u32 {
    match number(values.int("clientPortListenBacklog")) {
        0 => BACKLOG,
        given => given,
    }
}

fn compression(values: &Values) -> Compression {
    match values.text("snapshot.compression.method").as_str() {
        "gz" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        _ => Compression::None,
    }
}

fn data_dir(args: &Args, values: &Values, findings: &mut Findings) -> Option<PathBuf> {
    for key in ["dataDir", "dataLogDir"] {
        let relative = values
            .text_if_any(key)
            .is_some_and(|path| Path::new(&path).is_relative() && !path.starts_with("./"));
        if relative {
            findings.warn(
                values.written(key),
                "a relative path depends on the directory in which the server is started. Write a \
                 full path, or put ./ before it if it is meant so",
            );
        }
    }
    let given = values.text_if_any("dataDir").map(PathBuf::from);
    // Without a zoo.cfg the reason was found already.
    if args.zoo_cfg.is_some() && given.is_none() && values.written("dataDir").is_none() {
        findings.broken_rule(
            Vec::new(),
            "dataDir is not set: expected a line dataDir=PATH, the directory of the server's data",
        );
    }
    given
}

/// Apache's defaults are 2 and 20 ticks.
fn session_timeouts(values: &Values, findings: &mut Findings) -> (u32, u32) {
    let tick = values.int("tickTime");
    let ticks = |key: &str, count: i64| match values.int(key) {
        -1 => (tick * count).min(i64::from(i32::MAX)),
        given => given,
    };
    let (min, max) = (ticks("minSessionTimeout", 2), ticks("maxSessionTimeout", 20));
    if min > max {
        let keys = ["minSessionTimeout", "maxSessionTimeout", "tickTime"];
        findings.broken_rule(
            keys.into_iter().filter_map(|key| values.written(key)).collect(),
            format!(
                "expected minSessionTimeout ({min} ms; 2 ticks if unset) not to be above \
                 maxSessionTimeout ({max} ms; 20 ticks if unset)"
            ),
        );
    }
    (number(min), number(max))
}

fn client_address(
    values: &Values,
    part: Option<ClientPart>,
    findings: &mut Findings,
) -> Option<ClientAddress> {
    let port = values.int_if_any("clientPort").and_then(|port| u16::try_from(port).ok());
    let host = values.text_if_any("clientPortAddress");
    let own = port.and_then(|port| resolve(host.as_deref(), port, values, findings));
    match part {
        Some(ClientPart { line, host, port: part_port }) => {
            let in_line = resolve(host.as_deref(), part_port, values, findings)?;
            if let Some(own) = own.filter(|own| contradicts(*own, in_line)) {
                let keys = ["clientPort", "clientPortAddress", line.as_str()].into_iter();
                findings.broken_rule(
                    keys.filter_map(|key| values.written(key)).collect(),
                    format!("two places for clients, {own} and {in_line}: expected one"),
                );
            }
            Some(in_line)
        }
        None => {
            if values.written("clientPort").is_none() {
                let written = values.written("clientPortAddress").into_iter().collect();
                findings.broken_rule(
                    written,
                    "clientPort is not set, so no client could connect (Apache starts and serves \
                     nobody): expected a line clientPort=PORT, usually 2181",
                );
            }
            own
        }
    }
}

/// Apache lets a line for all addresses stand beside one for a single address of the same port.
fn contradicts(own: ClientAddress, in_line: ClientAddress) -> bool {
    match own {
        ClientAddress::Any { port } => port != in_line.port(),
        ClientAddress::One(_) => own != in_line,
    }
}

/// Looks a name up; `None` stands for all addresses.
fn resolve(
    host: Option<&str>,
    port: u16,
    values: &Values,
    findings: &mut Findings,
) -> Option<ClientAddress> {
    let ipv4_only = values.flag("java.net.preferIPv4Stack");
    let Some(host) = host else {
        let v4 = ClientAddress::One(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port));
        return Some(if ipv4_only { v4 } else { ClientAddress::Any { port } });
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = (bare, port).to_socket_addrs();
    let address = match &found {
        // Java prefers IPv4 addresses.
        Ok(found) => {
            let mut all = found.clone();
            found.clone().find(SocketAddr::is_ipv4).or_else(|| all.next())
        }
        Err(_) => None,
    };
    if address.is_none() {
        let why = found.err().map_or("it has no address".to_owned(), |error| error.to_string());
        findings.broken_rule(
            values.written("clientPortAddress").into_iter().collect(),
            format!("`{host}` cannot be looked up ({why}): expected an address of this machine"),
        );
    }
    let address = address?;
    let any = address.ip().is_unspecified() && (address.is_ipv6() || !ipv4_only);
    Some(if any { ClientAddress::Any { port } } else { ClientAddress::One(address) })
}

fn snap_retain_count(values: &Values, findings: &mut Findings) -> u32 {
    let key = "autopurge.snapRetainCount";
    let given = number(values.int(key));
    if given < SNAP_RETAIN_COUNT_MIN {
        let text = format!(
            "fewer than {SNAP_RETAIN_COUNT_MIN} are not kept: it counts as \
                            {SNAP_RETAIN_COUNT_MIN}, as on Apache"
        );
        findings.warn(values.written(key), text);
    }
    given.max(SNAP_RETAIN_COUNT_MIN)
}

/// Settings that are honoured and less safe than their default, and what does not exist.
fn remark(values: &Values, findings: &mut Findings) {
    if !values.flag("forceSync") {
        findings.warn(
            values.written("forceSync"),
            "writes are answered before they are on stable storage: a crash of the machine loses \
             writes that clients were told are done. Remove the line to be safe",
        );
    }
    if values.flag("skipACL") {
        findings.warn(
            values.written("skipACL"),
            "access is not checked: every client may read and write everything. Remove the line \
             to be safe",
        );
    }
    if values.int("snapCount") < i64::from(SNAP_COUNT_MIN) {
        let text = format!("it counts as {SNAP_COUNT_MIN}, as on Apache");
        findings.warn(values.written("snapCount"), text);
    }
    if values.flag("admin.enableServer") {
        findings.note(
            None,
            format!(
                "the HTTP admin server does not exist in this version: nothing listens on port {}",
                values.int("admin.serverPort")
            ),
        );
    }
}
