//! The composition root: the only place that names concrete adapters and starts what runs in the background.

use crate::{
    adapters::{
        argocd::ArgoCdClient,
        git::{GitMirrors, LocalPaths, SourceMirrors},
        measured::Measured,
        notifier::Notifier,
        registry::{Copier, RegistryClient},
        system::System,
    },
    config::{Config, Database, Limits},
    data_dir::{self, DataDirError, DataLock},
    events::Events,
    ports::clock::{Clock, Ids},
    service::{
        Services, Wake, access,
        context::{Passwords, SignInLimit, Sso},
    },
    store::{OpenError, Store, StoreError, postgres::PostgresStore, sqlite::SqliteStore},
    telemetry,
    web::{
        self, WebState,
        assets::Assets,
        drawing::Drawing,
        serving::{self, Crowd},
    },
    worker::{self, Worker},
};
use contract::error::AppError;
use futures::future::OptionFuture;
use key::SealerError;
use secrecy::ExposeSecret;
use std::{future::Future, io, net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub mod key;

/// Why the server didn't start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The data directory can't be used, or another server has it.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The database can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The encryption key can't be used, or isn't the database's.
    #[error(transparent)]
    Key(#[from] SealerError),
    /// A client could not be set up.
    #[error("the {client} client could not be set up: {reason}")]
    Client {
        /// Which.
        client: &'static str,
        /// Why.
        reason: String,
    },
    /// The threads that hash passwords could not be started.
    #[error("the threads that check passwords could not be started")]
    Passwords(#[source] io::Error),
    /// The first administrator could not be made.
    #[error("the first administrator could not be made: {0}")]
    Administrator(AppError),
    /// Something that should run in the background ended.
    #[error("a background task ended by itself: {0}")]
    Background(String),
    /// The listener for operations can't be had.
    #[error("{address} can't be listened on; set another address with ops.listen, or end what uses it")]
    Operations {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Serving failed.
    #[error("serving failed")]
    Serve(#[source] io::Error),
}

/// Opens the database, and brings its tables up to date.
///
/// # Errors
/// When it can't be opened, or a migration fails.
pub async fn open(database: &Database) -> Result<Arc<dyn Store>, OpenError> {
    Ok(match database {
        Database::Sqlite(file) => Arc::new(SqliteStore::open(file).await?),
        Database::Postgres(address) => Arc::new(PostgresStore::open(address).await?),
    })
}

/// Builds the use cases on their concrete adapters; nothing runs yet.
///
/// # Errors
/// When the data directory, the database or the key can't be used.
pub async fn services(
    config: &Config,
    listening: SocketAddr,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
) -> Result<Services, RunError> {
    data_dir::make(&config.data_dir)?;
    let store = open(&config.database).await?;
    let sealer = key::sealer(config, &*store).await?;
    let client = |client: &'static str| move |reason: String| RunError::Client { client, reason };
    let sso = config.sso.as_ref().map(Sso::new).transpose();
    let copier = Copier::new().map_err(|e| client("copies")(e.to_string()))?;
    Ok(Services {
        store,
        git: Arc::new(
            GitMirrors::new(config.data_dir.join("git"))
                .with_local_paths(LocalPaths::new(config.git_local_paths.clone())),
        ),
        sources: Arc::new(SourceMirrors::new(config.data_dir.join("sources"))),
        argocd: Arc::new(Measured(ArgoCdClient::new())),
        registry: Arc::new(Measured(
            RegistryClient::new().map_err(|e| client("registry")(e.to_string()))?,
        )),
        copier: Arc::new(copier.clone()),
        tags: Arc::new(copier.clone()),
        statements: Arc::new(copier.clone()),
        looks: Arc::new(copier),
        notifier: Arc::new(
            Notifier::new(config.allow_private_targets, config.smtp.as_ref())
                .map_err(|e| client("notifications")(e.to_string()))?,
        ),
        clock,
        ids,
        sealer: Arc::new(sealer),
        wake: Arc::new(Wake::default()),
        sso: sso.map_err(|e| client("single sign-on")(e.to_string()))?.map(Arc::new),
        sign_ins: Arc::new(SignInLimit::new(
            usize::try_from(config.sign_in_attempts).unwrap_or(usize::MAX),
        )),
        passwords: Arc::new(Passwords::start().map_err(RunError::Passwords)?),
        pushes: Arc::default(),
        kept_cells: Arc::default(),
        kept_versions: Arc::default(),
        workload_reads: Arc::default(),
        deployed_sources: Arc::default(),
        kept_inbox: Arc::default(),
        kept_changes: Arc::default(),
        creators: config.workspaces_create,
        public_url: config.public_url(listening).trim_end_matches('/').into(),
    })
}

/// Runs the server on `listener` until `shutdown` is done; then stops gracefully.
///
/// # Errors
/// Why it could not start, or stopped by itself.
pub async fn run(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    run_by(Arc::new(System), Arc::new(System), config, listener, shutdown).await
}

/// The same by another clock than the system's, with ids of its time.
///
/// # Errors
/// Why it could not start, or stopped by itself.
pub async fn run_by(
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    let listening = listener.local_addr().map_err(RunError::Serve)?;
    telemetry::install();
    let _lock = DataLock::take(&config, clock.now())?;
    let limits = connections(&config, serving::descriptors::raise());
    let operations = operations(&config).await?;
    let services = services(&config, listening, clock, ids).await?;
    first_administrator(&config, &services).await?;

    let stop = CancellationToken::new();
    let events = Events::default();
    let mut background = JoinSet::new();
    let settings = worker::Settings {
        sync_timeout: config.promotion_sync_timeout,
        verify_timeout: config.promotion_verify_timeout,
        stable: config.promotion_stable_for,
    };
    background.spawn(services.clone().heed_others(stop.clone()));
    background.spawn(telemetry::upkeep(stop.clone()));
    if let Some(endpoint) = &config.otlp_endpoint {
        let sending = telemetry::traces::start(endpoint, stop.clone());
        background.spawn(sending.map_err(|reason| RunError::Client {
            client: "OpenTelemetry",
            reason,
        })?);
    }
    background.spawn(events.clone().tail(services.clone(), stop.clone()));
    let owner = lease_owner(&config, &services).await?;
    background.spawn(Worker::new(services.clone(), settings, &owner).run(stop.clone()));
    background.spawn(worker::git_removals::run(services.clone(), owner.clone(), stop.clone()));
    background.spawn(worker::tags::run(services.clone(), owner.clone(), stop.clone()));
    background.spawn(worker::presence::run(services.clone(), owner.clone(), stop.clone()));
    background.spawn(worker::notify::run(
        services.clone(),
        owner,
        events.ledger(),
        stop.clone(),
    ));
    background.spawn(worker::watch::all(services.clone(), stop.clone()));
    background.spawn(worker::poll::git(
        services.clone(),
        config.git_poll_interval,
        stop.clone(),
    ));
    background.spawn(worker::poll::registries(
        services.clone(),
        config.registry_poll_interval,
        stop.clone(),
    ));

    let state = WebState {
        drawing: Drawing::default(),
        assets: Arc::new(Assets::read(&config.site_dir)),
        secure: config.secure_cookies(),
        public_metrics: config.public_metrics,
        trusted_proxies: config.trusted_proxies.as_slice().into(),
        webhook_secret: config.registry_webhook_secret.clone(),
        git_webhook_secret: config.git_webhook_secret.clone(),
        services: services.clone(),
        events,
        stop: stop.clone(),
    };
    tracing::info!(address = %listening, url = %services.public_url, "Waybill is ready");
    let crowd = Crowd::new(limits, config.trusted_proxies.as_slice().into());
    let aside = operations.map(|listener| {
        let crowd = Crowd::new(limits.of_operations(), Arc::default());
        serving::serve(listener, web::router::operations(state.clone()), crowd, stop.clone())
    });
    let aside = OptionFuture::from(aside);
    let main = serving::serve(listener, web::router::router(state), crowd, stop.clone());
    let ends = async {
        tokio::select! {
            () = shutdown => tracing::info!("stopping"),
            () = stop.cancelled() => {}
        }
        stop.cancel();
    };
    let mut serving = std::pin::pin!(async { tokio::join!(main, aside, ends) });
    let served = tokio::select! {
        _ = &mut serving => Ok(()),
        // What runs in the background never ends by itself: without it nothing moves, and nobody would notice.
        Some(ended) = background.join_next() => {
            let stopped = stop.is_cancelled();
            stop.cancel();
            serving.await;
            if stopped { Ok(()) } else { Err(RunError::Background(ended.err().map(|e| e.to_string()).unwrap_or_default())) }
        }
    };
    stop.cancel();
    while background.join_next().await.is_some() {}
    served
}

/// The limits of connections that the system's `descriptors` allow.
fn connections(config: &Config, descriptors: usize) -> Limits {
    let limits = config.connections.within(descriptors);
    if limits.total < config.connections.total {
        tracing::warn!(
            wanted = config.connections.total,
            connections = limits.total,
            open_files = descriptors,
            "fewer connections are served than limits.connections says: the system lets this process open too few files; \
             raise its limit (LimitNOFILE= of systemd, or ulimit -n)"
        );
    }
    limits
}

async fn operations(config: &Config) -> Result<Option<TcpListener>, RunError> {
    let Some(address) = config.ops_listen else {
        return Ok(None);
    };
    let failed = |source| RunError::Operations { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let listening = listener.local_addr().map_err(failed)?;
    tracing::info!(address = %listening, "health and metrics are answered here too");
    Ok(Some(listener))
}

/// The name under which this life of the server holds leases. A database in a file has no other server: whatever is leased there
/// was its own in an earlier life, and is taken up at once. Where others share the database, theirs run out.
async fn lease_owner(config: &Config, services: &Services) -> Result<String, RunError> {
    match &config.database {
        Database::Sqlite(_) => {
            let mut tx = services.store.write().await?;
            tx.release_leases(None).await?;
            tx.commit().await?;
        }
        Database::Postgres(_) => {}
    }
    Ok(services.ids.next().to_string())
}

async fn first_administrator(config: &Config, services: &Services) -> Result<(), RunError> {
    let made = access::first_administrator(services, config.admin_email.as_deref(), config.admin_password.as_ref())
        .await
        .map_err(RunError::Administrator)?;
    if let Some((email, password)) = made {
        // For the person who starts it the first time, on their terminal; never through the log.
        eprintln!("\nThe first administrator was made. This password is shown only now:");
        eprintln!("  e-mail    {email}\n  password  {}\n", password.expose_secret());
    }
    Ok(())
}
