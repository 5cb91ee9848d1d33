//! Signing in through a real provider of OpenID Connect, by plain requests as a browser sends them: who is let in as whom, and what
//! is not believed.

use crate::support::{
    browser::{Browser, Page, form},
    world::{PASSWORD, Setup, World, until},
};
use domain::{
    environment::Group,
    event::{Event, Happened},
    id::GroupId,
    promotion::Actor,
    rights::Role,
};
use reqwest::{Method, Url};
use serde_json::{Value, json};
use server::{adapters::system::System, ports::clock::Ids as _, store::User};
use tempfile::TempDir;
use testbed::{OIDC_CLIENT, OIDC_SECRET, OidcProvider};

const CALLBACK: &str = "/sign-in/sso/callback";

/// A Waybill that people sign in to through a provider.
struct Scene {
    world: World,
    provider: Option<OidcProvider>,
    directory: TempDir,
}

impl Scene {
    async fn start(process: bool, more: &[(&'static str, &str)]) -> Self {
        let directory = TempDir::with_prefix("waybill-sso-").unwrap();
        let provider = OidcProvider::start(directory.path(), None).await.unwrap();
        let usual = [
            ("SSO_ISSUER", provider.issuer()),
            ("SSO_CLIENT_ID", OIDC_CLIENT),
            ("SSO_CLIENT_SECRET", OIDC_SECRET),
            ("SSO_NAME", "Example"),
            ("SSO_WORKSPACE", "demo"),
            ("SSO_SCOPES", "openid email profile groups"),
            ("LIMITS_SIGN_IN_ATTEMPTS", "100"),
        ];
        let variables = usual
            .iter()
            .chain(more)
            .map(|(name, value)| (*name, (*value).to_owned()));
        let setup = Setup {
            process,
            argocd: false,
            variables: variables.collect(),
            ..Setup::default()
        };
        Self {
            world: World::with(setup).await,
            provider: Some(provider),
            directory,
        }
    }

    fn provider(&self) -> &OidcProvider {
        self.provider.as_ref().unwrap()
    }

    async fn account(&self, name: &str, claims: Value) {
        self.provider().account(name, &claims).await.unwrap();
    }

    /// A browser at Waybill, and the same at the provider.
    fn somebody(&self) -> Somebody {
        Somebody {
            here: self.world.stranger(),
            there: Browser::new(self.provider().issuer()),
            provider: self.provider().issuer().to_owned(),
        }
    }

    async fn user(&self, email: &str) -> Option<User> {
        let mut tx = self.world.store.read().await.unwrap();
        tx.user_by_email(email).await.unwrap()
    }

    /// Names of the groups that somebody is in.
    async fn groups(&self, email: &str) -> Vec<String> {
        let user = self.user(email).await.unwrap();
        let mut tx = self.world.store.read().await.unwrap();
        let groups = tx.groups_of(user.id).await.unwrap();
        groups.into_iter().map(|(_, name)| name.to_string()).collect()
    }

    /// Makes groups of `demo`; gives their ids.
    async fn make_groups<const N: usize>(&self, names: [&str; N]) -> [GroupId; N] {
        let mut tx = self.world.store.write().await.unwrap();
        let workspace = tx.workspace_by_name("demo").await.unwrap().unwrap().id;
        let groups = names.map(|name| Group {
            id: GroupId(System.next()),
            workspace,
            name: name.parse().unwrap(),
        });
        for group in &groups {
            tx.insert_group(group, domain::time::Timestamp(1)).await.unwrap();
        }
        tx.commit().await.unwrap();
        groups.map(|group| group.id)
    }

    /// What the ledger says since the beginning, of this kind.
    async fn told(&self, is: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut tx = self.world.store.read().await.unwrap();
        let all = tx.events_after(0, 10_000).await.unwrap();
        all.into_iter().filter(is).collect()
    }

    /// An administrator invites somebody into `demo`; the link's path.
    async fn invite(&self, email: &str, role: &str) -> String {
        let mut admin = self.world.admin().await;
        let origin = admin.origin();
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "application/json"),
            ("origin", origin.as_str()),
        ];
        let body = form(&[("workspace", "demo"), ("email", email), ("role", role)]);
        let answer = admin.send(Method::POST, "/api/ui/invite", &headers, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let made: Value = serde_json::from_str(&answer.text).unwrap();
        path_of(made["link"].as_str().unwrap())
    }

    async fn count_users(&self) -> i64 {
        self.world.store.read().await.unwrap().count_users().await.unwrap()
    }
}

/// Somebody's browser.
struct Somebody {
    here: Browser,
    there: Browser,
    provider: String,
}

impl Somebody {
    /// Goes to the provider from the sign-in page; the address there.
    async fn leave(&mut self, path: &str) -> Url {
        let sent = self.here.get(path).await;
        assert_eq!(sent.status, 303, "{}", sent.text);
        let address = sent.location().unwrap();
        assert!(address.starts_with(&self.provider), "{address}");
        address.parse().unwrap()
    }

