//! A real PostgreSQL, Debian's, in a temporary directory: it listens on a socket in there and nowhere else, so that it can't be
//! taken for, or meet, one that runs on the machine.
//!
//! PostgreSQL refuses to run as root, so root starts it as the user `postgres`. It never outlives the process that
//! started it, however that ends: a shell between the two waits for the end of a pipe that only the process holds open,
//! then stops the database and removes the directory.

use std::{
    os::unix::fs::{MetadataExt as _, chown},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{TestbedError, process::POLL};

/// Where packages put the programs; Debian has a folder per version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// The role that owns the databases. It may do nothing else, like the one of a careful installation.
const ROLE: &str = "waybill";
const SUPERUSER: &str = "postgres";

/// Stops the database when nobody holds the other end of its standard input any more. It stops without ceremony: nothing in there
/// is worth keeping.
const KEEPER: &str = r#"
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
    -c max_connections=400 -c shared_buffers=64MB -c max_wal_size=256MB &
server=$!
cat >/dev/null
kill -QUIT "$server"
wait "$server"
rm -rf "$2"
"#;

/// A running PostgreSQL.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    directory: PathBuf,
    /// Whom the programs run as, when this process is root.
    user: Option<(u32, u32)>,
    keeper: Child,
    databases: AtomicU32,
}

/// A database of one's own, dropped with this value.
#[derive(Debug)]
pub struct PostgresDatabase {
    server: &'static Postgres,
    name: String,
}

