//! Reading the configuration again while the node runs.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tokio_util::task::TaskTracker;

use crate::config::{Checked, Config, Difference, Problems};
use crate::protocol::{Code, ResultObject, RpcError};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::ReloadLabels;
use crate::transport::control;
use crate::upstreams::{ReloadError, Upstreams};

/// Reads the configuration from where the node has it.
pub type Load = Arc<dyn Fn() -> Checked + Send + Sync>;

/// Applies what changed. Clones share it.
#[derive(Clone)]
pub struct Reload(Arc<Parts>);

struct Parts {
    load: Load,
    /// What the node runs by.
    current: Mutex<Config>,
    upstreams: Upstreams,
    metrics: Metrics,
    /// Reloads under way: they end whether or not who asked for them waits.
    running: TaskTracker,
}

/// Why nothing, or not all, was applied.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The configuration is bad; nothing changed.
    #[error("nothing changed, because the configuration is bad:\n{0}")]
    Bad(Problems),
    /// The tree could not be changed.
    #[error(transparent)]
    Tree(#[from] ReloadError),
    /// It was cut off.
    #[error("the reload crashed")]
    Crashed,
}

impl Reload {
    /// Reloads into `upstreams` what `load` gives; the node runs by `config` now.
    pub(super) fn new(load: Load, config: Config, upstreams: Upstreams, metrics: Metrics) -> Self {
        let (current, running) = (Mutex::new(config), TaskTracker::new());
        Self(Arc::new(Parts { load, current, upstreams, metrics, running }))
    }

    /// What would change.
    ///
    /// # Errors
    /// Where the configuration is bad.
    pub fn look(&self) -> Result<Difference, Refused> {
        Ok(self.0.read()?.1)
    }

    /// Applies what changed, whether or not anybody waits for it.
    ///
    /// # Errors
    /// Where the configuration is bad or the tree can't be changed.
    pub async fn run(&self) -> Result<Difference, Refused> {
        let parts = Arc::clone(&self.0);
        let applied = self.0.running.spawn(async move { parts.apply().await });
        applied.await.unwrap_or(Err(Refused::Crashed))
    }

    /// The same, for somebody who doesn't wait; the log tells how it went.
    pub fn start(&self) {
        let parts = Arc::clone(&self.0);
        drop(self.0.running.spawn(async move { parts.apply().await }));
    }

    /// As the control socket offers it.
    pub(super) fn by_operators(self) -> control::Reload {
        Arc::new(move |dry_run| {
            let reload = self.clone();
            Box::pin(async move { reload.answer(dry_run).await })
        })
    }

    async fn answer(&self, dry_run: bool) -> Result<ResultObject, RpcError> {
        let difference = if dry_run { self.look() } else { self.run().await };
        let difference = difference.map_err(|refused| {
            let code = match &refused {
                Refused::Bad(_) => Code::InvalidParams,
                Refused::Tree(_) | Refused::Crashed => Code::InternalError,
            };
            RpcError::new(code, refused.to_string())
        })?;
        ResultObject::of(&json!({ "text": difference.to_string(), "changes": difference }))
    }
}

impl Parts {
    fn read(&self) -> Result<(Config, Difference), Refused> {
        let Checked { config, warnings } = (self.load)();
        for warning in warnings {
            tracing::warn!(origin = warning.origin, key = warning.key, "{}", warning.what);
        }
        let new = config.map_err(Refused::Bad)?;
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let difference = Difference::between(&current, &new);
        Ok((new, difference))
    }

    async fn apply(&self) -> Result<Difference, Refused> {
        let applied = self.apply_read().await;
        let result = if applied.is_ok() { "applied" } else { "refused" };
        self.metrics.config_reloads.get_or_create(&ReloadLabels { result }).inc();
        match &applied {
            Ok(difference) => {
                tracing::info!(changes = %difference, "the configuration is reloaded")
            }
            Err(error) => tracing::error!(%error, "the configuration is not reloaded"),
        }
        applied
    }

    async fn apply_read(&self) -> Result<Difference, Refused> {
        let (new, difference) = self.read()?;
        self.upstreams.apply(new.mcp_servers.clone()).await?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // All else goes on as it was started, and is told again next time.
        current.mcp_servers = new.mcp_servers;
        Ok(difference)
    }
}
