//! DIGEST-MD5 (RFC 2831) with `qop=auth`, as ZooKeeper's servers offer it.
//!
//! The server sends a challenge, the client answers with a digest of the password, and the server
//! proves in turn that it knows the password: an exchange without that proof has failed. The
//! password itself never travels.
//!
//! MD5 is weak and the mechanism is historic; it is here because it is the only one that ZooKeeper
//! has without Kerberos. What a connection carries afterwards is neither encrypted nor signed
//! by it: that is what TLS is for.

use super::{Exchange, Mechanism, Next};
use crate::error::AuthFailure;
use crate::limits::SASL_CHALLENGE_BYTES_MAX;
use md5::{Digest as _, Md5};
use std::fmt;

/// What a server's challenge names when it means ZooKeeper, and what clients answer to.
const DIGEST_URI: &str = "zookeeper/zk-sasl-md5";

/// Every exchange asks for its own nonce of the server, so that each is the first use of one.
const NONCE_COUNT: &str = "00000001";

/// A user, its password, and a secret of the session that client nonces are made from.
#[derive(Clone)]
pub(crate) struct Credentials {
    user: Box<str>,
    password: Box<str>,
    nonce_key: [u8; 16],
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Credentials {
    /// `nonce_key` is random: whoever could guess client nonces could prepare for them.
    pub(crate) fn new(user: &str, password: &str, nonce_key: [u8; 16]) -> Credentials {
        Credentials { user: user.into(), password: password.into(), nonce_key }
    }

    fn client_nonce(&self, attempt: u64) -> String {
        hex(&md5(&[&self.nonce_key, &attempt.to_be_bytes()]))
    }
}

impl Mechanism for Credentials {
    fn begin(&self, attempt: u64) -> Box<dyn Exchange> {
        Box::new(Run::new(self, attempt))
    }
}

/// One run of the mechanism.
struct Run {
    credentials: Credentials,
    client_nonce: String,
    digest_uri: &'static str,
    step: Step,
}

enum Step {
    /// The server's challenge is due.
    Challenge,
    /// The answer is on its way; this is what the server then says if it knows the password.
    Proof(String),
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What the server has to say is as good as a password for this exchange.
        f.debug_struct("Run").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

impl Run {
    fn new(credentials: &Credentials, attempt: u64) -> Run {
        Run {
            credentials: credentials.clone(),
            client_nonce: credentials.client_nonce(attempt),
            digest_uri: DIGEST_URI,
            step: Step::Challenge,
        }
    }

    /// The digest-response, and what the server answers to it.
    fn answer(&self, challenge: &Challenge) -> Result<(Vec<u8>, String), &'static str> {
        let Credentials { user, password, .. } = &self.credentials;
        let text = |text| challenge.charset.encode(text);
        let (user, realm) = (text(user)?, text(&challenge.realm)?);
        let hashed = |text| hashed_form(text).ok_or(Charset::NOT_LATIN);
        let (hashed_user, hashed_realm, hashed_password) = match challenge.charset {
            Charset::Utf8 => (
                hashed(&self.credentials.user).unwrap_or_else(|_| user.clone()),
                hashed(&challenge.realm).unwrap_or_else(|_| realm.clone()),
                hashed(password).unwrap_or_else(|_| password.as_bytes().into()),
            ),
            Charset::Latin1 => (user.clone(), realm.clone(), hashed(password)?),
        };
        let inner = md5(&[&hashed_user, b":", &hashed_realm, b":", &hashed_password]);
        let nonces = [&challenge.nonce, ":", &self.client_nonce].concat();
        let secret = hex(&md5(&[&inner, b":", nonces.as_bytes()]));
        let digest = |method: &str| {
            let action = hex(&md5(&[method.as_bytes(), b":", self.digest_uri.as_bytes()]));
            let [nonce, client_nonce] = [&challenge.nonce, &self.client_nonce];
            let all = format!("{secret}:{nonce}:{NONCE_COUNT}:{client_nonce}:auth:{action}");
            hex(&md5(&[all.as_bytes()]))
        };
        let mut answer = Vec::new();
        if challenge.charset == Charset::Utf8 {
            answer.extend_from_slice(b"charset=utf-8,");
        }
        put_quoted(&mut answer, "username", &user);
        put_quoted(&mut answer, "realm", &realm);
        put_quoted(&mut answer, "nonce", challenge.nonce.as_bytes());
        answer.extend_from_slice(format!("nc={NONCE_COUNT},").as_bytes());
        put_quoted(&mut answer, "cnonce", self.client_nonce.as_bytes());
        put_quoted(&mut answer, "digest-uri", self.digest_uri.as_bytes());
        let response = digest("AUTHENTICATE");
        answer.extend_from_slice(format!("response={response},qop=auth").as_bytes());
        Ok((answer, digest("")))
    }
}

impl Exchange for Run {
    /// The server begins; an empty token asks it to.
    fn first_token(&self) -> Vec<u8> {
        Vec::new()
    }