    /// Logs in at the provider, or finds oneself logged in; the path that it leads back to. `name` is nobody to call it off.
    async fn log_in(&mut self, address: &Url, name: Option<&str>) -> String {
        let mut page = self.there.get(&path_of(address.as_str())).await;
        for _ in 0..8 {
            let Some(next) = page.location().map(str::to_owned) else {
                assert_eq!(page.status, 200, "{}", page.text);
                let action = page.text.split("action=\"").nth(1).unwrap().split('"').next().unwrap();
                let action = action.to_owned();
                let form = match name {
                    Some(name) => [("login", name), ("do", "login")],
                    None => [("login", ""), ("do", "cancel")],
                };
                page = self.there.post(&action, &form).await;
                continue;
            };
            if next.contains(CALLBACK) {
                return path_of(&next);
            }
            page = self.there.get(&path_of(&next)).await;
        }
        panic!("the provider leads round in a circle: {}", page.text);
    }

    /// The whole way: where it ends, and what the page says there.
    async fn sign_in(&mut self, path: &str, name: &str) -> Page {
        let address = self.leave(path).await;
        let back = self.log_in(&address, Some(name)).await;
        self.here.get(&back).await
    }

    async fn is_in(&mut self) -> bool {
        self.here.get("/account").await.status == 200
    }
}

/// Path and query of an address.
fn path_of(address: &str) -> String {
    let base: Url = "http://x/".parse().unwrap();
    let url = base.join(address).unwrap();
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

/// Another value in place of a parameter's.
fn with(address: &str, name: &str, value: &str) -> Url {
    let base: Url = "http://x/".parse().unwrap();
    let mut url = base.join(address).unwrap();
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let changed = pairs.into_iter().map(|(key, old)| match key == name {
        true => (key, value.to_owned()),
        false => (key, old),
    });
    let changed: Vec<_> = changed.collect();
    url.query_pairs_mut().clear().extend_pairs(changed);
    url
}

/// Whether it led to the sign-in page, with this fault and sentence.
async fn refused(who: &mut Somebody, answer: &Page, fault: &str, words: &str) {
    assert_eq!(answer.status, 303, "{fault}: {}", answer.text);
    let location = answer.location().unwrap().to_owned();
    let found = location.split(['?', '&']).any(|part| part == format!("sso={fault}"));
    assert!(location.starts_with("/sign-in?") && found, "{fault}: {location}");
    let page = who.here.get(&location).await;
    assert_eq!(page.status, 200, "{}", page.words());
    assert!(page.summary().contains(words), "{fault}: {}", page.summary());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_come_from_elsewhere_and_are_known_again() {
    let scene = Scene::start(false, &[]).await;
    let [release, _ops, by_hand] = scene.make_groups(["release", "ops", "by-hand"]).await;
    let ada = |groups: Value| json!({ "email": "Ada.L@Example.com", "email_verified": true, "name": "Ada Lovelace", "groups": groups });
    scene.account("ada", ada(json!(["release", "nowhere", "/odd"]))).await;
    let mut somebody = scene.somebody();
    let page = somebody.here.get("/sign-in?next=/w/demo/myapp").await;
    assert!(page.words().contains("Sign in with Example"), "{}", page.words());
    let link = "href=\"/sign-in/sso?next=%2Fw%2Fdemo%2Fmyapp\"";
    assert!(page.text.contains(link), "{}", page.text);

    let address = somebody.leave("/sign-in/sso?next=%2Fw%2Fdemo%2Fmyapp").await;
    let asked: std::collections::HashMap<_, _> = address.query_pairs().into_owned().collect();
    assert_eq!(asked["code_challenge_method"], "S256");
    assert_eq!(asked["redirect_uri"], format!("{}{CALLBACK}", scene.world.base_url));
    assert!(asked["state"].len() >= 43 && asked["nonce"].len() >= 43 && asked["code_challenge"].len() == 43);
    let planted = somebody.here.cookies["waybill_session"].clone();
    let back = somebody.log_in(&address, Some("ada")).await;
    let answer = somebody.here.get(&back).await;
    assert_eq!(
        (answer.status, answer.location()),
        (303, Some("/w/demo/myapp")),
        "{}",
        answer.text
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let cookie = answer.set_cookie("waybill_session").unwrap().to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Max-Age=604"),
        "{cookie}"
    );
    assert_ne!(somebody.here.cookies["waybill_session"], planted, "begun anew");
    let mut old = scene.world.stranger();
    old.cookies.insert("waybill_session".into(), planted);
    assert_ne!(old.get("/account").await.status, 200);

    let user = scene.user("ada.l@example.com").await.unwrap();
    assert_eq!((user.name.as_str(), user.has_password()), ("Ada Lovelace", false));
    assert_eq!(scene.groups("ada.l@example.com").await, ["release"]);
    let mut tx = scene.world.store.read().await.unwrap();
    let roles = tx.memberships(user.id).await.unwrap();
    assert_eq!(
        roles
            .iter()
            .map(|(w, role)| (w.name.as_str(), *role))
            .collect::<Vec<_>>(),
        [("demo", Role::Viewer)]
    );
    drop(tx);
    let signed_in = Happened::SignedIn {
        through: Some("Example".into()),
    };
    let events = scene.told(|e| e.happened == signed_in).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].actor.name(), "Ada Lovelace");
    assert_eq!(events[0].address.as_deref(), Some("127.0.0.1"));
    assert_eq!(
        scene
            .told(|e| matches!(e.happened, Happened::MemberJoined { .. }) && e.actor.name() == "Ada Lovelace")
            .await
            .len(),
        1
    );
    let put = scene.told(|e| matches!(e.happened, Happened::GroupJoined { .. })).await;
    assert_eq!((put.len(), &put[0].actor), (1, &Actor::Waybill));

    // The password is not ours.
    let page = somebody.here.get("/account").await;
    assert!(
        page.words()
            .contains("You sign in with Example. Your password is kept and changed there."),
        "{}",
        page.words()
    );
    assert!(!page.words().contains("Change password"), "{}", page.words());
    let page = somebody
        .here
        .post(
            "/account",
            &[
                ("intent", "password"),
                ("current", ""),
                ("new", "correct-horse-battery"),
            ],
        )
        .await;
    assert_eq!(page.status, 409, "{}", page.words());
    let mut local = scene.world.stranger();
    for password in ["", "x", PASSWORD] {
        let page = local
            .post("/sign-in", &[("email", "ada.l@example.com"), ("password", password)])
            .await;
        assert_eq!(page.status, 422, "{password}");
    }

    // Known again by subject alone, whatever the address is by now; groups follow what is said, and what people gave stays.
    let mut tx = scene.world.store.write().await.unwrap();
    assert!(tx.join_group(by_hand, user.id).await.unwrap());
    tx.commit().await.unwrap();
    let users = scene.count_users().await;
    let mut changed = ada(json!(["ops", "by-hand"]));
    changed["email"] = json!("ada@elsewhere.example");
    changed["email_verified"] = json!(false);
    scene.account("ada", changed).await;
    let out = somebody.here.post("/sign-out", &[]).await;
    assert_eq!(out.location(), Some("/sign-in"));
    assert!(!somebody.is_in().await);
    let answer = somebody.sign_in("/sign-in/sso", "ada").await;
    assert_eq!(answer.location(), Some("/"), "{}", answer.text);
    assert_eq!(scene.count_users().await, users);
    assert_eq!(scene.groups("ada.l@example.com").await, ["by-hand", "ops"]);
    scene.account("ada", ada(json!([]))).await;
    assert_eq!(somebody.sign_in("/sign-in/sso", "ada").await.location(), Some("/"));
    assert_eq!(scene.groups("ada.l@example.com").await, ["by-hand"]);

    // One that an administrator gave after the provider did stays, too.
    scene.account("ada", ada(json!(["release"]))).await;
    assert_eq!(somebody.sign_in("/sign-in/sso", "ada").await.location(), Some("/"));
    let mut tx = scene.world.store.write().await.unwrap();
    assert!(tx.join_group(release, user.id).await.unwrap());
    tx.commit().await.unwrap();
    scene.account("ada", ada(json!(null))).await;
    assert_eq!(somebody.sign_in("/sign-in/sso", "ada").await.location(), Some("/"));
    assert_eq!(scene.groups("ada.l@example.com").await, ["by-hand", "release"]);

    // Who was taken out of the workspace is not let in again by coming back.
    let mut tx = scene.world.store.write().await.unwrap();
    let workspace = tx.workspace_by_name("demo").await.unwrap().unwrap().id;
    tx.remove_member(workspace, user.id).await.unwrap();
    tx.commit().await.unwrap();
    scene.account("ada", ada(json!(["release"]))).await;
    assert_eq!(somebody.sign_in("/sign-in/sso", "ada").await.location(), Some("/"));
    assert!(scene.groups("ada.l@example.com").await.is_empty());
    assert_eq!(somebody.here.get("/w/demo/myapp").await.status, 404);

    // Invited, one joins as who is signed in: there is no password to prove it with.
    let link = scene.invite("ada.l@example.com", "approver").await;
    let mut fresh = scene.somebody();
    let page = fresh.here.get(&link).await;
    assert!(
        page.words().contains("Join demo") && page.words().contains("Sign in with Example"),
        "{}",
        page.words()
    );
    assert!(!page.words().contains("Password"), "{}", page.text);
    let begin = page
        .text
        .split("href=\"/sign-in/sso")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let answer = fresh.sign_in(&format!("/sign-in/sso{begin}"), "ada").await;
    assert_eq!(answer.location(), Some(link.as_str()));
    let page = fresh.here.get(&link).await;
    assert!(!page.words().contains("Sign in with Example"), "{}", page.words());
    let joined = fresh.here.post(&link, &[]).await;
    assert_eq!(
        (joined.status, joined.location()),
        (303, Some("/")),
        "{}",
        joined.words()
    );
    let mut tx = scene.world.store.read().await.unwrap();
    let roles = tx.memberships(user.id).await.unwrap();
    assert_eq!(
        roles.iter().map(|(_, role)| *role).collect::<Vec<_>>(),
        [Role::Approver]
    );
    drop(tx);

    // Somebody else's invitation is nothing to who is signed in.
    let link = scene.invite("carl@example.com", "admin").await;
    let page = fresh.here.post(&link, &[("name", ""), ("password", "")]).await;
    assert_eq!(page.status, 422, "{}", page.words());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_answer_to_this_browsers_question_counts() {
    let mut scene = Scene::start(true, &[]).await;
    let mut grace = scene.somebody();

    // Nothing at all, and what nobody asked for.
    for query in [
        "",
        "?",
        "?state=x",
        "?code=x",
        "?code=x&state=y",
        "?error=access_denied",
        "?%ff=%00&state=%ff",
    ] {
        let answer = grace.here.get(&format!("{CALLBACK}{query}")).await;
        refused(&mut grace, &answer, "stale", "Try again.").await;
    }
    // Words in the address are not shown.
    let page = grace.here.get("/sign-in?sso=Your+account+was+stolen").await;
    assert!(
        page.summary().is_empty() && !page.text.contains("stolen"),
        "{}",
        page.summary()
    );

    // Called off at the provider, and back to where one was going.
    let address = grace.leave("/sign-in/sso?next=/w/demo/myapp").await;
    let back = grace.log_in(&address, None).await;
    let answer = grace.here.get(&back).await;
    assert!(
        answer.location().unwrap().ends_with("&next=%2Fw%2Fdemo%2Fmyapp"),
        "{:?}",
        answer.location()
    );
    refused(&mut grace, &answer, "denied", "Signing in with Example was called off").await;

    // Another state, somebody else's browser, another issuer; and the same answer twice.
    let address = grace.leave("/sign-in/sso").await;
    let back = grace.log_in(&address, Some("grace")).await;
    let code = with(&back, "", "")
        .query_pairs()
        .find(|(name, _)| name == "code")
        .unwrap()
        .1
        .into_owned();
    let answer = grace.here.get(&path_of(with(&back, "state", "x").as_str())).await;
    refused(&mut grace, &answer, "stale", "Try again.").await;
    let mut other = scene.somebody();
    let answer = other.here.get(&back).await;
    refused(&mut other, &answer, "stale", "Try again.").await;
    let other_address = other.leave("/sign-in/sso").await;
    let planted = other.log_in(&other_address, Some("grace")).await;
    let code_of_grace = path_of(with(&planted, "code", &code).as_str());
    let answer = other.here.get(&code_of_grace).await;
    refused(&mut other, &answer, "stale", "Try again.").await;
    assert!(!other.is_in().await);
    // It counts for whom it is, once.
    assert_eq!(grace.here.get(&back).await.location(), Some("/"));
    let answer = grace.here.get(&back).await;
    refused(&mut grace, &answer, "stale", "Try again.").await;
    grace.here.post("/sign-out", &[]).await;
    let address = grace.leave("/sign-in/sso").await;
    let back = grace.log_in(&address, None).await;
    assert!(back.contains("code="), "logged in there already: {back}");
    let answer = grace
        .here
        .get(&path_of(with(&back, "iss", "https://evil.example").as_str()))
        .await;
    refused(&mut grace, &answer, "untrusted", "Waybill's log says why").await;

    // Another nonce, another proof.
    for (parameter, fault) in [("nonce", "untrusted"), ("code_challenge", "stale")] {
        let address = grace.leave("/sign-in/sso").await;
        let changed = with(address.as_str(), parameter, &"A".repeat(43));
        let back = grace.log_in(&changed, None).await;
        let answer = grace.here.get(&back).await;
        refused(&mut grace, &answer, fault, "").await;
        assert!(!grace.is_in().await, "{parameter}");
    }

    // Nowhere but on this site.
    for next in [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/%09/evil.example",
    ] {
        let answer = grace.sign_in(&format!("/sign-in/sso?next={next}"), "grace").await;
        assert_eq!(answer.location(), Some("/"), "{next}");
        assert!(grace.is_in().await);
    }
    // In two tabs at once; each answer counts once.
    let addresses = [
        grace.leave("/sign-in/sso?next=/a").await,
        grace.leave("/sign-in/sso?next=/b").await,
    ];
    for (address, next) in addresses.iter().zip(["/a", "/b"]) {
        let back = grace.log_in(address, None).await;
        assert_eq!(grace.here.get(&back).await.location(), Some(next));
        let answer = grace.here.get(&back).await;
        refused(&mut grace, &answer, "stale", "Try again.").await;
    }

    // The provider signs with another key: looked for when it is needed, under a new name or the same.
    for name in [None, Some("same"), Some("same")] {
        scene.provider().rotate(name).await.unwrap();
        let mut fresh = scene.somebody();
        assert_eq!(
            fresh.sign_in("/sign-in/sso", "grace").await.location(),
            Some("/"),
            "{name:?}"
        );
    }

    // Down on the way back, and before one leaves.
    let address = grace.leave("/sign-in/sso").await;
    let back = grace.log_in(&address, Some("grace")).await;
    let port = scene.provider().port();
    scene.provider = None;
    let answer = grace.here.get(&back).await;
    refused(&mut grace, &answer, "unreachable", "Waybill could not reach Example.").await;
    scene.world.stop().await;
    scene.world.restart().await;
    let mut early = grace;
    let answer = early.here.get("/sign-in/sso?next=/w/demo").await;
    refused(&mut early, &answer, "unreachable", "Try again in a moment").await;
    scene.provider = Some(OidcProvider::start(scene.directory.path(), port).await.unwrap());
    assert_eq!(
        scene.somebody().sign_in("/sign-in/sso", "grace").await.location(),
        Some("/")
    );

    let log = std::fs::read_to_string(scene.world.log_file()).unwrap();
    assert!(log.contains("a sign-in through single sign-on came to nothing"));
    for secret in [code.as_str(), OIDC_SECRET, "eyJ", "code_verifier"] {
        assert!(!log.contains(secret), "the log holds {secret}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_an_account_that_is_not_theirs() {
    let scene = Scene::start(false, &[("SSO_EMAIL_DOMAINS", "example.com, example.org")]).await;
    let claims = |email: &str, verified: bool| json!({ "email": email, "email_verified": verified });
    scene.world.person("bob@example.com", "demo", Role::Admin).await;
    let users = scene.count_users().await;
    for (name, said, fault, words) in [
        (
            "unverified",
            claims("new@example.com", false),
            "unverified",
            "isn't verified at Example",
        ),
        (
            "taker",
            claims("bob@example.com", false),
            "unverified",
            "isn't verified at Example",
        ),
        (
            "nameless",
            json!({ "name": "Nobody" }),
            "no-email",
            "needs your e-mail address",
        ),
        (
            "odd",
            claims("no address", true),
            "no-email",
            "needs your e-mail address",
        ),
        (
            "stranger",
            claims("new@example.net", true),
            "domain",
            "are not let in here",
        ),
        (
            "bob",
            claims("bob@example.com", true),
            "known",
            "Sign in with its password, then choose Connect",
        ),
    ] {
        scene.account(name, said).await;
        let mut somebody = scene.somebody();
        let answer = somebody.sign_in("/sign-in/sso", name).await;
        refused(&mut somebody, &answer, fault, words).await;
        assert!(!somebody.is_in().await, "{name}");
    }
    assert_eq!(scene.count_users().await, users);

    // Bob connects his account; nobody else can have it connected.
    let mut bob = scene.somebody();
    bob.here = scene.world.signed_in("bob@example.com").await;
    let page = bob.here.get("/account").await;
    assert!(
        page.words().contains("Connect with Example") && page.words().contains("Change password"),
        "{}",
        page.words()
    );
    scene.account("else", claims("else@example.com", true)).await;
    let mut guest = scene.somebody();
    guest.here = bob.here.clone();
    let answer = guest.sign_in("/sign-in/sso?connect=yes&next=/account", "else").await;
    refused(&mut guest, &answer, "other", "they were not connected").await;
    assert_eq!(scene.count_users().await, users);
    let answer = bob.sign_in("/sign-in/sso?connect=yes&next=/account", "bob").await;
    assert_eq!(answer.location(), Some("/account"), "{}", answer.text);
    let page = bob.here.get("/account").await;
    assert!(
        page.words()
            .contains("You can sign in with Example, or with your password."),
        "{}",
        page.words()
    );
    let mut again = scene.somebody();
    assert_eq!(again.sign_in("/sign-in/sso", "bob").await.location(), Some("/"));
    assert!(
        again.here.get("/w/demo/-/settings").await.status == 200,
        "the role stays"
    );
    // Somebody who has the address later is somebody else.
    scene.account("bobtoo", claims("bob@example.com", true)).await;
    let mut later = scene.somebody();
    let answer = later.sign_in("/sign-in/sso", "bobtoo").await;
    refused(&mut later, &answer, "known", "").await;

    // Closed accounts stay closed, whichever way one comes.
    scene.account("carl", claims("carl@example.org", true)).await;
    let mut carl = scene.somebody();
    assert_eq!(carl.sign_in("/sign-in/sso", "carl").await.location(), Some("/"));
    let id = scene.user("carl@example.org").await.unwrap().id;
    scene.world.person("dora@example.com", "demo", Role::Viewer).await;
    let dora = scene.user("dora@example.com").await.unwrap().id;
    let mut tx = scene.world.store.write().await.unwrap();
    tx.set_active(id, false).await.unwrap();
    tx.set_active(dora, false).await.unwrap();
    tx.commit().await.unwrap();
    assert!(!carl.is_in().await);
    scene.account("dora", claims("dora@example.com", true)).await;
    for name in ["carl", "dora"] {
        let mut somebody = scene.somebody();
        let answer = somebody.sign_in("/sign-in/sso", name).await;
        refused(&mut somebody, &answer, "closed", "Your account is closed.").await;
        assert!(!somebody.is_in().await);
    }
    let failures = scene
        .told(|e| matches!(e.happened, Happened::SignInFailed { .. }))
        .await;
    assert_eq!(failures.len(), 2);
    // An address that is no longer let in shuts out who was known before.
    let mut moved = scene.somebody();
    scene.account("bob", claims("bob@example.net", true)).await;
    let answer = moved.sign_in("/sign-in/sso", "bob").await;
    refused(&mut moved, &answer, "domain", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_provider_may_be_given_every_account_and_tries_are_counted() {
    let more = [
        ("SSO_LINK_ACCOUNTS", "by_verified_email"),
        ("SSO_ROLE", "developer"),
        ("SSO_WORKSPACE", "later"),
        ("LIMITS_SIGN_IN_ATTEMPTS", "3"),
    ];
    let scene = Scene::start(false, &more).await;
    scene.world.person("bob@example.com", "demo", Role::Admin).await;
    scene
        .account("bob", json!({ "email": "bob@example.com", "email_verified": "true" }))
        .await;
    let mut bob = scene.somebody();
    let answer = bob.sign_in("/sign-in/sso", "bob").await;
    refused(&mut bob, &answer, "workspace", "does not exist yet").await;
    scene.world.token("later", "ci", Role::Admin).await;
    // Whoever made the account may not have been its owner: their session and their password are worth nothing any more.
    let mut earlier = scene.world.signed_in("bob@example.com").await;
    assert_eq!(earlier.get("/account").await.status, 200);
    assert_eq!(bob.sign_in("/sign-in/sso", "bob").await.location(), Some("/"));
    let user = scene.user("bob@example.com").await.unwrap();
    let mut tx = scene.world.store.read().await.unwrap();
    let roles = tx.memberships(user.id).await.unwrap();
    let roles: Vec<_> = roles
        .iter()
        .map(|(workspace, role)| (workspace.name.as_str(), *role))
        .collect();
    assert_eq!(roles, [("demo", Role::Admin), ("later", Role::Developer)]);
    drop(tx);
    assert!(!user.has_password());
    assert_eq!(earlier.get("/account").await.status, 303);
    assert_eq!(bob.here.get("/account").await.status, 200);

    // Nobody finds out more by trying again and again; the first try above has counted, too.
    scene
        .account("eve", json!({ "email": "eve@example.com", "email_verified": false }))
        .await;
    let mut eve = scene.somebody();
    for fault in ["unverified", "unverified", "too-many", "too-many"] {
        let answer = eve.sign_in("/sign-in/sso", "eve").await;
        refused(&mut eve, &answer, fault, "").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_from_elsewhere_ends_although_it_is_used() {
    let scene = Scene::start(false, &[("SSO_SESSION", "2s")]).await;
    scene
        .account("bob", json!({ "email": "bob@example.com", "email_verified": true }))
        .await;
    let mut bob = scene.somebody();
    let mut ada = scene.world.admin().await;
    assert_eq!(bob.sign_in("/sign-in/sso", "bob").await.location(), Some("/"));
    until("the provider to be asked again", async || {
        let answer = bob.here.get("/account").await;
        answer
            .location()
            .is_some_and(|to| to.starts_with("/sign-in"))
            .then_some(())
    })
    .await;
    assert_eq!(bob.sign_in("/sign-in/sso", "bob").await.location(), Some("/"));
    assert_eq!(ada.get("/account").await.status, 200, "who has a password stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_provider_nothing_is_offered() {
    let world = World::start().await;
    let mut somebody = world.stranger();
    assert!(!somebody.get("/sign-in").await.words().contains("Sign in with"));
    for path in ["/sign-in/sso", CALLBACK] {
        let answer = somebody.get(path).await;
        assert_eq!(answer.status, 303);
        assert!(
            answer.location().unwrap().starts_with("/sign-in?sso="),
            "{:?}",
            answer.location()
        );
    }
    let page = somebody.get("/sign-in?sso=off").await;
    assert!(
        page.summary().contains("Single sign-on isn't set up here."),
        "{}",
        page.summary()
    );
    let posted = somebody.send(Method::POST, "/sign-in/sso", &[], "").await;
    assert_eq!(posted.status, 405);
    let mut admin = world.admin().await;
    let page = admin.get("/account").await;
    assert!(!page.words().contains("Single sign-on") && page.words().contains("Change password"));
}
