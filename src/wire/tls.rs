//! TLS inside TDS packets, and the few packet facts that both sides of the socket share: the eight-byte header, PRELOGIN's
//! options and its ENCRYPT byte (MS-TDS 2.2.3.1, 2.2.6.5).
//!
//! Used by `sqlserver/tls.rs` (under tiberius) and by `lab/tds` (the server). It knows nothing of certificates, logins or
//! tokens, trusts no length it reads, and never panics on what the other side sends.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// Packet types (MS-TDS 2.2.3.1.1).
pub mod kind {
    /// T-SQL text.
    pub const BATCH: u8 = 0x01;
    /// Remote procedure call.
    pub const RPC: u8 = 0x03;
    /// Everything a server sends after the TLS handshake, and its answer to PRELOGIN.
    pub const RESPONSE: u8 = 0x04;
    /// Cancel; carries no data.
    pub const ATTENTION: u8 = 0x06;
    /// Bulk load; the lab refuses it.
    pub const BULK: u8 = 0x07;
    /// Transaction manager request.
    pub const TRANSACTION: u8 = 0x0E;
    /// LOGIN7.
    pub const LOGIN: u8 = 0x10;
    /// The client's further tokens of a Windows login.
    pub const SSPI: u8 = 0x11;
    /// PRELOGIN, and every packet of a TLS handshake in both directions.
    pub const PRELOGIN: u8 = 0x12;
    /// First byte of a naked TLS record: a client that speaks TDS 8.0 (`Encrypt=strict`), not a packet type.
    pub const NAKED_TLS: u8 = 0x16;
}

/// Packet status bits (MS-TDS 2.2.3.1.2).
pub mod status {
    /// Last packet of its message.
    pub const END: u8 = 0x01;
    /// With [`END`]: the sender took the message back; ignore it.
    pub const IGNORE: u8 = 0x02;
    /// Reset the connection before this request.
    pub const RESET: u8 = 0x08;
    /// The same, keeping the transaction.
    pub const RESET_KEEP_TRANSACTION: u8 = 0x10;
}

/// Values of PRELOGIN's ENCRYPT option (MS-TDS 2.2.6.5).
pub mod encrypt {
    /// Encrypt the login packet only.
    pub const LOGIN_ONLY: u8 = 0;
    pub const ON: u8 = 1;
    pub const NOT_SUPPORTED: u8 = 2;
    pub const REQUIRED: u8 = 3;
}

/// Option tokens of PRELOGIN (MS-TDS 2.2.6.5).
pub mod option {
    pub const VERSION: u8 = 0;
    pub const ENCRYPTION: u8 = 1;
    pub const INSTANCE: u8 = 2;
    pub const THREAD_ID: u8 = 3;
    pub const MARS: u8 = 4;
    pub const TRACE_ID: u8 = 5;
    pub const FEDERATED: u8 = 6;
    pub const END: u8 = 0xFF;
}

/// The packet size both sides start with, and what a login gets that asks for 0.
pub const DEFAULT_PACKET_SIZE: usize = 4096;

/// What came over the wire is not TDS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A packet's length field is less than its own header.
    #[error("packet length {0} is shorter than its header")]
    Length(u16),
    /// A message grew beyond what its place in the conversation allows.
    #[error("message longer than {0} bytes")]
    TooLong(usize),
    /// A packet of another type came before the message's last packet.
    #[error("packet type {found:#04x} inside a message of type {message:#04x}")]
    Mixed { message: u8, found: u8 },
    /// Not one of the packet types that may stand here.
    #[error("unexpected packet type {0:#04x}")]
    Kind(u8),
    /// PRELOGIN's option table does not fit its message.
    #[error("PRELOGIN option table does not fit its message")]
    PreLogin,
}

impl From<Malformed> for io::Error {
    fn from(malformed: Malformed) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, malformed)
    }
}

/// The eight bytes before every packet (MS-TDS 2.2.3.1). All numbers are big-endian on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: u8,
    pub status: u8,
    /// of the whole packet, this header included
    pub length: u16,
    pub spid: u16,
    pub packet_id: u8,
    pub window: u8,
}

