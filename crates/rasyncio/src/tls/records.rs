//! A session by rustls, in memory.
//!
//! rustls's unbuffered connections are used: they decrypt where the bytes were received, and encrypt
//! into memory that all connections share, so that an idle connection holds no buffers.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::mem;
use std::ops::Deref;

use rustls::client::UnbufferedClientConnection;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, ReadEarlyData,
    UnbufferedStatus,
};
use rustls::{CommonState, InvalidMessage};

use super::config::{Side, Tls, TlsInfo, to_io};
use super::{Answer, asked};

/// How much may be decrypted before the application gets it, roughly.
const DECRYPTED_AT_ONCE: usize = 256 * 1024;
/// How much is encrypted before the link gets it.
pub(crate) const ENCRYPTED_AT_ONCE: usize = 128 * 1024;
/// What encryption may add to a record, roughly; where it is more, there is a second attempt.
const OVERHEAD: usize = 64;
const RECORD: usize = 16 * 1024;
/// So much of a message that is not whole may wait: rustls's own limit for handshakes.
const LONGEST_BEGUN: usize = 0xffff;

thread_local! {
    /// What is decrypted goes here. Taken while in use.
    static DECRYPTED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// What is encrypted goes here. Taken while in use.
    static ENCRYPTED: Cell<Output> = const { Cell::new(Output { bytes: Vec::new(), end: 0 }) };
}

/// One side of a TLS connection: what it knows, what has come and not been looked at, and what is to
/// be sent.
pub(crate) struct Records {
    connection: RefCell<Connection>,
    input: RefCell<Input>,
    /// Parts of the handshake, and alerts.
    output: RefCell<Output>,
    /// Decrypted when nobody could be given it yet.
    early: RefCell<Vec<u8>>,
    /// What the client has asked for.
    server_name: RefCell<Option<Box<str>>>,
    peer_closed: Cell<bool>,
    said_goodbye: Cell<bool>,
    /// Why rustls has given up. It is not asked again: it would look at the same again, and refuse it
    /// and say so once more, which it takes for a mistake of its own.
    refused: RefCell<Option<rustls::Error>>,
}

enum Connection {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// Bytes that have come: from `start` to `end`.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

/// Memory that is filled up to `end`. It is kept initialised, since that is what rustls writes to.
#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    end: usize,
}

/// What to do once rustls takes something.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Nothing,
    Send(&'a [u8]),
    Goodbye,
}

/// What a step has come to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    More,
    /// The peer has said that it sends no more.
    PeerClosed,
    /// The peer has to say something first.
    Blocked,
    /// There is nothing to do, and what was wanted is done.
    Idle,
    /// Both have said that they send no more.
    Over,
}

impl Records {
    pub(crate) fn new(tls: &Tls) -> io::Result<Records> {
        let connection = match tls.side() {
            Side::Client(config, name) => {
                UnbufferedClientConnection::new(config.clone(), name.clone())
                    .map(Connection::Client)
            }
            Side::Server(config) => {
                UnbufferedServerConnection::new(config.clone()).map(Connection::Server)
            }
        };
        Ok(Records {
            connection: RefCell::new(connection.map_err(to_io)?),
            input: RefCell::default(),
            output: RefCell::default(),
            early: RefCell::default(),
            server_name: RefCell::default(),
            peer_closed: Cell::new(false),
            said_goodbye: Cell::new(false),
            refused: RefCell::default(),
        })
    }

    // What comes.

    /// Adds what has come.
    pub(crate) fn feed(&self, bytes: &[u8]) {
        let mut input = self.input.borrow_mut();
        let begun = input.end - input.start;
        let mut all = Vec::with_capacity(begun + bytes.len());
        all.extend_from_slice(&input.bytes[input.start..input.end]);
        all.extend_from_slice(bytes);
        *input = Input::new(all);
    }

