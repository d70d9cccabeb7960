//! Any bytes are decoded without a panic, and without more memory than their size explains.

#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use libfuzzer_sys::fuzz_target;

#[path = "checks/decode.rs"]
mod decode;

/// What any input may take at one time, in bytes.
const BASE: usize = 64 * 1024;
/// What each of its bytes may take beside that: `[0,0,…]` as values is the worst that is known.
const PER_BYTE: usize = 96;

#[global_allocator]
static MEMORY: Counted = Counted;
static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, which counts what is taken.
struct Counted;

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's promises are the ones that are asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: it was allocated above, with the same layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

fuzz_target!(|input: &[u8]| {
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    decode::check(input);
    let taken = MOST.load(Ordering::Relaxed) - before;
    let allowed = BASE + PER_BYTE * input.len();
    assert!(taken <= allowed, "{} bytes of input took {taken} bytes", input.len());
});
