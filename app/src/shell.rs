//! The HTML around every page: what is needed before the first paint, and the script that brings it to life.

use crate::{components::icon::sprite, request::PageRequest, routes::App};
use leptos::{nonce::use_nonce, prelude::*};
use leptos_meta::MetaTags;

/// The document. Without a [`PageRequest`] in context (while routes are listed) the defaults do.
#[must_use]
pub fn shell() -> impl IntoView {
    let request = use_context::<PageRequest>();
    let assets = request.as_ref().map(|r| r.assets.to_string()).unwrap_or_default();
    let theme = request.as_ref().map(|r| r.theme.to_string()).unwrap_or_default();
    let start = format!(
        "import init, {{ hydrate }} from '/pkg/{assets}/waybill.js';\
         init({{ module_or_path: '/pkg/{assets}/waybill_bg.wasm' }}).then(() => hydrate());"
    );
    view! {
        <!DOCTYPE html>
        <html lang="en" data-theme=theme>
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <link rel="stylesheet" href=format!("/pkg/{assets}/waybill.css") />
                <link rel="modulepreload" href=format!("/pkg/{assets}/waybill.js") />
                <link
                    rel="preload"
                    r#as="fetch"
                    r#type="application/wasm"
                    crossorigin="anonymous"
                    href=format!("/pkg/{assets}/waybill_bg.wasm")
                />
                <MetaTags />
            </head>
            <body>
                <App />
                {sprite()}
                <script type="module" nonce=use_nonce()>
                    {start}
                </script>
            </body>
        </html>
    }
}
