//! What a [`TlsState`](super::TlsState) works on.
//!
//! All methods take `&self`, and the state holds no borrow while one runs: each may call anything,
//! and come back into the state.

/// What a step of a session has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// The peer has to say something first.
    Again,
}

/// What giving the application what has come has ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// There is no more for now, or the application wants no more.
    Drained,
    /// The peer has said that it sends no more (`close_notify`).
    Closed,
}

/// The two time limits of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// `ssl_handshake_timeout`
    Handshake,
    /// `ssl_shutdown_timeout`
    Shutdown,
}

/// When something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum During {
    /// In the handshake.
    Handshake,
    /// While data was read or written, or in the application's `data_received`.
    Data,
    /// In the application's `eof_received`.
    Eof,
    /// While the session was closed.
    Shutdown,
}

/// TLS itself, in memory: it neither waits nor knows of a connection.
///
/// `B` is what the application writes: a piece of data that knows how much of it is gone.
pub trait Session<B> {
    /// What goes wrong, in the session or in what the host calls.
    type Error;

    /// Goes on with the handshake.
    ///
    /// # Errors
    ///
    /// The peer cannot be agreed with, or not be trusted.
    fn handshake(&self) -> Result<Answer, Self::Error>;

    /// Encrypts `data` as far as it can, and takes what it has encrypted from the front.
    /// The number is of bytes.
    ///
    /// # Errors
    ///
    /// The session is broken.
    fn encrypt(&self, data: &mut B) -> Result<(usize, Answer), Self::Error>;

    /// Decrypts what has come and passes it to the application.
    ///
    /// # Errors
    ///
    /// What came is not what the peer has sent, or the application has failed.
    fn deliver(&self) -> Result<Delivery, Self::Error>;

    /// Tells the peer that no more comes. Done when the peer has told the same.
    ///
    /// # Errors
    ///
    /// The session is broken, or the peer sends data still.
    fn unwrap(&self) -> Result<Answer, Self::Error>;

    /// How many bytes have come and were not looked at.
    ///
    /// # Errors
    ///
    /// The session's own.
    fn incoming(&self) -> Result<usize, Self::Error>;

    /// How many encrypted bytes wait to be sent.
    ///
    /// # Errors
    ///
    /// The session's own.
    fn outgoing(&self) -> Result<usize, Self::Error>;
}

/// What is around the session: the link below, the application above, and the loop.
///
/// # Errors
///
/// What a method answers as an error goes to whoever called the state. A host deals with the
/// errors of the application's `eof_received`, `pause_writing` and `resume_writing` itself, or by
/// [`Host::fatal`].
#[allow(missing_docs, reason = "each is what its name says, of asyncio's")]
#[allow(clippy::missing_errors_doc, reason = "said above, for all")]
pub trait Host<B>: Session<B> {
    /// Writes the encrypted bytes that wait to the link.
    fn send(&self) -> Result<(), Self::Error>;
    fn pause_link(&self) -> Result<(), Self::Error>;
    fn resume_link(&self) -> Result<(), Self::Error>;
    /// Closes the link, in a later turn.
    fn close_link(&self) -> Result<(), Self::Error>;
    /// Closes the link at once; the error is the reason, if there is one.
    fn abort_link(&self, error: Option<Self::Error>) -> Result<(), Self::Error>;

    /// The session is made: notes what is known of the peer.
    fn established(&self) -> Result<(), Self::Error>;
    fn connection_made(&self) -> Result<(), Self::Error>;
    /// Tells whoever waits for the connection that it stands.
    fn connected(&self) -> Result<(), Self::Error>;
    fn eof_received(&self) -> Result<(), Self::Error>;
    fn pause_writing(&self) -> Result<(), Self::Error>;
    fn resume_writing(&self) -> Result<(), Self::Error>;
    /// No more may be done with the connection by the application: it is closing.
    fn closing(&self);

    /// Calls [`TlsState::deadline`](super::TlsState::deadline) when the time is over.
    fn start_timer(&self, deadline: Deadline) -> Result<(), Self::Error>;
    /// Ends the timer, if there is one.
    fn cancel_timer(&self, deadline: Deadline) -> Result<(), Self::Error>;
    fn has_timer(&self, deadline: Deadline) -> bool;

    /// Aborts the link for this reason, and tells whoever is to be told.
    fn fatal(&self, error: Self::Error, during: During) -> Result<(), Self::Error>;
    /// The handshake has failed: as [`Host::fatal`], and whoever waits is told.
    fn refused(&self, error: Self::Error) -> Result<(), Self::Error>;
    /// The peer has gone in the middle of the handshake.
    fn reset(&self) -> Self::Error;
    /// That a deadline is over.
    fn timed_out(&self, deadline: Deadline) -> Self::Error;
}
