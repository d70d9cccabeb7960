//! The fuzzers' seeds, and what once was a finding: each is checked as the fuzzers check it.

use std::fs;
use std::path::Path;

#[path = "../fuzz/fuzz_targets/checks/decode.rs"]
mod decode;
#[path = "../fuzz/fuzz_targets/checks/http.rs"]
mod http;

/// All seeds of a target, with their names.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds").join(target);
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    let mut seeds: Vec<_> = files
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "no seeds for {target}");
    seeds
}

#[test]
fn the_decoder_bears_every_seed() {
    for (name, seed) in seeds("decode") {
        println!("{name}");
        decode::check(&seed);
    }
}

#[test]
fn the_node_bears_every_seed() {
    let mut node = http::Fed::start();
    for (name, seed) in seeds("http") {
        println!("{name}");
        node.feed(&seed);
    }
}
