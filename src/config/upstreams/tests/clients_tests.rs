//! Files of clients, as these write them.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::provider::upstream::spec::{HttpTransport, UpstreamAuth};

/// What a file is read as, without a problem.
fn read(name: &str, text: &str, variables: &[(&str, &str)]) -> BTreeMap<String, UpstreamSpec> {
    let folder = Folder::new(&[(name, text)]);
    let checked = folder.check(&[name], variables);
    assert_eq!(folder.told(&checked.warnings), [""; 0], "{name}");
    servers(checked)
}

#[test]
fn claude_desktop() {
    let text = r#"{
      "globalShortcut": "Ctrl+Space",
      "mcpServers": {
        "filesystem": {
          "command": "npx",
          "args": ["-y", "@modelcontextprotocol/server-filesystem", "/srv/files"]
        },
        "github": {
          "command": "docker",
          "args": ["run", "-i", "--rm", "-e", "TOKEN", "ghcr.io/github/github-mcp-server"],
          "env": { "TOKEN": "${GITHUB_TOKEN}", "PORT": 8080, "DEBUG": true }
        }
      },
      "preferences": { "menuBarEnabled": false }
    }"#;
    let servers = read("claude_desktop_config.json", text, &[("GITHUB_TOKEN", "t")]);
    let args = ["-y", "@modelcontextprotocol/server-filesystem", "/srv/files"];
    assert_eq!(servers["filesystem"], UpstreamSpec::new(command("npx", &args, &[])));
    let env = [("DEBUG", "true"), ("PORT", "8080"), ("TOKEN", "t")];
    assert_eq!(stdio(&servers["github"]).env, secrets(&env));
    assert_eq!(servers.len(), 2);
}

#[test]
fn claude_code() {
    let text = r#"{ "mcpServers": {
      "api": {
        "type": "http",
        "url": "${API_URL:-https://api.example.com}/mcp",
        "headers": { "Authorization": "Bearer ${API_KEY}", "Content-Type": "application/json" },
        "alwaysLoad": true
      },
      "events": { "type": "sse", "url": "https://mcp.example.com/sse" },
      "local": { "type": "stdio", "command": "~/bin/server", "args": [], "env": {} }
    } }"#;
    let folder = Folder::new(&[(".mcp.json", text)]);
    let checked = folder.check(&[".mcp.json"], &[("API_KEY", "k"), ("HOME", "/h")]);
    let warning = ".mcp.json: mcpServers.api.headers.Content-Type: is set by the node itself, and \
                   left out";
    assert_eq!(folder.told(&checked.warnings), [warning]);
    let servers = servers(checked);
    let api = http(&servers["api"]);
    assert_eq!(api.url, "https://api.example.com/mcp");
    assert_eq!(api.transport, HttpTransport::Auto);
    assert_eq!(api.headers, secrets(&[("authorization", "Bearer k")]));
    assert_eq!(http(&servers["events"]).transport, HttpTransport::Sse);
    assert_eq!(stdio(&servers["local"]).program, "/h/bin/server");
}

#[test]
fn cursor() {
    let text = r#"{ "mcpServers": {
      "Internal Tools": {
        "command": "${workspaceFolder}/tools/run",
        "args": ["${userHome}/x", "${workspaceFolderBasename}", "${env:MODE}", "a${/}b"],
        "envFile": "${workspaceFolder}/.env",
        "env": { "LEVEL": "info" }
      },
      "remote": { "url": "https://mcp.example.com", "headers": {} }
    } }"#;
    let files = [("project/.cursor/mcp.json", text), ("project/.env", "LEVEL=debug\nKEY='k'\n")];
    let folder = Folder::new(&files);
    let checked = folder.check(&["project/.cursor/mcp.json"], &[("HOME", "/h"), ("MODE", "m")]);
    let told = folder.told(&checked.warnings);
    assert_eq!(told, [r#"mcp.json: mcpServers["Internal Tools"]: is named Internal-Tools here"#]);
    let servers = servers(checked);
    let tools = stdio(&servers["Internal-Tools"]);
    assert_eq!(tools.program, folder.path("project/tools/run"));
    assert_eq!(tools.args, ["/h/x", "project", "m", "a/b"]);
    // What the entry says itself goes before its file.
    assert_eq!(tools.env, secrets(&[("KEY", "k"), ("LEVEL", "info")]));
    assert_eq!(http(&servers["remote"]).transport, HttpTransport::Auto);
}

#[test]
fn windsurf() {
    let folder = Folder::new(&[("token", "hunter2\n")]);
    let text = format!(
        r#"{{ "mcpServers": {{
          "remote": {{
            "serverUrl": "https://mcp.example.com/mcp",
            "headers": {{ "Authorization": "Bearer ${{file:{}}}" }},
            "disabled": false,
            "disabledTools": ["delete_*"]
          }}
        }} }}"#,
        folder.path("token")
    );
    let servers = read("mcp_config.json", &text, &[]);
    let spec = &servers["remote"];
    assert_eq!(http(spec).headers, secrets(&[("authorization", "Bearer hunter2")]));
    assert_eq!((spec.enabled, &spec.tools.deny[..]), (true, &["delete_*".to_owned()][..]));
}

