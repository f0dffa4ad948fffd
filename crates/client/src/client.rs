//! The operations, a method each.

use crate::certainty::Certainty;
use crate::chroot::Chroot;
use crate::connection::{Answer, Command, Control, NewWatch};
use crate::error::{Error, Sent, SessionEnd};
use crate::hosts::Host;
use crate::limits::EVENT_QUEUE;
use crate::request::{
    ANY_VERSION, Create, CreateMode, Multi, MultiRead, ReadResult, Reconfiguration,
};
use crate::session::{SessionEvent, encode};
use crate::watcher::{Change, Handle, Listener, OneshotWatcher, PersistentWatcher};
use crate::watches::{WatchId, WatchKind};
use bellwether_wire::client::{AddWatchMode, ClientInfo, OpResult, ReplyBody, Request, WatchEvent};
use bellwether_wire::{Acl, Data, ErrorCode, OpCode, SessionId, Stat};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// How the session is at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// No server has it; one is being looked for.
    Connecting,
    /// A server has it.
    Connected,
    /// A server that only reads has it.
    ConnectedReadOnly,
    /// It is over.
    Ended(SessionEnd),
}

/// Which server has the session, and under which terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The server, as the connect string names it.
    pub server: Host,
    /// The session.
    pub session: SessionId,
    /// The session timeout that was agreed.
    pub timeout_ms: u32,
}

/// A session with a ZooKeeper ensemble. Clones share it.
///
/// Requests of any number of tasks travel at once. They are sent, and answered, in the order in
/// which their futures were first polled. When the last clone is dropped, the session is closed in
/// the background; [`Client::close`] waits for that. Watches do not keep it open.
///
/// Dropping the future of an operation does not take the request back; only where more than a
/// thousand wait for their turn, those that nobody waits for any more may be left out.
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    pub(crate) control: mpsc::UnboundedSender<Control>,
    pub(crate) state: watch::Receiver<SessionState>,
    pub(crate) peer: watch::Receiver<Option<Peer>>,
    pub(crate) notifications: broadcast::WeakSender<WatchEvent>,
    /// Weak, so that its subscribers see the end when the connection task has ended.
    pub(crate) events: broadcast::WeakSender<SessionEvent>,
    pub(crate) certainty: Arc<Certainty>,
    pub(crate) next_watch: AtomicU64,
    /// For names that nobody else gives.
    pub(crate) next_name: AtomicU64,
    pub(crate) chroot: Chroot,
    pub(crate) request_bytes_max: usize,
}

/// What a create made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its path, with the number that was appended to a sequential one.
    pub path: Box<str>,
    /// Its stat. `czxid` orders it among everything that was ever created.
    pub stat: Stat,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("state", &self.state()).finish_non_exhaustive()
    }
}

/// Where servers keep the ensemble's configuration, outside of every chroot.
const CONFIG_NODE: &str = "/zookeeper/config";

/// Takes a body apart. It was decoded by the request's own operation, so that it is of another
/// shape only if a row of the table of replies is wrong.
macro_rules! expect_body {
    ($body:expr, $pattern:pat => $value:expr) => {{
        let $pattern = $body else {
            unreachable!("a reply's body is decoded by its request's operation")
        };
        Ok($value)
    }};
}

impl Client {
    /// Creates a node.
    pub async fn create(&self, create: Create) -> Result<Created, Error> {
        let path = create.path.clone();
        let request = create.into_request(&self.shared.chroot)?;
        let body = self.call(&path, &request, None).await?;
        expect_body!(body, ReplyBody::PathStat(path, stat) => Created {
            path: self.shared.chroot.strip(&path).into(),
            stat,
        })
    }

