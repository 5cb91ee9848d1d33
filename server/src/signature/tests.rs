//! Keys that are made here sign what a person, a thief or a bungler would.

mod keyless;
mod summaries;

use super::*;
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    },
};
use serde_json::json;

fn digest(n: u8) -> Digest {
    format!("sha256:{}", format!("{n:02x}").repeat(32)).parse().unwrap()
}

/// As cosign writes it: lines of 64 characters.
fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len().div_ceil(64))
        .map(|i| &text[i * 64..text.len().min(i * 64 + 64)])
        .collect();
    format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"))
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> (String, Sign) {
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let pem = pem(pair.public_key().as_der().unwrap().as_ref());
    let sign = move |message: &[u8]| pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec();
    (pem, Box::new(sign))
}

fn p256() -> (String, Sign) {
    ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING)
}

fn rsa(size: KeySize) -> (String, Sign) {
    let pair = RsaKeyPair::generate(size).unwrap();
    let pem = pem(pair.public_key().as_der().unwrap().as_ref());
    let sign = move |message: &[u8]| {
        let mut signature = vec![0; pair.public_modulus_len()];
        let random = SystemRandom::new();
        pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
        signature
    };
    (pem, Box::new(sign))
}

fn ed25519() -> (String, Sign) {
    let pair = Ed25519KeyPair::generate().unwrap();
    let pem = pem(pair.public_key().as_der().unwrap().as_ref());
    (
        pem,
        Box::new(move |message: &[u8]| pair.sign(message).as_ref().to_vec()),
    )
}

fn found_by(key: &PublicKey, digest: &Digest, attached: &[Attached]) -> Found {
    find(&Signer::Key(key.clone()), digest, attached)
}

fn payload(of: &Digest) -> Vec<u8> {
    let document = json!({
        "critical": { "identity": { "docker-reference": "registry.example.com/myapp/api" },
            "image": { "docker-manifest-digest": of.as_str() }, "type": SIMPLE },
        "optional": null,
    });
    document.to_string().into_bytes()
}

fn simple(of: &Digest, sign: &Sign) -> Attached {
    let payload = payload(of);
    let signature = STANDARD.encode(sign(&payload));
    Attached::simple(payload, &signature, None).unwrap()
}

fn statement(of: &Digest, predicate: &str) -> Value {
    json!({ "_type": "https://in-toto.io/Statement/v1", "predicateType": predicate, "predicate": {},
        "subject": [{ "name": "", "digest": { "sha512": "ab", "sha256": of.hex() } }] })
}

fn bundle(payload: &[u8], payload_type: &str, sign: &Sign) -> Value {
    let message = format!(
        "DSSEv1 {} {payload_type} {} {}",
        payload_type.len(),
        payload.len(),
        std::str::from_utf8(payload).unwrap()
    );
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": { "publicKey": { "hint": "x" } },
        "dsseEnvelope": { "payload": STANDARD.encode(payload), "payloadType": payload_type,
            "signatures": [{ "sig": STANDARD.encode(sign(message.as_bytes())) }] },
    })
}

fn enveloped(of: &Digest, predicate: &str, sign: &Sign) -> Attached {
    let payload = statement(of, predicate).to_string().into_bytes();
    Attached::bundle(bundle(&payload, STATEMENT, sign).to_string().as_bytes()).unwrap()
}

#[test]
fn each_kind_of_key_signs_in_both_forms() {
    let all = [
        p256(),
        ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING),
        rsa(KeySize::Rsa2048),
        ed25519(),
    ];
    let mut seen = Vec::new();
    for (pem, sign) in &all {
        let key = PublicKey::read(pem).unwrap();
        for attached in [simple(&digest(1), sign), enveloped(&digest(1), SIGNED, sign)] {
            assert_eq!(found_by(&key, &digest(1), &[attached]), Found::Valid, "{pem}");
        }
        assert_eq!(key.fingerprint().len(), 64);
        assert!(!seen.contains(&key.fingerprint()));
        seen.push(key.fingerprint());
        // The same key, written otherwise.
        let otherwise = format!("  {}\n", pem.replace('\n', "\r\n  "));
        assert_eq!(
            PublicKey::read(&otherwise).map(|key| key.fingerprint()),
            Ok(key.fingerprint())
        );
    }
}

#[test]
fn a_signature_by_another_key_is_counted_and_proves_nothing() {
    let (ours, theirs) = (p256(), p256());
    let key = PublicKey::read(&ours.0).unwrap();
    let by_others = [simple(&digest(1), &theirs.1), enveloped(&digest(1), SIGNED, &theirs.1)];
    assert_eq!(found_by(&key, &digest(1), &by_others), Found::OfOthers(2));
    let with_ours = [&by_others[..], &[simple(&digest(1), &ours.1)]].concat();
    assert_eq!(
        found_by(&key, &digest(1), &with_ours),
        Found::Valid,
        "one of ours will do"
    );
    assert_eq!(found_by(&key, &digest(1), &[]), Found::Nothing);
}