impl Header {
    pub const SIZE: usize = 8;

    /// Reads a header; its length is at least [`Header::SIZE`].
    pub fn read(bytes: &[u8; Self::SIZE]) -> Result<Self, Malformed> {
        let [kind, status, l0, l1, s0, s1, packet_id, window] = *bytes;
        let length = u16::from_be_bytes([l0, l1]);
        if usize::from(length) < Self::SIZE {
            return Err(Malformed::Length(length));
        }
        Ok(Self { kind, status, length, spid: u16::from_be_bytes([s0, s1]), packet_id, window })
    }

    pub fn write(&self) -> [u8; Self::SIZE] {
        let [l0, l1] = self.length.to_be_bytes();
        let [s0, s1] = self.spid.to_be_bytes();
        [self.kind, self.status, l0, l1, s0, s1, self.packet_id, self.window]
    }

    /// Bytes that follow this header.
    pub fn body(&self) -> usize {
        usize::from(self.length).saturating_sub(Self::SIZE)
    }

    /// Whether this is the last packet of its message.
    pub fn last(&self) -> bool {
        self.status & status::END != 0
    }
}

/// Cuts a message into packets of at most `packet_size` bytes; the last one has [`status::END`]. An empty message is one
/// empty packet. `packet_id` is the number of the next packet and is moved on.
pub fn packets(kind: u8, spid: u16, packet_size: usize, message: &[u8], end: bool, packet_id: &mut u8) -> Vec<u8> {
    let body = packet_size.clamp(Header::SIZE + 1, usize::from(u16::MAX)) - Header::SIZE;
    let mut out = Vec::with_capacity(message.len() + (message.len() / body + 1) * Header::SIZE);
    let mut rest = message;
    loop {
        let (now, later) = rest.split_at(rest.len().min(body));
        rest = later;
        let header = Header {
            kind,
            status: if end && rest.is_empty() { status::END } else { 0 },
            length: u16::try_from(now.len() + Header::SIZE).unwrap_or(u16::MAX),
            spid,
            packet_id: *packet_id,
            window: 0,
        };
        *packet_id = packet_id.wrapping_add(1);
        out.extend_from_slice(&header.write());
        out.extend_from_slice(now);
        if rest.is_empty() {
            return out;
        }
    }
}

/// Reads one packet; `None` if the stream ended before its first byte.
pub async fn read_packet<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<(Header, Vec<u8>)>> {
    let mut head = [0; Header::SIZE];
    if stream.read(&mut head[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut head[1..]).await?;
    let header = Header::read(&head)?;
    let mut body = vec![0; header.body()];
    stream.read_exact(&mut body).await?;
    Ok(Some((header, body)))
}

/// A whole message: its packets' bodies joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub kind: u8,
    /// the status bits of all its packets together
    pub status: u8,
    pub body: Vec<u8>,
}

/// Reads packets up to the one marked last; `None` if the stream ended before the first byte.
pub async fn read_message<S: AsyncRead + Unpin>(stream: &mut S, limit: usize) -> io::Result<Option<Message>> {
    let Some((first, mut body)) = read_packet(stream).await? else {
        return Ok(None);
    };
    let mut status = first.status;
    let mut last = first.last();
    loop {
        if body.len() > limit {
            return Err(Malformed::TooLong(limit).into());
        }
        if last {
            return Ok(Some(Message { kind: first.kind, status, body }));
        }
        let (header, more) = read_packet(stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if header.kind != first.kind {
            return Err(Malformed::Mixed { message: first.kind, found: header.kind }.into());
        }
        status |= header.status;
        last = header.last();
        body.extend_from_slice(&more);
    }
}

/// PRELOGIN's options in the order they came; the same shape in both directions (MS-TDS 2.2.6.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreLogin {
    /// option token and data
    pub options: Vec<(u8, Vec<u8>)>,
}

