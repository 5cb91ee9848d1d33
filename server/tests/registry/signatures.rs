//! Signatures where cosign puts them, and registries that would keep us busy.

use crate::odd::{Origin, client, digest, open, response, status};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::artifact::Digest;
use serde_json::{Value, json};
use server::{
    ports::registry::{Registry, RegistryError},
    signature::Attached,
};
use std::collections::HashMap;

const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const SAYS: &str = "dev.sigstore.bundle.predicateType";
/// What a signature says that it is.
const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// What the signature of bytes is here: nobody checks it where it is fetched.
const SIGNED: &[u8] = b"signed";

fn image() -> Digest {
    digest(b"an image").parse().unwrap()
}

fn layer(kind: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": kind, "digest": digest(bytes), "size": bytes.len() })
}

fn signed_layer(bytes: &[u8]) -> Value {
    let mut layer = layer(SIMPLE, bytes);
    layer["annotations"] = json!({ SIGNATURE: STANDARD.encode(SIGNED) });
    layer
}

fn manifest(layers: &[Value]) -> String {
    json!({ "schemaVersion": 2, "config": layer("x/y", b"{}"), "layers": layers }).to_string()
}

fn bundle(payload: &str) -> String {
    json!({ "mediaType": BUNDLE, "dsseEnvelope": { "payload": STANDARD.encode(payload), "payloadType": "t",
        "signatures": [{ "sig": STANDARD.encode(SIGNED) }] } })
    .to_string()
}

/// What a registry holds, by the end of the path.
#[derive(Default)]
struct Held(HashMap<String, String>);

impl Held {
    fn blob(&mut self, bytes: &str) {
        self.0
            .insert(format!("/blobs/{}", digest(bytes.as_bytes())), bytes.to_owned());
    }

    /// A manifest, with a bundle in it; returns its entry in a list.
    fn bundle(&mut self, payload: &str) -> Value {
        let bundle = bundle(payload);
        let manifest = manifest(&[layer(BUNDLE, bundle.as_bytes())]);
        self.blob(&bundle);
        let mut entry = layer("application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
        entry["artifactType"] = json!(BUNDLE);
        self.0
            .insert(format!("/manifests/{}", digest(manifest.as_bytes())), manifest);
        entry
    }

    async fn serve(self) -> Origin {
        Origin::start(move |seen, _| {
            let path = seen.uri.split('?').next().unwrap_or_default();
            match self.0.iter().find(|(end, _)| path.ends_with(end.as_str())) {
                Some((_, body)) => response(200, &[("content-type", INDEX)], body.clone()),
                None => status(404),
            }
        })
        .await
    }
}

fn list(entries: &[Value]) -> String {
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }).to_string()
}

fn payloads_of_envelopes(attached: &[Attached]) -> Vec<String> {
    let text = |attached: &Attached| match attached {
        Attached::Simple { .. } => None,
        Attached::Envelope(envelope) => Some(format!("{envelope:?}")),
    };
    attached.iter().filter_map(text).collect()
}

fn payloads(attached: &[Attached]) -> Vec<String> {
    let text = |attached: &Attached| match attached {
        Attached::Simple { payload, signature, .. } => {
            assert_eq!(signature, SIGNED);
            String::from_utf8(payload.clone()).unwrap()
        }
        Attached::Envelope(envelope) => format!("{envelope:?}"),
    };
    attached.iter().map(text).collect()
}

#[tokio::test]
async fn the_older_place_has_a_layer_for_each_signature_and_what_is_odd_is_passed_over() {
    let mut held = Held::default();
    let mut without = layer(SIMPLE, b"without");
    without["annotations"] = json!({});
    let mut garbled = signed_layer(b"garbled");
    garbled["annotations"][SIGNATURE] = json!("not Base64!");
    let mut vast = signed_layer(b"vast");
    vast["size"] = json!(1_000_000_000_000_u64);
    let mut lying = signed_layer(b"lying");
    lying["size"] = json!(5);
    let layers = [
        signed_layer(b"first"),
        without,
        garbled,
        vast,
        lying,
        signed_layer(b"gone"),
        signed_layer(b"swapped"),
        layer("application/vnd.oci.image.layer.v1.tar+gzip", b"first"),
        signed_layer(b"last"),
    ];
    for blob in ["first", "without", "garbled", "vast", "last"] {
        held.blob(blob);
    }
    let swapped = format!("/blobs/{}", digest(b"swapped"));
    held.0.insert(swapped, "something else".into());
    let lying = format!("/blobs/{}", digest(b"lying"));
    held.0.insert(lying, "x".repeat(10_000_000));
    let tag = format!("/manifests/sha256-{}.sig", image().hex());
    held.0.insert(tag, manifest(&layers));
    let registry = held.serve().await;
    let found = client()
        .attached(&open(), &registry.repository(), &image(), &[SIGN])
        .await
        .unwrap();
    assert!(found.unseen.is_none());
    assert_eq!(payloads(&found.attached), ["last", "first"]);
}