#[test]
fn a_signature_of_another_digest_is_none_of_this() {
    let (pem, sign) = p256();
    let key = PublicKey::read(&pem).unwrap();
    for copied in [simple(&digest(2), &sign), enveloped(&digest(2), SIGNED, &sign)] {
        assert_eq!(found_by(&key, &digest(1), &[copied]), Found::OfAnotherDigest);
    }
}

#[test]
fn what_was_changed_after_it_was_signed_proves_nothing() {
    let (pem, sign) = p256();
    let key = PublicKey::read(&pem).unwrap();
    // Signed for another digest, then made to name this one.
    let Attached::Simple { signature, .. } = simple(&digest(2), &sign) else {
        panic!("not simple")
    };
    let forged = Attached::Simple {
        payload: payload(&digest(1)),
        signature,
        material: None,
    };
    assert_eq!(found_by(&key, &digest(1), &[forged]), Found::OfOthers(1));
    let text = statement(&digest(2), SIGNED).to_string().into_bytes();
    let mut forged = bundle(&text, STATEMENT, &sign);
    let text = statement(&digest(1), SIGNED).to_string();
    forged["dsseEnvelope"]["payload"] = json!(STANDARD.encode(text));
    let forged = Attached::bundle(forged.to_string().as_bytes()).unwrap();
    assert_eq!(found_by(&key, &digest(1), &[forged]), Found::OfOthers(1));
}

#[test]
fn what_says_something_else_is_no_signature_of_the_image() {
    let (pem, sign) = p256();
    let key = PublicKey::read(&pem).unwrap();
    // What is in it, signed with the same key by whoever scans.
    let scanned = enveloped(&digest(1), "https://spdx.dev/Document", &sign);
    // The right words in a text of another type.
    let text = statement(&digest(1), SIGNED).to_string().into_bytes();
    let of_another_type = bundle(&text, "text/plain", &sign).to_string();
    let mut other_kind = statement(&digest(1), SIGNED);
    other_kind["_type"] = json!("https://example.com/Statement/v1");
    let other_kind = bundle(other_kind.to_string().as_bytes(), STATEMENT, &sign).to_string();
    let mut other_claim: Value = serde_json::from_slice(&payload(&digest(1))).unwrap();
    other_claim["critical"]["type"] = json!("atomic container signature");
    let other_claim = other_claim.to_string().into_bytes();
    let signature = STANDARD.encode(sign(&other_claim));
    let all = [
        scanned,
        Attached::bundle(of_another_type.as_bytes()).unwrap(),
        Attached::bundle(other_kind.as_bytes()).unwrap(),
        Attached::simple(other_claim, &signature, None).unwrap(),
        Attached::simple(b"no JSON".to_vec(), &signature, None).unwrap(),
    ];
    assert_eq!(found_by(&key, &digest(1), &all), Found::Nothing);
}

#[test]
fn what_is_no_signature_is_passed_over() {
    assert_eq!(Attached::simple(Vec::new(), "not Base64!", None), None);
    let (_, sign) = p256();
    let whole = bundle(b"{}", STATEMENT, &sign);
    for (key, value) in [
        ("payload", json!("not Base64!")),
        ("payloadType", Value::Null),
        ("signatures", json!("none")),
    ] {
        let mut broken = whole.clone();
        broken["dsseEnvelope"][key] = value;
        assert_eq!(Attached::bundle(broken.to_string().as_bytes()), None, "{key}");
    }
    assert_eq!(Attached::bundle(b"{}"), None);
    assert_eq!(Attached::bundle(b"<html>"), None);
    // Of many signatures over a bare envelope the first few are looked at.
    let mut many = whole.clone();
    let one = many["dsseEnvelope"]["signatures"][0].clone();
    many["dsseEnvelope"]["signatures"] = json!(vec![one; 1000]);
    let Some(Attached::Envelope(envelope)) = Attached::envelope(many["dsseEnvelope"].to_string().as_bytes(), None)
    else {
        panic!("no envelope")
    };
    assert_eq!(envelope.signatures.len(), MOST_SIGNATURES);
}

fn built(version: usize, builder: &str, from: &str) -> Value {
    let mut statement = statement(&digest(1), PROVENANCE[version]);
    statement["predicate"] = match version {
        0 => json!({ "builder": { "id": builder }, "invocation": { "configSource": { "uri": from } } }),
        _ => json!({ "runDetails": { "builder": { "id": builder } },
            "buildDefinition": { "externalParameters": { "workflow": { "repository": from } },
                "resolvedDependencies": [{ "uri": "git+https://github.com/acme/api" }] } }),
    };
    statement
}

