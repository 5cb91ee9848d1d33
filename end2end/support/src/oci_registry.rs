//! A real OCI registry, Debian's `docker-registry` (distribution 2.8), on a local port with its data in a directory.
//!
//! Configuration reference: <https://distribution.github.io/distribution/about/configuration/>.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, header};
use serde_json::{Value, json};

use crate::{
    ImageSpec, TestbedError,
    image::{self, Blob, INDEX, MANIFEST},
    process::Process,
};

/// The one user of a registry that asks for credentials.
pub const REGISTRY_USER: &str = "waybill";
/// The password of [`REGISTRY_USER`].
pub const REGISTRY_PASSWORD: &str = "waybill-registry";
/// `htpasswd -B` of the two; the registry knows no other form than bcrypt.
const HTPASSWD: &str = "waybill:$2b$05$7fL1PmELfD0G8iupnl1TdueF8wdC4WewMQvwoa67ur8aayFIjRmie\n";

const ANY_MANIFEST: [&str; 4] = [
    MANIFEST,
    INDEX,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// How a registry is started.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// Where images, configuration and log lie. What is there from an earlier start is served again.
    pub directory: PathBuf,
    /// A free port unless one is named.
    pub port: Option<u16>,
    /// Whether every request needs [`REGISTRY_USER`] and [`REGISTRY_PASSWORD`] (HTTP Basic).
    pub auth: bool,
    /// Who is told of pushes, pulls and deletions.
    pub notifications: Vec<NotificationEndpoint>,
}

impl RegistryOptions {
    /// Open to everyone on a free port, with no one to notify.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            port: None,
            auth: false,
            notifications: Vec::new(),
        }
    }
}

/// Where the registry posts its events. It tries again, twice a second, as long as nobody takes them.
#[derive(Debug, Clone)]
pub struct NotificationEndpoint {
    /// The address to post to.
    pub url: String,
    /// Headers sent along, for example `Authorization`.
    pub headers: Vec<(String, String)>,
}

/// A running registry. It ends with this value; its directory stays.
#[derive(Debug)]
pub struct OciRegistry {
    process: Process,
    port: u16,
    auth: bool,
    client: reqwest::Client,
}

