//! Streams of operations from a seed: few paths and few identities, so that they meet.

use crate::deliberate;
use crate::plan::{Batch, Connect, Mutation, SHORT_TIMEOUT_MS, Secret, Sent, Step, Which};
use bellwether_wire::client::Request;
use bellwether_wire::client::request::{Create, SetWatches};
use bellwether_wire::{Acl, Data, OpCode, Perms, Zxid};

/// How many sessions a stream has.
pub(crate) const SLOTS: usize = 4;

const PATHS: &[&str] = &[
    "~",
    "~/a",
    "~/b",
    "~/a/x",
    "~/a/y",
    "~/a/x/1",
    "~/c",
    "~/e",
    "~/a/e",
    "~/t",
    "~/a/s0000000000",
    "~/s0000000001",
    "~/a/0000000001",
    "~/a/ü",
    "~/ab",
    "~/0/a",
    "~/1/a",
    "~/1",
    "~/2/b",
];
const ODD_PATHS: &[&str] = &[
    "",
    "/",
    "a",
    "~/",
    "~/a/",
    "~//a",
    "~/./a",
    "~/a/..",
    "~/a/.",
    "~/\u{1}",
    "~/a\0b",
    "~/\u{e000}",
    "~/\u{fff0}",
    "/zookeeper",
    "/zookeeper/config",
    "/zookeeper/quota",
    "~a",
    " ",
    "/zookeeper/quota/x",
    "/zookeeper/x",
    "~/none/deep",
];

/// Create modes, the usual ones more often; 5 and 6 have their own operation.
const FLAGS: &[i32] =
    &[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 6, 7, -1, i32::MAX];

/// A small generator (splitmix64).
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// True in `percent` of a hundred cases.
    fn hit(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let at = usize::try_from(self.below(from.len() as u64)).expect("a small number");
        from.get(at).expect("within the list").clone()
    }
}

/// A stream of about `ops` operations, and questions about the watches that are left.
pub(crate) fn stream(seed: u64, ops: usize) -> Vec<Step> {
    let mut g = Generator { rng: Rng(seed), xid: 0, closes: false, home: None };
    let mut steps: Vec<Step> =
        (0..SLOTS).map(|slot| Step::Open { slot, connect: Connect::plain() }).collect();
    steps.push(g.beginning());
    let mut count = 0;
    while count < ops {
        let step = g.step();
        count += step.len();
        let again = g.open_again(&step);
        steps.push(step);
        steps.extend(again);
    }
    for slot in 0..SLOTS {
        let sent = PATHS.iter().flat_map(|path| (1..=5).map(move |watcher| (path, watcher)));
        let sent = sent
            .map(|(path, watcher)| Request::CheckWatches { path: (*path).into(), watcher })
            .map(|request| g.sent(request))
            .collect();
        steps.push(Step::send(slot, sent));
    }
    steps.iter_mut().for_each(deliberate::leave_out);
    steps
}

struct Generator {
    rng: Rng,
    xid: i32,
    /// Whether the last step was one after which the server may close.
    closes: bool,
    /// The slot to whose part of the tree requests keep, while several are in flight together.
    home: Option<usize>,
}

impl Generator {
    fn slot(&mut self) -> usize {
        usize::try_from(self.rng.below(SLOTS as u64)).expect("a small number")
    }

    fn step(&mut self) -> Step {
        let slot = self.slot();
        let draw = self.rng.below(1000);
        self.closes = (60..75).contains(&draw);
        match draw {
            0..36 => self.open(slot),
            36..40 => self.expiring(slot),
            40..50 => Step::Drop { slot },
            50..60 => Step::Bytes { slot, bytes: self.bytes() },
            60..75 => Step::send(slot, vec![self.closing()]),
            75..550 => Step::send(slot, vec![self.one()]),
            550..900 => Step::send(slot, self.several(2, 9, Self::one)),
            _ => self.together(),
        }
    }

