//! Registries whose certificate is of an authority of their own, behind a proxy that speaks TLS for them.

use crate::{
    copies::copy,
    fake::{Act, Fake, digest_of, request},
    odd::{Seen, client, response},
};
use axum::http::Method;
use domain::artifact::Repository;
use server::ports::{
    image_copy::CopyError,
    registry::{Registry, RegistryAccess, RegistryError},
};
use std::{net::SocketAddr, process::Command, sync::Arc};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

/// Speaks TLS on one side and plain HTTP with a registry on the other.
struct Proxy {
    address: SocketAddr,
    /// Who signed its certificate, PEM.
    authority: String,
}

impl Proxy {
    async fn before(registry: &Fake) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365";
        for arguments in [
            format!("{new} -keyout ca-key.pem -out ca.pem -subj /CN=authority"),
            format!(
                "{new} -keyout key.pem -out cert.pem -subj /CN=registry -CA ca.pem -CAkey ca-key.pem \
                 -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=CA:FALSE"
            ),
        ] {
            let mut openssl = Command::new("openssl");
            let made = openssl
                .current_dir(directory.path())
                .args(arguments.split_whitespace())
                .output()
                .unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        let key = PrivateKeyDer::from_pem_file(directory.path().join("key.pem")).unwrap();
        let certificate = CertificateDer::from_pem_file(directory.path().join("cert.pem")).unwrap();
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate], key);
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, upstream) = (listener.local_addr().unwrap(), registry.address);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // Who doesn't trust it hangs up.
                    let Ok(mut client) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut server = tokio::net::TcpStream::connect(upstream).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self {
            address,
            authority: std::fs::read_to_string(directory.path().join("ca.pem")).unwrap(),
        }
    }

    fn repository(&self) -> Repository {
        format!("{}/myapp/api", self.address).parse().unwrap()
    }

    fn access(&self, ca: Option<&str>) -> RegistryAccess {
        RegistryAccess {
            ca: ca.map(str::to_owned),
            ..RegistryAccess::default()
        }
    }
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_where_it_is_named() {
    let registry = Fake::usual().await;
    let root = digest_of(&registry.image(&[b"layer"]));
    let proxy = Proxy::before(&registry).await;
    let (repository, client) = (proxy.repository(), client());
    let exists = async |ca: Option<&str>| client.exists(&proxy.access(ca), &repository, &root).await;
    assert!(exists(Some(&proxy.authority)).await.unwrap());
    for ca in [None, Some("")] {
        let error = exists(ca).await.unwrap_err();
        assert!(matches!(error, RegistryError::Unreachable { .. }), "{error:?}");
    }
    let error = exists(Some("no certificate")).await.unwrap_err();
    assert!(error.to_string().contains("is not a PEM certificate"), "{error}");
    assert!(
        exists(Some(&proxy.authority)).await.unwrap(),
        "the others are not taken for it"
    );
}

#[tokio::test]
async fn an_upload_that_a_proxy_has_made_plain_is_encrypted_all_the_same() {
    let source = Fake::usual().await;
    let root = source.image(&[b"layer"]);
    for (scheme, port) in [("http", true), ("http", false), ("https", false)] {
        let target = Fake::scripted(move |seen: &Seen, _| {
            if seen.method != Method::POST {
                return Act::Usual;
            }
            // As the registry is called by the proxy, which it can't tell from its clients.
            let host = seen.header("host").unwrap();
            let host = if port { host } else { host.split(':').next().unwrap() };
            let location = format!("{scheme}://{host}/v2/myapp/api/uploads/1");
            Act::Answer(response(202, &[("location", &location)], ""))
        })
        .await;
        let proxy = Proxy::before(&target).await;
        let mut request = request(&source.repository(), &proxy.repository(), &digest_of(&root));
        request.to.access = proxy.access(Some(&proxy.authority));
        assert_eq!(copy(&request).await.unwrap().sent, 7, "{scheme} {port}");
        request.to.access = proxy.access(None);
        let error = copy(&request).await.unwrap_err();
        assert!(
            matches!(error, CopyError::Target(RegistryError::Unreachable { .. })),
            "{error:?}"
        );
    }
}
