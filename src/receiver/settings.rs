//! What the receiver goes by, validated and with its secrets resolved. Swapped as a whole at a reload.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::header::HeaderName;
use ipnet::IpNet;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::address::canonical;
use super::credential::Credential;
use super::timeouts::Timeouts;
use crate::config::secret::{Secret, SecretError, SecretRef};
use crate::config::{Auth, Config, Tls};

/// What the receiver goes by. Addresses, secrets, limits and the certificate are read for each request or
/// connection, so that swapping them in needs no restart.
#[derive(Clone)]
pub struct Settings {
    /// By path.
    pub(super) sources: HashMap<String, Arc<Source>>,
    /// The largest body, in bytes.
    pub(super) body_bytes: usize,
    /// The most connections at a time.
    pub(super) connections: usize,
    pub(super) tls: Option<Arc<rustls::ServerConfig>>,
    /// The limits on waiting.
    pub timeouts: Timeouts,
    /// What deserves a warning in the log, a sentence each.
    pub warnings: Vec<String>,
}

/// One path, and who may push to it.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) name: Arc<str>,
    /// `None` asks for nothing.
    pub(super) credential: Option<Credential>,
    pub(super) allow_from: Vec<IpNet>,
    pub(super) trusted_proxies: Vec<IpNet>,
}

/// Why the receiver cannot go by a config.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A secret cannot be read or is none.
    #[error("source `{source_name}`: {error}")]
    Secret {
        /// The source.
        source_name: String,
        /// What is wrong.
        #[source]
        error: SecretError,
    },
    /// Not a name that a header can have.
    #[error("source `{source_name}`: `{header}` cannot be the name of a header")]
    HeaderName {
        /// The source.
        source_name: String,
        /// The name.
        header: String,
    },
    /// `auth: none` where others than this machine can connect.
    #[error("source `{source_name}` has `auth: none`, which is for loopback listeners only, but {listen} is not one")]
    Unguarded {
        /// The source.
        source_name: String,
        /// The listener.
        listen: SocketAddr,
    },
    /// Two sources share a path.
    #[error("sources `{first}` and `{second}` have the same path {path}")]
    SamePath {
        /// One source.
        first: String,
        /// The other.
        second: String,
        /// Their path.
        path: String,
    },
    /// A certificate or key file cannot be read.
    #[error("cannot read PEM from {}: {error}", file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// Why.
        error: rustls::pki_types::pem::Error,
    },
    /// Others than its owner can change the key.
    #[error("the key {} has mode {mode:04o}, which lets others than its owner change it; use `chmod 600`", file.display())]
    KeyWritable {
        /// The file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The certificate file holds none.
    #[error("{} holds no certificate", file.display())]
    NoCertificate {
        /// The file.
        file: PathBuf,
    },
    /// Certificate and key do not make a server.
    #[error("cannot serve TLS with {} and {}: {error}", tls.cert.display(), tls.key.display())]
    Tls {
        /// The files.
        tls: Tls,
        /// Why.
        #[source]
        error: rustls::Error,
    },
}

impl Settings {
    /// Resolves and validates what the receiver needs of `config`. Reads files.
    ///
    /// # Errors
    ///
    /// All that is wrong, not only the first.
    pub fn from_config(config: &Config) -> Result<Self, Vec<SettingsError>> {
        let mut errors = Vec::new();
        let mut warnings = Vec::new();
        let mut sources: HashMap<String, Arc<Source>> = HashMap::new();
        for source in &config.sources {
            let Some(credential) = keep(&mut errors, credential(source, config.listen, &mut warnings)) else {
                continue;
            };
            let made = Source {
                name: source.name.as_str().into(),
                credential,
                allow_from: source.allow_from.iter().copied().map(canonical).collect(),
                trusted_proxies: source.trusted_proxies.iter().copied().map(canonical).collect(),
            };
            if let Some(first) = sources.insert(source.path.clone(), Arc::new(made)) {
                errors.push(SettingsError::SamePath {
                    first: first.name.to_string(),
                    second: source.name.clone(),
                    path: source.path.clone(),
                });
            }
        }
        let tls = match &config.tls {
            Some(tls) => keep(&mut errors, server_config(tls, &mut warnings)).map(Arc::new),
            None => None,
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            sources,
            body_bytes: config.limits.body_bytes,
            connections: config.limits.connections,
            tls,
            timeouts: Timeouts::default(),
            warnings,
        })
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("sources", &self.sources)
            .field("body_bytes", &self.body_bytes)
            .field("connections", &self.connections)
            .field("tls", &self.tls.is_some())
            .field("timeouts", &self.timeouts)
            .field("warnings", &self.warnings)
            .finish()
    }
}

fn keep<T>(errors: &mut Vec<SettingsError>, result: Result<T, SettingsError>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}

fn credential(
    source: &crate::config::Source,
    listen: SocketAddr,
    warnings: &mut Vec<String>,
) -> Result<Option<Credential>, SettingsError> {
    let Auth::Header { header, secret, previous } = &source.auth else {
        // The config refuses this as well; a listener given on the command line comes by here alone.
        if listen.ip().to_canonical().is_loopback() {
            return Ok(None);
        }
        return Err(SettingsError::Unguarded { source_name: source.name.clone(), listen });
    };
    let name = HeaderName::from_bytes(header.as_bytes())
        .map_err(|_| SettingsError::HeaderName { source_name: source.name.clone(), header: header.clone() })?;
    let mut resolve = |place: &SecretRef| -> Result<Secret, SettingsError> {
        let secret =
            place.resolve().map_err(|error| SettingsError::Secret { source_name: source.name.clone(), error })?;
        if let Some(file) = secret.readable_by_others() {
            let file = file.display();
            warnings.push(format!("every user of this machine can read the secret file {file}; use `chmod 600`"));
        }
        Ok(secret)
    };
    let current = resolve(secret)?;
    let previous = previous.as_ref().map(&mut resolve).transpose()?;
    Ok(Some(Credential::new(name, &current, previous.as_ref())))
}

/// Looks whether certificate and key make a server.
///
/// # Errors
///
/// Why they do not.
pub fn check_tls(tls: &Tls) -> Result<(), SettingsError> {
    server_config(tls, &mut Vec::new()).map(drop)
}

fn server_config(tls: &Tls, warnings: &mut Vec<String>) -> Result<rustls::ServerConfig, SettingsError> {
    let pem = |file: &PathBuf| {
        let file = file.clone();
        move |error| SettingsError::Pem { file, error }
    };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(&tls.cert).and_then(Iterator::collect).map_err(pem(&tls.cert))?;
    if chain.is_empty() {
        return Err(SettingsError::NoCertificate { file: tls.cert.clone() });
    }
    guard_key(&tls.key, warnings)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(pem(&tls.key))?;
    let failed = |error| SettingsError::Tls { tls: tls.clone(), error };
    // The provider is named, since a process default would depend on what else is linked in.
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(failed)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Holds the key to what holds for secrets: others must not be able to change it, and had better not read it. A key that
/// a group reads, as certificate tools set it up, is nothing to speak of.
fn guard_key(file: &Path, warnings: &mut Vec<String>) -> Result<(), SettingsError> {
    // What cannot be looked at cannot be read either, and that is told with its reason.
    let Ok(meta) = std::fs::metadata(file) else { return Ok(()) };
    let mode = meta.permissions().mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(SettingsError::KeyWritable { file: file.to_owned(), mode });
    }
    if mode & 0o004 != 0 {
        warnings
            .push(format!("the TLS key {} can be read by every user of this machine; use `chmod 600`", file.display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