impl PreLogin {
    /// Reads a message's body: a table of token, offset and length up to the token 0xFF, then the data.
    pub fn read(body: &[u8]) -> Result<Self, Malformed> {
        let mut options = Vec::new();
        let mut at = 0;
        loop {
            if *body.get(at).ok_or(Malformed::PreLogin)? == option::END {
                return Ok(Self { options });
            }
            let entry = body.get(at..at + 5).and_then(|e| <[u8; 5]>::try_from(e).ok()).ok_or(Malformed::PreLogin)?;
            let [token, o0, o1, l0, l1] = entry;
            let offset = usize::from(u16::from_be_bytes([o0, o1]));
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            let data = match length {
                0 => &[],
                _ => body.get(offset..offset + length).ok_or(Malformed::PreLogin)?,
            };
            options.push((token, data.to_vec()));
            at += 5;
        }
    }

    /// The message's body.
    pub fn write(&self) -> Vec<u8> {
        let mut table = Vec::new();
        let mut data = Vec::new();
        let start = self.options.len() * 5 + 1;
        for (token, value) in &self.options {
            table.push(*token);
            table.extend_from_slice(&u16::try_from(start + data.len()).unwrap_or(u16::MAX).to_be_bytes());
            table.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
            data.extend_from_slice(value);
        }
        table.push(option::END);
        table.extend_from_slice(&data);
        table
    }

    pub fn get(&self, token: u8) -> Option<&[u8]> {
        self.options.iter().find(|(t, _)| *t == token).map(|(_, data)| data.as_slice())
    }

    /// One of [`encrypt`]'s values; `None` if the option is absent or empty.
    pub fn encryption(&self) -> Option<u8> {
        self.get(option::ENCRYPTION).and_then(|data| data.first().copied())
    }

    /// Sets the ENCRYPT byte, adding the option if it is absent.
    pub fn set_encryption(&mut self, value: u8) {
        match self.options.iter_mut().find(|(t, _)| *t == option::ENCRYPTION) {
            Some((_, data)) => *data = vec![value],
            None => self.options.push((option::ENCRYPTION, vec![value])),
        }
    }

    /// Major, minor and build that the sender claims, from the VERSION option.
    pub fn version(&self) -> Option<(u8, u8, u16)> {
        match self.get(option::VERSION)? {
            [major, minor, b0, b1, ..] => Some((*major, *minor, u16::from_be_bytes([*b0, *b1]))),
            _ => None,
        }
    }
}

/// The oldest TLS that a client takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMinimum {
    /// TLS 1.0, and the cipher suites and signatures of its time
    V1_0,
    #[default]
    V1_2,
}

/// The SHA-256 of a certificate in DER, which tells it from every other: written as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is no [`Fingerprint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the SHA-256 of a certificate: `sha256:` and 64 hexadecimal digits")]
pub struct NotAFingerprint;

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    /// Reads what [`Fingerprint`] writes, and what other tools write: with or without the word in front, in either case, with
    /// colons or blanks between the digits.
    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let text = text.trim().to_ascii_lowercase();
        let digits: Vec<u8> = text
            .strip_prefix("sha256:")
            .unwrap_or(&text)
            .chars()
            .filter(|c| *c != ':' && *c != ' ')
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(NotAFingerprint))
            .collect::<Result<_, _>>()?;
        let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| (byte << 4) | digit)).collect();
        if digits.len() != 64 {
            return Err(NotAFingerprint);
        }
        bytes.try_into().map(Self).map_err(|_| NotAFingerprint)
    }
}

/// A stream that carries a TLS handshake inside TDS packets while its switch is on, and passes bytes through while off.
///
/// On: reads strip packet headers (a TLS record may span packets, a packet may hold several records); writes are gathered
/// and leave on flush as packets of type 0x12. Hand it to `tokio_openssl::SslStream`, do the handshake, then call
/// [`Framed::set_framing`] with `false` through `get_mut()`. Needs TLS limited to 1.2: only there does the handshake end
/// before the first naked record, so that nothing read belongs to the other mode.
#[derive(Debug)]
pub struct Framed<S> {
    inner: S,
    framing: bool,
    packet_size: usize,
    packet_id: u8,
    /// header bytes read so far
    head: [u8; Header::SIZE],
    head_len: usize,
    /// bytes left in the packet being read
    left: usize,
    /// written, not yet flushed
    gathered: Vec<u8>,
    /// framed, not yet taken by `inner`
    outgoing: Vec<u8>,
    sent: usize,
}

