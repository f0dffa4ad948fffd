//! What to send: frames that are encoded once and then only copied.

use super::options::{Options, Workload};
use bellwether_wire::client::request::{Create, RequestHeader};
use bellwether_wire::client::{Request, frame};
use bellwether_wire::{Acl, Data};

/// Where frames come from.
pub(super) trait Source {
    /// Appends the next frame for a connection, its xid open; false if there is none.
    fn next(&mut self, connection: usize, out: &mut Vec<u8>) -> bool;
}

/// Digits that tell the nodes of the create workload apart.
const DIGITS: usize = 10;

/// Of so many mixed operations one is a set.
const MIXED_SET_EVERY: u64 = 10;

/// A frame's bytes before those that all frames of its kind end with.
type Head = Box<[u8]>;

/// An endless workload.
pub(super) struct Load {
    workload: Workload,
    root: String,
    /// Nodes for get, set and mixed; parents for create, one per connection.
    paths: Vec<String>,
    data: Data,
    gets: Vec<Head>,
    sets: Vec<Head>,
    /// The end of every set: the data and the version.
    set_tail: Box<[u8]>,
    creates: Vec<Creates>,
    random: u64,
}

/// The creates of one connection.
struct Creates {
    template: Box<[u8]>,
    /// Where the digits stand in the template.
    digits_at: usize,
    parent: String,
    sent: u64,
}

impl Load {
    pub(super) fn new(options: &Options, root: &str, connections: usize) -> Load {
        // The generator never leaves 0, so it must not begin there.
        let mut random = options.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let data: Data = (0..options.size).map(|_| low_byte(next_random(&mut random))).collect();
        let mut load = Load {
            workload: options.workload,
            root: root.to_owned(),
            paths: Vec::new(),
            data,
            gets: Vec::new(),
            sets: Vec::new(),
            set_tail: Box::default(),
            creates: Vec::new(),
            random,
        };
        match options.workload {
            Workload::Create => load.prepare_creates(connections),
            Workload::Get | Workload::Set | Workload::Mixed => load.prepare_paths(options.paths),
        }
        load
    }

    fn prepare_paths(&mut self, count: usize) {
        self.paths = (0..count).map(|n| format!("{}/n{n:07}", self.root)).collect();
        let get = |path: &String| {
            encode(&Request::GetData { path: path.as_str().into(), watch: false }).into()
        };
        self.gets = self.paths.iter().map(get).collect();
        for path in &self.paths {
            let data = Some(self.data.clone());
            let request = Request::SetData { path: path.as_str().into(), data, version: -1 };
            let whole = encode(&request);
            // Length, xid, opcode, then the path with its own length.
            let (head, tail) = whole.split_at(16 + path.len());
            self.sets.push(head.into());
            self.set_tail = tail.into();
        }
    }

    fn prepare_creates(&mut self, connections: usize) {
        self.paths = (0..connections).map(|n| format!("{}/c{n:05}", self.root)).collect();
        let creates = self.paths.iter().map(|parent| {
            let path = format!("{parent}/n{:0DIGITS$}", 0);
            let digits_at = 16 + path.len() - DIGITS;
            let template = encode(&create(&path, &self.data)).into();
            Creates { template, digits_at, parent: parent.clone(), sent: 0 }
        });
        self.creates = creates.collect();
    }

    /// The nodes that must be there before the load: the root first.
    pub(super) fn paths(&self) -> Vec<String> {
        std::iter::once(&self.root).chain(&self.paths).cloned().collect()
    }

    /// The data of every node.
    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }

    /// The nodes that the load has created.
    pub(super) fn created_paths(&self) -> impl Iterator<Item = String> {
        self.creates.iter().flat_map(|creates| {
            (0..creates.sent).map(|n| format!("{}/n{n:0DIGITS$}", creates.parent))
        })
    }

    /// One of the paths, each as likely as the others.
    fn pick<'a>(random: &mut u64, heads: &'a [Head]) -> &'a [u8] {
        let count = u64::try_from(heads.len()).expect("a length fits 64 bits");
        // The high bits of the generator are the better ones.
        let place = (next_random(random) >> 16) % count;
        heads.get(usize::try_from(place).expect("it is below a length")).expect("it is in bounds")
    }

    fn put_get(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(Load::pick(&mut self.random, &self.gets));
    }

    fn put_set(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(Load::pick(&mut self.random, &self.sets));
        out.extend_from_slice(&self.set_tail);
    }
}

impl Source for Load {
    fn next(&mut self, connection: usize, out: &mut Vec<u8>) -> bool {
        match self.workload {
            Workload::Get => self.put_get(out),
            Workload::Set => self.put_set(out),
            Workload::Mixed => {
                if (next_random(&mut self.random) >> 16).is_multiple_of(MIXED_SET_EVERY) {
                    self.put_set(out);
                } else {
                    self.put_get(out);
                }
            }
            Workload::Create => {
                let creates = self.creates.get_mut(connection).expect("there is one for each");
                creates.put(out);
            }
        }
        true
    }
}

