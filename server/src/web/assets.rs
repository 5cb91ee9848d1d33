//! What browsers download besides pages: script, WebAssembly, style. Read once at start, sent as compressed as they came.

use super::WebState;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use std::{collections::HashMap, path::Path as FilePath, sync::Arc};

/// The files under `/pkg`.
#[derive(Debug, Default)]
pub struct Assets {
    files: HashMap<String, Asset>,
    /// Changes whenever a file does; part of their addresses, so that files that name each other stay together.
    pub version: Arc<str>,
}

#[derive(Debug, Default)]
struct Asset {
    plain: axum::body::Bytes,
    brotli: Option<axum::body::Bytes>,
    gzip: Option<axum::body::Bytes>,
}

impl Assets {
    /// Reads the files in `site/pkg`. A site that wasn't built gives none: pages work without.
    #[must_use]
    pub fn read(site: &FilePath) -> Self {
        let mut files = HashMap::new();
        let mut hash = Sha256::new();
        let folder = site.join("pkg");
        let mut names: Vec<String> = std::fs::read_dir(&folder)
            .map(|entries| {
                entries
                    .flatten()
                    .filter_map(|entry| entry.file_name().into_string().ok())
                    .collect()
            })
            .unwrap_or_default();
        names.retain(|name| kind(name).is_some());
        names.sort();
        if names.is_empty() {
            tracing::warn!("the site was not built: pages come without script and style (run `make build`)");
        }
        for name in names {
            let path = folder.join(&name);
            let Ok(plain) = std::fs::read(&path) else { continue };
            let beside = |ending: &str| {
                let name = format!("{}.{ending}", path.display());
                std::fs::read(name).ok().map(axum::body::Bytes::from)
            };
            hash.update(&plain);
            files.insert(
                name,
                Asset {
                    brotli: beside("br"),
                    gzip: beside("gz"),
                    plain: plain.into(),
                },
            );
        }
        let version = hex::encode(&hash.finalize()[..6]);
        Self {
            files,
            version: version.into(),
        }
    }
}

/// What a file is, by its ending; `None` for what browsers don't ask for.
fn kind(name: &str) -> Option<&'static str> {
    match name.rsplit('.').next() {
        Some("css") => Some("text/css; charset=utf-8"),
        Some("js") => Some("text/javascript; charset=utf-8"),
        Some("wasm") => Some("application/wasm"),
        _ => None,
    }
}

/// A file under `/pkg`; its address changes with its content, so browsers keep it. Another version's address gets the file as it
/// is now, for pages that were open while the server was replaced.
pub(super) async fn serve(
    State(state): State<WebState>,
    Path((_version, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let (Some(asset), Some(kind)) = (state.assets.files.get(&file), kind(&file)) else {
        return (StatusCode::NOT_FOUND, "no such file\n").into_response();
    };
    let accepted = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let accepts = |coding: &str| {
        accepted
            .split(',')
            .any(|c| c.split(';').next().is_some_and(|c| c.trim() == coding))
    };
    let (coding, body) = match (&asset.brotli, &asset.gzip) {
        (Some(brotli), _) if accepts("br") => (Some("br"), brotli.clone()),
        (_, Some(gzip)) if accepts("gzip") => (Some("gzip"), gzip.clone()),
        _ => (None, asset.plain.clone()),
    };
    let mut response = (
        [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            (header::VARY, "accept-encoding"),
        ],
        body,
    )
        .into_response();
    if let Some(coding) = coding {
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, header::HeaderValue::from_static(coding));
    }
    response
}

/// The picture in the browser's tab: a bill on its way, drawn small.
pub(super) async fn favicon() -> impl IntoResponse {
    const PICTURE: &str = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>\
        <rect width='16' height='16' rx='4' fill='#2f5fd0'/>\
        <path d='M3 5l2 6 3-5 3 5 2-6' fill='none' stroke='#fff' stroke-width='1.8' stroke-linejoin='round'/></svg>";
    (
        [
            (header::CONTENT_TYPE, "image/svg+xml"),
            (header::CACHE_CONTROL, "public, max-age=86400"),
        ],
        PICTURE,
    )
}
