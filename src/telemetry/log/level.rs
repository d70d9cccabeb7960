//! What `log.level` may say. `EnvFilter` itself takes a misspelt level for a target.

use tracing_subscriber::EnvFilter;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What is wrong with a list of directives, if anything: a level alone, or `TARGET=LEVEL`.
pub(super) fn problem(directives: &str) -> Option<String> {
    let is_level = |text: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(text));
    for directive in directives.split(',') {
        // A target may hold spans and fields in brackets; its level stands behind the last "=".
        let (target, level) = directive.rsplit_once('=').unwrap_or(("", directive));
        if !is_level(level) || (target.is_empty() && directive.contains('=')) {
            let levels = LEVELS.join(", ");
            return Some(format!(
                "\"{directive}\" is no level; give one of {levels}, or TARGET=LEVEL"
            ));
        }
    }
    EnvFilter::try_new(directives).err().map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_known_and_targets_have_one() {
        for good in ["info", "WARN", "off", "info,erlmcp::transport=debug", "[span]=trace"] {
            assert_eq!(problem(good), None, "{good}");
        }
        for bad in ["", "inof", "info,=,", "info,", "hyper", "hyper=loud", "=info", "a=b=c"] {
            let told = problem(bad);
            assert!(told.is_some_and(|what| what.contains("no level")), "{bad}");
        }
    }
}