impl Creates {
    fn put(&mut self, out: &mut Vec<u8>) {
        let digits_at = out.len() + self.digits_at;
        out.extend_from_slice(&self.template);
        let mut left = self.sent;
        let digits = out.get_mut(digits_at..digits_at + DIGITS).expect("the template has them");
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + low_byte(left % 10);
            left /= 10;
        }
        self.sent += 1;
    }
}

/// Requests that are made once each, whoever sends them.
pub(super) struct Frames<I> {
    requests: I,
}

impl Frames<()> {
    pub(super) fn creating(
        paths: impl Iterator<Item = String>,
        data: &[u8],
    ) -> Frames<impl Iterator<Item = Request>> {
        let data: Data = data.into();
        Frames { requests: paths.map(move |path| create(&path, &data)) }
    }

    pub(super) fn deleting(
        paths: impl Iterator<Item = String>,
    ) -> Frames<impl Iterator<Item = Request>> {
        Frames { requests: paths.map(|path| Request::Delete { path: path.into(), version: -1 }) }
    }
}

impl<I: Iterator<Item = Request>> Source for Frames<I> {
    fn next(&mut self, _connection: usize, out: &mut Vec<u8>) -> bool {
        match self.requests.next() {
            Some(request) => {
                out.extend_from_slice(&encode(&request));
                true
            }
            None => false,
        }
    }
}

fn create(path: &str, data: &Data) -> Request {
    let acl = Some(vec![Acl::world_all()]);
    Request::Create(Create { path: path.into(), data: Some(data.clone()), acl, flags: 0 })
}

/// A frame whose xid is 0.
fn encode(request: &Request) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write(&mut bytes, |out| {
        RequestHeader { xid: 0, op: request.op().code() }.encode(out);
        request.encode(out);
    });
    bytes
}

/// An xorshift generator: a path must cost next to nothing.
fn next_random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn low_byte(number: u64) -> u8 {
    u8::try_from(number & 0xff).expect("it is masked")
}

#[cfg(test)]
mod tests {
    use super::super::options::Wish;
    use super::*;
    use bellwether_wire::{OpCode, Reader};
    use std::collections::BTreeSet;

    fn load(line: &str) -> Load {
        let args = line.split(' ').map(Into::into).collect();
        let Ok(Wish::Run(options)) = Options::parse(args) else { panic!("{line}") };
        Load::new(&options, "/r", 2)
    }

    fn next(source: &mut dyn Source, connection: usize) -> Request {
        let mut out = Vec::new();
        assert!(source.next(connection, &mut out), "a load never ends");
        let r = &mut Reader::new(&out);
        assert_eq!(r.int("length"), Ok(i32::try_from(out.len()).unwrap() - 4));
        let header = RequestHeader::decode(r).unwrap();
        assert_eq!(header.xid, 0);
        let request = Request::decode(OpCode::from_code(header.op).unwrap(), r).unwrap();
        assert_eq!(r.remaining(), 0);
        request
    }

    #[test]
    fn gets_reach_every_path() {
        let mut load = load("--workload get --paths 20");
        let mut paths = BTreeSet::new();
        for _ in 0..1000 {
            let Request::GetData { path, watch: false } = next(&mut load, 0) else {
                panic!("not a get")
            };
            paths.insert(path.into_string());
        }
        assert_eq!(load.paths().len(), 21);
        assert!(load.paths()[1..].iter().all(|path| paths.contains(path)));
    }

    #[test]
    fn sets_carry_the_data() {
        let mut load = load("--workload set --paths 3 --size 7");
        let Request::SetData { data: Some(data), version: -1, .. } = next(&mut load, 0) else {
            panic!("not a set")
        };
        assert_eq!((&*data, data.len()), (load.data(), 7));
    }

    #[test]
    fn a_tenth_of_the_mixed_operations_are_sets() {
        let mut load = load("--workload mixed --paths 3");
        let sets = (0..10_000).filter(|_| matches!(next(&mut load, 0), Request::SetData { .. }));
        let sets = sets.count();
        assert!((800..1200).contains(&sets), "{sets}");
    }

    #[test]
    fn creates_count_up_below_each_connections_own_parent() {
        let mut load = load("--workload create --size 0");
        let mut paths = Vec::new();
        for connection in [0, 1, 0] {
            let Request::Create(create) = next(&mut load, connection) else {
                panic!("not a create")
            };
            paths.push(create.path.into_string());
        }
        let expected = ["/r/c00000/n0000000000", "/r/c00001/n0000000000", "/r/c00000/n0000000001"];
        assert_eq!(paths, expected);
        assert_eq!(load.paths(), ["/r", "/r/c00000", "/r/c00001"]);
        paths.sort();
        assert_eq!(load.created_paths().collect::<Vec<_>>(), paths);
    }

    #[test]
    fn a_seed_repeats_a_load() {
        let sequence = |line| {
            let mut load = load(line);
            (0..50).map(|_| format!("{:?}", next(&mut load, 0))).collect::<Vec<_>>()
        };
        assert_eq!(sequence("--workload mixed --seed 5"), sequence("--workload mixed --seed 5"));
        assert_ne!(sequence("--workload mixed --seed 5"), sequence("--workload mixed --seed 6"));
    }
}
