//! The lab's server seen from outside: through real sockets, written to and read by codecs that are not ours
//! (tds-protocol, tiberius), with an engine that does what the text says.

mod codec;
mod engine;
mod wire;
