//! The configuration beside the layers under a tag of cosign, which counts them.
//!
//! cosign adds to such a tag with go-containerregistry. That refuses a manifest with more layers than its configuration has `diff_ids`
//! (`DiffIDToBlob` in its package `partial`): after somebody added a layer alone, cosign can't add another.

use super::{
    CopyError,
    end::{End, list},
    tags::digest_of,
};
use crate::{
    adapters::registry::{client::sha256, transport::RegistryAnswer},
    nesting,
};
use domain::artifact::Digest;
use hyper::body::Bytes;
use serde_json::{Value, json};

/// Bytes of such a configuration. cosign reads a thousand layers, which have a hundred bytes each there.
const CONFIG_LIMIT: usize = 1024 * 1024;

impl End {
    /// A manifest to which layers were added, with a configuration that counts them, too, and is pushed here. One whose configuration counts
    /// nothing stays as it is. The answer of a registry that doesn't take the configuration comes with the bytes that it has.
    pub(super) async fn count_layers(
        &self,
        manifest: Bytes,
    ) -> Result<Result<Bytes, (RegistryAnswer, usize)>, CopyError> {
        let Some((mut document, known)) = configured(&manifest) else {
            return Ok(Ok(manifest));
        };
        let layers = list(&manifest, "layers").unwrap_or_default();
        let config = self.small(&known, CONFIG_LIMIT).await?;
        let config = config.and_then(|config| counting(&config, &layers)).map(Bytes::from);
        let Some((config, digest)) = config.and_then(|config| Some((config.clone(), sha256(&config)?))) else {
            return Ok(Ok(manifest));
        };
        if let Err(answer) = self.put_small(&config).await? {
            return Ok(Err((answer, config.len())));
        }
        if let Some(descriptor) = document.get_mut("config").and_then(Value::as_object_mut) {
            descriptor.insert("digest".into(), json!(digest));
            descriptor.insert("size".into(), config.len().into());
            // A copy of what it was.
            descriptor.remove("data");
        }
        Ok(Ok(Bytes::from(document.to_string())))
    }
}

/// A manifest, and the digest of its configuration; `None` where it has none.
fn configured(manifest: &[u8]) -> Option<(Value, Digest)> {
    let document: Value = nesting::json(manifest).ok()?;
    let known = digest_of(document.get("config")?)?.parse().ok()?;
    Some((document, known))
}

/// A configuration that counts these layers; `None` where it does, or counts nothing. What cosign keeps is not compressed, so that the digest of a
/// layer is its `diff_id`.
fn counting(config: &[u8], layers: &[Value]) -> Option<Vec<u8>> {
    let mut config: Value = nesting::json(config).ok()?;
    let counted = config.pointer_mut("/rootfs/diff_ids")?.as_array_mut()?;
    if counted.len() == layers.len() {
        return None;
    }
    if counted.len() > layers.len() {
        counted.clear();
    }
    let more = layers.iter().skip(counted.len()).filter_map(digest_of);
    counted.extend(more.map(Value::from));
    Some(config.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_counts_the_layers_that_were_added() {
        let layers: Vec<Value> = ["a", "b", "c"].iter().map(|digest| json!({"digest": digest})).collect();
        let config = |counted: &[&str]| {
            let config =
                json!({"os": "", "history": [{"created": "x"}], "rootfs": {"type": "layers", "diff_ids": counted}});
            config.to_string().into_bytes()
        };
        // Those that are counted already may be called otherwise.
        assert_eq!(counting(&config(&["x"]), &layers), Some(config(&["x", "b", "c"])));
        assert_eq!(counting(&config(&[]), &layers), Some(config(&["a", "b", "c"])));
        assert_eq!(
            counting(&config(&["w", "x", "y", "z"]), &layers),
            Some(config(&["a", "b", "c"]))
        );
        assert_eq!(counting(&config(&["a", "b", "c"]), &layers), None);
        for nothing in [
            &b"{}"[..],
            b"no JSON",
            br#"{"rootfs":{}}"#,
            br#"{"rootfs":{"diff_ids":null}}"#,
        ] {
            assert_eq!(counting(nothing, &layers), None);
        }
    }
}
