//! Signing in under attack: what it costs in memory, who is kept out by whose guesses, and what a refusal says.

use crate::{
    support::{
        Bench,
        browser::{Browser, Page, form},
        world::{ADMIN, PASSWORD, Setup, World},
    },
    web::{SESSION, is_in, sign_in},
};
use contract::error::AppError;
use domain::rights::Role;
use futures::{StreamExt as _, stream};
use reqwest::Method;
use server::service::access;

const KNOWN: &str = "waybill_browser";
/// The proxy that the tests come through.
const PROXY: (&str, &str) = ("TRUSTED_PROXIES", "127.0.0.1");

fn proxied(attempts: &str) -> Setup {
    let (name, value) = PROXY;
    Setup {
        variables: vec![(name, value.into()), ("LIMITS_SIGN_IN_ATTEMPTS", attempts.into())],
        ..Setup::default()
    }
}

/// Signs in the administrator, from a network address.
async fn from(browser: &mut Browser, address: &str, password: &str) -> Page {
    let origin = browser.origin();
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", origin.as_str()),
        ("accept", "text/html"),
        ("x-forwarded-for", address),
    ];
    let body = form(&[("email", ADMIN), ("password", password)]);
    browser.send(Method::POST, "/sign-in", &headers, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_sign_ins_leave_the_server_small() {
    let world = World::with(Setup {
        process: true,
        argocd: false,
        // All of them come from one browser's address to one account at once.
        variables: vec![("LIMITS_SIGN_IN_ATTEMPTS", "1000".into())],
        ..Setup::default()
    })
    .await;
    let before = world.allocated();
    let statuses: Vec<u16> = stream::iter(0..200)
        .map(|_| async { sign_in(&mut world.stranger(), "/sign-in", PASSWORD).await.status })
        .buffer_unordered(20)
        .collect()
        .await;
    let after = world.allocated();
    assert!(statuses.iter().all(|status| *status == 303), "{statuses:?}");
    // What is promised of two threads that hash is 120 MB with the program itself. A release has less than 40 MB of its own pages in memory
    // (34, and 84 in all after this), a debug build twice as many. Each further thread, of four at most, keeps a buffer of 19 MiB.
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let most = 80 + 20 * u64::try_from(threads.saturating_sub(2)).unwrap();
    println!("allocated: {before} MB before, {after} MB after, with {threads} threads that hash");
    assert!(after <= most, "{before} MB before, {after} MB after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_does_not_keep_an_owner_out() {
    let world = World::with(proxied("3")).await;
    let mut owner = world.stranger();
    assert_eq!(from(&mut owner, "192.0.2.1", PASSWORD).await.status, 303);
    owner.post("/sign-out", &[]).await;
    let mut strangers = Vec::new();
    for _ in 0..4 {
        strangers.push(from(&mut world.stranger(), "203.0.113.66", "wrong").await);
    }
    let statuses: Vec<u16> = strangers.iter().map(|page| page.status).collect();
    assert_eq!(statuses, [422, 422, 422, 429]);
    // From elsewhere the owner comes in with any browser; from the stranger's own address with one that is known.
    assert_eq!(from(&mut world.stranger(), "192.0.2.2", PASSWORD).await.status, 303);
    assert_eq!(from(&mut world.stranger(), "203.0.113.66", PASSWORD).await.status, 429);
    assert_eq!(from(&mut owner, "203.0.113.66", PASSWORD).await.status, 303);
    assert!(is_in(&mut owner).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_from_everywhere_are_bounded_and_a_known_browser_is_let_in() {
    let world = World::with(proxied("1")).await;
    let mut owner = world.stranger();
    assert_eq!(from(&mut owner, "192.0.2.1", PASSWORD).await.status, 303);
    let mut guesses = Vec::new();
    for n in 0..12 {
        guesses.push(
            from(&mut world.stranger(), &format!("203.0.113.{n}"), "wrong")
                .await
                .status,
        );
    }
    assert_eq!(
        guesses.iter().filter(|status| **status == 422).count(),
        10,
        "{guesses:?}"
    );
    let page = from(&mut world.stranger(), "192.0.2.3", PASSWORD).await;
    assert_eq!((page.status, page.header("retry-after")), (429, Some("30")));
    assert_eq!(from(&mut owner, "192.0.2.3", PASSWORD).await.status, 303, "known");
    // Nobody is shut out for good: after a moment the next one is let through.
    world.clock.forward(31_000);
    assert_eq!(from(&mut world.stranger(), "192.0.2.3", PASSWORD).await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cookie_of_a_known_browser_is_of_its_account_and_lets_nobody_in() {
    let world = World::with(proxied("2")).await;
    world.person("eve@example.com", "demo", Role::Viewer).await;
    let mut eve = world.signed_in("eve@example.com").await;
    let page = eve
        .post("/sign-in", &[("email", "eve@example.com"), ("password", PASSWORD)])
        .await;
    let cookie = page.set_cookie(KNOWN).unwrap();
    for flag in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=31536000"] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains("eve"), "{cookie}");

    // It is no session, and of no other account.
    let mut holder = world.stranger();
    holder.cookies.insert(KNOWN.into(), eve.cookies[KNOWN].clone());
    assert!(!is_in(&mut holder).await);
    let guess = async |holder: &Browser, password: &str| {
        let mut holder = holder.clone();
        from(&mut holder, "203.0.113.66", password).await.status
    };
    assert_eq!(
        (guess(&holder, "wrong").await, guess(&holder, "wrong").await),
        (422, 422)
    );
    assert_eq!(guess(&holder, PASSWORD).await, 429, "as anybody from this address");
    for forged in ["", "x", "v1:", "v1:AAAA.v1:BBBB", &eve.cookies[KNOWN].to_lowercase()] {
        holder.cookies.insert(KNOWN.into(), forged.into());
        assert_eq!(guess(&holder, PASSWORD).await, 429, "{forged}");
    }

    // A browser that two people use is known for both; its own count closes too.
    assert_eq!(from(&mut eve, "192.0.2.1", PASSWORD).await.status, 303);
    assert_eq!((guess(&eve, "wrong").await, guess(&eve, "wrong").await), (422, 422));
    assert_eq!(guess(&eve, PASSWORD).await, 429);
    assert_eq!(guess(&world.stranger(), PASSWORD).await, 429);
    let page = eve
        .post("/sign-in", &[("email", "eve@example.com"), ("password", PASSWORD)])
        .await;
    assert_eq!(page.status, 303, "the other account's count is another");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_says_when_to_try_again_and_not_whether_there_is_an_account() {
    let world = World::with(Setup {
        variables: vec![
            ("LIMITS_SIGN_IN_ATTEMPTS", "1".into()),
            ("PUBLIC_URL", "https://waybill.example.com".into()),
        ],
        ..Setup::default()
    })
    .await;
    let mut told = Vec::new();
    for email in [ADMIN, "nobody@example.com"] {
        let fields = [("email", email), ("password", "wrong")];
        let first = world.stranger().post("/sign-in", &fields).await;
        let second = world.stranger().post("/sign-in", &fields).await;
        assert_eq!((first.status, second.status), (422, 429));
        let seconds: u64 = second.header("retry-after").unwrap().parse().unwrap();
        assert!((290..=300).contains(&seconds), "{seconds}");
        assert!(
            second.summary().contains("Too many tries. Try again in 5 minutes."),
            "{}",
            second.summary()
        );
        told.push([first, second].map(|page| page.words().replace(email, "…")));
    }
    assert_eq!(told[0], told[1]);
    // A page's script is told the same.
    let origin = [
        ("origin", &*world.base_url),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let body = form(&[("email", ADMIN), ("password", PASSWORD)]);
    let answer = world
        .stranger()
        .send(Method::POST, "/api/ui/sign_in", &origin, body)
        .await;
    assert_eq!(answer.status, 429);
    assert!(answer.header("retry-after").is_some(), "{:?}", answer.headers);

    // Over TLS, cookies are this host's alone.
    let mut browser = world.stranger();
    let own = [("email", "own@example.com"), ("password", PASSWORD)];
    world.person("own@example.com", "demo", Role::Viewer).await;
    let page = browser.post("/sign-in", &own).await;
    assert_eq!(page.status, 303);
    let known = page.set_cookie(KNOWN).unwrap();
    assert!(
        known.starts_with("__Host-waybill_browser=v1:") && known.ends_with("; Secure"),
        "{known}"
    );
    assert!(browser.cookies.keys().any(|name| name.ends_with(SESSION)));
}

#[tokio::test]
async fn a_busy_server_says_so_and_counts_nothing() {
    let bench = Bench::new().await;
    bench.program("demo", "boss", Role::Admin).await;
    let (_, ada) = bench.member("ada@example.com", "demo", Role::Developer).await;
    let services = &bench.services;
    // Far more at once than may wait: the rest is sent away, and nothing of that counts as a failure.
    let many = stream::iter(0..400).map(|n| {
        let from = format!("192.0.2.{}", n % 250);
        async move { access::sign_in(services, "ada@example.com", PASSWORD.into(), &from, "").await }
    });
    let answers: Vec<_> = many.buffer_unordered(400).collect().await;
    let busy = answers
        .iter()
        .filter(|answer| matches!(answer, Err(AppError::Busy { .. })))
        .count();
    let slowed = answers
        .iter()
        .filter(|answer| matches!(answer, Err(AppError::TooMany { .. })))
        .count();
    let done = answers.iter().filter(|answer| **answer == Ok(ada)).count();
    assert_eq!(busy + slowed + done, 400, "{answers:?}");
    assert!(
        done >= 64 && busy > 0,
        "{done} signed in, {busy} were sent away, {slowed} were too many"
    );
    let refused = AppError::Busy { seconds: 5 };
    assert_eq!((refused.status(), refused.retry_after()), (503, Some(5)));
    assert_eq!(
        access::sign_in(services, "ada@example.com", PASSWORD.into(), "192.0.2.1", "").await,
        Ok(ada)
    );
}