    fn on_token(&mut self, token: &[u8]) -> Result<Next, AuthFailure> {
        match &self.step {
            Step::Challenge => {
                let challenge = Challenge::parse(token).map_err(AuthFailure::SaslChallenge)?;
                let (answer, proof) =
                    self.answer(&challenge).map_err(AuthFailure::SaslChallenge)?;
                self.step = Step::Proof(proof);
                Ok(Next::Answer(answer))
            }
            Step::Proof(expected) => {
                let told = directives(token).map_err(AuthFailure::SaslChallenge)?;
                match told.iter().find(|(name, _)| name == "rspauth") {
                    Some((_, proof)) if proof == expected => Ok(Next::Done),
                    Some(_) | None => Err(AuthFailure::ServerNotProven),
                }
            }
        }
    }
}

/// How a challenge wants text to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charset {
    Utf8,
    /// ISO 8859-1, if the challenge does not say.
    Latin1,
}

impl Charset {
    const NOT_LATIN: &str = "it does not take UTF-8, and the user or password is not ISO 8859-1";

    fn encode(self, text: &str) -> Result<Vec<u8>, &'static str> {
        match self {
            Charset::Utf8 => Ok(text.into()),
            Charset::Latin1 => hashed_form(text).ok_or(Charset::NOT_LATIN),
        }
    }
}

/// The bytes that go into the digest: ISO 8859-1 wherever it has all characters, also for UTF-8.
fn hashed_form(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect()
}

/// What of a digest-challenge matters here.
#[derive(Debug)]
struct Challenge {
    /// The first that is offered; empty if none is.
    realm: String,
    nonce: String,
    charset: Charset,
}

impl Challenge {
    fn parse(token: &[u8]) -> Result<Challenge, &'static str> {
        let told = directives(token)?;
        let values = |wanted: &'static str| {
            told.iter().filter(move |(name, _)| name == wanted).map(|(_, value)| value)
        };
        let value = |wanted| values(wanted).next();
        let offers_auth = |qop: &String| qop.split(',').any(|it| it.trim() == "auth");
        if value("qop").is_some_and(|qop| !offers_auth(qop)) {
            return Err("it does not offer qop=auth");
        }
        if value("algorithm").map(String::as_str) != Some("md5-sess") {
            return Err("its algorithm is not md5-sess");
        }
        let charset = match value("charset").map(String::as_str) {
            Some("utf-8") => Charset::Utf8,
            Some(_) => return Err("its charset is not utf-8"),
            None => Charset::Latin1,
        };
        let realm = value("realm").cloned().unwrap_or_default();
        let nonce = value("nonce").cloned().ok_or("it has no nonce")?;
        if values("nonce").count() != 1 {
            return Err("it has more than one nonce");
        }
        Ok(Challenge { realm, nonce, charset })
    }
}

/// Takes `name=value,name="value"` apart, in order.
fn directives(token: &[u8]) -> Result<Vec<(String, String)>, &'static str> {
    if token.len() > SASL_CHALLENGE_BYTES_MAX {
        return Err("it is longer than DIGEST-MD5 allows");
    }
    let text = std::str::from_utf8(token).map_err(|_not_utf8| "it is not UTF-8")?;
    let mut found = Vec::new();
    let mut rest = text.trim_end();
    loop {
        // Empty elements of the list are allowed.
        rest = rest.trim_start_matches([',', ' ', '\t', '\r', '\n']);
        if rest.is_empty() {
            return Ok(found);
        }
        let (name, after) = rest.split_once('=').ok_or("a directive has no value")?;
        let (value, left) = value(after.trim_start())?;
        found.push((name.trim().to_ascii_lowercase(), value));
        rest = left.trim_start();
        if !rest.is_empty() && !rest.starts_with(',') {
            return Err("its directives are not separated by commas");
        }
    }
}

/// A token or a quoted string at the start of `text`, and what follows it.
fn value(text: &str) -> Result<(String, &str), &'static str> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return Ok((value.trim_end().into(), rest));
    };
    let mut value = String::new();
    let mut letters = quoted.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return Ok((value, letters.as_str())),
            '\\' => value.push(letters.next().ok_or("a quoted string does not end")?),
            letter => value.push(letter),
        }
    }
    Err("a quoted string does not end")
}

fn put_quoted(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.extend_from_slice(b"\",");
}

fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 2831, section 4.
    const CHALLENGE: &str = "realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tEQGm2hh\",qop=\"auth\",\
        algorithm=md5-sess,charset=utf-8";

    fn of_the_rfc() -> Run {
        Run {
            credentials: Credentials::new("chris", "secret", [0; 16]),
            client_nonce: "OA6MHXh6VqTrRk".into(),
            digest_uri: "imap/elwood.innosoft.com",
            step: Step::Challenge,
        }
    }

    #[test]
    fn the_example_of_the_rfc_comes_out() {
        let mut exchange = of_the_rfc();
        let Ok(Next::Answer(answer)) = exchange.on_token(CHALLENGE.as_bytes()) else {
            panic!("it can be answered")
        };
        assert_eq!(
            String::from_utf8(answer).unwrap(),
            "charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\",\
             nonce=\"OA6MG9tEQGm2hh\",nc=00000001,cnonce=\"OA6MHXh6VqTrRk\",\
             digest-uri=\"imap/elwood.innosoft.com\",\
             response=d388dad90d4bbd760a152321f2143af7,qop=auth"
        );
        let proof = b"rspauth=ea40f60335c427b5527b84dbabcdfffd";
        assert_eq!(exchange.on_token(proof), Ok(Next::Done));
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_noticed() {
        for proof in ["rspauth=ea40f60335c427b5527b84dbabcdfffe", "rspauth=", "", "ok=1"] {
            let mut exchange = of_the_rfc();
            assert!(exchange.on_token(CHALLENGE.as_bytes()).is_ok());
            let told = exchange.on_token(proof.as_bytes());
            assert_eq!(told, Err(AuthFailure::ServerNotProven), "{proof}");
        }
    }

    #[track_caller]
    fn check(challenge: &str, expected: &str) {
        let told = match Challenge::parse(challenge.as_bytes()) {
            Ok(it) => format!("{:?} {:?} {:?}", it.realm, it.nonce, it.charset),
            Err(why) => why.into(),
        };
        assert_eq!(told, expected, "{challenge}");
    }

    #[test]
    fn challenges_are_read_and_those_that_ask_for_something_else_refused() {
        check("nonce=\"n\",algorithm=md5-sess", r#""" "n" Latin1"#);
        check(
            " realm=\"a\\\"b\" , ,NONCE=\"n,=\",qop=\"auth-int, auth\",charset=utf-8,\
             algorithm=md5-sess,realm=\"c\"",
            r#""a\"b" "n,=" Utf8"#,
        );
        check("nonce=\"n\",algorithm=md5-sess,qop=\"auth-conf\"", "it does not offer qop=auth");
        check("nonce=\"n\"", "its algorithm is not md5-sess");
        check("algorithm=md5-sess", "it has no nonce");
        check("nonce=a,nonce=b,algorithm=md5-sess", "it has more than one nonce");
        check("nonce=\"n\",algorithm=md5-sess,charset=ascii", "its charset is not utf-8");
        check("nonce=\"n", "a quoted string does not end");
        check("nonce=\"n\\", "a quoted string does not end");
        check("nonce=\"n\"x", "its directives are not separated by commas");
        check("nonce", "a directive has no value");
    }

    #[test]
    fn a_challenge_may_be_as_long_as_the_rfc_allows_and_no_longer() {
        let padded = |bytes: usize| {
            let start = "algorithm=md5-sess,nonce=";
            format!("{start}{}", "n".repeat(bytes - start.len()))
        };
        assert!(Challenge::parse(padded(SASL_CHALLENGE_BYTES_MAX).as_bytes()).is_ok());
        check(&padded(SASL_CHALLENGE_BYTES_MAX + 1), "it is longer than DIGEST-MD5 allows");
        check("", "its algorithm is not md5-sess");
    }

    #[test]
    fn text_is_hashed_as_latin_where_it_can_be_and_sent_as_the_server_wants_it() {
        let answer = |user: &str, charset: &str| {
            let credentials = Credentials::new(user, "p", [0; 16]);
            let mut exchange = Run::new(&credentials, 0);
            let challenge = format!("nonce=\"n\",algorithm=md5-sess{charset}");
            match exchange.on_token(challenge.as_bytes()) {
                Ok(Next::Answer(answer)) => Ok(answer),
                Ok(Next::Done) => panic!("there is a round to go"),
                Err(failure) => Err(failure),
            }
        };
        let response = |answer: Result<Vec<u8>, AuthFailure>| {
            let text = String::from_utf8_lossy(&answer.unwrap()).into_owned();
            text.split("response=").nth(1).unwrap().to_owned()
        };
        let (utf8, latin) = (answer("jörg", ",charset=utf-8"), answer("jörg", ""));
        assert!(utf8.clone().unwrap().windows(6).any(|it| it == "jörg\"".as_bytes()));
        assert!(latin.clone().unwrap().windows(5).any(|it| it == b"j\xf6rg\""));
        assert_eq!(response(utf8), response(latin));
        assert!(answer("日本", ",charset=utf-8").is_ok());
        let refused = Err(AuthFailure::SaslChallenge(Charset::NOT_LATIN));
        assert_eq!(answer("日本", ""), refused);
    }

    #[test]
    fn client_nonces_differ_and_secrets_are_not_printed() {
        let credentials = Credentials::new("chris", "secret", [7; 16]);
        assert_ne!(credentials.client_nonce(1), credentials.client_nonce(2));
        let mut exchange = Run::new(&credentials, 1);
        assert!(exchange.on_token(CHALLENGE.as_bytes()).is_ok());
        let shown = format!("{credentials:?} {exchange:?}");
        assert!(shown.contains("chris") && !shown.contains("secret"), "{shown}");
        let Step::Proof(proof) = &exchange.step else { panic!("it has answered") };
        assert!(!shown.contains(proof), "{shown}");
    }
}
