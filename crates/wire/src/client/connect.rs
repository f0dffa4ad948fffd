//! The first exchange on a connection: a client asks for a new or an old session.

use crate::jute::{Decoded, Put, Reader};
use crate::session::{Password, SessionId};
use crate::zxid::Zxid;

/// The first frame that a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectRequest {
    /// 0 in every release.
    pub protocol_version: i32,
    /// The newest zxid that the client has seen: a server that is behind it must not serve it.
    pub last_zxid_seen: Zxid,
    /// The session timeout that it wishes, milliseconds.
    pub timeout_ms: i32,
    /// The session that it wants back, [`SessionId::NONE`] for a new one.
    pub session: SessionId,
    /// The password of that session; clients send 16 bytes, but it may be anything.
    pub password: Box<[u8]>,
    /// Whether it accepts a server that only reads. `None`: a client from before 3.4, which does
    /// not expect the field in the response either.
    pub read_only: Option<bool>,
}

impl ConnectRequest {
    /// Reads the body of the first frame.
    pub fn decode(bytes: &[u8]) -> Decoded<ConnectRequest> {
        let r = &mut Reader::new(bytes);
        Ok(ConnectRequest {
            protocol_version: r.int("connect.protocolVersion")?,
            last_zxid_seen: Zxid(r.long("connect.lastZxidSeen")?),
            timeout_ms: r.int("connect.timeOut")?,
            session: SessionId(r.long("connect.sessionId")?),
            password: r.buffer("connect.passwd")?.unwrap_or_default().into(),
            read_only: if r.remaining() > 0 { Some(r.bool("connect.readOnly")?) } else { None },
        })
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_int(self.protocol_version);
        out.put_long(self.last_zxid_seen.0);
        out.put_int(self.timeout_ms);
        out.put_long(self.session.0);
        out.put_buffer(Some(&self.password));
        if let Some(read_only) = self.read_only {
            out.put_bool(read_only);
        }
    }
}

/// The server's answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectResponse {
    /// The timeout that was agreed, milliseconds; 0 says that the session is gone.
    pub timeout_ms: i32,
    /// The session; [`SessionId::NONE`] if it is gone.
    pub session: SessionId,
    /// Its password; zeros if it is gone.
    pub password: Password,
    /// Whether this server only reads; `None` for a client that does not know the field.
    pub read_only: Option<bool>,
}

impl ConnectResponse {
    /// "The session that you want has expired, or the password is wrong."
    pub fn expired(read_only: Option<bool>) -> ConnectResponse {
        let password = Password([0; 16]);
        ConnectResponse { timeout_ms: 0, session: SessionId::NONE, password, read_only }
    }

    /// Reads the body of the server's first frame.
    pub fn decode(bytes: &[u8]) -> Decoded<ConnectResponse> {
        let r = &mut Reader::new(bytes);
        r.int("connected.protocolVersion")?;
        let timeout_ms = r.int("connected.timeOut")?;
        let session = SessionId(r.long("connected.sessionId")?);
        let mut password = [0; 16];
        let sent = r.buffer("connected.passwd")?.unwrap_or_default();
        for (to, from) in password.iter_mut().zip(sent) {
            *to = *from;
        }
        let read_only = if r.remaining() > 0 { Some(r.bool("connected.readOnly")?) } else { None };
        Ok(ConnectResponse { timeout_ms, session, password: Password(password), read_only })
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut impl Put) {
        out.put_int(0);
        out.put_int(self.timeout_ms);
        out.put_long(self.session.0);
        out.put_buffer(Some(&self.password.0));
        if let Some(read_only) = self.read_only {
            out.put_bool(read_only);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(read_only: Option<bool>) -> ConnectRequest {
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid(7),
            timeout_ms: 30_000,
            session: SessionId(9),
            password: Box::new([1; 16]),
            read_only,
        }
    }

    #[test]
    fn the_read_only_byte_is_optional_both_ways() {
        for (read_only, request_bytes, response_bytes) in [(None, 44, 36), (Some(true), 45, 37)] {
            let mut out = Vec::new();
            request(read_only).encode(&mut out);
            assert_eq!(out.len(), request_bytes);
            assert_eq!(ConnectRequest::decode(&out), Ok(request(read_only)));

            let response = ConnectResponse::expired(read_only);
            let mut out = Vec::new();
            response.encode(&mut out);
            assert_eq!(out.len(), response_bytes);
            assert_eq!(ConnectResponse::decode(&out), Ok(response));
        }
    }
}
