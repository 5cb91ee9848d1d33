//! A value of any type in one type: readings and outcomes of posts travel from the server's page to the browser in it,
//! so that the machinery around them is in the browser's download once, not once per type.

use contract::error::AppError;
use leptos::{prelude::Resource, serde_json};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use std::{any::Any, future::Future, pin::Pin, sync::Arc};

/// Before the text of an error, which no value's text begins with.
const ERROR: char = '!';
/// What something held is read by: it is read again when the number changes.
pub(crate) type Key = Arc<dyn Fn() -> Option<u32> + Send + Sync>;
/// Reads something to be held, or finds that there is nothing.
pub(crate) type Fetch = Arc<dyn Fn() -> Fetching + Send + Sync>;
/// Something to be held, on its way.
pub(crate) type Fetching = Pin<Box<dyn Future<Output = Option<Held>> + Send>>;

/// A value, or the text that it was sent as.
#[derive(Clone)]
pub struct Held(Inner);

#[derive(Clone)]
enum Inner {
    Value {
        value: Arc<dyn Any + Send + Sync>,
        /// Only the server sends.
        #[cfg(feature = "ssr")]
        text: fn(&(dyn Any + Send + Sync)) -> String,
    },
    Text(Arc<str>),
    Error(AppError),
}

/// Something held that comes with the page, and is read anew in the browser. Every one is of this type: the machinery of one more type
/// is a dozen kilobytes.
pub(crate) fn resource(key: Key, fetch: Fetch, blocking: bool) -> Resource<Option<Held>> {
    let (key, fetch) = (move || key(), move |_| fetch());
    if blocking {
        Resource::new_blocking(key, fetch)
    } else {
        Resource::new(key, fetch)
    }
}

/// As [`resource`], read once.
pub(crate) fn read_once(fetch: Fetch, blocking: bool) -> Resource<Option<Held>> {
    resource(Arc::new(|| None), fetch, blocking)
}

impl Held {
    /// Holds a value.
    pub(crate) fn new<T: Serialize + Send + Sync + 'static>(value: T) -> Self {
        Self(Inner::Value {
            value: Arc::new(value),
            #[cfg(feature = "ssr")]
            text: |value| {
                value
                    .downcast_ref::<T>()
                    .and_then(|value| serde_json::to_string(value).ok())
                    .unwrap_or_default()
            },
        })
    }

    /// Holds what was read, or why it was not.
    pub(crate) fn of<T: Serialize + Send + Sync + 'static>(read: Result<T, AppError>) -> Self {
        match read {
            Ok(value) => Self::new(value),
            Err(error) => Self(Inner::Error(error)),
        }
    }

    /// Why it was not read, where that is what is held.
    pub(crate) fn error(&self) -> Option<AppError> {
        match &self.0 {
            Inner::Error(error) => Some(error.clone()),
            Inner::Text(text) => text
                .strip_prefix(ERROR)
                .and_then(|text| serde_json::from_slice(text.as_bytes()).ok()),
            Inner::Value { .. } => None,
        }
    }

    /// What [`Held::of`] was given.
    ///
    /// # Errors
    /// Why it was not read.
    pub(crate) fn outcome<T: Clone + DeserializeOwned + 'static>(&self) -> Result<T, AppError> {
        match self.error() {
            Some(error) => Err(error),
            None => self.get().ok_or(AppError::Unreachable),
        }
    }

    /// The value; `None` when another type was put in.
    #[must_use]
    pub(crate) fn get<T: Clone + DeserializeOwned + 'static>(&self) -> Option<T> {
        match &self.0 {
            Inner::Value { value, .. } => value.downcast_ref::<T>().cloned(),
            // Read from bytes, as answers of server functions are: so the browser downloads one reader per type, not two.
            Inner::Text(text) => serde_json::from_slice(text.as_bytes()).ok(),
            Inner::Error(_) => None,
        }
    }
}

/// The same reading, or the same text.
impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Inner::Value { value, .. }, Inner::Value { value: other, .. }) => Arc::ptr_eq(value, other),
            (Inner::Text(text), Inner::Text(other)) => text == other,
            (Inner::Error(error), Inner::Error(other)) => error == other,
            _ => false,
        }
    }
}

impl Serialize for Held {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            #[cfg(feature = "ssr")]
            Inner::Value { value, text } => serializer.serialize_str(&text(value.as_ref())),
            #[cfg(not(feature = "ssr"))]
            Inner::Value { .. } => serializer.serialize_str(""),
            #[cfg(feature = "ssr")]
            Inner::Error(error) => {
                let text = serde_json::to_string(error).unwrap_or_default();
                serializer.serialize_str(&format!("{ERROR}{text}"))
            }
            #[cfg(not(feature = "ssr"))]
            Inner::Error(_) => serializer.serialize_str(""),
            Inner::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Held {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Inner::Text(text.into())))
    }
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::Held;
    use contract::error::AppError;

    #[test]
    fn what_is_held_is_the_same_here_and_after_its_journey() {
        let held = Held::new(vec![("a \"quoted\" name".to_owned(), 7_u32)]);
        let sent = leptos::serde_json::to_string(&held).unwrap();
        let arrived: Held = leptos::serde_json::from_str(&sent).unwrap();
        for held in [held, arrived] {
            assert_eq!(
                held.get::<Vec<(String, u32)>>(),
                Some(vec![("a \"quoted\" name".to_owned(), 7)])
            );
            assert_eq!(held.get::<u64>(), None);
            assert_eq!(held.error(), None);
        }
    }

    #[test]
    fn an_error_is_held_in_place_of_a_value() {
        let held = Held::of::<u64>(Err(AppError::NotFound("There is no such board.".into())));
        let sent = leptos::serde_json::to_string(&held).unwrap();
        let arrived: Held = leptos::serde_json::from_str(&sent).unwrap();
        for held in [held, arrived] {
            assert_eq!(
                held.outcome::<u64>(),
                Err(AppError::NotFound("There is no such board.".into()))
            );
        }
        // Text that begins like an error is quoted.
        let held = Held::of(Ok("!".to_owned()));
        let sent = leptos::serde_json::to_string(&held).unwrap();
        let arrived: Held = leptos::serde_json::from_str(&sent).unwrap();
        assert_eq!(arrived.outcome::<String>(), Ok("!".to_owned()));
    }
}
