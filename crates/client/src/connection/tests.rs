//! The whole client against a peer that the test plays itself, over pipes in memory and with a
//! clock that jumps when everybody waits.

use crate::limits::{EVENT_QUEUE, LINE_KEPT, REQUESTS_MAX};
use crate::transport::{Connecting, Transport};
use crate::{
    Change, Client, Connector, Create, CreateMode, Error, Fate, Host, SessionEnd, SessionEvent,
    SessionState,
};
use bellwether_wire::client::request::RequestHeader;
use bellwether_wire::client::{
    AddWatchMode, ConnectRequest, ConnectResponse, EventType, KeeperState, Reply, ReplyBody,
    Request, WatchEvent, frame, xid,
};
use bellwether_wire::{ErrorCode, OpCode, Password, Reader, SessionId, Stat, Zxid};
use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;

/// Connects to whoever holds the other end of the channel.
struct Pipes(mpsc::UnboundedSender<DuplexStream>);

impl Transport for Pipes {
    type Stream = DuplexStream;

    fn connect(&self, _: &Host) -> Connecting<DuplexStream> {
        let (near, far) = tokio::io::duplex(1 << 16);
        let sent = self.0.send(far);
        Box::pin(async move {
            match sent {
                Ok(()) => Ok(near),
                Err(_) => Err(io::Error::other("nobody is there")),
            }
        })
    }
}

/// The server's end.
struct Peer {
    stream: DuplexStream,
}

impl Peer {
    async fn accept(pipes: &mut mpsc::UnboundedReceiver<DuplexStream>) -> Peer {
        let mut peer = Peer { stream: pipes.recv().await.expect("the client is there") };
        let body = peer.frame().await.expect("a connect request");
        ConnectRequest::decode(&body).unwrap();
        let response = ConnectResponse {
            timeout_ms: 9_000,
            session: SessionId(7),
            password: Password([3; 16]),
            read_only: Some(false),
        };
        let mut bytes = Vec::new();
        frame::write(&mut bytes, |out| response.encode(out));
        peer.stream.write_all(&bytes).await.unwrap();
        peer
    }

    /// `None` when the client has hung up.
    async fn frame(&mut self) -> Option<Vec<u8>> {
        let len = self.stream.read_i32().await.ok()?;
        let mut body = vec![0; usize::try_from(len).unwrap()];
        self.stream.read_exact(&mut body).await.ok()?;
        Some(body)
    }

    async fn request(&mut self) -> Option<(i32, Request)> {
        let body = self.frame().await?;
        let r = &mut Reader::new(&body);
        let header = RequestHeader::decode(r).unwrap();
        let op = OpCode::from_code(header.op).unwrap();
        Some((header.xid, Request::decode(op, r).unwrap()))
    }

    async fn reply(&mut self, xid: i32, result: Result<ReplyBody, ErrorCode>) {
        let mut bytes = Vec::new();
        let reply = Reply { xid, zxid: Zxid(5), result };
        frame::write(&mut bytes, |out| reply.encode(out));
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn fire(&mut self, event: EventType, path: &str) {
        let state = KeeperState::SyncConnected;
        let event = WatchEvent { zxid: Zxid(5), event, state, path: path.into() };
        let mut bytes = Vec::new();
        frame::write(&mut bytes, |out| event.encode(out));
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// Answers the next request, which must be for data.
    async fn answer_get(&mut self) -> Request {
        let (xid, request) = self.request().await.expect("a request");
        let body = ReplyBody::Data(Some((*b"data").into()), Stat::default());
        self.reply(xid, Ok(body)).await;
        request
    }
}

async fn connected(servers: &str) -> (Client, Peer, mpsc::UnboundedReceiver<DuplexStream>) {
    let (sender, mut pipes) = mpsc::unbounded_channel();
    let connector = Connector::new().seed(1);
    let (client, peer) =
        tokio::join!(connector.connect_over(Pipes(sender), servers), Peer::accept(&mut pipes));
    (client.expect("the peer answered"), peer, pipes)
}

#[tokio::test(start_paused = true)]
async fn many_callers_share_one_connection_and_each_gets_its_own_answer() {
    let (client, mut peer, _pipes) = connected("a").await;
    let callers: Vec<_> = (0..500)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move {
                let created = client.create(Create::new(&format!("/{n}"), CreateMode::Persistent));
                assert_eq!(*created.await.unwrap().path, format!("/{n}-answer"));
            })
        })
        .collect();
    for expected_xid in 1..=500 {
        let (xid, request) = peer.request().await.unwrap();
        assert_eq!(xid, expected_xid);
        let Request::Create2(create) = request else { panic!("{request:?}") };
        let path = format!("{}-answer", create.path).into();
        peer.reply(xid, Ok(ReplyBody::PathStat(path, Stat::default()))).await;
    }
    for caller in callers {
        caller.await.unwrap();
    }
}

