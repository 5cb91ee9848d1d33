//! What a page knows of the request it answers, and what it may say of the response. On the browser: nothing.

use contract::error::AppError;
use std::sync::Arc;

/// Given by the server while it renders a page or runs a server function.
#[derive(Clone)]
pub struct PageRequest {
    /// Body of a plain form post of this page, as `application/x-www-form-urlencoded`; `None` when it was got.
    pub posted: Option<Arc<str>>,
    /// Gives the response what fits an error: its status, and when to try again.
    pub refuse: Arc<dyn Fn(&AppError) + Send + Sync>,
    /// `light`, `dark`, or empty to follow the system: the theme cookie.
    pub theme: Arc<str>,
    /// Changes whenever the files under `/pkg` do; part of their addresses, so that browsers may keep them.
    pub assets: Arc<str>,
    /// The request's id, as in the log.
    pub id: Arc<str>,
}

/// Gives the response what fits an error, while rendering on the server.
pub fn refuse(error: &AppError) {
    if let Some(request) = leptos::prelude::use_context::<PageRequest>() {
        (request.refuse)(error);
    }
}