    /// Copies what has come and was not looked at to the front of `buffer`.
    pub(crate) fn lend(&self, buffer: &mut Vec<u8>) -> usize {
        let input = self.input.borrow();
        let begun = input.end - input.start;
        if begun > 0 {
            // Room for a record at least.
            let least = begun + 2 * RECORD;
            if buffer.len() < least {
                buffer.resize(least, 0);
            }
            buffer[..begun].copy_from_slice(&input.bytes[input.start..input.end]);
        }
        begun
    }

    /// Has `work` look at the first `end` bytes of `buffer`, which are all that has come: what was
    /// lent and more. It is decrypted in there; what is not looked at is kept.
    pub(crate) fn with_input<R>(
        &self,
        buffer: &mut Vec<u8>,
        end: usize,
        work: impl FnOnce() -> R,
    ) -> R {
        let bytes = mem::take(buffer);
        drop(self.input.replace(Input {
            bytes,
            start: 0,
            end,
        }));
        let result = work();
        let mut input = self.input.borrow_mut();
        let rest = input.bytes[input.start..input.end].to_vec();
        *buffer = mem::replace(&mut *input, Input::new(rest)).bytes;
        result
    }

    /// How many bytes have come and were not looked at, or not given to the application.
    pub(crate) fn incoming(&self) -> usize {
        let input = self.input.borrow();
        input.end - input.start + self.early.borrow().len()
    }

    // What rustls makes of it.

    pub(crate) fn handshake(&self) -> io::Result<Answer> {
        let mut early = self.early.take();
        let stepped = self.process(Wanted::Nothing, &mut early, usize::MAX);
        *self.early.borrow_mut() = early;
        if let Some(name) = asked::take() {
            *self.server_name.borrow_mut() = Some(name);
        }
        stepped?;
        Ok(if self.with(CommonState::is_handshaking) {
            Answer::Again
        } else {
            Answer::Done
        })
    }

    /// Decrypts what has come, and calls `give` with it as long as it answers that more is wanted.
    /// True: the peer sends no more.
    pub(crate) fn deliver(
        &self,
        mut give: impl FnMut(&[u8]) -> io::Result<bool>,
    ) -> io::Result<bool> {
        loop {
            let mut decrypted = DECRYPTED.take();
            decrypted.clear();
            let early = self.early.take();
            decrypted.extend_from_slice(&early);
            let stepped = self.process(Wanted::Nothing, &mut decrypted, DECRYPTED_AT_ONCE);
            // What came before a failure came.
            let wanted = decrypted.is_empty() || give(&decrypted)?;
            DECRYPTED.set(decrypted);
            let step = stepped?;
            if step != Step::More {
                return Ok(self.peer_closed.get());
            }
            if !wanted {
                return Ok(false);
            }
        }
    }