/// Lets everybody have a turn who is ready now, but nobody whom they wake.
async fn own_turn() {
    let mut again = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        match std::mem::replace(&mut again, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

/// Enough of them that most find no room; the server answers now and then, so that some who find
/// room come while others have just been given it.
#[tokio::test(start_paused = true)]
async fn who_asks_first_is_sent_first_however_many_ask() {
    let (client, mut peer, _pipes) = connected("a").await;
    let asking = tokio::spawn(async move {
        for n in 0..5_000 {
            let client = client.clone();
            tokio::spawn(async move { client.set_data(&format!("/{n}"), b"", None).await });
            if n % 100 == 99 {
                own_turn().await;
            }
        }
    });
    for n in 0..5_000 {
        let (xid, request) = peer.request().await.unwrap();
        let Request::SetData { path, .. } = request else { panic!("{request:?}") };
        assert_eq!(*path, format!("/{n}"));
        peer.reply(xid, Ok(ReplyBody::Stat(Stat::default()))).await;
    }
    asking.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn requests_that_nobody_waits_for_do_not_pile_up() {
    let (client, mut peer, _pipes) = connected("a").await;
    // One that is still waited for, then many that are not, all beyond what is sent at once.
    for _ in 0..REQUESTS_MAX {
        let client = client.clone();
        tokio::spawn(async move { client.get_data("/first").await });
    }
    let (before, after) = (client.clone(), client.clone());
    tokio::spawn(async move { before.get_data("/before").await });
    for _ in 0..10 * LINE_KEPT {
        tokio::select! {
            biased;
            answer = client.get_data("/given-up") => panic!("{answer:?}"),
            () = std::future::ready(()) => {}
        }
        tokio::task::yield_now().await;
    }
    tokio::spawn(async move { after.get_data("/after").await });
    let mut sent = std::collections::BTreeMap::new();
    loop {
        let (xid, request) = peer.request().await.unwrap();
        let Request::GetData { path, .. } = request else { continue };
        peer.reply(xid, Ok(ReplyBody::Data(None, Stat::default()))).await;
        *sent.entry(path.clone()).or_insert(0) += 1;
        if *path == *"/after" {
            break;
        }
    }
    assert_eq!((sent["/first"], sent["/before"]), (REQUESTS_MAX, 1));
    assert!(sent["/given-up"] <= LINE_KEPT, "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_sent_no_more_than_the_limit() {
    let (client, mut peer, _pipes) = connected("a").await;
    for _ in 0..REQUESTS_MAX + 200 {
        let client = client.clone();
        tokio::spawn(async move { client.get_data("/a").await });
    }
    let mut requests = 0;
    // The connection is given up after six seconds of silence.
    while let Some((_, request)) = peer.request().await {
        requests += usize::from(request != Request::Ping);
    }
    assert_eq!(requests, REQUESTS_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_chroot_is_put_before_paths_and_taken_off_again() {
    let (client, mut peer, _pipes) = connected("a/app").await;
    let calls = async {
        let (_, _, watcher) = client.get_data_and_watch("/x").await.unwrap();
        watcher.changed().await.unwrap()
    };
    let answers = async {
        let request = peer.answer_get().await;
        assert_eq!(request, Request::GetData { path: "/app/x".into(), watch: true });
        peer.fire(EventType::NodeDataChanged, "/app/x").await;
    };
    let (event, ()) = tokio::join!(calls, answers);
    assert_eq!((event.event, &*event.path), (EventType::NodeDataChanged, "/x"));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_watcher_is_removed_and_a_spent_one_is_not() {
    let (client, mut peer, _pipes) = connected("a").await;
    let (watched, _) = tokio::join!(client.get_data_and_watch("/spent"), peer.answer_get());
    peer.fire(EventType::NodeDeleted, "/spent").await;
    watched.unwrap().2.changed().await.unwrap();
    let (watched, _) = tokio::join!(client.get_data_and_watch("/kept"), peer.answer_get());
    drop(watched.unwrap());
    let (_, request) = peer.request().await.unwrap();
    assert_eq!(request, Request::RemoveWatches { path: "/kept".into(), watcher: 2 });
}

#[tokio::test(start_paused = true)]
async fn a_watcher_outlives_the_connection() {
    let (client, mut peer, mut pipes) = connected("a").await;
    let (watched, _) = tokio::join!(client.get_data_and_watch("/a"), peer.answer_get());
    let watcher = watched.unwrap().2;
    let mut events = client.session_events();
    drop(peer);
    let mut peer = Peer::accept(&mut pipes).await;
    let (xid, request) = peer.request().await.unwrap();
    let Request::SetWatches(watches) = request else { panic!("{request:?}") };
    assert_eq!((xid, watches.relative_zxid), (xid::SET_WATCHES, Zxid(5)));
    peer.fire(EventType::NodeDeleted, "/a").await;
    assert_eq!(watcher.changed().await.unwrap().event, EventType::NodeDeleted);
    assert!(matches!(events.next().await, Some(SessionEvent::Disconnected { .. })));
    assert!(matches!(events.next().await, Some(SessionEvent::Connected { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_may_have_happened() {
    let (client, mut peer, _pipes) = connected("a").await;
    let write = client.set_data("/a", b"x", None);
    let lost = async {
        peer.request().await.unwrap();
        drop(peer);
    };
    let (result, ()) = tokio::join!(write, lost);
    let error = result.unwrap_err();
    assert_eq!((&error, error.fate()), (&Error::ConnectionLost, Fate::MayHaveHappened));
}

#[tokio::test(start_paused = true)]
async fn a_request_beyond_the_limit_is_refused_before_it_is_sent() {
    let (client, mut peer, _pipes) = connected("a").await;
    // setData: xid and opcode, path with its length, data with its length, version.
    let room = 0xf_ffff - 8 - 6 - 4 - 4;
    let error = client.set_data("/a", &vec![0; room + 1], None).await.unwrap_err();
    assert_eq!(error, Error::TooLarge { bytes: 0x10_0000, limit_bytes: 0xf_ffff });
    assert_eq!(error.fate(), Fate::DidNotHappen);
    let largest = vec![0; room];
    let served = async {
        let (xid, _) = peer.request().await.unwrap();
        peer.reply(xid, Ok(ReplyBody::Stat(Stat::default()))).await;
    };
    let (result, ()) = tokio::join!(client.set_data("/a", &largest, None), served);
    result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_too_slow_is_told_of_the_gap() {
    let (client, mut peer, _pipes) = connected("a").await;
    let served = async {
        let (xid, _) = peer.request().await.unwrap();
        peer.reply(xid, Ok(ReplyBody::ErrorRecord)).await;
        for _ in 0..EVENT_QUEUE + 1 {
            peer.fire(EventType::NodeCreated, "/a/b").await;
        }
        peer.answer_get().await;
    };
    let calls = async {
        let watcher = client.add_watch("/a", AddWatchMode::PersistentRecursive).await.unwrap();
        // Answered after the events: they have all been told.
        client.get_data("/a").await.unwrap();
        watcher
    };
    let (mut watcher, ()) = tokio::join!(calls, served);
    assert_eq!(watcher.changed().await, Ok(Change::Gap));
    assert!(matches!(watcher.changed().await, Ok(Change::Event(_))));
}

#[tokio::test(start_paused = true)]
async fn what_the_server_tells_is_notified_once_however_many_watch_it() {
    let (client, mut peer, _pipes) = connected("a/app").await;
    let mut notifications = client.notifications();
    let (first, _) = tokio::join!(client.get_data_and_watch("/x"), peer.answer_get());
    let (second, _) = tokio::join!(client.get_data_and_watch("/x"), peer.answer_get());
    peer.fire(EventType::NodeDataChanged, "/app/x").await;
    peer.fire(EventType::NodeDeleted, "/app/unwatched").await;
    for watcher in [first.unwrap().2, second.unwrap().2] {
        assert_eq!(&*watcher.changed().await.unwrap().path, "/x");
    }
    for (event, path) in
        [(EventType::NodeDataChanged, "/x"), (EventType::NodeDeleted, "/unwatched")]
    {
        let Some(Change::Event(told)) = notifications.next().await else { panic!("{path}") };
        assert_eq!((told.event, &*told.path), (event, path));
    }
    drop(client);
    let (xid, _) = peer.request().await.unwrap();
    peer.reply(xid, Ok(ReplyBody::Empty)).await;
    assert_eq!(notifications.next().await, None, "it ends with the session");
}

#[tokio::test(start_paused = true)]
async fn the_configuration_is_asked_for_outside_of_the_chroot() {
    let (client, mut peer, mut pipes) = connected("a/app").await;
    let (_, request) = tokio::join!(client.get_config(), peer.answer_get());
    let path = "/zookeeper/config";
    assert_eq!(request, Request::GetData { path: path.into(), watch: false });
    let (watched, request) = tokio::join!(client.get_config_and_watch(), peer.answer_get());
    assert_eq!(request, Request::GetData { path: path.into(), watch: true });
    peer.fire(EventType::NodeDataChanged, path).await;
    assert_eq!(&*watched.unwrap().2.changed().await.unwrap().path, path);
    let server = client.peer().expect("a server has the session");
    assert_eq!((server.server.to_string(), server.timeout_ms > 0), ("a:2181".to_owned(), true));
    drop(peer);
    let mut events = client.session_events();
    assert!(matches!(events.next().await, Some(SessionEvent::Disconnected { .. })));
    let _peer = Peer::accept(&mut pipes).await;
    assert!(matches!(events.next().await, Some(SessionEvent::Connected { .. })));
    assert!(client.peer().is_some());
}

#[tokio::test(start_paused = true)]
async fn the_last_client_dropped_closes_the_session_and_ends_its_watchers() {
    let (client, mut peer, _pipes) = connected("a").await;
    let (watched, _) = tokio::join!(client.get_data_and_watch("/a"), peer.answer_get());
    let watcher = watched.unwrap().2;
    drop(client);
    let (xid, request) = peer.request().await.unwrap();
    assert_eq!(request, Request::CloseSession);
    peer.reply(xid, Ok(ReplyBody::Empty)).await;
    assert_eq!(watcher.changed().await, Err(SessionEnd::Closed));
    assert_eq!(peer.request().await, None);
}

#[tokio::test(start_paused = true)]
async fn after_close_everything_is_refused_as_not_sent() {
    let (client, mut peer, _pipes) = connected("a").await;
    let other = client.clone();
    let served = async {
        let (xid, _) = peer.request().await.unwrap();
        peer.reply(xid, Ok(ReplyBody::Empty)).await;
    };
    tokio::join!(client.close(), served);
    assert_eq!(other.state(), SessionState::Ended(SessionEnd::Closed));
    let error = other.delete("/a", None).await.unwrap_err();
    assert_eq!(error.fate(), Fate::DidNotHappen);
    assert_eq!(error.to_string(), "the client was closed; the request was not sent");
    assert_eq!(other.session_events().next().await, None);
}

#[tokio::test(start_paused = true)]
async fn without_a_server_connecting_ends_in_time_and_says_why() {
    let (sender, pipes) = mpsc::unbounded_channel();
    drop(pipes);
    let connector = Connector::new().connect_timeout(Duration::from_secs(3));
    let error = connector.connect_over(Pipes(sender), "one:1,one:1/x").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no server of one:1,one:1/x could be reached; the last attempt: one:1: nobody is there"
    );
}

#[tokio::test(start_paused = true)]
async fn a_frame_of_impossible_length_costs_the_connection_only() {
    let (client, mut peer, mut pipes) = connected("a").await;
    peer.stream.write_i32(-5).await.unwrap();
    let mut peer = Peer::accept(&mut pipes).await;
    let (result, _) = tokio::join!(client.get_data("/a"), peer.answer_get());
    assert_eq!(result.unwrap().0.as_deref(), Some(&b"data"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_path_that_cannot_be_is_refused_here() {
    let (client, _peer, _pipes) = connected("a").await;
    let error = client.get_data("a").await.unwrap_err();
    assert_eq!(error.to_string(), "path \"a\": the path must start with /");
}

#[tokio::test(start_paused = true)]
async fn whoever_counts_is_told_of_every_request_and_every_byte() {
    let (calls, mut pipes) = mpsc::unbounded_channel();
    let (seen, mut told) = mpsc::unbounded_channel();
    let connector = Connector::new().seed(1).observe(move |observation| {
        seen.send(format!("{observation:?}")).ok();
    });
    let (client, peer) =
        tokio::join!(connector.connect_over(Pipes(calls), "a"), Peer::accept(&mut pipes));
    let (client, mut peer) = (client.unwrap(), peer);
    let (found, ()) = tokio::join!(client.exists("/a"), async {
        let (xid, _) = peer.request().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        peer.reply(xid, Err(ErrorCode::NoNode)).await;
    });
    assert_eq!(found, Ok(None));
    let mut lines = Vec::new();
    while let Ok(line) = told.try_recv() {
        lines.push(line);
    }
    let kept: Vec<&str> =
        lines.iter().map(String::as_str).filter(|l| !l.contains("Session")).collect();
    let request = "Request { op: Exists, took: 20ms, result: Refused(-101) }";
    // The connect request and its answer; the question and its answer.
    assert_eq!(kept, ["Sent(49)", "Received(41)", "Sent(19)", "Received(20)", request]);
}
