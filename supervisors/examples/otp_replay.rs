//! Replays scripts of supervisor operations, in the format of OTP's side of the harness.
//!
//! ```sh
//! cargo run -p supervisors --example otp_replay -- - < scripts
//! cargo run -p supervisors --example otp_replay -- --driver task FILE...
//! ```
//!
//! With `-`, scripts come on standard input, each closed by a line `run.`, and each trace is closed
//! by a line `end`. With files, there is one script in each. `--driver` says what runs them: `core`
//! (the pure machines, the default), `ractor` (the real driver with actors) or `task` (the real
//! driver with tasks). `supervisors/harness/otp/otp_trace.escript` does the same with OTP.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use otp_harness::replay::replay;
use otp_harness::script::Script;
use otp_harness::subject::{Kind, Machines, Real};

const USAGE: &str = "usage: otp_replay [--driver core|ractor|task] (- | FILE...)";

#[derive(Clone, Copy)]
enum Driver {
    Core,
    Ractor,
    Task,
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where stderr is closed, the exit code has to do.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: Vec<String>) -> Result<(), Box<dyn std::error::Error>> {
    let mut driver = Driver::Core;
    if let Some(at) = arguments.iter().position(|argument| argument == "--driver") {
        driver = match arguments.get(at + 1).map(String::as_str) {
            Some("core") => Driver::Core,
            Some("ractor") => Driver::Ractor,
            Some("task") => Driver::Task,
            _ => return Err(USAGE.into()),
        };
        arguments.drain(at..at + 2);
    }
    match arguments.as_slice() {
        [] => Err(USAGE.into()),
        [dash] if dash == "-" => serve(driver),
        files => files.iter().try_for_each(|file| {
            writeln!(io::stdout(), "# {file}")?;
            answer(driver, &std::fs::read_to_string(file)?)
        }),
    }
}

fn serve(driver: Driver) -> Result<(), Box<dyn std::error::Error>> {
    let mut script = String::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        if line.trim() == "run." {
            answer(driver, &script)?;
            writeln!(io::stdout(), "end")?;
            io::stdout().flush()?;
            script.clear();
        } else {
            script.push_str(&line);
            script.push('\n');
        }
    }
    Ok(())
}

fn answer(driver: Driver, script: &str) -> Result<(), Box<dyn std::error::Error>> {
    let script = Script::parse(script)?;
    let trace = match driver {
        Driver::Core => replay(&script, &mut Machines::new()),
        Driver::Ractor => replay(&script, &mut Real::new(Kind::Actor)?),
        Driver::Task => replay(&script, &mut Real::new(Kind::Task)?),
    };
    let mut out = io::stdout().lock();
    for line in trace {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
