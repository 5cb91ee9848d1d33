//! A person at a browser: the administrator, signed in with a session. What tokens can't do is done by them.

use crate::{
    Outcome,
    clock::now,
    world::{EMAIL, PASSWORD, PATIENCE},
};
use reqwest::{
    Client, RequestBuilder,
    header::{COOKIE, ORIGIN, SET_COOKIE},
};

/// Somebody who is signed in.
pub(crate) struct Person {
    client: Client,
    url: String,
    /// What their browser sends along with every request.
    cookie: String,
}

impl Person {
    /// Signs in at `url`, as the sign-in page's script does.
    pub(crate) async fn sign_in(client: &Client, url: &str) -> Outcome<Self> {
        let request = client.post(format!("{url}/api/ui/sign_in")).header(ORIGIN, url);
        let fields = [("email", EMAIL), ("password", PASSWORD)];
        let answer = request.timeout(PATIENCE).form(&fields).send().await?;
        let answer = answer.error_for_status()?;
        let cookies: Vec<&str> = (answer.headers().get_all(SET_COOKIE).iter())
            .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
            .collect();
        if cookies.is_empty() {
            return Err("signing in began no session".into());
        }
        Ok(Self {
            client: client.clone(),
            url: url.to_owned(),
            cookie: cookies.join("; "),
        })
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.signed(self.client.get(format!("{}{path}", self.url)))
    }

    /// Asks a server function of a page, as the page's script does; the answer's length.
    pub(crate) async fn ask(&self, function: &str, arguments: &[(&str, &str)]) -> Outcome<usize> {
        let request = self.client.post(format!("{}/api/ui/{function}", self.url));
        // A browser says of its posts which site they come from.
        let request = request.header(ORIGIN, &self.url).form(arguments);
        let answer = self.signed(request).send().await?.error_for_status()?;
        Ok(answer.bytes().await?.len())
    }

    /// Clicks *Approve*, as the page's script does; returns when the click was sent.
    pub(crate) async fn approve(&self, promotion: &str) -> Outcome<f64> {
        let sent = now();
        self.ask("approve", &[("id", promotion), ("comment", "")]).await?;
        Ok(sent)
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        request.header(COOKIE, &self.cookie).timeout(PATIENCE)
    }
}
