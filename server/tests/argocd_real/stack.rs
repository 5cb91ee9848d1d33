//! The running Argo CD and its cluster, as `end2end/argocd-real/stack/control.go` lets tests reach them.

use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a test waits for what must come. A sync with its rollout takes ten seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Looks again and again until there is something.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look).await
}

/// The same, in a time that is promised.
pub(crate) async fn within<T>(patience: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Argo CD, and the cluster below it.
pub(crate) struct Stack {
    http: reqwest::Client,
    control: String,
    /// Address of Argo CD.
    pub(crate) argocd: String,
    /// Token of the account that `examples/argocd/install` makes.
    pub(crate) token: String,
}

/// A pod as Kubernetes has it: what Waybill's word is held against.
#[derive(Debug, Deserialize)]
pub(crate) struct Pod {
    pub(crate) phase: String,
    #[serde(default)]
    pub(crate) reason: String,
    pub(crate) ready: bool,
    /// Whether it is to be deleted.
    pub(crate) going: bool,
    pub(crate) images: Vec<String>,
    /// Kind and name of what made it.
    pub(crate) owner: String,
}

impl Stack {
    /// The one that `TEST_ARGOCD` names; without it a story fails, and never passes for nothing.
    pub(crate) async fn running() -> Self {
        let control = std::env::var("TEST_ARGOCD")
            .expect("TEST_ARGOCD names no Argo CD: run `make test-argocd`, or see scripts/argocd-real");
        let http = reqwest::Client::new();
        let facts: Value = http.get(&control).send().await.unwrap().json().await.unwrap();
        let fact = |name: &str| facts[name].as_str().unwrap().to_owned();
        Self {
            http,
            control,
            argocd: fact("argocd"),
            token: fact("token"),
        }
    }

    async fn ask(&self, path: &str, query: &[(&str, &str)], body: Option<String>) -> Value {
        let url = format!("{}{path}", self.control);
        let request = match body {
            None => self.http.get(url),
            Some(body) => self.http.post(url).body(body),
        };
        let answer = request.query(query).send().await.unwrap();
        let status = answer.status();
        let answer: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path} {query:?}: {answer}");
        answer
    }

    /// Applies the objects of a text; what the same owner's earlier text had and this one leaves out is taken away.
    pub(crate) async fn apply(&self, owner: &str, text: &str) {
        self.ask("/apply", &[("owner", owner)], Some(text.to_owned())).await;
    }

    /// Gives objects that are there a status, as their controller would.
    pub(crate) async fn status(&self, owner: &str, text: &str) {
        self.ask("/status", &[("owner", owner)], Some(text.to_owned())).await;
    }

    /// Deletes the objects that a text names.
    pub(crate) async fn delete(&self, text: &str) {
        self.ask("/delete", &[], Some(text.to_owned())).await;
    }

    /// One object, where there is one.
    pub(crate) async fn object(&self, version: &str, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let query = [
            ("version", version),
            ("kind", kind),
            ("namespace", namespace),
            ("name", name),
        ];
        Some(self.ask("/object", &query, None).await).filter(|found| !found.is_null())
    }

    /// An Application as Kubernetes has it.
    pub(crate) async fn application(&self, namespace: &str, name: &str) -> Option<Value> {
        self.object("argoproj.io/v1alpha1", "Application", namespace, name)
            .await
    }

    pub(crate) async fn pods(&self, namespace: &str) -> Vec<Pod> {
        let pods = self.ask("/pods", &[("namespace", namespace)], None).await;
        serde_json::from_value(pods).unwrap()
    }

    /// What becomes of pods whose image has this text in its name: see `Outcome` of kubelet.go.
    pub(crate) async fn rule(&self, namespace: &str, image: &str, outcome: &str) {
        let rule = json!({ "namespace": namespace, "image": image, "outcome": outcome });
        self.ask("/rules", &[], Some(rule.to_string())).await;
    }

    /// Evicts the running pods whose image has this text in its name.
    pub(crate) async fn evict(&self, namespace: &str, image: &str) -> usize {
        let query = [("namespace", namespace), ("image", image)];
        let evicted = self.ask("/evict", &query, Some(String::new())).await;
        evicted.as_array().map_or(0, Vec::len)
    }

    /// Makes a Job of a CronJob, now, and waits until its pod has ended.
    pub(crate) async fn run(&self, namespace: &str, cronjob: &str, name: &str) {
        let query = [("namespace", namespace), ("cronjob", cronjob), ("name", name)];
        self.ask("/run", &query, Some(String::new())).await;
        let owner = format!("Job/{name}");
        until("the end of the job", async || {
            let pods = self.pods(namespace).await;
            pods.iter()
                .any(|pod| pod.owner == owner && (pod.phase == "Succeeded" || pod.phase == "Failed"))
                .then_some(())
        })
        .await;
    }

    /// Ends a part of Argo CD without a warning, as when its node is lost: `server`, `controller`, `repo-server`, `redis`.
    pub(crate) async fn kill(&self, part: &str) {
        self.ask("/parts/kill", &[("name", part)], Some(String::new())).await;
    }

    /// Starts a part again, and waits until it says that it is ready.
    pub(crate) async fn start(&self, part: &str) {
        self.ask("/parts/start", &[("name", part)], Some(String::new())).await;
    }

    /// Posts to Argo CD's API as Waybill's account; the answer has to be a success.
    pub(crate) async fn post_argocd(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/api/v1{path}", self.argocd);
        self.call(path, self.http.post(url).json(body)).await
    }

    /// Asks Argo CD's API as Waybill's account; the answer has to be a success.
    pub(crate) async fn get_argocd(&self, path: &str) -> Value {
        let url = format!("{}/api/v1{path}", self.argocd);
        self.call(path, self.http.get(url)).await
    }

    /// Has Argo CD look at Git again.
    pub(crate) async fn refresh(&self, application: &str) {
        self.get_argocd(&format!("/applications/{application}?refresh=normal"))
            .await;
    }

    async fn call(&self, path: &str, request: reqwest::RequestBuilder) -> Value {
        let answer = request.bearer_auth(&self.token).send().await.unwrap();
        let status = answer.status();
        let answer = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {answer}");
        answer
    }
}
