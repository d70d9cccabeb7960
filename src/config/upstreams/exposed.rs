//! Finds secrets that stand in a file as they are. A guess: it is told, and nothing more.

/// What is told of one.
pub(super) const ADVICE: &str =
    "looks like a secret in plain text; write ${NAME} and set that variable, or ${file:/PATH}";

/// How the secrets of well-known services begin.
const BEGINNINGS: [&str; 12] = [
    "AIza",
    "AKIA",
    "eyJ",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "hf_",
    "sk-",
    "xoxb-",
    "xoxp-",
];
/// The shortest of those.
const WELL_KNOWN_CHARS: usize = 20;
/// What the names of secrets contain.
const NAMES: [&str; 7] =
    ["apikey", "authorization", "credential", "password", "privatekey", "secret", "token"];
/// The shortest text that is taken for a secret by its name alone.
const NAMED_CHARS: usize = 8;

/// Whether a text looks like a secret, by itself or by its name.
pub(super) fn is_secret(name: &str, text: &str) -> bool {
    if text.contains("${") {
        return false;
    }
    let between = |c: char| c.is_whitespace() || matches!(c, '=' | ':' | ',');
    let well_known = text.split(between).any(|word| {
        word.len() >= WELL_KNOWN_CHARS && BEGINNINGS.iter().any(|start| word.starts_with(start))
    });
    let name = super::keys::plain(name);
    let named = NAMES.iter().any(|part| name.contains(part)) && !name.ends_with("file");
    let is_path = text.starts_with(['/', '.', '~']) || text.contains("://");
    let is_number = text.chars().all(|c| c.is_ascii_digit());
    well_known || (named && text.len() >= NAMED_CHARS && !is_path && !is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_beginning_or_their_name() {
        let table = [
            ("", "--token=ghp_0123456789abcdef0123", true),
            ("X", "sk-0123456789abcdef0123", true),
            ("Authorization", "Bearer 0123", true),
            ("GITHUB_TOKEN", "12345678a", true),
            ("api-key", "0123-4567", true),
            ("GITHUB_TOKEN", "${GITHUB_TOKEN}", false),
            ("GITHUB_TOKEN_FILE", "0123456789", false),
            ("TOKEN_PATH", "/run/secrets/token", false),
            ("TOKEN_URL", "https://a.test/token", false),
            ("MAX_TOKENS", "100000000", false),
            ("MODE", "sk-ip", false),
            ("LEVEL", "production", false),
        ];
        for (name, text, expected) in table {
            assert_eq!(is_secret(name, text), expected, "{name}={text}");
        }
    }
}