#[test]
fn provenance_names_the_build_that_is_asked_for() {
    let (ours, theirs) = (p256(), p256());
    let policy = json!({ "provenance": [{ "name": "ci", "key": ours.0,
        "builder": "https://ci.example.com/build", "repository": "https://github.com/acme/api" }] });
    let policy: Policy = serde_json::from_value(policy).unwrap();
    assert_eq!(check(&policy), []);
    let (gate, sought) = sought(&policy, &TrustedRoots::built_in()).remove(0);
    assert_eq!(gate.to_string(), "provenance:ci");
    assert_ne!(sought.fingerprint(), sought.signer.fingerprint());
    let attested = |statement: &Value, sign: &Sign| {
        let text = statement.to_string().into_bytes();
        let envelope = bundle(&text, STATEMENT, sign)["dsseEnvelope"].to_string();
        Attached::envelope(envelope.as_bytes(), None).unwrap()
    };
    let told = |statement: &Value, sign: &Sign| sought.find(&digest(1), &[attested(statement, sign)]);
    for version in [0, 1] {
        let fits = built(
            version,
            "https://ci.example.com/build@v1",
            "git+https://github.com/acme/api@refs/heads/main",
        );
        assert_eq!(told(&fits, &ours.1), Found::Valid);
        assert_eq!(told(&fits, &theirs.1), Found::OfOthers(1));
        assert_eq!(
            sought.find(&digest(2), &[attested(&fits, &ours.1)]),
            Found::OfAnotherDigest
        );
        let elsewhere = built(version, "https://laptop.example.com", "https://github.com/acme/api");
        let says = "https://laptop.example.com built it from https://github.com/acme/api";
        assert_eq!(told(&elsewhere, &ours.1), Found::Otherwise(says.into()));
        // What was used besides is not what it was built from.
        let of_eve = built(version, "https://ci.example.com/build", "https://github.com/eve/api");
        let says = "https://ci.example.com/build built it from https://github.com/eve/api";
        assert_eq!(told(&of_eve, &ours.1), Found::Otherwise(says.into()));
        let both = [attested(&of_eve, &ours.1), attested(&fits, &ours.1)];
        assert_eq!(sought.find(&digest(1), &both), Found::Valid);
    }
    let mut unsaid = built(1, "", "");
    unsaid["predicate"] = json!({});
    let says = "somebody unnamed built it from no repository that it names";
    assert_eq!(told(&unsaid, &ours.1), Found::Otherwise(says.into()));
    // Neither is a signature provenance, nor provenance a signature.
    let fits = attested(
        &built(1, "https://ci.example.com/build", "https://github.com/acme/api"),
        &ours.1,
    );
    assert_eq!(sought.find(&digest(1), &[simple(&digest(1), &ours.1)]), Found::Nothing);
    assert_eq!(find(&sought.signer, &digest(1), &[fits]), Found::Nothing);
}

/// An RSA key of 1,024 bits.
const SHORT: &str = "\
-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDlkpPrkKxtaW3JheRuj5+nOITM
1QLGuhLu5oQbKoTHTQ3VqFdXI4R6LHcfSLwYAISOPbD4HG1eAqILu7MyZMfaOdM/
hCDMIo8QcUGoncmkMj9aFXmJCfGNhsZIBrUbxbHkeWr5RuFSeLdQ+yRsXvezlX+3
Ll88R5QB+Z3OzwLAUQIDAQAB
-----END PUBLIC KEY-----
";

#[test]
fn what_is_no_public_key_is_refused_with_what_to_do() {
    let (pem, _) = p256();
    let der = PublicKey::read(&pem).unwrap().der;
    let refused = |text: &str, says: &str| {
        let why = PublicKey::read(text).unwrap_err();
        assert!(why.contains(says), "{text:?}: {why}");
    };
    refused("", "BEGIN PUBLIC KEY");
    refused("cosign.pub", "BEGIN PUBLIC KEY");
    refused(&pem.replace("PUBLIC KEY", "CERTIFICATE"), "BEGIN PUBLIC KEY");
    refused(&format!("{pem}{pem}"), "damaged");
    refused(&format!("{BEGIN}\n{}\n{END}", "A".repeat(5000)), "BEGIN PUBLIC KEY");
    refused(&format!("{BEGIN}\n*\n{END}"), "damaged");
    refused(&super::tests::pem(b"nonsense"), "no key that Waybill can check");
    // Cut short, with something behind it, and a bare point.
    refused(&super::tests::pem(&der[..80]), "no key");
    refused(&super::tests::pem(&[&der[..], b"x"].concat()), "no key");
    refused(&super::tests::pem(&der[26..]), "no key");
    refused(SHORT, "2048");
    refused(
        "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAA==\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----",
        "private",
    );
    refused(
        "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----",
        "private",
    );
}

