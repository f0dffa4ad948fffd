//! No decoder takes more memory than its input justifies, whatever lengths and counts it names.
//!
//! The only test of its program: the allocator that counts is the whole program's. It is the one
//! place here that needs unsafe code, and it only passes on to the system's allocator.

#![expect(unsafe_code, reason = "an allocator cannot be written without")]

use bellwether_fuzz::{Target, Verdict, from_hex, target};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged to an allocator that keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(held, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The smallest operation of a multi takes 17 bytes and some 100 in memory; a target decodes twice,
/// and lists grow by doubling.
const PER_BYTE: usize = 64;
const AT_LEAST: usize = 4 << 10;

fn peak(target: &Target, input: &[u8]) -> usize {
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let _verdict = (target.check)(input);
    PEAK.load(Relaxed) - before
}

#[track_caller]
fn check(target: &Target, input: &[u8]) {
    let (took, may) = (peak(target, input), AT_LEAST + PER_BYTE * input.len());
    assert!(took <= may, "{}: {took} bytes for {} of input", target.name, input.len());
}

/// Targets that only decode.
const DECODERS: [&str; 9] =
    ["connect", "request", "reply", "txn", "node", "packets", "stream", "election", "ensemble"];

#[test]
fn memory_stays_within_a_multiple_of_the_input() {
    for name in DECODERS {
        let target = target(name).expect("it is in the table");
        for input in target.corpus() {
            // Every place that could be a length or a count says that very much follows.
            for at in 0..input.len().saturating_sub(3) {
                for number in [i32::MAX, 0x00ff_ffff, 0x0000_ffff] {
                    let mut changed = input.clone();
                    changed[at..at + 4].copy_from_slice(&number.to_be_bytes());
                    check(target, &changed);
                }
            }
        }
    }
    // Lists of the smallest elements there are: empty strings, deletes of nothing.
    let request = target("request").expect("it is in the table");
    let mut texts = from_hex("fffffff800000065000000000000000000001000");
    texts.resize(texts.len() + 4 * 4096 + 8, 0);
    let mut multi = from_hex("000000010000000e");
    let delete = from_hex("0000000200ffffffff00000000ffffffff");
    multi.extend(delete.iter().cycle().take(delete.len() * 1_000));
    multi.extend(from_hex("ffffffff01ffffffff"));
    for input in [texts, multi] {
        assert_eq!((request.check)(&input), Verdict::Accepted);
        check(request, &input);
    }
}