#[tokio::test]
async fn the_newer_place_is_the_registrys_list_or_a_tag() {
    for keeps_list in [true, false] {
        let mut held = Held::default();
        let ours = held.bundle("ours");
        let mut said = held.bundle("said");
        said["annotations"] = json!({ SAYS: SIGN });
        let mut attests = held.bundle("attests");
        attests["annotations"] = json!({ SAYS: "https://spdx.dev/Document" });
        let mut sbom = held.bundle("sbom");
        sbom["artifactType"] = json!("application/spdx+json");
        let gone = layer("application/vnd.oci.image.manifest.v1+json", b"gone");
        let at = match keeps_list {
            true => format!("/referrers/{}", image()),
            false => format!("/manifests/sha256-{}", image().hex()),
        };
        held.0.insert(at, list(&[gone, attests, sbom, ours, said]));
        let registry = held.serve().await;
        let found = client()
            .attached(&open(), &registry.repository(), &image(), &[SIGN])
            .await
            .unwrap();
        let found = payloads(&found.attached);
        // What cosign 2.6 and 3.0 note beside an attestation is wrong: it is read all the same, last.
        assert_eq!(found.len(), 3, "{keeps_list}: {found:?}");
        for (found, payload) in found.iter().zip(["said", "ours", "attests"]) {
            assert!(
                found.contains(&format!("{:?}", payload.as_bytes())),
                "{payload}: {found}"
            );
        }
    }
}

/// A registry that keeps no list has one under a tag, which whoever signs writes: cosign up to 3.0.6 gives the type of the bundle's
/// configuration there, and others give none.
#[tokio::test]
async fn a_bundle_is_found_whatever_the_list_calls_it() {
    for kind in [
        json!(null),
        json!(""),
        json!(BUNDLE),
        json!("application/vnd.oci.empty.v1+json"),
        json!("application/vnd.oci.image.config.v1+json"),
    ] {
        let mut held = Held::default();
        let mut entry = held.bundle("ours");
        entry["artifactType"] = kind.clone();
        let mut picture = layer("application/vnd.oci.image.manifest.v1+json", b"a picture");
        picture["artifactType"] = json!("image/png");
        let tag = format!("/manifests/sha256-{}", image().hex());
        held.0.insert(tag, list(&[picture, entry]));
        let registry = held.serve().await;
        for says in [SIGN, "https://slsa.dev/provenance/v1"] {
            let found = client()
                .attached(&open(), &registry.repository(), &image(), &[says])
                .await
                .unwrap();
            assert_eq!(found.attached.len(), 1, "{kind} {says}");
        }
        let asked = registry.seen();
        let picture = digest(b"a picture");
        assert!(
            asked.iter().all(|seen| !seen.uri.ends_with(&picture)),
            "what is no bundle is not fetched"
        );
    }
}

