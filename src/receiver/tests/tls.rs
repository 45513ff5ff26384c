//! TLS, and those who only pretend to speak it.

use rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::TlsConnector;

use super::*;

fn identity(folder: &Path) -> (crate::config::Tls, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["bastion".to_owned()]).unwrap();
    let files = crate::config::Tls { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    (files, made.cert.der().clone())
}

async fn start(timeouts: Timeouts) -> (Server, CertificateDer<'static>) {
    let mut certificate = None;
    let change = |config: &mut Config| {
        let (files, made) = identity(&config.base);
        config.tls = Some(files);
        certificate = Some(made);
    };
    let server = Server::start_with(change, |settings| settings.timeouts = timeouts).await;
    (server, certificate.unwrap())
}

fn connector(root: CertificateDer<'static>, protocols: &[&[u8]]) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn a_push_over_tls_is_taken() {
    let (server, certificate) = start(Timeouts::default()).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let tls = connector(certificate, &[b"h2", b"http/1.1"]);
    let stream = tls.connect(ServerName::try_from("bastion").unwrap(), stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let mut client = Client { stream };
    assert_eq!(client.ask(push("a")).await.status, 200);
    assert_eq!(client.ask(push("b")).await.status, 200);
}

#[tokio::test]
async fn a_client_that_offers_http_2_alone_is_refused() {
    let (server, certificate) = start(Timeouts::default()).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let tls = connector(certificate, &[b"h2"]);
    assert!(tls.connect(ServerName::try_from("bastion").unwrap(), stream).await.is_err());
}

#[tokio::test]
async fn those_who_never_finish_the_handshake_are_dropped() {
    let (server, _certificate) = start(Timeouts { head: Duration::from_millis(50), ..Timeouts::default() }).await;
    let mut silent = server.client().await;
    silent.closes().await;
    let mut half = server.client().await;
    half.send([0x16, 0x03, 0x01]).await;
    half.closes().await;
}

#[tokio::test]
async fn plain_http_is_not_answered() {
    let (server, _certificate) = start(Timeouts::default()).await;
    let mut client = server.client().await;
    client.send(push("e")).await;
    let mut answer = Vec::new();
    let _ended = client.stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));
    assert_eq!(server.memory.count(), 0);
}