#[test]
fn cline() {
    let text = r#"{ "mcpServers": {
      "github.com/upstash/context7-mcp": {
        "autoApprove": ["resolve-library-id"],
        "disabled": true,
        "timeout": 120,
        "type": "stdio",
        "command": "npx",
        "args": ["-y", "@upstash/context7-mcp@latest"],
        "env": { "KEY": "${UNSET}" }
      },
      "stream": { "type": "streamableHttp", "url": "https://mcp.example.com/mcp", "headers": {} },
      "old": { "transportType": "sse", "url": "https://mcp.example.com/sse", "alwaysAllow": [] }
    } }"#;
    let folder = Folder::new(&[("cline_mcp_settings.json", text)]);
    let checked = folder.check(&["cline_mcp_settings.json"], &[]);
    let at = r#"cline_mcp_settings.json: mcpServers["github.com/upstash/context7-mcp"]"#;
    let warnings = [
        format!("{at}: is named github.com-upstash-context7-mcp here"),
        // It isn't started, so that nobody misses the variable.
        format!(
            "{at}.env.KEY: the environment variable UNSET is not set; set it, or give a default \
             as in ${{UNSET:-default}}"
        ),
        format!(
            "{at}.timeout: means seconds in some clients and milliseconds in others; give \
             timeout_ms"
        ),
    ];
    assert_eq!(folder.told(&checked.warnings), warnings);
    let servers = servers(checked);
    assert!(!servers["github.com-upstash-context7-mcp"].enabled);
    assert_eq!(http(&servers["stream"]).transport, HttpTransport::Streamable);
    assert_eq!(http(&servers["old"]).transport, HttpTransport::Sse);
}

#[test]
fn vs_code() {
    let text = r#"// Servers of this workspace.
    {
      "inputs": [
        { "type": "promptString", "id": "api-key", "description": "Key", "password": true },
        { "type": "pickString", "id": "region", "options": ["eu", "us"], "default": "eu" },
      ],
      "servers": {
        /* by stdio */
        "memory": {
          "type": "stdio",
          "command": "npx",
          "args": ["-y", "server-memory", "--region=${input:region}"],
          "cwd": "${workspaceFolder}",
          "env": { "KEY": "${input:api-key}", "NONE": "$${KEPT}" },
          "dev": { "watch": "src/**/*.ts", "debug": { "type": "node" } },
          "gallery": "https://api.mcp.example.com", "version": "1.0.0",
        },
        "http": { "type": "http", "url": "https://mcp.example.com//mcp" }, // not a comment: "//"
      },
    }"#;
    let folder = Folder::new(&[("project/.vscode/mcp.json", text)]);
    let file = ["project/.vscode/mcp.json"];
    let checked = folder.check(&file, &[("INPUT_API_KEY", "k")]);
    assert_eq!(folder.told(&checked.warnings), [""; 0]);
    let servers = servers(checked);
    let memory = stdio(&servers["memory"]);
    assert_eq!(memory.args[2], "--region=eu");
    assert_eq!(memory.env, secrets(&[("KEY", "k"), ("NONE", "${KEPT}")]));
    assert_eq!(memory.cwd.as_deref(), Some(folder.0.join("project").as_path()));
    assert_eq!(http(&servers["http"]).url, "https://mcp.example.com//mcp");
    let Problems(problems) = folder.check(&file, &[]).config.unwrap_err();
    let problem = "mcp.json: servers.memory.env.KEY: ${input:api-key} asks a user, and a node has \
                   nobody to ask; set the environment variable INPUT_API_KEY";
    assert_eq!(folder.told(&problems), [problem]);
}

