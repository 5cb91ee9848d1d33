//! Routes that can be listed: the router is built from them, and the table of who may do what is held against the same list
//! (`server/tests/it/authorisation`), so that a new route without a line there fails.

use axum::{
    Router,
    handler::Handler,
    http::Method,
    routing::{MethodRouter, delete, get, post},
};

/// What can be asked for: a method, and a path with `{names}` where something is filled in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: String,
}

/// A router that knows its routes.
pub struct Routes<S = ()> {
    router: Router<S>,
    list: Vec<Route>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            router: Router::new(),
            list: Vec::new(),
        }
    }

    /// With one more that is got.
    #[must_use]
    pub fn get<H: Handler<T, S>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.add(Method::GET, path, get(handler))
    }

    /// With one more that is posted to.
    #[must_use]
    pub fn post<H: Handler<T, S>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.add(Method::POST, path, post(handler))
    }

    /// With one more that is deleted.
    #[must_use]
    pub fn delete<H: Handler<T, S>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.add(Method::DELETE, path, delete(handler))
    }

    fn add(mut self, method: Method, path: &str, handler: MethodRouter<S>) -> Self {
        self.router = self.router.route(path, handler);
        self.list.push(Route {
            method,
            path: path.to_owned(),
        });
        self
    }

    /// With those of another.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.list.extend(other.list);
        self
    }

    /// With layers around them, a state, or an answer to all other paths: whatever adds no route.
    #[must_use]
    pub fn with<T>(self, change: impl FnOnce(Router<S>) -> Router<T>) -> Routes<T> {
        Routes {
            router: change(self.router),
            list: self.list,
        }
    }

    /// All of them.
    #[must_use]
    pub fn list(&self) -> &[Route] {
        &self.list
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> From<Routes<S>> for Router<S> {
    fn from(routes: Routes<S>) -> Self {
        routes.router
    }
}