impl OciRegistry {
    /// Starts the registry and waits until it answers.
    pub async fn start(options: RegistryOptions) -> Result<Self, TestbedError> {
        let directory = &options.directory;
        let data = directory.join("data");
        std::fs::create_dir_all(&data).map_err(TestbedError::file(&data))?;
        let htpasswd = directory.join("htpasswd");
        let mut config = json!({
            "version": "0.1",
            "log": { "level": "info" },
            "storage": {
                // As its package ships it.
                "cache": { "blobdescriptor": "inmemory" },
                "filesystem": { "rootdirectory": data },
                "delete": { "enabled": true },
                "maintenance": { "uploadpurging": { "enabled": false } },
            },
            // Only one process serves an upload, so the secret need not be kept; without one it warns at each start.
            "http": {
                "addr": format!("{}:{}", Ipv4Addr::LOCALHOST, options.port.unwrap_or(0)),
                "relativeurls": true,
                "secret": "waybill-testbed",
            },
        });
        if options.auth {
            std::fs::write(&htpasswd, HTPASSWD).map_err(TestbedError::file(&htpasswd))?;
            config["auth"] = json!({ "htpasswd": { "realm": "registry", "path": htpasswd } });
        }
        if !options.notifications.is_empty() {
            let endpoints = options.notifications.iter().enumerate().map(|(index, endpoint)| {
                let headers: std::collections::BTreeMap<_, _> =
                    endpoint.headers.iter().map(|(name, value)| (name, [value])).collect();
                json!({
                    "name": format!("endpoint-{index}"),
                    "url": endpoint.url,
                    "headers": headers,
                    "timeout": "2s",
                    "threshold": 1,
                    "backoff": "500ms",
                })
            });
            config["notifications"] = json!({ "endpoints": endpoints.collect::<Vec<_>>() });
        }
        // JSON is YAML.
        let config_file = directory.join("config.yml");
        std::fs::write(&config_file, format!("{config:#}\n")).map_err(TestbedError::file(&config_file))?;
        let log = directory.join("registry.log");
        std::fs::write(&log, "").map_err(TestbedError::file(&log))?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config_file);
        // The registry takes settings from variables with this prefix too: somebody else's must not get in.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("REGISTRY_") {
                command.env_remove(name);
            }
        }
        // Its heap has a few megabytes, and doubles many times a second: left alone, collecting garbage takes it most of its time, and
        // most of a small machine.
        command.env("GOGC", "400");
        Self::listening(Process::spawn(&mut command, &log)?, options.auth).await
    }

    /// Starts another registry program, without authentication. It must print `listening on 127.0.0.1:PORT`.
    pub async fn run(program: &Path, directory: &Path) -> Result<Self, TestbedError> {
        let log = directory.join("registry.log");
        std::fs::write(&log, "").map_err(TestbedError::file(&log))?;
        let process = Process::spawn(&mut Command::new(program), &log)?;
        Self::listening(process, false).await
    }

    async fn listening(mut process: Process, auth: bool) -> Result<Self, TestbedError> {
        // With port 0 the system picks a port, and the registry names it in its log: no race for a free one.
        let port = process
            .wait_for("the registry", Duration::from_secs(20), async |log| listening_port(log))
            .await?;
        let registry = Self {
            process,
            port,
            auth,
            client: reqwest::Client::new(),
        };
        registry
            .expect(registry.request(Method::GET, &registry.url("")?), &[StatusCode::OK])
            .await?;
        Ok(registry)
    }

    /// `127.0.0.1:PORT`, as it stands in front of image names.
    pub fn host(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.host())
    }

    /// The port it listens on; give it to the next start to be found at the same address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the registry has logged since this start.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Pushes an image, all its platforms, and returns the digest that `tag` now names: of the manifest, or of the
    /// index where there are several platforms.
    pub async fn push_image(&self, repository: &str, tag: &str, spec: &ImageSpec) -> Result<String, TestbedError> {
        let built = image::build(spec)?;
        for blob in &built.blobs {
            self.push_blob(repository, blob).await?;
        }
        for manifest in &built.manifests {
            self.push_manifest(
                repository,
                &manifest.digest,
                manifest.media_type,
                manifest.bytes.clone(),
            )
            .await?;
        }
        self.push_manifest(repository, tag, built.root.media_type, built.root.bytes)
            .await?;
        Ok(built.root.digest)
    }

    /// Pushes what hangs on an image, a signature for example: blobs, and the manifest or index that names them, under a tag or its
    /// own digest.
    pub async fn push_artifact(
        &self,
        repository: &str,
        reference: &str,
        manifest: &Value,
        blobs: &[Vec<u8>],
    ) -> Result<(), TestbedError> {
        for bytes in blobs {
            let blob = Blob::new("application/octet-stream", bytes.clone());
            self.push_blob(repository, &blob).await?;
        }
        let media_type = manifest["mediaType"].as_str().unwrap_or(MANIFEST);
        self.push_manifest(repository, reference, media_type, manifest.to_string().into_bytes())
            .await
    }

    /// Pushes a blob that a manifest will name.
    pub async fn push_bytes(&self, repository: &str, bytes: Vec<u8>) -> Result<(), TestbedError> {
        self.push_blob(repository, &Blob::new("application/octet-stream", bytes))
            .await
    }

    /// Lets `to` name what `from` (a tag or a digest) names, and returns the digest.
    pub async fn retag(&self, repository: &str, from: &str, to: &str) -> Result<String, TestbedError> {
        let url = self.url(&format!("{repository}/manifests/{from}"))?;
        let answer = self
            .expect(self.manifest_request(Method::GET, &url), &[StatusCode::OK])
            .await?;
        let media_type = header_text(&answer, header::CONTENT_TYPE.as_str()).unwrap_or_else(|| MANIFEST.to_owned());
        let bytes = answer.bytes().await.map_err(|source| TestbedError::Request {
            url: url.to_string(),
            source,
        })?;
        let digest = image::digest(&bytes);
        self.push_manifest(repository, to, &media_type, bytes.to_vec()).await?;
        Ok(digest)
    }

    /// The digest that a tag names (or the digest itself, when it exists); none when there is no such manifest.
    pub async fn digest(&self, repository: &str, reference: &str) -> Result<Option<String>, TestbedError> {
        let url = self.url(&format!("{repository}/manifests/{reference}"))?;
        let request = self.manifest_request(Method::HEAD, &url);
        let answer = self.expect(request, &[StatusCode::OK, StatusCode::NOT_FOUND]).await?;
        Ok(header_text(&answer, "docker-content-digest").filter(|_| answer.status() == StatusCode::OK))
    }

    /// Deletes the manifest that a tag or a digest names, and with it all its tags.
    pub async fn delete(&self, repository: &str, reference: &str) -> Result<(), TestbedError> {
        let Some(digest) = self.digest(repository, reference).await? else {
            return Ok(());
        };
        let url = self.url(&format!("{repository}/manifests/{digest}"))?;
        self.expect(self.request(Method::DELETE, &url), &[StatusCode::ACCEPTED])
            .await?;
        Ok(())
    }

    async fn push_blob(&self, repository: &str, blob: &Blob) -> Result<(), TestbedError> {
        let known = self.url(&format!("{repository}/blobs/{}", blob.digest))?;
        let known = self.request(Method::HEAD, &known);
        if self
            .expect(known, &[StatusCode::OK, StatusCode::NOT_FOUND])
            .await?
            .status()
            == StatusCode::OK
        {
            return Ok(());
        }
        let start = self.url(&format!("{repository}/blobs/uploads/"))?;
        let started = self
            .expect(self.request(Method::POST, &start), &[StatusCode::ACCEPTED])
            .await?;
        let location = header_text(&started, header::LOCATION.as_str()).unwrap_or_default();
        let mut upload = start
            .join(&location)
            .map_err(|error| bad_location(&start, &error.to_string()))?;
        upload.query_pairs_mut().append_pair("digest", &blob.digest);
        let request = self
            .request(Method::PUT, &upload)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(blob.bytes.clone());
        self.expect(request, &[StatusCode::CREATED]).await?;
        Ok(())
    }

    async fn push_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<(), TestbedError> {
        let url = self.url(&format!("{repository}/manifests/{reference}"))?;
        let request = self
            .request(Method::PUT, &url)
            .header(header::CONTENT_TYPE, media_type)
            .body(bytes);
        self.expect(request, &[StatusCode::CREATED]).await?;
        Ok(())
    }

    fn url(&self, path: &str) -> Result<Url, TestbedError> {
        let text = format!("{}/v2/{path}", self.base_url());
        Url::parse(&text).map_err(|error| TestbedError::Answer {
            url: text,
            status: 0,
            body: error.to_string(),
        })
    }

    fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        let request = self
            .client
            .request(method, url.clone())
            .timeout(Duration::from_secs(20));
        if self.auth {
            request.basic_auth(REGISTRY_USER, Some(REGISTRY_PASSWORD))
        } else {
            request
        }
    }

    fn manifest_request(&self, method: Method, url: &Url) -> RequestBuilder {
        self.request(method, url)
            .header(header::ACCEPT, ANY_MANIFEST.join(", "))
    }

    async fn expect(&self, request: RequestBuilder, wanted: &[StatusCode]) -> Result<Response, TestbedError> {
        let answer = request.send().await.map_err(|source| {
            let url = source.url().map_or_else(|| self.base_url(), Url::to_string);
            TestbedError::Request { url, source }
        })?;
        if wanted.contains(&answer.status()) {
            return Ok(answer);
        }
        let (url, status) = (answer.url().to_string(), answer.status().as_u16());
        let body = answer.text().await.unwrap_or_default().chars().take(500).collect();
        Err(TestbedError::Answer { url, status, body })
    }
}

fn header_text(answer: &Response, name: &str) -> Option<String> {
    answer.headers().get(name)?.to_str().ok().map(str::to_owned)
}

fn bad_location(url: &Url, error: &str) -> TestbedError {
    TestbedError::Answer {
        url: url.to_string(),
        status: 202,
        body: format!("unusable Location: {error}"),
    }
}

/// Finds the port in a log line like `msg="listening on 127.0.0.1:41325"`.
fn listening_port(log: &str) -> Option<u16> {
    let (_, rest) = log.split_once("listening on 127.0.0.1:")?;
    // Not before the line is complete: half a number would be another port.
    let end = rest.find(|character: char| !character.is_ascii_digit())?;
    rest[..end].parse().ok()
}
