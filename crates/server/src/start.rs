//! From a configuration to a serving server, and from a signal to its end.

mod load;
mod member;

use crate::admin::ShellFigures;
use crate::audit::AuditLog;
use crate::auth;
use crate::clock::Clock;
use crate::config::exit::ExitCode;
use crate::config::{ClientAddress, Config};
use crate::control::Control;
use crate::disk::{Log, LogFailure};
use crate::initialize::InitializeError;
use crate::limits::RUNTIME_STOP_PATIENCE;
use crate::logging::LevelHandle;
use crate::net::listen;
use crate::purge::{self, Purging};
use crate::run::{self, Core, Ended, Message, Parts, Queue};
use crate::systemd::Systemd;
use bellwether_node::audit::AuditResult;
use bellwether_node::{ReaperSettings, Settings};
use bellwether_store::{Disk, OsDisk, StoreError, StoreOptions};
use bellwether_tree::TreeOptions;
use bellwether_wire::OwnerFormat;
use std::fmt;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

/// Where a server listens, told once it serves.
#[derive(Clone, Debug)]
pub struct Listening {
    /// The address and port for clients.
    pub clients: SocketAddr,
}

/// Why a server could not start, or could not go on.
#[derive(Debug)]
enum Failure {
    Store(StoreError),
    Load(bellwether_tree::LoadError),
    Initialize(InitializeError),
    Bind { address: ClientAddress, source: io::Error },
    Audit { path: PathBuf, source: io::Error },
    System { doing: &'static str, source: io::Error },
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Store(error) => match error.exit_code() {
                3 => ExitCode::DataDirectory,
                10 => ExitCode::Snapshot,
                _ => ExitCode::Unexpected,
            },
            Failure::Load(_)
            | Failure::Initialize(_)
            | Failure::Bind { .. }
            | Failure::Audit { .. }
            | Failure::System { .. } => ExitCode::Unexpected,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Store(error) => error.fmt(f),
            Failure::Load(error) => write!(f, "the data directory's content: {error}"),
            Failure::Initialize(error) => error.fmt(f),
            Failure::Bind { address, source } => write!(
                f,
                "cannot listen on {address}: {source}; stop what listens there, or change clientPort \
                 or clientPortAddress"
            ),
            Failure::Audit { path, source } => write!(
                f,
                "cannot open the audit log {}: {source}; create its directory, or change \
                 zookeeper.auditlog.dir or audit.enable",
                path.display()
            ),
            Failure::System { doing, source } => write!(f, "cannot {doing}: {source}"),
        }
    }
}

impl From<LogFailure> for Failure {
    fn from(failure: LogFailure) -> Failure {
        match failure {
            LogFailure::Store(error) => Failure::Store(error),
            LogFailure::Load(error) => Failure::Load(error),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

/// Runs a server until it is told to stop; `started` hears where it listens.
///
/// `levels` is what SIGUSR1, SIGUSR2 and the control socket turn.
pub fn serve(
    config: Config,
    levels: LevelHandle,
    started: impl FnOnce(&Listening) + 'static,
) -> ExitCode {
    match try_serve(config, levels, started) {
        Ok(code) => code,
        Err(failure) => {
            error!("{failure}");
            failure.exit_code()
        }
    }
}

/// The audit log hears of the start, or of its failure.
fn try_serve(
    config: Config,
    levels: LevelHandle,
    started: impl FnOnce(&Listening) + 'static,
) -> Result<ExitCode, Failure> {
    let clock = Clock::start();
    let queue = run::queue();
    let open = |path: &PathBuf| {
        let opened = AuditLog::start(path.clone(), queue.0.clone());
        opened.map_err(|source| Failure::Audit { path: path.clone(), source })
    };
    let mut audit = config.audit.as_ref().map(open).transpose()?;
    let result = serve_audited((config, levels), (clock, queue), &mut audit, started);
    if let (Err(_), Some(audit)) = (&result, &mut audit) {
        audit.started(clock.now().wall_ms, AuditResult::Failure);
    }
    result
}

fn serve_audited(
    (config, levels): (Config, LevelHandle),
    (clock, queue): (Clock, Queue),
    audit: &mut Option<AuditLog>,
    started: impl FnOnce(&Listening) + 'static,
) -> Result<ExitCode, Failure> {
    let seeds = random_seeds()?;
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let options = load::store_options(&config);
    let options_of_tree = tree_options(&config, seeds);
    let files = (disk.clone(), &options);
    let load::StartedUp { loaded, epochs, startup } =
        load::open(&config, files, (clock, options_of_tree.clone()))?;
    let figures = ShellFigures { startup, ..ShellFigures::default() };
    let mut begun = Vec::new();
    let settings = node_settings(&config, seeds);
    let (node, store) = member::node(&config, (settings, clock), (loaded, epochs), &mut begun);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::System { doing: "start the runtime", source })?;
    let ended = runtime.block_on(async {
        let (sender, messages) = queue;
        let (clients, listener) = bind(&config)?;
        let reload = load::reload(clock, options_of_tree);
        let log = Log::start(store, reload, sender.clone())
            .map_err(|source| Failure::System { doing: "start the log's thread", source })?;
        let purging = start_purging(&config, (disk.clone(), options.clone()))?;
        let control = Control::start(&config.data_dir, levels.clone());
        watch_signals(sender.clone(), levels)?;
        let systemd = Systemd::from_env();
        let sockets = member::sockets(&config, &sender);
        tokio::spawn(listen::accept(listener, listen::descriptors(), sender.clone()));
        info!(%clients, "listening for clients");
        let on_serving: Option<Box<dyn FnOnce()>> = Some(Box::new(move || {
            info!(%clients, "serving");
            started(&Listening { clients });
        }));
        let mut audit = audit.take();
        if let Some(audit) = &mut audit {
            audit.started(clock.now().wall_ms, AuditResult::Success);
        }
        let snapshots = Box::new(load::Files::new((disk, options), &config));
        let client_port = clients.port();
        let seed = seeds[1];
        let parts = Parts {
            config,
            client_port,
            clock,
            seed,
            node,
            log,
            audit,
            snapshots,
            systemd,
            figures,
            sockets,
            begun,
            on_serving,
        };
        let mut core = Core::new(parts, (sender, messages));
        let ended = core.run().await;
        core.audit_stop();
        drop((purging, control));
        let closed = core.close_log();
        Ok::<_, Failure>((ended, closed))
    });
    let (ended, closed) = ended?;
    // Connections are dropped here; what was acknowledged is on the disk.
    runtime.shutdown_timeout(RUNTIME_STOP_PATIENCE);
    closed?;
    Ok(match ended {
        Ended::Stopped => ExitCode::Finished,
        Ended::LogFailed => ExitCode::Unexpected,
        Ended::NoElectionPort => ExitCode::QuorumPort,
    })
}

/// The port for clients.
fn bind(config: &Config) -> Result<(SocketAddr, TcpListener), Failure> {
    let address = match config.client_address {
        ClientAddress::Any { .. } => None,
        ClientAddress::One(address) => Some(address),
    };
    listen::bind(address, config.client_address.port(), config.backlog)
        .and_then(|listener| Ok((listener.local_addr()?, listener)))
        .map_err(|source| Failure::Bind { address: config.client_address, source })
}

/// `None` where no interval is set.
fn start_purging(
    config: &Config,
    files: (Arc<dyn Disk>, StoreOptions),
) -> Result<Option<Purging>, Failure> {
    let retain = config.autopurge_snap_retain_count;
    let start = |interval| purge::start(files, interval, retain);
    let purging = config.autopurge_interval_hours.map(start).transpose();
    purging.map_err(|source| Failure::System { doing: "start the purging thread", source })
}

/// Seeds for hash tables and whatever else must not be guessed.
fn random_seeds() -> Result<[u64; 2], Failure> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|source| Failure::System { doing: "read /dev/urandom", source })?;
    let [low, high] = [bytes.first_chunk::<8>(), bytes.last_chunk::<8>()]
        .map(|half| u64::from_le_bytes(*half.expect("16 bytes have two halves")));
    Ok([low, high])
}

