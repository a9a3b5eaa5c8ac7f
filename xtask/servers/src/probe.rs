//! Whether a server answers, in its own protocol.
//!
//! A port that takes connections is not enough: PostgreSQL takes them while it recovers, Kafka before it knows of itself
//! as a broker, and a proxy whatever is behind it. Each is asked the least that only a server that works can answer.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use crate::server::Kind;

/// How long an answer may take. A server that needs longer is asked again.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether the server at `host:port` answers as one of that kind that works.
pub fn answers(kind: Kind, address: &str) -> bool {
    let answer = match kind {
        Kind::Postgres => postgres(address),
        Kind::Kafka => kafka(address),
        Kind::Mongodb => mongodb(address),
    };
    answer.unwrap_or(false)
}

fn connect(address: &str) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::from(std::io::ErrorKind::NotFound);
    for resolved in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&resolved, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Begins a session. A server that works asks for a password, or refuses the user; one that starts or stops says so with
/// a code of class 57.
fn postgres(address: &str) -> std::io::Result<bool> {
    let mut stream = connect(address)?;
    let parameters = b"user\0foldhost\0database\0foldhost\0\0";
    let mut message = u32_be(8 + parameters.len()).to_vec();
    message.extend(196_608_u32.to_be_bytes());
    message.extend(parameters);
    stream.write_all(&message)?;
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    if head[0] != b'E' {
        return Ok(head[0] == b'R');
    }
    let mut error = Vec::new();
    stream.take(1024).read_to_end(&mut error)?;
    Ok(!error.windows(4).any(|part| part == b"C57P"))
}

/// Asks for the brokers, and wants one.
fn kafka(address: &str) -> std::io::Result<bool> {
    const METADATA: [u8; 4] = [0, 3, 0, 4];
    const CORRELATION: [u8; 4] = *b"fold";
    const NO_CLIENT_ID: [u8; 2] = [0xff, 0xff];
    const NO_TOPICS_AND_MAKE_NONE: [u8; 5] = [0; 5];
    let mut stream = connect(address)?;
    let mut message = u32_be(15).to_vec();
    message.extend(METADATA);
    message.extend(CORRELATION);
    message.extend(NO_CLIENT_ID);
    message.extend(NO_TOPICS_AND_MAKE_NONE);
    stream.write_all(&message)?;
    // Its length, our correlation, the throttle time, and the number of brokers.
    let mut head = [0; 16];
    stream.read_exact(&mut head)?;
    let is_ours = head[4..8] == CORRELATION;
    Ok(is_ours && head[12] == 0 && head[13..] != [0; 3])
}

/// Says hello, and wants one that takes writes: a replica set has none while it elects.
fn mongodb(address: &str) -> std::io::Result<bool> {
    const OP_MSG: u32 = 2013;
    let mut document: Vec<u8> = Vec::new();
    document.extend(b"\x10hello\0\x01\0\0\0");
    document.extend(b"\x02$db\0\x06\0\0\0admin\0\0");
    let length = document.len() + 4;
    let mut message: Vec<u8> = Vec::new();
    for word in [16 + 4 + 1 + length, 1, 0, OP_MSG as usize, 0] {
        message.extend(u32_le(word));
    }
    message.push(0);
    message.extend(u32_le(length));
    message.extend(document);
    let mut stream = connect(address)?;
    stream.write_all(&message)?;
    let mut head = [0; 16];
    stream.read_exact(&mut head)?;
    let announced = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let mut answer = Vec::new();
    let rest = u64::from(announced.saturating_sub(16).min(65_536));
    stream.take(rest).read_to_end(&mut answer)?;
    let writable = b"\x08isWritablePrimary\0\x01";
    Ok(answer.windows(writable.len()).any(|part| part == writable))
}

/// Lengths of the few bytes above; none comes near the limit.
fn u32_be(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

fn u32_le(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_connections_and_says_nothing_of_sense_answers_nothing() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            for _ in Kind::ALL {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 8];
                stream.read_exact(&mut asked).unwrap();
                stream
                    .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    .unwrap();
            }
        });
        for kind in Kind::ALL {
            assert!(!answers(kind, &address), "{}", kind.name());
        }
        server.join().unwrap();
    }

    #[test]
    fn where_nothing_listens_nothing_answers() {
        let port = crate::free_port().unwrap();
        for kind in Kind::ALL {
            assert!(!answers(kind, &format!("127.0.0.1:{port}")));
        }
    }
}