#[test]
fn a_bundle_has_one_signature_and_a_bare_envelope_may_have_several() {
    let (pem, sign) = p256();
    let (_, others) = p256();
    let key = PublicKey::read(&pem).unwrap();
    let payload = statement(&digest(1), SIGNED).to_string().into_bytes();
    let mut two = bundle(&payload, STATEMENT, &sign);
    let theirs = bundle(&payload, STATEMENT, &others)["dsseEnvelope"]["signatures"][0].clone();
    let ours = two["dsseEnvelope"]["signatures"][0].clone();
    for signatures in [json!([theirs, ours]), json!([]), json!([ours, ours])] {
        two["dsseEnvelope"]["signatures"] = signatures;
        assert_eq!(Attached::bundle(two.to_string().as_bytes()), None);
    }
    two["dsseEnvelope"]["signatures"] = json!([theirs, ours]);
    let bare = Attached::envelope(two["dsseEnvelope"].to_string().as_bytes(), None).unwrap();
    assert_eq!(found_by(&key, &digest(1), &[bare]), Found::Valid);
    two["dsseEnvelope"]["signatures"] = json!([ours]);
    assert!(Attached::bundle(two.to_string().as_bytes()).is_some());
}

/// What a signer calls its key proves nothing, and hides nothing.
#[test]
fn the_name_of_a_key_beside_a_signature_is_passed_over() {
    let (pem, sign) = p256();
    let key = PublicKey::read(&pem).unwrap();
    let payload = statement(&digest(1), SIGNED).to_string().into_bytes();
    for name in [json!("SHA256:of-another-key"), json!(""), json!(null), json!(7)] {
        let mut named = bundle(&payload, STATEMENT, &sign);
        named["dsseEnvelope"]["signatures"][0]["keyid"] = name.clone();
        let bare = Attached::envelope(named["dsseEnvelope"].to_string().as_bytes(), None).unwrap();
        let bundled = Attached::bundle(named.to_string().as_bytes()).unwrap();
        for attached in [bare, bundled] {
            assert_eq!(found_by(&key, &digest(1), &[attached]), Found::Valid, "{name}");
        }
    }
}

#[test]
fn envelopes_are_read_in_both_alphabets_with_and_without_padding() {
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    let (pem, sign) = p256();
    let key = PublicKey::read(&pem).unwrap();
    // Characters that the alphabets write differently.
    let mut statement = statement(&digest(1), SIGNED);
    statement["predicate"] = json!({ "note": "????>>>>~~~~ÿÿÿ" });
    let payload = statement.to_string().into_bytes();
    let written = bundle(&payload, STATEMENT, &sign);
    let signature = STANDARD
        .decode(written["dsseEnvelope"]["signatures"][0]["sig"].as_str().unwrap())
        .unwrap();
    assert_ne!(STANDARD.encode(&payload), URL_SAFE.encode(&payload));
    for engine in [&STANDARD, &URL_SAFE, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        let mut other = written.clone();
        other["dsseEnvelope"]["payload"] = engine.encode(&payload).into();
        other["dsseEnvelope"]["signatures"][0]["sig"] = engine.encode(&signature).into();
        let attached = Attached::bundle(other.to_string().as_bytes()).unwrap();
        assert_eq!(found_by(&key, &digest(1), &[attached]), Found::Valid);
    }
    let mut odd = written;
    odd["dsseEnvelope"]["payload"] = "a+b_".into();
    assert_eq!(
        Attached::bundle(odd.to_string().as_bytes()),
        None,
        "of one alphabet or the other"
    );
}

#[test]
fn a_statement_may_have_a_type_of_its_own_and_nothing_else_is_one() {
    let (pem, sign) = p256();
    let key = PublicKey::read(&pem).unwrap();
    let payload = statement(&digest(1), SIGNED).to_string().into_bytes();
    for (kind, found) in [
        (STATEMENT, Found::Valid),
        ("application/vnd.in-toto.provenance+json", Found::Valid),
        ("application/vnd.in-toto.provenance", Found::Nothing),
        ("application/vnd.in-totoish+json", Found::Nothing),
        ("application/json", Found::Nothing),
    ] {
        let attached = Attached::bundle(bundle(&payload, kind, &sign).to_string().as_bytes()).unwrap();
        assert_eq!(found_by(&key, &digest(1), &[attached]), found, "{kind}");
    }
}