impl<S> Framed<S> {
    /// Wraps a stream, switched on.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            framing: true,
            packet_size: DEFAULT_PACKET_SIZE,
            packet_id: 0,
            head: [0; Header::SIZE],
            head_len: 0,
            left: 0,
            gathered: Vec::new(),
            outgoing: Vec::new(),
            sent: 0,
        }
    }

    /// The switch: on frames, off passes through.
    pub fn set_framing(&mut self, on: bool) {
        self.framing = on;
    }

    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The stream inside; flush before, or what was gathered is lost.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: AsyncWrite + Unpin> Framed<S> {
    /// Frames what was gathered and hands `inner` as much as it takes.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.outgoing.len() {
            let rest = self.outgoing.get(self.sent..).unwrap_or_default();
            let n = ready!(Pin::new(&mut self.inner).poll_write(cx, rest))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += n;
        }
        self.outgoing.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    fn frame_gathered(&mut self) {
        if !self.gathered.is_empty() {
            let framed = packets(kind::PRELOGIN, 0, self.packet_size, &self.gathered, true, &mut self.packet_id);
            self.outgoing.extend_from_slice(&framed);
            self.gathered.clear();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Framed<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // what a flush could not push out must not wait for the next flush: the other side may be waiting for it
        if this.sent < this.outgoing.len()
            && let Poll::Ready(Err(error)) = this.poll_drain(cx)
        {
            return Poll::Ready(Err(error));
        }
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if !this.framing {
            if this.head_len > 0 {
                let n = this.head_len.min(buf.remaining());
                buf.put_slice(this.head.get(..n).unwrap_or_default());
                this.head.copy_within(n.., 0);
                this.head_len -= n;
                return Poll::Ready(Ok(()));
            }
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        }
        while this.left == 0 {
            let mut head = ReadBuf::new(this.head.get_mut(this.head_len..).unwrap_or_default());
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut head))?;
            let n = head.filled().len();
            if n == 0 {
                return match this.head_len {
                    0 => Poll::Ready(Ok(())),
                    _ => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                };
            }
            this.head_len += n;
            if this.head_len == Header::SIZE {
                let header = Header::read(&this.head)?;
                // servers differ in the type of their handshake packets
                if header.kind != kind::PRELOGIN && header.kind != kind::RESPONSE {
                    return Poll::Ready(Err(Malformed::Kind(header.kind).into()));
                }
                this.head_len = 0;
                this.left = header.body();
            }
        }
        let want = this.left.min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(want));
        ready!(Pin::new(&mut this.inner).poll_read(cx, &mut part))?;
        let n = part.filled().len();
        buf.advance(n);
        this.left -= n;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.framing {
            this.gathered.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        this.frame_gathered();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.inner).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.frame_gathered();
        if this.framing {
            // OpenSSL's BIO has no way to say "flush again later": what does not fit now leaves with the next read or write,
            // and the waker for it is registered
            match this.poll_drain(cx) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {
                    if let Poll::Ready(Err(error)) = Pin::new(&mut this.inner).poll_flush(cx) {
                        return Poll::Ready(Err(error));
                    }
                }
                Poll::Pending => {}
            }
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.frame_gathered();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn a_header_shorter_than_itself_is_refused() {
        assert_eq!(Header::read(&[4, 1, 0, 7, 0, 0, 0, 0]), Err(Malformed::Length(7)));
        let header = Header::read(&[4, 1, 0x10, 0, 0, 51, 3, 0]).unwrap();
        assert_eq!((header.length, header.spid, header.body()), (4096, 51, 4088));
        assert_eq!(header.write(), [4, 1, 0x10, 0, 0, 51, 3, 0]);
    }

    #[test]
    fn prelogin_keeps_its_options_when_only_the_encrypt_byte_changes() {
        let before = PreLogin {
            options: vec![
                (option::VERSION, vec![12, 0, 0x17, 0x88, 0, 0]),
                (option::ENCRYPTION, vec![encrypt::NOT_SUPPORTED]),
                (option::THREAD_ID, vec![]),
            ],
        };
        let mut read = PreLogin::read(&before.write()).unwrap();
        assert_eq!(read, before);
        assert_eq!(read.version(), Some((12, 0, 6024)));
        read.set_encryption(encrypt::ON);
        let after = PreLogin::read(&read.write()).unwrap();
        assert_eq!(after.encryption(), Some(encrypt::ON));
        assert_eq!(after.options.len(), 3);
    }

    #[test]
    fn prelogin_whose_table_points_outside_is_refused() {
        assert_eq!(PreLogin::read(&[]), Err(Malformed::PreLogin));
        assert_eq!(PreLogin::read(&[1, 0, 6, 0, 1]), Err(Malformed::PreLogin));
        assert_eq!(PreLogin::read(&[1, 0, 6, 0, 1, 0xFF]), Err(Malformed::PreLogin));
        assert_eq!(PreLogin::read(&[1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), Err(Malformed::PreLogin));
    }

    #[test]
    fn a_fingerprint_is_read_as_people_and_tools_write_it() {
        let bytes: [u8; 32] = std::array::from_fn(|n| u8::try_from(n * 8).unwrap());
        let written = Fingerprint(bytes).to_string();
        assert!(written.starts_with("sha256:0008101820") && written.len() == 7 + 64, "{written}");
        let colons: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        for text in [written.clone(), written.to_uppercase(), written[7..].to_owned(), colons.join(":"), format!(" {} ", colons.join(" "))]
        {
            assert_eq!(text.parse(), Ok(Fingerprint(bytes)), "{text}");
        }
        for text in ["", "sha256:", &written[..70], &format!("{written}0"), &written.replace('a', "x"), &written.replace('8', "é")] {
            assert_eq!(text.parse::<Fingerprint>(), Err(NotAFingerprint), "{text}");
        }
    }

    #[test]
    fn messages_are_cut_and_joined_again() {
        let message: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let wire = packets(kind::BATCH, 0, 100, &message, true, &mut 0);
        let read = runtime().block_on(read_message(&mut wire.as_slice(), 4096)).unwrap().unwrap();
        assert_eq!(read, Message { kind: kind::BATCH, status: status::END, body: message });
        let refused = runtime().block_on(read_message(&mut wire.as_slice(), 500)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn framed_writes_leave_on_flush_as_packets_and_come_back_stripped() {
        runtime().block_on(async {
            let (near, far) = tokio::io::duplex(64);
            let mut near = Framed::new(near);
            near.packet_size = 20;
            let text: Vec<u8> = (0..100).collect();
            let sent = text.clone();
            let writer = tokio::spawn(async move {
                near.write_all(&sent[..10]).await.unwrap();
                near.write_all(&sent[10..]).await.unwrap();
                near.flush().await.unwrap();
                // the duplex is too small for all of it: reading goes on sending
                let mut byte = [0];
                near.read_exact(&mut byte).await.unwrap();
                assert_eq!(byte, [7]);
                near.set_framing(false);
                near.write_all(b"naked").await.unwrap();
                near.flush().await.unwrap();
            });
            let mut far = Framed::new(far);
            let mut got = vec![0; 100];
            far.read_exact(&mut got).await.unwrap();
            assert_eq!(got, text);
            far.write_all(&[7]).await.unwrap();
            far.flush().await.unwrap();
            far.set_framing(false);
            let mut naked = [0; 5];
            far.read_exact(&mut naked).await.unwrap();
            assert_eq!(&naked, b"naked");
            writer.await.unwrap();
        });
    }

    #[test]
    fn a_packet_of_a_foreign_type_ends_the_handshake() {
        runtime().block_on(async {
            let (mut near, far) = tokio::io::duplex(64);
            near.write_all(&packets(kind::LOGIN, 0, 100, b"x", true, &mut 0)).await.unwrap();
            let mut byte = [0];
            let error = Framed::new(far).read(&mut byte).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        });
    }
}