#[test]
fn the_settings_of_vs_code() {
    let text = r#"{ "editor.fontSize": 12, "mcp": { "servers": { "a": { "command": "a" } } } }"#;
    assert_eq!(read("settings.json", text, &[])["a"].target, command("a", &[], &[]));
}

#[test]
fn codex() {
    let text = r#"
model = "gpt-5"

[mcp_servers.docs]
command = "docs-server"
args = ["--stdio"]
env_vars = ["DOCS_TOKEN", "UNSET"]
startup_timeout_sec = 20
tool_timeout_sec = 2.5
enabled_tools = ["search", "read"]
disabled_tools = ["write"]
required = true

[mcp_servers.docs.env]
LEVEL = "info"

[mcp_servers.docs.tools.search]
approval_mode = "approve"

[mcp_servers.figma]
url = "https://mcp.example.com/mcp"
bearer_token_env_var = "FIGMA_TOKEN"
http_headers = { "X-Region" = "eu" }
env_http_headers = { "X-Tenant" = "TENANT" }
startup_timeout_ms = 1500
enabled = false

[profiles.fast]
model = "gpt-5-mini"
"#;
    let variables = [("DOCS_TOKEN", "d"), ("FIGMA_TOKEN", "f"), ("TENANT", "t")];
    let servers = read("config.toml", text, &variables);
    let docs = &servers["docs"];
    let env = [("DOCS_TOKEN", "d"), ("LEVEL", "info")];
    assert_eq!(docs.target, command("docs-server", &["--stdio"], &env));
    assert_eq!(docs.start_timeout, Duration::from_secs(20));
    assert_eq!(docs.timeout, Some(Duration::from_millis(2_500)));
    assert_eq!((docs.tools.allow.len(), docs.tools.deny.len()), (2, 1));
    let figma = &servers["figma"];
    assert!(!figma.enabled);
    assert_eq!(figma.start_timeout, Duration::from_millis(1_500));
    let headers = [("authorization", "Bearer f"), ("x-region", "eu"), ("x-tenant", "t")];
    assert_eq!(http(figma).headers, secrets(&headers));
}

#[test]
fn gemini_and_copilot() {
    let text = r#"{
      "theme": "GitHub",
      "mcpServers": {
        "a": {
          "httpUrl": "https://mcp.example.com/mcp",
          "trust": false,
          "includeTools": ["x"],
          "excludeTools": ["y"],
          "description": "A server."
        },
        "b": { "type": "local", "command": "b", "tools": ["*"] }
      }
    }"#;
    let folder = Folder::new(&[("settings.json", &text.replace("\"local\"", "\"stdio\""))]);
    let servers = servers(folder.check(&["settings.json"], &[]));
    assert_eq!((&*servers["a"].tools.allow[0], &*servers["a"].tools.deny[0]), ("x", "y"));
    assert_eq!(servers["b"].tools.allow, ["*"]);
}

#[test]
fn ways_to_say_who_the_node_is() {
    let folder = Folder::new(&[("token", "t"), ("secret", "hunter2\r\n")]);
    let oauth = format!(
        r#"{{ "mcpServers": {{ "s": {{ "url": "https://a.test", "oauth": {{
          "clientId": "node", "clientSecretFile": "{}", "scopes": "read write", "callbackPort": 1
        }} }} }} }}"#,
        folder.path("secret")
    );
    let auth = UpstreamAuth::ClientCredentials {
        client_id: "node".to_owned(),
        client_secret: "hunter2".into(),
        scopes: vec!["read".to_owned(), "write".to_owned()],
    };
    assert_eq!(http(&read("a.json", &oauth, &[])["s"]).auth, Some(auth));
    let file = format!(
        r#"{{ "servers": {{ "s": {{ "url": "https://a.test", "bearer_token_file": "{}" }} }} }}"#,
        folder.path("token")
    );
    let auth = UpstreamAuth::TokenFile(Path::new(&folder.path("token")).to_owned());
    assert_eq!(http(&read("b.json", &file, &[])["s"]).auth, Some(auth));
    let text = r#"{ "servers": { "s": { "url": "http://a", "bearer_token": "${T}" } } }"#;
    let servers = read("c.json", text, &[("T", "t")]);
    assert_eq!(http(&servers["s"]).headers, secrets(&[("authorization", "Bearer t")]));
    let shown = format!("{servers:?}");
    assert!(!shown.contains("Bearer"), "{shown}");
}
