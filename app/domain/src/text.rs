//! Values that are texts in documents and the database: read with `FromStr`, written with `Display`.

#[cfg(test)]
mod tests;

/// What is wrong with a text that should be `what`.
pub(crate) fn wrong(text: &str, what: &str, example: &str) -> String {
    format!("{text:?} is not {what}. Write it like {example}.")
}

/// Serialises a type as its text.
macro_rules! from_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use from_text;

/// What all newtypes of a checked text have in common. `$error` says why a text isn't one.
macro_rules! text {
    ($($name:ident: $error:ident),*) => {$(
        impl $name {
            /// The whole text, as it is written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(s: String) -> Result<Self, $error> {
                s.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
pub(crate) use text;

/// The error for a text that is none of an enum's words, where the error doesn't repeat the text.
pub(crate) fn unknown<E: Default>(_: &str) -> E {
    E::default()
}
