//! The listeners: a unix socket that only its owner can open, and TCP with a token.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{Notify, Semaphore, watch};

use super::access::Access;
use super::routes::{Desk, routes};
use super::work::Work;
use crate::action::nss::Account;
use crate::config::Admin;
use crate::engine::Handle;

/// How many connections each admin listener has at a time: people and scrapers, not senders.
const CONNECTIONS_MAX: usize = 64;
/// How long a head may take, and a connection may idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to let the machine recover when a connection cannot be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the admin interface did not start.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The socket cannot be made.
    #[error("cannot listen on the admin socket {path}: {source}", path = path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on the admin address {addr}: {source}; is another program using it?")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The token cannot be used.
    #[error(transparent)]
    Token(#[from] crate::config::secret::SecretError),
    /// There are no random numbers, without which forms and sessions cannot be told from made-up ones.
    #[error("cannot get random numbers for the console: {0}")]
    Random(#[from] getrandom::Error),
    /// TCP without a token.
    #[error("the admin address {0} needs `admin.token`: without it, anybody who can connect could run remediation")]
    NoToken(SocketAddr),
}

/// Serves the admin interface until `stopping` says so.
pub async fn serve(admin: &Admin, handle: Handle, stopping: watch::Receiver<bool>) -> Result<Served, AdminError> {
    let socket = bind_socket(&admin.socket)?;
    let work = Arc::new(Work::default());
    let desk = Arc::new(Desk::new(handle.clone(), Access::of_socket()?, Arc::clone(&work), stopping.clone()));
    let mut tcp = None;
    let mut tasks = Vec::new();
    if let Some(addr) = admin.listen {
        // Read again at each request after a reload; here, so that a daemon whose token is no good does not start.
        admin.token.as_ref().ok_or(AdminError::NoToken(addr))?.resolve()?;
        admin.read_token.as_ref().map(|token| token.resolve()).transpose()?;
        let listener = TcpListener::bind(addr).await.map_err(|source| AdminError::Listen { addr, source })?;
        tcp = listener.local_addr().ok();
        let desk = Arc::new(Desk::new(handle, Access::of_tcp()?, work, stopping.clone()));
        tasks.push(tokio::spawn(accept_tcp(listener, desk, stopping.clone())));
    }
    // The last, so that whoever finds the daemon ready on its socket finds it on TCP as well.
    tasks.push(tokio::spawn(accept_unix(socket, desk, stopping)));
    Ok(Served { socket: admin.socket.clone(), tcp, tasks })
}

/// A running admin interface.
#[derive(Debug)]
pub struct Served {
    /// The socket.
    pub socket: PathBuf,
    /// The TCP address, where there is one.
    pub tcp: Option<SocketAddr>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Served {
    /// Waits until the listeners have ended, and takes the socket away.
    pub async fn ended(self) {
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "an admin listener died");
            }
        }
        if let Err(error) = std::fs::remove_file(&self.socket) {
            tracing::debug!(%error, "the admin socket could not be removed");
        }
    }
}

fn bind_socket(path: &Path) -> Result<UnixListener, AdminError> {
    let fail = |source| AdminError::Socket { path: path.to_owned(), source };
    // The journal's lock is held by now, so a socket that is still there belongs to nobody.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    // It is bound where only we can enter, and moved to its place when its mode is right, so that there is no moment in
    // which others could connect.
    // Its name is short, since the path of a socket may have about a hundred bytes.
    let apart = path.with_file_name(format!(".s{}", std::process::id()));
    let inside = apart.join("s");
    match std::fs::remove_dir_all(&apart) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    let bound = std::fs::DirBuilder::new().mode(0o700).create(&apart).and_then(|()| {
        let listener = UnixListener::bind(&inside)?;
        std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&inside, path)?;
        Ok(listener)
    });
    if let Err(error) = std::fs::remove_dir_all(&apart) {
        tracing::debug!(%error, "the folder in which the admin socket was made could not be removed");
    }
    bound.map_err(fail)
}

/// The name of an account, else its number.
fn name_of(uid: u32) -> String {
    match Account::numbered(uid) {
        Ok(Some(account)) => account.name,
        _ => format!("user {uid}"),
    }
}

/// Who is at the other end of the socket, for the record.
fn who_of(stream: &UnixStream) -> Arc<str> {
    let who = stream.peer_cred().map_or_else(|_| "an unknown user".to_owned(), |peer| name_of(peer.uid()));
    format!("{who} on the admin socket").into()
}

/// Serves each connection that `accept` gives, with its address and who is known to be at its other end, until
/// `stopping` says so.
async fn accept_all<S, F>(accept: impl Fn() -> F, desk: Arc<Desk>, mut stopping: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = std::io::Result<(S, IpAddr, Option<Arc<str>>)>>,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            accepted = accept() => accepted,
        };
        match accepted {
            Ok((stream, from, who)) => serve_one(stream, &desk, from, who, &places),
            Err(error) => pause_after(&error).await,
        }
    }
}

async fn accept_unix(listener: UnixListener, desk: Arc<Desk>, stopping: watch::Receiver<bool>) {
    let accept = async || {
        let (stream, _) = listener.accept().await?;
        let who = who_of(&stream);
        Ok((stream, Ipv4Addr::UNSPECIFIED.into(), Some(who)))
    };
    accept_all(accept, desk, stopping).await;
}

async fn accept_tcp(listener: TcpListener, desk: Arc<Desk>, stopping: watch::Receiver<bool>) {
    let accept = async || listener.accept().await.map(|(stream, peer)| (stream, peer.ip(), None));
    accept_all(accept, desk, stopping).await;
}

async fn pause_after(error: &std::io::Error) {
    tracing::warn!(%error, "an admin connection could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// `account` is who is at the other end, where the kernel tells.
fn serve_one<S>(stream: S, desk: &Arc<Desk>, peer: IpAddr, account: Option<Arc<str>>, places: &Arc<Semaphore>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        tracing::warn!("an admin connection was closed: {CONNECTIONS_MAX} are open already");
        return;
    };
    // Told when a stream gives its client up: hyper itself would wait for ever until that takes what was written.
    let cut = Arc::new(Notify::new());
    let service = TowerToHyperService::new(warp::service(routes(Arc::clone(desk), peer, account, Arc::clone(&cut))));
    tokio::spawn(async move {
        tokio::select! {
            ended = serve_connection(stream, service) => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "an admin connection ended early");
                }
            }
            () = cut.notified() => tracing::info!(%peer, "an admin connection was cut: its client took nothing"),
        }
        drop(place);
    });
}

async fn serve_connection<S, V>(stream: S, service: V) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    V: Service<hyper::Request<Incoming>, Response = warp::reply::Response, Error = Infallible> + Send + 'static,
    V::Future: Send,
{
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await
}
