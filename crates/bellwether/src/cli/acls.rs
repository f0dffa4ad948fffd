//! The commands on identities and access control lists: `addauth`, `whoami`, `getAcl`, `setAcl`.

use super::failure::Failed;
use super::nodes::{path, version};
use super::shell::Shell;
use super::words::Words;
use super::{format, json, walk};
use bellwether_client::{Acl, ErrorCode, Perms};
use serde_json::{Value, json};

/// Letters as permissions.
pub(super) fn parse_perms(letters: &str) -> Result<Perms, Failed> {
    letters.chars().try_fold(Perms(0), |perms, letter| {
        let known = Perms::LETTERS.iter().find(|(known, _)| *known == letter);
        let unknown = || Failed::usage(format!("Unknown perm type: {letter}"));
        known.map(|(_, perm)| perms.or(*perm)).ok_or_else(unknown)
    })
}

/// `scheme:id:perms`, several with commas between them. The id may itself have colons.
pub(super) fn parse(text: &str) -> Result<Vec<Acl>, Failed> {
    let entry = |entry: &str| {
        let wrong = || Failed::usage(format!("{entry} does not have the form scheme:id:perm"));
        let (scheme, rest) = entry.split_once(':').ok_or_else(wrong)?;
        let (id, letters) = rest.rsplit_once(':').ok_or_else(wrong)?;
        Ok(Acl { perms: parse_perms(letters)?, scheme: scheme.into(), id: id.into() })
    };
    text.split(',').map(entry).collect()
}

pub(super) async fn addauth(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let scheme = words.arg(0).expect("the row asks for a scheme");
    let auth = words.arg(1).unwrap_or_default();
    shell.client()?.add_auth(scheme, auth.as_bytes()).await?;
    shell.out.value(&json!({ "added": scheme }));
    Ok(())
}

pub(super) async fn whoami(shell: &mut Shell, _: &Words) -> Result<(), Failed> {
    let infos = shell.client()?.whoami().await?;
    let values = infos.iter().map(|info| json!({ "scheme": &*info.scheme, "user": &*info.user }));
    shell.out.value(&Value::Array(values.collect()));
    shell.out.text("Auth scheme: User");
    for info in infos {
        shell.out.text(format_args!("{}: {}", info.scheme, info.user));
    }
    Ok(())
}

pub(super) async fn get_acl(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let (acl, stat) = shell.client()?.get_acl(path(words)).await?;
    let (values, stat_value) = (json::acl(&acl), json::stat(&stat));
    shell.out.value(&json!({ "path": path(words), "acl": values, "stat": stat_value }));
    for entry in acl {
        // zkCli prints an identity as Jute's text of a record, which ends its line.
        let (scheme, id) = (&entry.scheme, &entry.id);
        shell.out.text(format_args!("'{scheme},'{id}\n: {}", entry.perms));
    }
    if words.has("s") {
        shell.out.text(format::stat(&stat));
    }
    Ok(())
}

pub(super) async fn set_acl(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let acl = parse(words.arg(1).expect("the row asks for an acl"))?;
    let version = version(words)?;
    let client = shell.client()?;
    if words.has("R") {
        return set_acl_below(shell, path(words), &acl, version).await;
    }
    let stat = client.set_acl(path(words), acl, version).await?;
    shell.out.value(&json!({ "path": path(words), "stat": json::stat(&stat) }));
    if words.has("s") {
        shell.out.text(format::stat(&stat));
    }
    Ok(())
}

async fn set_acl_below(
    shell: &Shell,
    top: &str,
    acl: &[Acl],
    version: Option<i32>,
) -> Result<(), Failed> {
    let client = shell.client()?;
    let mut below = walk::Below::new(&client, top);
    let (mut count, mut refused) = (0, 0);
    while let Some(step) = below.next().await? {
        for path in step.paths {
            match client.set_acl(&path, acl.to_vec(), version).await {
                Ok(_) => count += 1,
                Err(error) if error.code() == Some(ErrorCode::NoNode) && path != top => {}
                Err(error) if error.code().is_some() => {
                    refused += 1;
                    shell.out.note(&Failed::from(error).text);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    shell.out.value(&json!({ "path": top, "set": count, "refused": refused }));
    match refused {
        0 => Ok(()),
        _ => Err(Failed::local(format!("{refused} of {} nodes were refused", count + refused))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acl_is_read_and_shown() {
        let acl = parse("digest:u:h=:rw,world:anyone:cdrwa").expect("it is one");
        let digest = Acl { perms: Perms(3), scheme: "digest".into(), id: "u:h=".into() };
        assert_eq!(acl, [digest, Acl::world_all()]);
        assert_eq!(Perms(3).to_string(), "rw");
        assert_eq!(Perms::ALL.to_string(), "cdrwa");
    }

    #[test]
    fn a_wrong_entry_refuses_the_whole_list() {
        let text = |text| parse(text).unwrap_err().text;
        assert_eq!(text("world:anyone:r,x"), "x does not have the form scheme:id:perm");
        assert_eq!(text("world:anyone"), "world:anyone does not have the form scheme:id:perm");
        assert_eq!(text("world:anyone:rx"), "Unknown perm type: x");
    }
}
