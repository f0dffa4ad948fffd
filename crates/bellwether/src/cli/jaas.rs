//! The login of a client in a JAAS file, as far as DIGEST-MD5 needs it.
//!
//! The syntax: `Section { class flag name=value …; … };`, with comments as in Java and values in
//! quotes. What it keeps true: whatever cannot be used is refused with what was expected.

use super::properties::Secret;
use std::iter::Peekable;
use std::str::Chars;

/// The one module whose logins this shell has.
const DIGEST: &str = "org.apache.zookeeper.server.auth.DigestLoginModule";

/// Who logs in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: Secret,
}

/// The login that a section of the file gives.
pub(super) fn login(text: &str, section: &str) -> Result<Login, String> {
    let mut words = Words { rest: text.chars().peekable() };
    let mut login = None;
    while let Some(name) = words.next()? {
        let found = read_section(&mut words, &name)?;
        if name == section {
            login = Some(found);
        }
    }
    let modules = login.ok_or_else(|| format!("there is no section {section}"))?;
    let Some(module) = modules.first() else {
        return Err(format!("section {section} is empty"));
    };
    if module.class != DIGEST {
        return Err(format!(
            "section {section} has {}: this shell has {DIGEST} only",
            module.class
        ));
    }
    let option = |name: &str| {
        let found = module.options.iter().find(|(key, _)| key == name);
        let missing = || format!("section {section} has no {name}");
        found.map(|(_, value)| value.clone()).ok_or_else(missing)
    };
    Ok(Login { user: option("username")?, password: Secret(option("password")?) })
}

struct Module {
    class: String,
    options: Vec<(String, String)>,
}

fn read_section(words: &mut Words<'_>, name: &str) -> Result<Vec<Module>, String> {
    words.expect("{", name)?;
    let mut modules = Vec::new();
    loop {
        let class = words.some(name)?;
        if class == "}" {
            words.expect(";", name)?;
            return Ok(modules);
        }
        // What its flag says is about several modules.
        words.some(name)?;
        let mut options = Vec::new();
        loop {
            let key = words.some(name)?;
            if key == ";" {
                break;
            }
            words.expect("=", name)?;
            options.push((key, words.some(name)?));
        }
        modules.push(Module { class, options });
    }
}

struct Words<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Words<'_> {
    fn expect(&mut self, wanted: &str, section: &str) -> Result<(), String> {
        let word = self.some(section)?;
        if word == wanted {
            return Ok(());
        }
        Err(format!("section {section}: expected {wanted} and found {word}"))
    }

    fn some(&mut self, section: &str) -> Result<String, String> {
        self.next()?.ok_or_else(|| format!("section {section} does not end with }};"))
    }

    fn next(&mut self) -> Result<Option<String>, String> {
        self.skip_blanks()?;
        let Some(first) = self.rest.next() else { return Ok(None) };
        if first == '"' {
            return self.quoted().map(Some);
        }
        let mut word = String::from(first);
        if !is_mark(first) {
            let in_word = |c: &char| !is_mark(*c) && !c.is_whitespace() && *c != '"';
            while let Some(c) = self.rest.next_if(in_word) {
                word.push(c);
            }
        }
        Ok(Some(word))
    }

    fn quoted(&mut self) -> Result<String, String> {
        let mut word = String::new();
        loop {
            match self.rest.next() {
                Some('"') => return Ok(word),
                Some('\\') => word.extend(self.rest.next()),
                Some(c) => word.push(c),
                None => return Err("a quote is not closed".into()),
            }
        }
    }

    fn skip_blanks(&mut self) -> Result<(), String> {
        loop {
            while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
            let mut ahead = self.rest.clone();
            match (ahead.next(), ahead.next()) {
                (Some('/'), Some('/')) => while self.rest.next_if(|c| *c != '\n').is_some() {},
                (Some('/'), Some('*')) => {
                    self.rest = ahead;
                    self.skip_comment()?;
                }
                _ => return Ok(()),
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), String> {
        let mut before = ' ';
        loop {
            let c = self.rest.next().ok_or("a comment is not closed")?;
            if (before, c) == ('*', '/') {
                return Ok(());
            }
            before = c;
        }
    }
}

fn is_mark(c: char) -> bool {
    matches!(c, '{' | '}' | ';' | '=')
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        // Two of them.
        Server { org.example.Other required; };
        Client { /* the one
          that counts */
          org.apache.zookeeper.server.auth.DigestLoginModule required
          username="bob"
          password="a \"b\" ü";
        };
        Kerberos { com.sun.security.auth.module.Krb5LoginModule required useTicketCache=true; };
        Empty { };"#;

    #[test]
    fn a_section_gives_user_and_password() {
        let password = Secret("a \"b\" ü".into());
        assert_eq!(login(FILE, "Client"), Ok(Login { user: "bob".into(), password }));
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let error = |section: &str| login(FILE, section).unwrap_err();
        assert_eq!(error("Nobody"), "there is no section Nobody");
        assert_eq!(error("Empty"), "section Empty is empty");
        let kerberos = "section Kerberos has com.sun.security.auth.module.Krb5LoginModule: this \
                        shell has org.apache.zookeeper.server.auth.DigestLoginModule only";
        assert_eq!(error("Kerberos"), kerberos);
        let open = login("Client { a.B required", "Client").unwrap_err();
        assert_eq!(open, "section Client does not end with };");
        let quote = login("Client { a.B required x=\"y", "Client").unwrap_err();
        assert_eq!(quote, "a quote is not closed");
        let user = format!("Client {{ {DIGEST} required username=a; }};");
        assert_eq!(login(&user, "Client").unwrap_err(), "section Client has no password");
    }
}