fn tree_options(config: &Config, hash_seed: [u64; 2]) -> TreeOptions {
    TreeOptions {
        hash_seed,
        owner_format: OwnerFormat {
            extended_types: config.extended_types,
            emulate_353_ttl: config.emulate_353_ttl,
        },
        digest: config.digest_enabled,
        skip_acl: config.skip_acl,
        schemes: auth::schemes(&config.auth),
        close_session_list: config.close_session_txn,
        enforce_quota: config.enforce_quota,
        txn_bytes_max: load::txn_bytes_max(config),
    }
}

pub(crate) fn node_settings(config: &Config, seeds: [u64; 2]) -> Settings {
    let ms = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    Settings {
        tick_ms: u64::from(config.tick_time_ms.max(1)),
        session_timeout_ms_min: ms(config.min_session_timeout_ms),
        session_timeout_ms_max: ms(config.max_session_timeout_ms),
        server_id: config.session_server_id,
        reconfig_enabled: config.reconfig_enabled,
        audit: config.audit.is_some(),
        enforced_schemes: config.auth.enforced.clone(),
        throttle: config.throttles.requests,
        snap_count: u64::from(config.snap_count),
        snap_bytes: config.snap_size_limit_bytes.map_or(0, std::num::NonZeroU64::get),
        snapshot_last_zxid: config.serialize_last_processed_zxid,
        reaper: ReaperSettings {
            interval_ms: u64::from(config.container_check_interval_ms),
            per_minute_max: u64::from(config.container_max_per_minute.get()),
            never_used_ms: config.container_max_never_used_ms.map_or(0, std::num::NonZeroU64::get),
        },
        seed: seeds[0] ^ seeds[1].rotate_left(32),
        tree: tree_options(config, seeds),
    }
}

/// SIGTERM and SIGINT stop the server; SIGUSR1 and SIGUSR2 make its log louder and quieter.
fn watch_signals(core: mpsc::Sender<Message>, levels: LevelHandle) -> Result<(), Failure> {
    let watch = |kind| {
        signal(kind).map_err(|source| Failure::System { doing: "watch for signals", source })
    };
    let (mut terminate, mut interrupt) =
        (watch(SignalKind::terminate())?, watch(SignalKind::interrupt())?);
    let (mut louder, mut quieter) =
        (watch(SignalKind::user_defined1())?, watch(SignalKind::user_defined2())?);
    tokio::spawn(async move {
        loop {
            let changed = tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = louder.recv() => levels.louder(),
                _ = quieter.recv() => levels.quieter(),
            };
            match changed {
                Ok(level) => info!(level, "the log's level was changed by a signal"),
                Err(error) => warn!(%error, "the log's level could not be changed"),
            }
        }
        // A core that is gone has stopped already.
        drop(core.send(Message::Stop).await);
    });
    Ok(())
}