    /// Encrypts `data`, or the front of it, and calls `send` with the outcome. Answers how much.
    pub(crate) fn encrypt(
        &self,
        data: &[u8],
        send: impl FnOnce(&[u8]) -> io::Result<()>,
    ) -> io::Result<usize> {
        let data = &data[..data.len().min(ENCRYPTED_AT_ONCE)];
        let mut encrypted = ENCRYPTED.take();
        encrypted.end = 0;
        encrypted.append(&self.output.take());
        // Where rustls has more to say, that goes before the data, too.
        drop(self.output.replace(encrypted));
        let mut early = self.early.take();
        let stepped = self.process(Wanted::Send(data), &mut early, usize::MAX);
        *self.early.borrow_mut() = early;
        let encrypted = self.output.take();
        let sent = send(encrypted.filled());
        ENCRYPTED.set(encrypted);
        match stepped? {
            Step::Idle => sent.map(|()| data.len()),
            _ => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Says that no more comes. What comes meanwhile is for nobody.
    pub(crate) fn goodbye(&self) -> io::Result<Answer> {
        let wanted = match self.said_goodbye.replace(true) {
            false => Wanted::Goodbye,
            true => Wanted::Nothing,
        };
        self.process(wanted, &mut Vec::new(), usize::MAX)?;
        Ok(if self.peer_closed.get() {
            Answer::Done
        } else {
            Answer::Again
        })
    }

    /// Whether the peer has said that it sends no more.
    pub(crate) fn is_peer_closed(&self) -> bool {
        self.peer_closed.get()
    }

    /// What waits to be sent, besides data.
    pub(crate) fn take_output(&self) -> Vec<u8> {
        let mut output = self.output.take();
        output.bytes.truncate(output.end);
        output.bytes
    }

    pub(crate) fn outgoing(&self) -> usize {
        self.output.borrow().end
    }

    pub(crate) fn info(&self) -> TlsInfo {
        let name = self.server_name.borrow().as_deref().map(str::to_owned);
        self.with(|connection| TlsInfo::of(connection, name))
    }

    /// Calls `look` with what rustls knows. It must not call back.
    fn with<R>(&self, look: impl FnOnce(&CommonState) -> R) -> R {
        look(&self.connection.borrow())
    }

    /// Goes on until there is nothing to do, or `limit` bytes are decrypted.
    fn process(
        &self,
        wanted: Wanted<'_>,
        decrypted: &mut Vec<u8>,
        limit: usize,
    ) -> io::Result<Step> {
        if let Some(error) = &*self.refused.borrow() {
            return Err(to_io(error.clone()));
        }
        let mut connection = self.connection.borrow_mut();
        let mut input = self.input.borrow_mut();
        let mut output = self.output.borrow_mut();
        let input = &mut *input;
        loop {
            let bytes = &mut input.bytes[input.start..input.end];
            let (discard, step) = match &mut *connection {
                Connection::Client(client) => step(
                    client.process_tls_records(bytes),
                    wanted,
                    decrypted,
                    &mut output,
                    |_, _| 0,
                ),
                Connection::Server(server) => step(
                    server.process_tls_records(bytes),
                    wanted,
                    decrypted,
                    &mut output,
                    read_early,
                ),
            };
            input.start += discard;
            match step {
                Ok(Step::More) if decrypted.len() >= limit => return Ok(Step::More),
                Ok(Step::More) => {}
                Ok(Step::PeerClosed) => self.peer_closed.set(true),
                Ok(end) => {
                    if input.end - input.start > LONGEST_BEGUN + RECORD {
                        let error = InvalidMessage::HandshakePayloadTooLarge;
                        return Err(to_io(error.into()));
                    }
                    return Ok(end);
                }
                Err(Failed::Refused(error)) => {
                    // rustls has something to tell the peer of that.
                    drop(self.refused.replace(Some(error.clone())));
                    while connection.wants_write() {
                        let bytes = &mut input.bytes[input.start..input.end];
                        let told = match &mut *connection {
                            Connection::Client(client) => {
                                encode(client.process_tls_records(bytes), &mut output)
                            }
                            Connection::Server(server) => {
                                encode(server.process_tls_records(bytes), &mut output)
                            }
                        };
                        if !told {
                            break;
                        }
                    }
                    return Err(to_io(error));
                }
                Err(Failed::Exhausted) => {
                    return Err(io::Error::other("encrypter has been exhausted"));
                }
            }
        }
    }
}

impl Deref for Connection {
    type Target = CommonState;

    fn deref(&self) -> &CommonState {
        match self {
            Connection::Client(client) => client,
            Connection::Server(server) => server,
        }
    }
}

enum Failed {
    Refused(rustls::Error),
    Exhausted,
}

/// Deals with one answer of rustls. The number is of bytes that have come and are done with.
fn step<D>(
    status: UnbufferedStatus<'_, '_, D>,
    wanted: Wanted<'_>,
    decrypted: &mut Vec<u8>,
    output: &mut Output,
    read_early: impl FnOnce(ReadEarlyData<'_, '_, D>, &mut Vec<u8>) -> usize,
) -> (usize, Result<Step, Failed>) {
    let UnbufferedStatus { mut discard, state } = status;
    let step = match state {
        Err(error) => Err(Failed::Refused(error)),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            while let Some(Ok(record)) = traffic.next_record() {
                discard += record.discard;
                decrypted.extend_from_slice(record.payload);
            }
            Ok(Step::More)
        }
        Ok(ConnectionState::ReadEarlyData(traffic)) => {
            discard += read_early(traffic, decrypted);
            Ok(Step::More)
        }
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            output.write(0, |room| encoded(data.encode(room)));
            Ok(Step::More)
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Step::More)
        }
        Ok(ConnectionState::WriteTraffic(mut traffic)) => {
            let written = match wanted {
                Wanted::Nothing => true,
                Wanted::Send(data) => {
                    let room = data.len() + (data.len() / RECORD + 1) * OVERHEAD;
                    output.write(room, |room| encrypted(traffic.encrypt(data, room)))
                }
                Wanted::Goodbye => {
                    output.write(OVERHEAD, |room| encrypted(traffic.queue_close_notify(room)))
                }
            };
            if written {
                Ok(Step::Idle)
            } else {
                Err(Failed::Exhausted)
            }
        }
        Ok(ConnectionState::PeerClosed) => Ok(Step::PeerClosed),
        Ok(ConnectionState::Closed) => Ok(Step::Over),
        // There may be more kinds of waiting one day.
        Ok(_) => Ok(Step::Blocked),
    };
    (discard, step)
}

