//! A TCP proxy in front of a server, to cut the server off and bring it back.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Forwards to a server as long as it is not cut. Ends with the test's runtime at the latest.
pub(crate) struct Proxy {
    address: SocketAddr,
    /// How often it was cut or restored: odd while it is cut. A connection lives as long as the number stands, so that
    /// none survives a cut that is restored at once.
    turns: watch::Sender<u64>,
    accepting: AbortHandle,
}

impl Proxy {
    /// Starts forwarding to `target`, such as `127.0.0.1:5432`, from a port of its own.
    pub(crate) async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let turns = watch::Sender::new(0);
        let accepting = accept(listener, target.to_owned(), turns.subscribe());
        Self {
            address,
            turns,
            accepting: tokio::spawn(accepting).abort_handle(),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Drops all connections and hangs up on new ones. The port is kept, so that nobody else takes it meanwhile.
    pub(crate) fn cut(&self) {
        self.turns.send_modify(|turns| *turns |= 1);
    }

    /// Lets connections through again.
    pub(crate) fn restore(&self) {
        self.turns.send_modify(|turns| *turns += *turns & 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: String, turns: watch::Receiver<u64>) {
    while let Ok((client, _)) = listener.accept().await {
        let turn = *turns.borrow();
        if turn.is_multiple_of(2) {
            tokio::spawn(forward(client, target.clone(), turn, turns.clone()));
        }
    }
}

async fn forward(
    mut client: TcpStream,
    target: String,
    turn: u64,
    mut turns: watch::Receiver<u64>,
) {
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = turns.wait_for(|now| *now != turn) => {}
    }
}
