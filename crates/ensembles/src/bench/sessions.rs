//! Ten thousand sessions that lose their servers at once, and how long it takes until all are
//! served.
//!
//! What it keeps true: a session comes back with its id and password, at whichever member takes it;
//! one that has expired is counted. The end is a pass over all sessions that began when there was a
//! leader again, and in which each was answered.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bellwether_wire::Zxid;
use bellwether_wire::client::Request;

use crate::client::{Connection, Opened, Session, Terms, greeting};
use crate::wait::LIMIT;

const SESSIONS: usize = 10_000;
/// Each thread cares for its share, all of which are under way at once.
const THREADS: usize = 4;
const TERMS: Terms = Terms { timeout_ms: 40_000, patience: Duration::from_secs(5) };
/// Between two attempts of a session.
const REDIAL_AFTER: Duration = Duration::from_millis(10);
const CONNECT_LIMIT: Duration = Duration::from_millis(500);

/// The sessions, with their connections.
pub(super) struct Crowd {
    shares: Vec<Vec<Connection>>,
    addresses: Vec<SocketAddr>,
}

impl Crowd {
    /// Begins all sessions, spread over the members.
    pub(super) fn gather(addresses: &[SocketAddr]) -> Result<Crowd, String> {
        let begun: Vec<_> = (0..THREADS)
            .map(|_| {
                let addresses = addresses.to_vec();
                thread::spawn(move || {
                    let places = addresses.iter().cycle().take(SESSIONS / THREADS);
                    places.map(|address| Connection::begin(*address, TERMS)).collect()
                })
            })
            .collect();
        let mut shares = Vec::new();
        for share in begun {
            let share: io::Result<Vec<Connection>> = joined(share);
            shares.push(share.map_err(|error| format!("beginning sessions: {error}"))?);
        }
        Ok(Crowd { shares, addresses: addresses.to_vec() })
    }

    /// Waits until every session is served again; gives how many had expired. `elected` says when
    /// there is a leader.
    pub(super) fn come_back(
        self,
        elected: impl FnOnce() -> Result<(), String>,
    ) -> Result<u32, String> {
        let led = Arc::new(AtomicBool::new(false));
        let coming: Vec<_> = self
            .shares
            .into_iter()
            .map(|share| {
                let (addresses, led) = (self.addresses.clone(), Arc::clone(&led));
                thread::spawn(move || bring_back(share, &addresses, &led))
            })
            .collect();
        let elected = elected();
        led.store(true, Ordering::Relaxed);
        let mut expired = 0;
        for share in coming {
            expired += joined(share)?;
        }
        elected.map(|()| expired)
    }
}

fn joined<T>(share: thread::JoinHandle<T>) -> T {
    share.join().expect("a share of sessions does not panic")
}

/// How a session is.
enum Place {
    Served(Connection),
    Lost(Session),
    /// A connection that has sent what it has to send.
    Greeting(Session, TcpStream),
}

fn bring_back(
    share: Vec<Connection>,
    addresses: &[SocketAddr],
    led: &AtomicBool,
) -> Result<u32, String> {
    let end = Instant::now() + LIMIT;
    let mut places: Vec<Place> = share.into_iter().map(Place::Served).collect();
    let (mut expired, mut turn) = (0, 0);
    loop {
        let last = led.load(Ordering::Relaxed);
        turn += 1;
        let asked: Vec<Place> = places
            .drain(..)
            .enumerate()
            .map(|(number, place)| ask(place, addresses, number + turn))
            .collect();
        for place in asked {
            match hear(place) {
                Some(place) => places.push(place),
                None => expired += 1,
            }
        }
        let lost = places.iter().filter(|place| !matches!(place, Place::Served(_))).count();
        if lost == 0 && last {
            return Ok(expired);
        }
        if Instant::now() > end {
            return Err(format!("{lost} sessions of a share are not back"));
        }
        thread::sleep(REDIAL_AFTER);
    }
}

/// Sends a read to whoever serves it, or the session to another member.
fn ask(place: Place, addresses: &[SocketAddr], number: usize) -> Place {
    match place {
        Place::Served(mut connection) => {
            connection.queue(&Request::Exists { path: "/".into(), watch: false });
            match connection.flush() {
                Ok(()) => Place::Served(connection),
                Err(_) => Place::Lost(connection.session),
            }
        }
        Place::Lost(session) | Place::Greeting(session, _) => {
            let address = addresses.iter().cycle().nth(number % addresses.len());
            match address.and_then(|address| greet(*address, &session).ok()) {
                Some(stream) => Place::Greeting(session, stream),
                None => Place::Lost(session),
            }
        }
    }
}

/// What came of it; `None` for a session that has expired.
fn hear(place: Place) -> Option<Place> {
    Some(match place {
        Place::Served(mut connection) => match connection.reply() {
            Ok(_) => Place::Served(connection),
            Err(_) => Place::Lost(connection.session),
        },
        Place::Lost(session) => Place::Lost(session),
        Place::Greeting(session, stream) => match Connection::welcomed(stream, Zxid::ZERO) {
            Ok(Opened::Served(connection)) => Place::Served(connection),
            Ok(Opened::Expired) => return None,
            Err(_) => Place::Lost(session),
        },
    })
}

fn greet(address: SocketAddr, session: &Session) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TERMS.patience))?;
    stream.write_all(&greeting(Some(session), Zxid::ZERO, TERMS))?;
    Ok(stream)
}