    /// Most of the nodes that the others stand below: without them little else succeeds.
    fn beginning(&mut self) -> Step {
        let mut sent = Vec::new();
        for path in ["~/a", "~/b", "~/a/x", "~/a/y", "~/t", "~/0/a", "~/1/a", "~/2/b", "~/3/a"] {
            if self.rng.hit(70) {
                let create =
                    Create { path: path.into(), data: self.data(), acl: self.acl(), flags: 0 };
                sent.push(self.sent(Request::Create2(create)));
            }
        }
        Step::send(0, sent)
    }

    fn several(&mut self, least: u64, more: u64, one: fn(&mut Self) -> Sent) -> Vec<Sent> {
        let count = least + self.rng.below(more);
        (0..count).map(|_| one(self)).collect()
    }

    /// Requests of all slots at once, each in its own part of the tree.
    fn together(&mut self) -> Step {
        let batches = (0..SLOTS).map(|slot| {
            self.home = Some(slot);
            Batch { slot, sent: self.several(1, 6, Self::one_at_home) }
        });
        let batches = batches.collect();
        self.home = None;
        Step::Send(batches)
    }

    /// A request whose outcome and whose place among its slot's others do not depend on what other
    /// slots do meanwhile, nor what its slot is told of them: an identity that arrives in between
    /// decides which of their events may be seen.
    fn one_at_home(&mut self) -> Sent {
        loop {
            let request = self.request();
            let op = request.op();
            let depends = [OpCode::SetWatches, OpCode::SetWatches2, OpCode::Reconfig, OpCode::Auth];
            if !depends.contains(&op) {
                return self.sent(request);
            }
        }
    }

    /// Takes over the slot's own session, to leave it to expire.
    fn expiring(&mut self, slot: usize) -> Step {
        let mut connect = Connect::plain();
        (connect.session, connect.timeout_ms) = (Which::Of(slot), SHORT_TIMEOUT_MS);
        Step::Open { slot, connect }
    }

    /// What may leave a slot without a connection is mostly followed by another one.
    fn open_again(&mut self, step: &Step) -> Option<Step> {
        let slot = match step {
            Step::Send(batches) if self.closes => batches.first()?.slot,
            Step::Send(_) => return None,
            Step::Open { slot, .. } | Step::Bytes { slot, .. } | Step::Drop { slot } => *slot,
        };
        if !self.rng.hit(80) {
            return None;
        }
        let mut connect = Connect::plain();
        if self.rng.hit(60) {
            connect.session = Which::Of(slot);
        }
        Some(Step::Open { slot, connect })
    }

    fn open(&mut self, slot: usize) -> Step {
        let mut connect = Connect::plain();
        let other = self.slot();
        connect.session = match self.rng.below(10) {
            0..4 => Which::New,
            4..8 => Which::Of(slot),
            8 => Which::Of(other),
            _ => Which::Unknown(self.rng.pick(&[-1, 1, i64::MIN, 0x1234_5678])),
        };
        let secrets = [Secret::Wrong, Secret::Short, Secret::Empty, Secret::Zeros];
        if self.rng.hit(15) {
            connect.password = self.rng.pick(&secrets);
        }
        if self.rng.hit(40) {
            let long = [i32::MAX, 600_000, 600_001, 60_000, 5_000, 599_999];
            let short = [SHORT_TIMEOUT_MS, SHORT_TIMEOUT_MS + 1, 0, -1, 1, i32::MIN];
            let odd = if self.rng.hit(30) { short } else { long };
            connect.timeout_ms = self.rng.pick(&odd);
        }
        if self.rng.hit(10) {
            connect.seen = self.rng.pick(&[1, 1000, -1, i64::MIN / 2, i64::MAX / 2, 1 << 40]);
        }
        connect.protocol = if self.rng.hit(10) { self.rng.pick(&[1, -1, 7]) } else { 0 };
        connect.read_only = self.rng.pick(&[None, Some(false), Some(false), Some(true)]);
        if self.rng.hit(6) {
            connect.mutation = self.mutation();
        }
        Step::Open { slot, connect }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = self.rng.pick(&[
            vec![0xff; 4],
            vec![0; 4],
            vec![0, 0x0f, 0xff, 0xff],
            vec![0, 0x10, 0, 0],
            vec![0x7f, 0xff, 0xff, 0xff],
            vec![0, 0, 0, 4, 0, 0, 0, 1],
            vec![0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0],
            vec![0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 11],
            b"ruok".to_vec(),
        ]);
        if bytes == [0, 0x0f, 0xff, 0xff] {
            // The longest frame there may be: a create with as much data as fits.
            bytes.extend([0, 0, 0, 9, 0, 0, 0, 5, 0, 0, 0, 2, b'/', b'n', 0, 0x0f, 0xff, 0xe9]);
            bytes.resize(4 + 0xf_ffff, 0);
        }
        bytes
    }