impl Postgres {
    /// The one of this process, started by whoever asks first.
    pub fn shared() -> Result<&'static Self, TestbedError> {
        static SHARED: OnceLock<Result<Postgres, TestbedError>> = OnceLock::new();
        SHARED
            .get_or_init(Self::start)
            .as_ref()
            .map_err(|error| TestbedError::Earlier(error.to_string()))
    }

    /// Starts one; it ends with the value.
    pub fn start() -> Result<Self, TestbedError> {
        let programs = programs()?;
        let user = unprivileged()?;
        let directory = TempDir::with_prefix("waybill-pg-").map_err(TestbedError::file("a temporary directory"))?;
        // From here on the keeper removes it.
        let directory = directory.keep();
        if let Some((uid, gid)) = user {
            chown(&directory, Some(uid), Some(gid)).map_err(TestbedError::file(&directory))?;
        }
        let made = run(as_user(&programs.join("initdb"), user)
            .args(["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
            .args(["--username", SUPERUSER, "--pgdata"])
            .arg(directory.join("data"))
            .current_dir(&directory));
        if let Err(error) = made {
            let _ = std::fs::remove_dir_all(&directory);
            return Err(error);
        }
        let log = directory.join("log");
        let file = std::fs::File::create(&log).map_err(TestbedError::file(&log))?;
        let same = file.try_clone().map_err(TestbedError::file(&log))?;
        let keeper = as_user(Path::new("sh"), user)
            .args(["-c", KEEPER, "keeper"])
            .args([&programs, &directory])
            .current_dir(&directory)
            // Ctrl-C on a terminal goes to the tests; the keeper then sees that they are gone.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(file)
            .stderr(same)
            .spawn()
            .map_err(|source| TestbedError::Spawn {
                program: "sh".into(),
                source,
            })?;
        let server = Self {
            programs,
            directory,
            user,
            keeper,
            databases: AtomicU32::new(0),
        };
        server.wait_until_ready(&log)?;
        server.run_sql(&format!("CREATE ROLE {ROLE} LOGIN"))?;
        Ok(server)
    }

    /// A new, empty database.
    pub fn database(&'static self) -> Result<PostgresDatabase, TestbedError> {
        self.create("template1")
    }

    fn create(&'static self, template: &str) -> Result<PostgresDatabase, TestbedError> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.run_sql(&format!("CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {template}"))?;
        Ok(PostgresDatabase { server: self, name })
    }

    /// Where its data and its socket lie.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn wait_until_ready(&self, log: &Path) -> Result<(), TestbedError> {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.run_sql("SELECT 1") {
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(log).unwrap_or_default();
                return Err(TestbedError::NotReady {
                    what: "PostgreSQL".into(),
                    seconds: PATIENCE.as_secs(),
                    log: format!("{error}\n{log}"),
                });
            }
            sleep(POLL);
        }
        Ok(())
    }

    fn run_sql(&self, statement: &str) -> Result<(), TestbedError> {
        run(as_user(&self.programs.join("psql"), self.user)
            .args([
                "--no-psqlrc",
                "--quiet",
                "--username",
                SUPERUSER,
                "--dbname",
                "postgres",
                "--host",
            ])
            .arg(&self.directory)
            .args(["--command", statement])
            .current_dir(&self.directory))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

impl PostgresDatabase {
    /// Its address, for `WAYBILL_DATABASE_URL`.
    pub fn url(&self) -> String {
        let socket = self.server.directory.display().to_string().replace('/', "%2F");
        format!("postgres://{ROLE}@{socket}/{}", self.name)
    }

    /// A new database with what this one holds. Nobody may be connected to this one meanwhile.
    pub fn copy(&self) -> Result<Self, TestbedError> {
        self.server.create(&self.name)
    }

    /// Another role, which owns nothing: its name, and the address of the database for it.
    pub fn another_role(&self) -> Result<(String, String), TestbedError> {
        let role = format!("{}_server", self.name);
        self.server.run_sql(&format!("CREATE ROLE {role} LOGIN"))?;
        let url = self.url().replace(&format!("//{ROLE}@"), &format!("//{role}@"));
        Ok((role, url))
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        // A database is 7 MB. When it can't be dropped it goes with the server.
        let _ = self
            .server
            .run_sql(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// The folder of the newest version's programs; the lists of old ones are short.
fn programs() -> Result<PathBuf, TestbedError> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir(VERSIONS)
        .map_err(|source| TestbedError::Spawn {
            program: "postgres".into(),
            source,
        })?
        .filter_map(|entry| {
            let folder = entry.ok()?.path();
            let version = folder.file_name()?.to_str()?.parse().ok()?;
            let programs = folder.join("bin");
            programs.join("initdb").is_file().then_some((version, programs))
        })
        .collect();
    found.sort();
    found
        .pop()
        .map(|(_, programs)| programs)
        .ok_or_else(|| TestbedError::Spawn {
            program: "postgres".into(),
            source: std::io::ErrorKind::NotFound.into(),
        })
}

/// Numbers of the user and group `postgres` when this process is root, which /proc says.
fn unprivileged() -> Result<Option<(u32, u32)>, TestbedError> {
    let own = Path::new("/proc/self");
    if std::fs::metadata(own).map_err(TestbedError::file(own))?.uid() != 0 {
        return Ok(None);
    }
    let users = Path::new("/etc/passwd");
    let list = std::fs::read_to_string(users).map_err(TestbedError::file(users))?;
    list.lines()
        .find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [SUPERUSER, _, uid, gid, ..] = fields[..] else {
                return None;
            };
            Some(Some((uid.parse().ok()?, gid.parse().ok()?)))
        })
        .ok_or_else(|| {
            let missing = std::io::Error::new(
                std::io::ErrorKind::NotFound,
                "it has no user postgres, and PostgreSQL doesn't run as root",
            );
            TestbedError::File {
                path: users.into(),
                source: missing,
            }
        })
}

fn as_user(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    // What a person has set for their own databases means nothing here.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

fn run(command: &mut Command) -> Result<(), TestbedError> {
    let shown = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| TestbedError::Spawn {
            program: shown.clone(),
            source,
        })?;
    if output.status.success() {
        return Ok(());
    }
    Err(TestbedError::Program {
        command: shown,
        status: output.status.to_string(),
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