/// `cosign sign --registry-referrers-mode=oci-1-1` hangs the older form on the image as a referrer, and cosign's library bare envelopes.
#[tokio::test]
async fn the_older_forms_are_read_as_referrers_too() {
    let envelope = {
        let bundle: Value = serde_json::from_str(&bundle("attested")).unwrap();
        bundle["dsseEnvelope"].to_string()
    };
    let mut held = Held::default();
    let mut entries = Vec::new();
    for (kind, layer_of, blob) in [
        (
            "application/vnd.dev.cosign.artifact.sig.v1+json",
            signed_layer(b"signed so"),
            "signed so",
        ),
        (
            "application/vnd.in-toto+json",
            layer("application/vnd.dsse.envelope.v1+json", envelope.as_bytes()),
            envelope.as_str(),
        ),
    ] {
        let manifest = manifest(&[layer_of]);
        let mut entry = layer("application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
        entry["artifactType"] = json!(kind);
        held.blob(blob);
        held.0
            .insert(format!("/manifests/{}", digest(manifest.as_bytes())), manifest);
        entries.push(entry);
    }
    held.0.insert(format!("/referrers/{}", image()), list(&entries));
    let registry = held.serve().await;
    let found = client()
        .attached(&open(), &registry.repository(), &image(), &[SIGN])
        .await
        .unwrap();
    let found = payloads(&found.attached);
    assert_eq!((found.len(), found[0].as_str()), (2, "signed so"), "{found:?}");
    assert!(found[1].contains(&format!("{:?}", b"attested".to_vec())), "{found:?}");
}

/// Whoever may push may call our bundle's blob something else: it is read all the same.
#[tokio::test]
async fn what_others_call_our_blob_hides_nothing() {
    let mut held = Held::default();
    let ours = held.bundle("ours");
    let blob = bundle("ours");
    let mut lie = signed_layer(blob.as_bytes());
    lie["size"] = json!(1);
    let manifest = manifest(&[lie]);
    let mut theirs = layer("application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
    theirs["artifactType"] = json!(BUNDLE);
    held.0
        .insert(format!("/manifests/{}", digest(manifest.as_bytes())), manifest);
    held.0.insert(format!("/referrers/{}", image()), list(&[theirs, ours]));
    let registry = held.serve().await;
    let found = client()
        .attached(&open(), &registry.repository(), &image(), &[SIGN])
        .await
        .unwrap();
    let ours = format!("{:?}", b"ours".to_vec());
    assert!(
        payloads_of_envelopes(&found.attached)
            .iter()
            .any(|payload| payload.contains(&ours))
    );
}

/// A registry may refuse the question for its list, and hold one under the tag.
#[tokio::test]
async fn the_list_under_the_tag_counts_where_the_registrys_own_is_refused() {
    for refusal in [401, 403, 404, 429, 501, 503] {
        let mut held = Held::default();
        let ours = held.bundle("ours");
        held.0
            .insert(format!("/manifests/sha256-{}", image().hex()), list(&[ours]));
        let registry = Origin::start(move |seen, _| {
            let path = seen.uri.split('?').next().unwrap_or_default();
            match held.0.iter().find(|(end, _)| path.ends_with(end.as_str())) {
                _ if path.contains("/referrers/") => status(refusal),
                Some((_, body)) => response(200, &[("content-type", INDEX)], body.clone()),
                None => status(404),
            }
        })
        .await;
        let found = client()
            .attached(&open(), &registry.repository(), &image(), &[SIGN])
            .await
            .unwrap();
        assert_eq!(found.attached.len(), 1, "{refusal}");
        assert_eq!(found.unseen.is_none(), refusal == 404, "{refusal}: {:?}", found.unseen);
    }
}

#[tokio::test]
async fn attestations_are_read_where_they_are_asked_for_alone() {
    const PROVENANCE: &str = "https://slsa.dev/provenance/v0.2";
    let mut held = Held::default();
    let envelope = |payload: &str| {
        let bundle: Value = serde_json::from_str(&bundle(payload)).unwrap();
        bundle["dsseEnvelope"].to_string()
    };
    let kind = "application/vnd.dsse.envelope.v1+json";
    let layers: Vec<Value> = [("provenance", PROVENANCE), ("sbom", "https://spdx.dev/Document")]
        .into_iter()
        .map(|(payload, says)| {
            let envelope = envelope(payload);
            let mut layer = layer(kind, envelope.as_bytes());
            layer["annotations"] = json!({ "predicateType": says, SIGNATURE: "" });
            held.blob(&envelope);
            layer
        })
        .collect();
    let tag = |end: &str| format!("/manifests/sha256-{}{end}", image().hex());
    held.0.insert(tag(".att"), manifest(&layers));
    held.0.insert(tag(".sig"), manifest(&[signed_layer(b"first")]));
    held.blob("first");
    let registry = held.serve().await;
    let (client, repository) = (client(), registry.repository());
    let ask = async |says: &[&str]| {
        client
            .attached(&open(), &repository, &image(), says)
            .await
            .unwrap()
            .attached
    };
    let found = payloads(&ask(&[PROVENANCE]).await);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains(&format!("{:?}", b"provenance".to_vec())), "{found:?}");
    assert_eq!(payloads(&ask(&[SIGN]).await), ["first"]);
    assert_eq!(ask(&[SIGN, PROVENANCE]).await.len(), 2);
}

#[tokio::test]
async fn nothing_hangs_on_an_image_that_nobody_signed() {
    let registry = Held::default().serve().await;
    let found = client()
        .attached(&open(), &registry.repository(), &image(), &[SIGN])
        .await
        .unwrap();
    assert!(found.attached.is_empty() && found.unseen.is_none());
}

#[tokio::test]
async fn what_one_place_holds_counts_also_when_the_other_cannot_be_looked_at() {
    let layers = manifest(&[signed_layer(b"first")]);
    let registry = Origin::start(move |seen, _| match seen.uri.as_str() {
        uri if uri.ends_with(".sig") => response(200, &[], layers.clone()),
        uri if uri.contains("/blobs/") => response(200, &[], "first"),
        _ => status(503),
    })
    .await;
    let found = client()
        .attached(&open(), &registry.repository(), &image(), &[SIGN])
        .await
        .unwrap();
    assert_eq!(payloads(&found.attached), ["first"]);
    assert!(matches!(found.unseen, Some(RegistryError::Unreachable { .. })));
}

#[tokio::test]
async fn a_list_without_end_and_signatures_without_number_are_left_alone_after_a_while() {
    let many: Vec<Value> = (0..600)
        .map(|n: u32| layer("application/vnd.oci.image.manifest.v1+json", &n.to_be_bytes()))
        .collect();
    let layers: Vec<Value> = (0..5000_u32).map(|n| signed_layer(&n.to_be_bytes())).collect();
    let layers = manifest(&layers);
    let many = list(&many);
    let registry = Origin::start(move |seen, before| match seen.uri.as_str() {
        uri if uri.ends_with(".sig") => response(200, &[], layers.clone()),
        uri if uri.contains("/referrers/") => {
            let next = format!("<?n={}>; rel=\"next\"", before.len());
            response(200, &[("content-type", INDEX), ("link", &next)], many.clone())
        }
        _ => status(404),
    })
    .await;
    let found = client()
        .attached(&open(), &registry.repository(), &image(), &[SIGN])
        .await
        .unwrap();
    assert!(found.attached.is_empty());
    assert!(registry.seen().len() < 100, "{}", registry.seen().len());
    // Pages without anything on them end, too.
    let empty = list(&[]);
    let registry = Origin::start(move |seen, before| match seen.uri.as_str() {
        uri if uri.contains("/referrers/") => {
            let next = format!("<?n={}>; rel=\"next\"", before.len());
            response(200, &[("content-type", INDEX), ("link", &next)], empty.clone())
        }
        _ => status(404),
    })
    .await;
    client()
        .attached(&open(), &registry.repository(), &image(), &[SIGN])
        .await
        .unwrap();
    assert!(registry.seen().len() < 20, "{}", registry.seen().len());
    // Nor are manifests full of layers: whoever may push decides how many there are, and may hang one blob on an image a thousand times.
    let one = bundle("one");
    for is_one in [true, false] {
        let mut held = Held::default();
        let mut entries = Vec::new();
        for n in 0..40 {
            let layers: Vec<Value> = (0..40)
                .map(|layer_n| {
                    let bundle = match is_one {
                        true => one.clone(),
                        false => bundle(&format!("{n} {layer_n}")),
                    };
                    held.blob(&bundle);
                    layer(BUNDLE, bundle.as_bytes())
                })
                .chain([layer("x/y", format!("{n}").as_bytes())])
                .collect();
            let manifest = manifest(&layers);
            let mut entry = layer("application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
            entry["artifactType"] = json!(BUNDLE);
            held.0
                .insert(format!("/manifests/{}", digest(manifest.as_bytes())), manifest);
            entries.push(entry);
        }
        held.0.insert(format!("/referrers/{}", image()), list(&entries));
        let registry = held.serve().await;
        let found = client()
            .attached(&open(), &registry.repository(), &image(), &[SIGN])
            .await
            .unwrap();
        assert_eq!(found.attached.len(), if is_one { 1 } else { 32 });
        if !is_one {
            // The newest of each manifest, so that none hides the others.
            let found = payloads(&found.attached);
            let newest = |n: usize| format!("{:?}", format!("{n} 39").as_bytes());
            assert!((0..32).all(|n| found[n].contains(&newest(n))), "{found:?}");
        }
        assert!(registry.seen().len() < 100, "{}", registry.seen().len());
    }
}