    /// A request after which the server may well close.
    fn closing(&mut self) -> Sent {
        let request = match self.rng.below(6) {
            0 | 1 => Request::CloseSession,
            2 => Request::Check { path: self.path(), version: -1 },
            3 => {
                let scheme = self.rng.pick(&["digest", "ip", "world", "auth", "x509", "sasl", ""]);
                let auth = self.rng.pick(&["", "u", ":", "u:", ":p", "super:wrong", "a:b:c"]);
                Request::Auth { scheme: scheme.into(), auth: Some(auth.as_bytes().into()) }
            }
            4 => Request::Sasl { token: (*b"abc").into() },
            _ => {
                let op =
                    self.rng.pick(&[0, 10, 16, 23, 99, 108, -1, -2, -12, 1000, i32::MIN, 102, 100]);
                let mut sent = self.sent(Request::Ping);
                (sent.op, sent.request) = (op, None);
                return sent;
            }
        };
        let mut sent = self.sent(request);
        if self.rng.hit(30) {
            sent.mutation = self.mutation();
        }
        sent
    }

    fn one(&mut self) -> Sent {
        let request = self.request();
        let mut sent = self.sent(request);
        if self.rng.hit(4) {
            sent.mutation = self.mutation();
        }
        sent
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "few operations have an xid of their own")]
    fn sent(&mut self, request: Request) -> Sent {
        self.xid += 1;
        let op = request.op();
        let xid = match op {
            OpCode::Ping => -2,
            OpCode::Auth => -4,
            OpCode::SetWatches | OpCode::SetWatches2 => -8,
            _ => self.xid,
        };
        Sent { xid, op: op.code(), request: Some(request), mutation: Mutation::None }
    }

    fn mutation(&mut self) -> Mutation {
        let small = usize::try_from(1 + self.rng.below(12)).expect("a small number");
        match self.rng.below(6) {
            0 | 1 => Mutation::Cut(small),
            2 => Mutation::Append(vec![7; small]),
            3 => Mutation::NullText,
            4 => {
                let bytes = self.rng.pick(&[vec![0xff; 4], vec![0x7f; 4], vec![0x80, 0, 0, 0]]);
                Mutation::Patch { from_end: small, bytes }
            }
            _ => Mutation::First(self.rng.pick(&[-1, -2, i32::MIN, i32::MAX, 0, 1000])),
        }
    }

    fn path(&mut self) -> Box<str> {
        let path = if self.rng.hit(6) { self.rng.pick(ODD_PATHS) } else { self.rng.pick(PATHS) };
        self.at_home(path)
    }

    /// The path, or one of the part of the tree that requests keep to.
    fn at_home(&self, path: &str) -> Box<str> {
        let Some(slot) = self.home else { return path.into() };
        match path.strip_prefix("~/") {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                format!("~/{slot}/{rest}").into()
            }
            Some(_) | None => format!("~/{slot}/a").into(),
        }
    }

    fn version(&mut self) -> i32 {
        self.rng.pick(&[-1, -1, -1, -1, 0, 0, 1, 2, -2, i32::MAX, i32::MIN])
    }

    fn data(&mut self) -> Option<Data> {
        match self.rng.below(20) {
            0 => None,
            1..4 => Some(Data::from(&b""[..])),
            _ => Some(Data::from(&self.rng.next().to_be_bytes()[..])),
        }
    }

    fn acl(&mut self) -> Option<Vec<Acl>> {
        match self.rng.below(100) {
            0..2 => None,
            2..4 => Some(Vec::new()),
            4..78 => Some(vec![Acl::world_all()]),
            78..90 => Some(vec![self.entry()]),
            _ => Some((0..=self.rng.below(3)).map(|_| self.entry()).collect()),
        }
    }

    fn entry(&mut self) -> Acl {
        // digest ids of user:password, bob:bob and super:secret, and what is none.
        let ids = [
            ("world", "anyone"),
            ("world", "anyone"),
            ("auth", ""),
            ("auth", "x"),
            ("auth", ""),
            ("digest", "user:tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY="),
            ("digest", "u:p"),
            ("ip", "127.0.0.1"),
            ("ip", "127.0.0.0/8"),
            ("ip", "10.0.0.1"),
            ("super", ""),
            ("world", "me"),
            ("digest", "u"),
            ("digest", "a:b:c"),
            ("digest", ":"),
            ("ip", "127.0.0.1/33"),
            ("ip", "::1"),
            ("ip", "::1/128"),
            ("ip", "localhost"),
            ("ip", "fe80::/10"),
            ("ip", "0.0.0.0/0"),
            ("x509", "CN=a"),
            ("sasl", "a"),
            ("", ""),
            ("ip", ""),
            ("ip", "127.0.0.1/-1"),
            ("ip", "127.0.0.1/"),
            ("ip", "::/0"),
            ("ip", "127.1"),
            ("ip", "127.0.0.1/8/8"),
            ("ip", "::ffff:127.0.0.1"),
            ("ip", "127.0.0.001"),
        ];
        let (scheme, id) =
            if self.rng.hit(70) { self.rng.pick(&ids[..10]) } else { self.rng.pick(&ids) };
        let perms = self.rng.pick(&[31, 31, 31, 1, 2, 4, 8, 16, 0, 15, 29, 30, 23, 27, 63, -1]);
        Acl { perms: Perms(perms), scheme: scheme.into(), id: id.into() }
    }

    fn create(&mut self, flags: &[i32]) -> Create {
        let flags = self.rng.pick(flags);
        let path = match flags {
            2 | 3 | 6 if self.rng.hit(70) => {
                let path = self.rng.pick(&["~/s", "~/a/s", "~/a/", "~/"]);
                self.at_home(path)
            }
            _ => self.path(),
        };
        Create { path, data: self.data(), acl: self.acl(), flags }
    }

    fn write(&mut self) -> Request {
        match self.rng.below(20) {
            0..5 => Request::Create(self.create(FLAGS)),
            5..8 => Request::Create2(self.create(FLAGS)),
            8 => Request::CreateContainer(self.create(&[4, 4, 4, 4, 0, 1, 2, 5, 9])),
            9 => {
                let create = self.create(&[5, 5, 5, 6, 6, 0, 1, 4, 7]);
                let odd =
                    [3_600_000, 3_600_000, 3_600_000, 0, -1, (1 << 40) - 1, 1 << 40, i64::MIN];
                let ttl_ms = self.rng.pick(&odd);
                Request::CreateTtl { create, ttl_ms }
            }
            10..14 => Request::Delete { path: self.path(), version: self.version() },
            _ => Request::SetData { path: self.path(), data: self.data(), version: self.version() },
        }
    }

    fn request(&mut self) -> Request {
        match self.rng.below(100) {
            0..42 => self.write(),
            42..46 => {
                let path = self.rng.pick(PATHS);
                let path = self.at_home(path);
                Request::SetAcl { path, acl: self.acl(), version: self.version() }
            }
            46..56 => Request::Multi(self.parts()),
            56..59 => Request::MultiRead(self.reads()),
            59..80 => self.read(),
            80..97 => self.watching(),
            _ => self.other(),
        }
    }

    fn parts(&mut self) -> Vec<Request> {
        let count = self.rng.below(6);
        if self.home.is_some() {
            // What cannot be decoded takes no zxid of its own.
            return (0..count).map(|_| self.write()).collect();
        }
        (0..count)
            .map(|_| match self.rng.below(40) {
                0..8 => Request::Check { path: self.path(), version: self.version() },
                8 => self.read(),
                9 if self.rng.hit(20) => Request::Multi(vec![self.write()]),
                10 if self.rng.hit(40) => {
                    let path = self.rng.pick(PATHS).into();
                    Request::SetAcl { path, acl: self.acl(), version: -1 }
                }
                _ => self.write(),
            })
            .collect()
    }

    fn reads(&mut self) -> Vec<Request> {
        let count = self.rng.below(5);
        (0..count)
            .map(|_| match self.rng.below(20) {
                0 => self.write(),
                1 => self.read(),
                2..10 => Request::GetData { path: self.path(), watch: self.rng.hit(50) },
                _ => Request::GetChildren { path: self.path(), watch: self.rng.hit(50) },
            })
            .collect()
    }

    fn read(&mut self) -> Request {
        let (path, watch) = (self.path(), self.rng.hit(50));
        match self.rng.below(16) {
            0..4 => Request::Exists { path, watch },
            4..7 => Request::GetData { path, watch },
            7..9 => Request::GetChildren { path, watch },
            9..11 => Request::GetChildren2 { path, watch },
            11..13 => Request::GetAcl { path },
            13 => Request::GetAllChildrenNumber { path },
            14 => Request::GetEphemerals { prefix: path },
            _ => Request::Sync { path },
        }
    }

    fn watching(&mut self) -> Request {
        let path = self.path();
        match self.rng.below(12) {
            0..3 => Request::AddWatch { path, mode: self.rng.pick(&[0, 0, 1, 1, 0, 1, 2, -1]) },
            3..5 => Request::RemoveWatches { path, watcher: self.watcher() },
            5 => Request::CheckWatches { path, watcher: self.watcher() },
            6 => Request::SetWatches(Box::new(self.set_watches())),
            7 => Request::SetWatches2(Box::new(SetWatches {
                persistent: self.paths(),
                persistent_recursive: self.paths(),
                ..self.set_watches()
            })),
            8 => Request::Exists { path, watch: true },
            9 => Request::GetData { path, watch: true },
            10 => Request::GetChildren { path, watch: true },
            _ => Request::GetChildren2 { path, watch: true },
        }
    }

    fn watcher(&mut self) -> i32 {
        self.rng.pick(&[1, 2, 3, 3, 4, 5, 0, 6, -1])
    }

    fn paths(&mut self) -> Vec<Box<str>> {
        (0..self.rng.below(3)).map(|_| self.path()).collect()
    }

    fn set_watches(&mut self) -> SetWatches {
        let relative_zxid = Zxid(self.rng.pick(&[0, 5, 20, 50, 1000, -1000]));
        let (data, exist, child) = (self.paths(), self.paths(), self.paths());
        SetWatches { relative_zxid, data, exist, child, ..SetWatches::default() }
    }

    fn other(&mut self) -> Request {
        match self.rng.below(8) {
            0 | 1 => Request::WhoAmI,
            2 => Request::Ping,
            3 => Request::Reconfig { joining: None, leaving: None, members: None, version: -1 },
            _ => {
                let auth =
                    self.rng.pick(&["user:password", "user:password", "bob:bob", "super:secret"]);
                Request::Auth { scheme: "digest".into(), auth: Some(auth.as_bytes().into()) }
            }
        }
    }
}
