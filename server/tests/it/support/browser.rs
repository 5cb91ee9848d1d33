//! What a browser without a script does: asks for pages, posts forms, keeps cookies; and what a person reads in its pages.

use super::world::PATIENCE;
use reqwest::{
    Body, Client, Method,
    header::{HeaderMap, HeaderValue},
    redirect,
};
use std::collections::BTreeMap;

/// A browser of one person.
#[derive(Clone)]
pub(crate) struct Browser {
    client: Client,
    base_url: String,
    pub(crate) cookies: BTreeMap<String, String>,
}

/// What came back. Redirects are not followed.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Browser {
    pub(crate) fn new(base_url: &str) -> Self {
        Self {
            client: Client::builder()
                .redirect(redirect::Policy::none())
                // Longer than the server itself is patient with a page: its answer says more than none.
                .timeout(4 * PATIENCE)
                .build()
                .unwrap(),
            base_url: base_url.to_owned(),
            cookies: BTreeMap::new(),
        }
    }

    /// The site's own origin, as a browser says it of its posts.
    pub(crate) fn origin(&self) -> String {
        self.base_url.clone()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.send(Method::GET, path, &[], "").await
    }

    /// Posts a form the way a page of the site does.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let body = form(fields);
        self.post_body(path, body).await
    }

    pub(crate) async fn post_body(&mut self, path: &str, body: impl Into<Body>) -> Page {
        let origin = self.base_url.clone();
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", &*origin),
            ("accept", "text/html"),
        ];
        self.send(Method::POST, path, &headers, body).await
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Page {
        let mut request = self.client.request(method, format!("{}{path}", self.base_url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
            request = request.header("cookie", pairs.join("; "));
        }
        let answer = request.body(body).send().await.unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        Page {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            text: String::from_utf8_lossy(&answer.bytes().await.unwrap()).into_owned(),
        }
    }

    /// A request whose answer is still being sent.
    pub(crate) async fn open(&self, path: &str) -> reqwest::Response {
        let pairs: Vec<String> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let request = self.client.get(format!("{}{path}", self.base_url));
        request.header("cookie", pairs.join("; ")).send().await.unwrap()
    }
}

/// A form's body.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse("http://x/").unwrap();
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

impl Page {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    }

    /// The whole of the cookie that the answer sets, by its name; over TLS something stands before it.
    pub(crate) fn set_cookie(&self, name: &str) -> Option<&str> {
        let cookies = self.headers.get_all("set-cookie").iter();
        cookies.filter_map(|cookie| cookie.to_str().ok()).find(|cookie| {
            let own = cookie.split('=').next().unwrap_or_default();
            own.trim_start_matches("__Host-") == name
        })
    }

    pub(crate) fn location(&self) -> Option<&str> {
        self.header("location")
    }

    /// The text of the element with this id, up to its first closing tag named `tag`.
    fn element(&self, id: &str, tag: &str) -> Option<String> {
        let at = self.text.find(&format!("id=\"{id}\""))?;
        let rest = &self.text[at..];
        let inside = &rest[rest.find('>')? + 1..];
        Some(words(&inside[..inside.find(&format!("</{tag}>"))?]))
    }

    /// What the page says is wrong with a field: below it, and tied to it.
    pub(crate) fn field_error(&self, name: &str) -> Option<String> {
        let id = field_id(name);
        let error_id = format!("{id}-error");
        let said = self.element(&error_id, "p").filter(|text| !text.is_empty())?;
        let control = self.tag(&id).unwrap_or_else(|| panic!("no control {id}"));
        let described = control.split("aria-describedby=\"").nth(1).unwrap_or_default();
        let described = described.split('"').next().unwrap_or_default();
        assert!(
            described.split_whitespace().any(|word| word == error_id),
            "{control} isn't described by {error_id}"
        );
        Some(said)
    }

    /// The opening tag of the element with this id.
    pub(crate) fn tag(&self, id: &str) -> Option<&str> {
        let at = self.text.find(&format!("id=\"{id}\""))?;
        let begin = self.text[..at].rfind('<')?;
        let end = at + self.text[at..].find('>')?;
        Some(&self.text[begin..=end])
    }

    /// What the summary of errors says.
    pub(crate) fn summary(&self) -> String {
        self.text
            .find("id=\"errors\"")
            .map(|at| words(self.text[at..].split("</form>").next().unwrap_or_default()))
            .unwrap_or_default()
    }

    /// What a text field of the page holds.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let tag = self.tag(&field_id(name))?;
        let value = tag.split(" value=\"").nth(1)?.split('"').next()?;
        Some(plain(value))
    }

    /// What is chosen in a list of the page.
    pub(crate) fn chosen(&self, name: &str) -> Option<String> {
        let at = self.text.find(&format!("id=\"{}\"", field_id(name)))?;
        let list = self.text[at..].split("</select>").next()?;
        let option = list.split("<option").skip(1).find(|option| {
            let tag = option.split('>').next().unwrap_or_default();
            tag.contains(" selected")
        })?;
        Some(plain(option.split("value=\"").nth(1)?.split('"').next()?))
    }

    /// All that a person reads, without tags.
    pub(crate) fn words(&self) -> String {
        words(&self.text)
    }
}

fn field_id(name: &str) -> String {
    app::components::field::field_id(name)
}

/// Text without tags and comments, entities read, white space as one blank.
fn words(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        let end = match rest[at..].starts_with("<!--") {
            true => rest[at..].find("-->").map(|end| end + 3),
            false => rest[at..].find('>').map(|end| end + 1),
        };
        // Elements are apart; what a framework marks with comments is one text.
        if !rest[at..].starts_with("<!") {
            text.push(' ');
        }
        // What scripts hold nobody reads.
        let end = match rest[at..].starts_with("<script") {
            true => rest[at..].find("</script>"),
            false => end,
        };
        rest = end.map_or("", |end| &rest[at + end..]);
    }
    text.push_str(rest);
    plain(&text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn plain(html: &str) -> String {
    let entities = [
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#39;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ];
    entities.iter().fold(html.to_owned(), |text, (entity, character)| {
        text.replace(entity, character)
    })
}
