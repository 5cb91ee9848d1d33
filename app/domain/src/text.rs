//! Values that are texts in documents and the database: read with `FromStr`, written with `Display`.

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
