//! A TCP proxy in front of a server, to cut the server off, let it hang, and bring it back.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Forwards to a server as long as it is not cut or stalled. Ends with the test's runtime at the latest.
pub(crate) struct Proxy {
    address: SocketAddr,
    /// What is done with connections, and how often that has changed: none outlives a change, not even one that is
    /// taken back at once.
    mode: watch::Sender<(Mode, u64)>,
    accepting: AbortHandle,
}

#[derive(Clone, Copy)]
enum Mode {
    Open,
    Cut,
    Stalled,
}

impl Proxy {
    /// Starts forwarding to `target`, such as `127.0.0.1:5432`, from a port of its own.
    pub(crate) async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mode = watch::Sender::new((Mode::Open, 0));
        let accepting = accept(listener, target.to_owned(), mode.subscribe());
        Self {
            address,
            mode,
            accepting: tokio::spawn(accepting).abort_handle(),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Drops all connections and hangs up on new ones. The port is kept, so that nobody else takes it meanwhile.
    pub(crate) fn cut(&self) {
        self.turn(Mode::Cut);
    }

    /// Keeps all connections, and takes new ones, without a byte going either way.
    pub(crate) fn stall(&self) {
        self.turn(Mode::Stalled);
    }

    /// Lets new connections through again; what was stalled is dropped.
    pub(crate) fn restore(&self) {
        self.turn(Mode::Open);
    }

    fn turn(&self, to: Mode) {
        self.mode.send_modify(|(mode, turns)| {
            *mode = to;
            *turns += 1;
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: String, mode: watch::Receiver<(Mode, u64)>) {
    while let Ok((client, _)) = listener.accept().await {
        let mode = mode.clone();
        match *mode.borrow() {
            (Mode::Open, _) => drop(tokio::spawn(forward(client, target.clone(), mode.clone()))),
            (Mode::Stalled, turns) => drop(tokio::spawn(hold(client, mode.clone(), turns))),
            (Mode::Cut, _) => {}
        }
    }
}

async fn forward(mut client: TcpStream, target: String, mut mode: watch::Receiver<(Mode, u64)>) {
    let (_, began) = *mode.borrow_and_update();
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    let changed = tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => return,
        changed = mode.wait_for(|(_, turns)| *turns != began) => changed.map(|mode| *mode),
    };
    if let Ok((Mode::Stalled, turns)) = changed {
        hold((client, server), mode, turns).await;
    }
}

/// Keeps connections open until the mode changes again.
async fn hold<T>(connections: T, mut mode: watch::Receiver<(Mode, u64)>, turns: u64) {
    let _ = mode.wait_for(|(_, now)| *now != turns).await;
    drop(connections);
}
