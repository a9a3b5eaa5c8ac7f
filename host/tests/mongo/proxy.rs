//! A way to the server that a test can cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// Carries bytes to the server and its answers back, unless these are to be lost.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    answers_are_lost: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Proxy {
    /// Listens at an address; port 0 is any.
    pub(crate) async fn start(listen: SocketAddr, server: String) -> Self {
        let listener = TcpListener::bind(listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers_are_lost = Arc::new(AtomicBool::new(false));
        let lost = Arc::clone(&answers_are_lost);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(&server).await {
                    tokio::spawn(carry(client, server, Arc::clone(&lost)));
                }
            }
        });
        Self {
            address,
            answers_are_lost,
            task: task.abort_handle(),
        }
    }

    /// From now on every answer is lost, and its connection with it; or none any more.
    pub(crate) fn lose_answers(&self, lost: bool) {
        self.answers_are_lost.store(lost, SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, server: TcpStream, lost: Arc<AtomicBool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests =
        tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut buffer = vec![0; 65_536];
    while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
        if lost.load(SeqCst) || to_client.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    requests.abort();
}
