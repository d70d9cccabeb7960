//! Records traces of real OTP, and checks that OTP is deterministic on the generated scripts.
//!
//! ```text
//! record [--family NAME] [--seed FIRST] [--count N] [--times N] [--out DIR]
//! ```
//!
//! For each family (all without `--family`) it runs the scripts of `N` seeds from `FIRST` on, each
//! `--times` times (default 1), and writes `DIR/FAMILY.txt.gz` (default: this crate's `fixtures/`).
//! With `--times` above 1 scripts whose traces differ are printed, and the exit code is 1.
//! `--out -` writes nothing.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use otp_harness::fixtures::{Fixture, directory, write_file};
use otp_harness::generate::Family;
use otp_harness::otp::{Otp, release};
use otp_harness::replay::difference;
use otp_harness::script::Script;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Arguments {
    families: Vec<Family>,
    first_seed: u64,
    count: u64,
    times: usize,
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    match arguments().and_then(|arguments| record(&arguments)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(unsteady) => {
            println!("{unsteady} scripts gave different traces");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("record: {error}");
            ExitCode::from(2)
        }
    }
}

fn arguments() -> Result<Arguments> {
    let mut given = HashMap::new();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let name = word.strip_prefix("--").ok_or_else(|| format!("unknown argument {word}"))?;
        let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
        given.insert(name.to_owned(), value);
    }
    let families = match given.remove("family") {
        Some(name) => vec![name.parse()?],
        None => Family::ALL.to_vec(),
    };
    let out = match given.remove("out").as_deref() {
        Some("-") => None,
        Some(path) => Some(PathBuf::from(path)),
        None => Some(directory()),
    };
    let mut number = |name: &str, default: u64| match given.remove(name) {
        Some(value) => value.parse().map_err(|_| format!("--{name}: not a number: {value}")),
        None => Ok(default),
    };
    let arguments = Arguments {
        families,
        first_seed: number("seed", 1)?,
        count: number("count", 350)?,
        times: usize::try_from(number("times", 1)?)?.max(1),
        out,
    };
    match given.into_keys().next() {
        Some(name) => Err(format!("unknown argument --{name}").into()),
        None => Ok(arguments),
    }
}

/// Records and gives how many scripts were unsteady.
fn record(arguments: &Arguments) -> Result<usize> {
    let release = release()?;
    let mut otp = Otp::start()?;
    let mut unsteady = 0;
    for &family in &arguments.families {
        let seeds: Vec<u64> =
            (arguments.first_seed..).zip(0..arguments.count).map(|(seed, _)| seed).collect();
        let scripts: Vec<Script> = seeds.iter().map(|&seed| family.script(seed)).collect();
        let traces = otp.run_all(&scripts)?;
        for _ in 1..arguments.times {
            let again = otp.run_all(&scripts)?;
            for ((seed, script), (a, b)) in
                seeds.iter().zip(&scripts).zip(traces.iter().zip(&again))
            {
                if let Some(difference) = difference(a, b) {
                    unsteady += 1;
                    println!("{family} {seed}: two runs differ\n{script}{difference}");
                }
            }
        }
        let lines: usize = traces.iter().map(Vec::len).sum();
        println!("{family}: {} scripts, {lines} lines", scripts.len());
        let records = seeds.into_iter().zip(scripts).zip(traces);
        let fixtures: Vec<Fixture> = records
            .map(|((seed, script), expected)| Fixture { family, seed, script, expected })
            .collect();
        if let Some(out) = &arguments.out {
            let note = format!("{family}: {} scripts on OTP {release}", fixtures.len());
            write_file(&out.join(format!("{family}.txt.gz")), &note, &fixtures)?;
        }
    }
    Ok(unsteady)
}