/// Data that the client has sent along with the handshake, where the server's config allows that.
fn read_early(
    mut traffic: ReadEarlyData<'_, '_, ServerConnectionData>,
    decrypted: &mut Vec<u8>,
) -> usize {
    let mut discard = 0;
    while let Some(Ok(record)) = traffic.next_record() {
        discard += record.discard;
        decrypted.extend_from_slice(record.payload);
    }
    discard
}

/// Encodes what rustls has to say. False: nothing.
fn encode<D>(status: UnbufferedStatus<'_, '_, D>, output: &mut Output) -> bool {
    match status.state {
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            output.write(0, |room| encoded(data.encode(room)))
        }
        _ => false,
    }
}

fn encoded(result: Result<usize, EncodeError>) -> Room {
    match result {
        Ok(count) => Room::Filled(count),
        Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
            Room::Short(required_size)
        }
        Err(EncodeError::AlreadyEncoded) => Room::Filled(0),
    }
}

fn encrypted(result: Result<usize, EncryptError>) -> Room {
    match result {
        Ok(count) => Room::Filled(count),
        Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) => {
            Room::Short(required_size)
        }
        Err(EncryptError::EncryptExhausted) => Room::Failed,
    }
}

/// What became of an attempt to fill some room.
enum Room {
    Filled(usize),
    /// So much is needed.
    Short(usize),
    Failed,
}

impl Input {
    fn new(bytes: Vec<u8>) -> Input {
        let end = bytes.len();
        Input {
            bytes,
            start: 0,
            end,
        }
    }
}

impl Output {
    fn filled(&self) -> &[u8] {
        &self.bytes[..self.end]
    }

    fn append(&mut self, other: &Output) {
        let filled = other.filled();
        self.room(filled.len())[..filled.len()].copy_from_slice(filled);
        self.end += filled.len();
    }

    /// At least so much of free room.
    fn room(&mut self, count: usize) -> &mut [u8] {
        let least = self.end + count;
        if self.bytes.len() < least {
            self.bytes.resize(least, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// Has `fill` fill so much room, or more if it has to be more. False if it cannot.
    fn write(&mut self, mut count: usize, mut fill: impl FnMut(&mut [u8]) -> Room) -> bool {
        loop {
            match fill(self.room(count)) {
                Room::Filled(count) => {
                    self.end += count;
                    return true;
                }
                Room::Short(needed) if needed > count => count = needed,
                Room::Short(_) | Room::Failed => return false,
            }
        }
    }
}
