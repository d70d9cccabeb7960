//! The table of what stands before other servers.

use std::fmt::Write as _;

use super::{Call, Row, time, write_error};

/// Writes it, if anything was measured.
pub(super) fn write(text: &mut String, rows: &[Row<Call>]) -> std::fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "\ntools/call answered from behind, in sessions; all processes but the load on one core\n\
         added: to what the server behind takes when it is asked directly by as many clients"
    )?;
    write!(text, "{:>7} {:<15} {:>8} {:>4} {:>8}", "clients", "server", "req/s", "±", "most")?;
    write!(text, " {:>8} {:>8} {:>9} {:>9}", "p50", "p99", "added p50", "added p99")?;
    writeln!(text, " {:>8} {:>8} {:>6}", "CPU", "load", "errors")?;
    for row in rows {
        let Call { clients, server, .. } = row.of;
        let (rate, p50, p99) = (&row.per_second, row.p50_us.median(), row.p99_us.median());
        let direct = server.direct().and_then(|direct| {
            rows.iter().find(|other| other.of == Call { server: direct, ..row.of })
        });
        let added = |own: f64, direct: Option<f64>| {
            direct.map_or("-".to_owned(), |direct| time((own - direct).max(0.0)))
        };
        write!(text, "{clients:>7} {:<15} {:>8.0}", server.name(), rate.median())?;
        write!(text, " {:>3.0}% {:>8.0}", rate.spread(), rate.most())?;
        write!(text, " {:>8} {:>8}", time(p50), time(p99))?;
        write!(text, " {:>9}", added(p50, direct.map(|direct| direct.p50_us.median())))?;
        write!(text, " {:>9}", added(p99, direct.map(|direct| direct.p99_us.median())))?;
        write!(text, " {:>5.1} µs {:>5.1} µs", row.cpu_us.median(), row.load_cpu_us.median())?;
        writeln!(text, " {:>6}", row.errors)?;
        write_error(text, row.first_error.as_deref())?;
    }
    Ok(())
}