    /// Sees to it that a node and all above it exist: those that are missing are created
    /// persistent, empty, open to everybody, each by a request of its own; those that are there are
    /// left as they are. When it fails, what it created stays; to repeat it does no harm.
    pub async fn ensure_path(&self, path: &str) -> Result<(), Error> {
        if self.exists(path).await?.is_some() {
            return Ok(());
        }
        let mut forbidden = None;
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
        for node in ends.filter_map(|end| path.get(..end)) {
            match self.create(Create::new(node, CreateMode::Persistent).data(b"")).await {
                Ok(_) => {}
                // Whoever created it: it is there, or the next one says that it is not.
                Err(error) if error.code() == Some(ErrorCode::NodeExists) => {}
                // Below an access control list that lets nobody create, it may exist all the same.
                Err(error) if error.code() == Some(ErrorCode::NoAuth) && node != path => {
                    forbidden = Some(error);
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    return Err(forbidden.unwrap_or(error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Deletes a node, if it has this version.
    pub async fn delete(&self, path: &str, version: Option<i32>) -> Result<(), Error> {
        let version = version.unwrap_or(ANY_VERSION);
        let request = Request::Delete { path: self.shared.chroot.apply(path)?, version };
        self.call(path, &request, None).await.map(drop)
    }

    /// A node's stat; `None` if there is no such node.
    pub async fn exists(&self, path: &str) -> Result<Option<Stat>, Error> {
        let request = Request::Exists { path: self.shared.chroot.apply(path)?, watch: false };
        stat_or_absent(self.call(path, &request, None).await)
    }

    /// Likewise, with a watch that fires when the node is created, changed or deleted.
    pub async fn exists_and_watch(
        &self,
        path: &str,
    ) -> Result<(Option<Stat>, OneshotWatcher), Error> {
        let request = Request::Exists { path: self.shared.chroot.apply(path)?, watch: true };
        let (watcher, watch) = self.oneshot_watch(path, WatchKind::Data)?;
        let stat = stat_or_absent(self.call(path, &request, Some(watch)).await)?;
        Ok((stat, watcher))
    }

    /// A node's data and stat. Null, which is not the same as empty, is `None`.
    pub async fn get_data(&self, path: &str) -> Result<(Option<Data>, Stat), Error> {
        let request = Request::GetData { path: self.shared.chroot.apply(path)?, watch: false };
        let body = self.call(path, &request, None).await?;
        expect_body!(body, ReplyBody::Data(data, stat) => (data, stat))
    }

    /// Likewise, with a watch that fires when the node is changed or deleted.
    pub async fn get_data_and_watch(
        &self,
        path: &str,
    ) -> Result<(Option<Data>, Stat, OneshotWatcher), Error> {
        let request = Request::GetData { path: self.shared.chroot.apply(path)?, watch: true };
        let (watcher, watch) = self.oneshot_watch(path, WatchKind::Data)?;
        let body = self.call(path, &request, Some(watch)).await?;
        expect_body!(body, ReplyBody::Data(data, stat) => (data, stat, watcher))
    }

    /// Sets a node's data, if it has this version.
    pub async fn set_data(
        &self,
        path: &str,
        data: &[u8],
        version: Option<i32>,
    ) -> Result<Stat, Error> {
        let version = version.unwrap_or(ANY_VERSION);
        let data = Some(data.into());
        let request = Request::SetData { path: self.shared.chroot.apply(path)?, data, version };
        let body = self.call(path, &request, None).await?;
        expect_body!(body, ReplyBody::Stat(stat) => stat)
    }

    /// The names of a node's children, in no order.
    pub async fn get_children(&self, path: &str) -> Result<Vec<Box<str>>, Error> {
        let request = Request::GetChildren { path: self.shared.chroot.apply(path)?, watch: false };
        let body = self.call(path, &request, None).await?;
        expect_body!(body, ReplyBody::Children(names) => names.names())
    }

    /// The names of a node's children, in no order, and its stat.
    pub async fn get_children_and_stat(&self, path: &str) -> Result<(Vec<Box<str>>, Stat), Error> {
        let request = Request::GetChildren2 { path: self.shared.chroot.apply(path)?, watch: false };
        let body = self.call(path, &request, None).await?;
        expect_body!(body, ReplyBody::Children2(names, stat) => (names.names(), stat))
    }

    /// Likewise, with a watch that fires when a child is created or deleted, or the node itself is
    /// deleted.
    pub async fn get_children_and_watch(
        &self,
        path: &str,
    ) -> Result<(Vec<Box<str>>, Stat, OneshotWatcher), Error> {
        let request = Request::GetChildren2 { path: self.shared.chroot.apply(path)?, watch: true };
        let (watcher, watch) = self.oneshot_watch(path, WatchKind::Child)?;
        let body = self.call(path, &request, Some(watch)).await?;
        expect_body!(body, ReplyBody::Children2(names, stat) => (names.names(), stat, watcher))
    }

    /// How many nodes there are below a node.
    pub async fn get_all_children_number(&self, path: &str) -> Result<i32, Error> {
        let request = Request::GetAllChildrenNumber { path: self.shared.chroot.apply(path)? };
        let body = self.call(path, &request, None).await?;
        expect_body!(body, ReplyBody::Count(count) => count)
    }

    /// The paths of this session's ephemeral nodes that start with `prefix`.
    pub async fn get_ephemerals(&self, prefix: &str) -> Result<Vec<Box<str>>, Error> {
        let request = Request::GetEphemerals { prefix: self.shared.chroot.apply(prefix)? };
        let body = self.call(prefix, &request, None).await?;
        let strip = |path: Box<str>| self.shared.chroot.strip(&path).into();
        expect_body!(body, ReplyBody::Ephemerals(paths) => paths.into_iter().map(strip).collect())
    }

    /// A node's access control list and stat.
    pub async fn get_acl(&self, path: &str) -> Result<(Vec<Acl>, Stat), Error> {
        let request = Request::GetAcl { path: self.shared.chroot.apply(path)? };
        let body = self.call(path, &request, None).await?;
        expect_body!(body, ReplyBody::Acl(acl, stat) => (acl, stat))
    }

    /// Sets a node's access control list, if it has this `aversion`.
    pub async fn set_acl(
        &self,
        path: &str,
        acl: Vec<Acl>,
        aversion: Option<i32>,
    ) -> Result<Stat, Error> {
        let version = aversion.unwrap_or(ANY_VERSION);
        let acl = Some(acl);
        let request = Request::SetAcl { path: self.shared.chroot.apply(path)?, acl, version };
        let body = self.call(path, &request, None).await?;
        expect_body!(body, ReplyBody::Stat(stat) => stat)
    }

    /// Waits until the server has caught up with the leader as of this request.
    pub async fn sync(&self, path: &str) -> Result<(), Error> {
        let request = Request::Sync { path: self.shared.chroot.apply(path)? };
        self.call(path, &request, None).await.map(drop)
    }

    /// Does several writes, all or none. The results are in the order of the operations.
    pub async fn multi(&self, multi: Multi) -> Result<Vec<OpResult>, Error> {
        let request = multi.into_request(&self.shared.chroot)?;
        let body = self.call("", &request, None).await?;
        let results: Vec<OpResult> = expect_body!(body, ReplyBody::Multi(results) => results)?;
        let refused =
            results.iter().enumerate().find_map(|(index, result)| match refusal(result) {
                None | Some(ErrorCode::Ok | ErrorCode::RuntimeInconsistency) => None,
                Some(code) => Some((index, code)),
            });
        match refused {
            Some((index, code)) => Err(Error::Multi { index, code, results }),
            None => Ok(results.into_iter().map(|result| self.inside(result)).collect()),
        }
    }

    /// Reads several nodes in one request (3.6). Each has a result of its own.
    pub async fn multi_read(&self, reads: MultiRead) -> Result<Vec<ReadResult>, Error> {
        let request = reads.into_request(&self.shared.chroot)?;
        let body = self.call("", &request, None).await?;
        let results: Vec<OpResult> = expect_body!(body, ReplyBody::Multi(results) => results)?;
        Ok(results.into_iter().map(ReadResult::from).collect())
    }

    /// Sets a watch that fires until it is removed: for the node and its children's names, or for
    /// the node and everything below it.
    pub async fn add_watch(
        &self,
        path: &str,
        mode: AddWatchMode,
    ) -> Result<PersistentWatcher, Error> {
        let request =
            Request::AddWatch { path: self.shared.chroot.apply(path)?, mode: mode.code() };
        let kind = match mode {
            AddWatchMode::Persistent => WatchKind::Persistent,
            AddWatchMode::PersistentRecursive => WatchKind::PersistentRecursive,
        };
        let (listener, news) = broadcast::channel(EVENT_QUEUE);
        let handle = self.handle();
        let watch = self.new_watch(&handle, path, kind, Listener::Lasting(listener))?;
        let watcher = PersistentWatcher::new(news, handle);
        self.call(path, &request, Some(watch)).await?;
        Ok(watcher)
    }

    /// Adds an identity to the session and waits until the server has accepted it. It is shown to
    /// every later server too. A refusal ends the session.
    pub async fn add_auth(&self, scheme: &str, auth: &[u8]) -> Result<(), Error> {
        let request = Request::Auth { scheme: scheme.into(), auth: Some(auth.into()) };
        self.check_size(encode(0, &request).len())?;
        let (reply, answer) = oneshot::channel();
        let command = Command::AddAuth { scheme: scheme.into(), auth: auth.into(), reply };
        self.ask("", OpCode::Auth, command, answer).await.map(drop)
    }

    /// The identities of this session, as the server sees them (3.7).
    pub async fn whoami(&self) -> Result<Vec<ClientInfo>, Error> {
        let body = self.call("", &Request::WhoAmI, None).await?;
        expect_body!(body, ReplyBody::WhoAmI(infos) => infos)
    }

    /// The ensemble's configuration and its stat, whatever path this client is below.
    pub async fn get_config(&self) -> Result<(Option<Data>, Stat), Error> {
        let request = Request::GetData { path: CONFIG_NODE.into(), watch: false };
        let body = self.call(CONFIG_NODE, &request, None).await?;
        expect_body!(body, ReplyBody::Data(data, stat) => (data, stat))
    }

    /// Likewise, with a watch that fires when the configuration changes.
    pub async fn get_config_and_watch(
        &self,
    ) -> Result<(Option<Data>, Stat, OneshotWatcher), Error> {
        let request = Request::GetData { path: CONFIG_NODE.into(), watch: true };
        let (listener, news) = oneshot::channel();
        let (handle, listener) = (self.handle(), Listener::Once(listener));
        let (id, path, kind) = (handle.id, CONFIG_NODE.into(), WatchKind::Data);
        let watcher = OneshotWatcher::new(news, handle);
        let watch = NewWatch { id, path, kind, listener };
        let body = self.call(CONFIG_NODE, &request, Some(watch)).await?;
        expect_body!(body, ReplyBody::Data(data, stat) => (data, stat, watcher))
    }

    /// Changes the ensemble's members, if the configuration has this version. Gives the new one.
    pub async fn reconfigure(
        &self,
        change: Reconfiguration,
        version: Option<i64>,
    ) -> Result<(Option<Data>, Stat), Error> {
        let version = version.unwrap_or(i64::from(ANY_VERSION));
        let (joining, leaving, members) = match change {
            Reconfiguration::Members(members) => (None, None, Some(members)),
            Reconfiguration::Incremental { joining, leaving } => (joining, leaving, None),
        };
        let request = Request::Reconfig { joining, leaving, members, version };
        let body = self.call("", &request, None).await?;
        expect_body!(body, ReplyBody::Data(data, stat) => (data, stat))
    }

    /// Ends the session and with it its ephemeral nodes. Without a connection it ends at once here
    /// and by its timeout there.
    pub async fn close(self) {
        // If the connection task is gone, the session has ended already.
        self.shared.control.send(Control::Close).ok();
        let mut state = self.shared.state.clone();
        // An error says that the task is gone: just as well.
        state.wait_for(|state| matches!(state, SessionState::Ended(_))).await.ok();
    }

    /// 32 hexadecimal digits that no session and no other call gives.
    pub fn unique_name(&self) -> String {
        // Relaxed: the numbers only have to differ.
        let number = self.shared.next_name.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}{number:016x}", self.session_id().0)
    }

    /// How the session is at this moment.
    pub fn state(&self) -> SessionState {
        *self.shared.state.borrow()
    }

    /// Which server has the session; `None` while it has none.
    pub fn peer(&self) -> Option<Peer> {
        self.shared.peer.borrow().clone()
    }

    /// Everything that the server tells of from here on, whichever watches it is for, each once.
    pub fn notifications(&self) -> Notifications {
        let events = self.shared.notifications.upgrade().map(|events| events.subscribe());
        Notifications { events, chroot: self.shared.chroot.clone() }
    }

    /// The session's events from here on.
    pub fn session_events(&self) -> SessionEvents {
        SessionEvents { events: self.shared.events.upgrade().map(|events| events.subscribe()) }
    }

    fn handle(&self) -> Handle {
        // Relaxed: the numbers only have to differ.
        let id = WatchId(self.shared.next_watch.fetch_add(1, Ordering::Relaxed));
        let (control, chroot) = (self.shared.control.clone(), self.shared.chroot.clone());
        Handle { id, control, chroot }
    }

    fn new_watch(
        &self,
        handle: &Handle,
        path: &str,
        kind: WatchKind,
        listener: Listener,
    ) -> Result<NewWatch, Error> {
        Ok(NewWatch { id: handle.id, path: self.shared.chroot.apply(path)?, kind, listener })
    }

    fn oneshot_watch(
        &self,
        path: &str,
        kind: WatchKind,
    ) -> Result<(OneshotWatcher, NewWatch), Error> {
        let (listener, news) = oneshot::channel();
        let handle = self.handle();
        let watch = self.new_watch(&handle, path, kind, Listener::Once(listener))?;
        Ok((OneshotWatcher::new(news, handle), watch))
    }

    fn check_size(&self, frame_bytes: usize) -> Result<(), Error> {
        let (bytes, limit_bytes) = (frame_bytes - 4, self.shared.request_bytes_max);
        if bytes <= limit_bytes { Ok(()) } else { Err(Error::TooLarge { bytes, limit_bytes }) }
    }

    pub(crate) async fn call(
        &self,
        path: &str,
        request: &Request,
        watch: Option<NewWatch>,
    ) -> Result<ReplyBody, Error> {
        let (op, frame) = (request.op(), encode(0, request));
        self.check_size(frame.len())?;
        let (reply, answer) = oneshot::channel();
        self.ask(path, op, Command::Submit { op, frame, watch, reply }, answer).await
    }

    async fn ask(
        &self,
        path: &str,
        op: OpCode,
        command: Command,
        answer: oneshot::Receiver<Answer>,
    ) -> Result<ReplyBody, Error> {
        if self.shared.commands.send(command).is_err() {
            return Err(Error::SessionEnded(self.end(), Sent::No));
        }
        match answer.await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(failure)) => Err(failure.into_error(op, path)),
            // The task answers everything before it ends, unless the runtime was shut down.
            Err(_) => Err(Error::SessionEnded(self.end(), Sent::Yes)),
        }
    }

    fn end(&self) -> SessionEnd {
        match self.state() {
            SessionState::Ended(end) => end,
            SessionState::Connecting
            | SessionState::Connected
            | SessionState::ConnectedReadOnly => SessionEnd::Closed,
        }
    }

    fn inside(&self, result: OpResult) -> OpResult {
        let strip = |path: Box<str>| self.shared.chroot.strip(&path).into();
        match result {
            OpResult::Create(path) => OpResult::Create(strip(path)),
            OpResult::CreateStat(path, stat) => OpResult::CreateStat(strip(path), stat),
            OpResult::Delete
            | OpResult::SetData(_)
            | OpResult::Check
            | OpResult::GetData(..)
            | OpResult::GetChildren(_)
            | OpResult::Error(_) => result,
        }
    }
}

fn refusal(result: &OpResult) -> Option<ErrorCode> {
    match result {
        OpResult::Error(code) => Some(*code),
        OpResult::Create(_)
        | OpResult::CreateStat(..)
        | OpResult::Delete
        | OpResult::SetData(_)
        | OpResult::Check
        | OpResult::GetData(..)
        | OpResult::GetChildren(_) => None,
    }
}

fn stat_or_absent(answer: Result<ReplyBody, Error>) -> Result<Option<Stat>, Error> {
    match answer {
        Ok(body) => expect_body!(body, ReplyBody::Stat(stat) => Some(stat)),
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What happens to a session, as a stream that ends with it.
#[derive(Debug)]
pub struct SessionEvents {
    pub(crate) events: Option<broadcast::Receiver<SessionEvent>>,
}

impl SessionEvents {
    /// The next event; `None` after the last. A reader that leaves very many unread misses the
    /// oldest of them.
    pub async fn next(&mut self) -> Option<SessionEvent> {
        let events = self.events.as_mut()?;
        loop {
            match events.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// What the server tells of, as a stream that ends with the session.
#[derive(Debug)]
pub struct Notifications {
    events: Option<broadcast::Receiver<WatchEvent>>,
    chroot: Chroot,
}

impl Notifications {
    /// The next one; [`Change::Gap`] where very many were unread, `None` after the last.
    pub async fn next(&mut self) -> Option<Change> {
        match self.events.as_mut()?.recv().await {
            Ok(event) => Some(Change::Event(self.inside(event))),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Change::Gap),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    fn inside(&self, event: WatchEvent) -> WatchEvent {
        WatchEvent { path: self.chroot.strip(&event.path).into(), ..event }
    }
}
