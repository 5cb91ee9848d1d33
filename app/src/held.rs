//! A value of any type in one type: readings and outcomes of posts travel from the server's page to the browser in it,
//! so that the machinery around them is in the browser's download once, not once per type.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use std::{any::Any, sync::Arc};

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
                    .and_then(|value| leptos::serde_json::to_string(value).ok())
                    .unwrap_or_default()
            },
        })
    }

    /// The value; `None` when another type was put in.
    #[must_use]
    pub(crate) fn get<T: Clone + DeserializeOwned + 'static>(&self) -> Option<T> {
        match &self.0 {
            Inner::Value { value, .. } => value.downcast_ref::<T>().cloned(),
            // Read from bytes, as answers of server functions are: so the browser downloads one reader per type, not two.
            Inner::Text(text) => leptos::serde_json::from_slice(text.as_bytes()).ok(),
        }
    }
}

/// The same reading, or the same text.
impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Inner::Value { value, .. }, Inner::Value { value: other, .. }) => Arc::ptr_eq(value, other),
            (Inner::Text(text), Inner::Text(other)) => text == other,
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
        }
    }
}
