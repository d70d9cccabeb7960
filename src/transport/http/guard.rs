//! Host and Origin: which web pages may reach a listener (MCP transports, "Security warning").
//!
//! A page in a browser on this machine can send requests to loopback, and by DNS rebinding it can
//! even read the answers. Both names tell such requests apart.

use std::net::{IpAddr, SocketAddr};

/// The rules of one listener.
#[derive(Debug, Clone)]
pub struct Guard {
    loopback: bool,
    hosts: Vec<String>,
    origins: Vec<String>,
}

/// Why a request isn't served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The name in `Host`.
    Host,
    /// The page in `Origin`.
    Origin,
}

impl Guard {
    /// Rules for a listener at `address`.
    pub fn new(address: SocketAddr, hosts: &[String], origins: &[String]) -> Self {
        let lower = |names: &[String]| names.iter().map(|name| name.to_lowercase()).collect();
        Self { loopback: address.ip().is_loopback(), hosts: lower(hosts), origins: lower(origins) }
    }

    /// Checks a request's names.
    ///
    /// # Errors
    /// Which of them isn't allowed.
    pub fn check(&self, host: Option<&str>, origin: Option<&str>) -> Result<(), Refusal> {
        if !self.allows_host(host) {
            return Err(Refusal::Host);
        }
        match origin {
            Some(origin) if !self.allows_origin(origin) => Err(Refusal::Origin),
            _ => Ok(()),
        }
    }

    fn allows_host(&self, host: Option<&str>) -> bool {
        if self.hosts.is_empty() && !self.loopback {
            return true;
        }
        let Some(host) = host.map(str::to_lowercase) else { return false };
        let name = without_port(&host);
        let listed = |allowed: &String| *allowed == host || allowed == name;
        self.hosts.iter().any(listed) || (self.loopback && is_loopback(name))
    }

    fn allows_origin(&self, origin: &str) -> bool {
        let origin = origin.to_lowercase();
        if self.origins.contains(&origin) {
            return true;
        }
        let host = origin.split_once("://").map(|(_, host)| without_port(host));
        self.loopback && host.is_some_and(is_loopback)
    }
}

fn is_loopback(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    name == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// The host without its port; the colons of an IPv6 address stand in brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_by_the_kind_of_listener() {
        let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let local: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let public: SocketAddr = "0.0.0.0:1".parse().unwrap();
        let plain = Guard::new(local, &[], &[]);
        let named = Guard::new(local, &list(&["Proxy.test"]), &list(&["https://app.test"]));
        let open = Guard::new(public, &[], &list(&["https://app.test"]));
        let strict = Guard::new(public, &list(&["a.test:81"]), &[]);
        let (ok, host, origin) = (Ok(()), Err(Refusal::Host), Err(Refusal::Origin));
        let table = [
            (&plain, Some("localhost:8080"), None, ok),
            (&plain, Some("LOCALHOST"), None, ok),
            (&plain, Some("[::1]:8080"), None, ok),
            (&plain, Some("127.0.0.1"), Some("http://localhost:3000"), ok),
            (&plain, Some("127.0.0.1"), Some("http://[::1]"), ok),
            (&plain, Some("evil.test"), None, host),
            (&plain, Some("localhost.evil.test"), None, host),
            (&plain, None, None, host),
            (&plain, Some("localhost"), Some("https://evil.test"), origin),
            (&plain, Some("localhost"), Some("null"), origin),
            (&plain, Some("localhost"), Some("http://localhost.evil.test"), origin),
            (&named, Some("proxy.test:443"), Some("https://APP.test"), ok),
            (&named, Some("localhost"), None, ok),
            (&named, Some("other.test"), None, host),
            (&open, Some("anything"), None, ok),
            (&open, None, None, ok),
            (&open, Some("anything"), Some("https://app.test"), ok),
            (&open, Some("anything"), Some("http://localhost"), origin),
            (&strict, Some("a.test:81"), None, ok),
            (&strict, Some("a.test:82"), None, host),
        ];
        for (row, (guard, name, page, expected)) in table.into_iter().enumerate() {
            assert_eq!(guard.check(name, page), expected, "row {row}");
        }
    }
}
