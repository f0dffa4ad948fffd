//! What is looked at while a server is killed: members, trees, settings and services. In the end
//! everybody sees what is there.

use super::{Desk, Log, Turn, pause, seen, whatever};
use crate::{Checked, Failed, equal, holds};
use bellwether_client::recipes::{
    Group, Health, Instance, MemberChange, Reading, Registry, Setting, Snapshot, Subtree,
};
use bellwether_client::{Client, Create, CreateMode, Data, ErrorCode, Fate, Multi};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

const ONLOOKERS: usize = 2;

/// What each of those that look on saw last.
type Views<T> = Rc<[RefCell<T>; ONLOOKERS]>;

fn view<T>(views: &Views<T>, number: usize) -> Result<&RefCell<T>, Failed> {
    views.get(number).ok_or_else(|| "nobody has this number".into())
}

fn all_see<T: PartialEq>(views: &Views<T>, expected: &T) -> bool {
    views.iter().all(|view| *view.borrow() == *expected)
}

/// A member is listed while it is one; the changes lead from what was there to what is.
pub(super) async fn group(desk: Desk) -> Checked {
    let views: Views<BTreeSet<String>> = Rc::default();
    let (path, views_of) = (desk.path().to_owned(), views.clone());
    let mut onlookers = desk.onlookers(ONLOOKERS, async move |client, number| {
        let mut watch = Group::new(client, &path).watch().await?;
        let there = view(&views_of, number)?;
        there.borrow_mut().clear();
        loop {
            let change = watch.next().await?;
            let mut there = there.borrow_mut();
            let fits = match &change {
                MemberChange::Joined(member) => there.insert(member.name.to_string()),
                MemberChange::Updated(member) => there.contains(&*member.name),
                MemberChange::Left(member) => there.remove(&*member.name),
            };
            holds(&format!("{change:?} does not fit {there:?}"), fits)?;
        }
    });
    let desk_of = desk.clone();
    let turn = async move |client: &Client, turn: Turn| {
        let group = Group::new(client, desk_of.path());
        let mut membership = group.join(b"0").await?;
        let members = group.members().await?;
        let listed = members.iter().any(|member| *member.name == *membership.name());
        holds("a member is listed", listed)?;
        membership.update(b"1").await?;
        pause(2).await;
        if turn.number.is_multiple_of(2) {
            membership.leave().await?;
        } else {
            drop(membership);
        }
        desk_of.step();
        Ok(())
    };
    desk.crew(3, turn).await?;
    let client = desk.client(0).await?;
    let last = Group::new(&client, desk.path()).join(b"the last").await?;
    let expected = BTreeSet::from([last.name().to_owned()]);
    seen(&mut onlookers, "all see who is there", || all_see(&views, &expected)).await
}

/// Two nodes are written together, so a settled snapshot never shows one without the other.
pub(super) async fn subtree(desk: Desk) -> Checked {
    let client = desk.client(0).await?;
    let pair = [format!("{}/left", desk.path()), format!("{}/right", desk.path())];
    client.retrying().ensure_path(desk.path()).await?;
    for path in &pair {
        client.retrying().create(Create::new(path, CreateMode::Persistent)).await?;
    }
    let views: Views<Nodes> = Rc::default();
    let (path, views_of, both) = (desk.path().to_owned(), views.clone(), pair.clone());
    let mut onlookers = desk.onlookers(ONLOOKERS, async move |client, number| {
        let subtree = Subtree::open(client, &path).await?;
        let mut watch = subtree.watch();
        loop {
            let (_, snapshot) = watch.next().await?;
            let [left, right] = both.each_ref().map(|path| snapshot.get(path));
            let [left, right] = [left, right].map(|node| node.map(|node| node.data.clone()));
            if snapshot.is_settled() {
                equal("what was written together", left, right)?;
            }
            view(&views_of, number)?.replace(nodes(&snapshot));
        }
    });
    let desk_of = desk.clone();
    let turn = async move |client: &Client, Turn { worker, number }: Turn| {
        let data = format!("{worker} {number}");
        let [left, right] = &pair;
        let both = Multi::new().set_data(left, data.as_bytes(), None);
        let other = format!("{}/node-{}", desk_of.path(), number % 5);
        whatever(client.multi(both.set_data(right, data.as_bytes(), None)).await)?;
        if (worker + number).is_multiple_of(2) {
            whatever(client.create(Create::new(&other, CreateMode::Persistent)).await)?;
        } else {
            whatever(client.delete(&other, None).await)?;
        }
        pause(1).await;
        desk_of.step();
        Ok(())
    };
    desk.crew(2, turn).await?;
    client.retrying().sync(desk.path()).await?;
    let mut expected = Nodes::new();
    let mut paths = vec![desk.path().to_owned()];
    for name in client.retrying().get_children(desk.path()).await? {
        paths.push(format!("{}/{name}", desk.path()));
    }
    for path in paths {
        let (data, stat) = client.retrying().get_data(&path).await?;
        expected.insert(path, (stat.mzxid.0, data.unwrap_or_default()));
    }
    seen(&mut onlookers, "all see the tree", || all_see(&views, &expected)).await
}

type Nodes = BTreeMap<String, (i64, Data)>;

fn nodes(snapshot: &Snapshot) -> Nodes {
    let node = |(path, node): (&str, &bellwether_client::recipes::Node)| {
        (path.to_owned(), (node.stat.mzxid.0, node.data.clone()))
    };
    snapshot.iter().map(node).collect()
}

/// What a setter was told of a value.
#[derive(Clone, Debug)]
enum Told {
    Version(i32),
    Denied,
}

/// Each version has one value, which its setter knows, and none is left out.
pub(super) async fn setting(desk: Desk) -> Checked {
    const KEPT: usize = 100_000;
    let views: Views<Option<Reading<String>>> = Rc::default();
    let (path, views_of) = (desk.path().to_owned(), views.clone());
    let mut onlookers = desk.onlookers(ONLOOKERS, async move |client, number| {
        let setting: Setting<String> = Setting::new(client, &path);
        let mut watch = setting.watch();
        loop {
            let next = watch.next().await?;
            view(&views_of, number)?.replace(next);
        }
    });
    let log = Log::new();
    let (desk_of, log_of) = (desk.clone(), log.clone());
    let turn = async move |client: &Client, Turn { worker, number }: Turn| {
        let setting: Setting<String> = Setting::new(client, desk_of.path()).keep(KEPT);
        let value = format!("{worker} {number} {:x}", client.session_id().0);
        let set = match setting.get().await? {
            Some(reading) if number.is_multiple_of(2) => {
                setting.set_if(&value, reading.version).await
            }
            Some(_) | None => setting.set(&value).await,
        };
        match &set {
            Ok(version) => {
                log_of.note((value, Told::Version(*version)));
                desk_of.step();
            }
            Err(error) if error.fate() == Fate::DidNotHappen => log_of.note((value, Told::Denied)),
            Err(_) => {} // Nobody can tell.
        }
        pause(5).await;
        Ok(whatever(set)?)
    };
    desk.crew(3, turn).await?;
    let client = desk.client(0).await?;
    client.retrying().sync(desk.path()).await?;
    let setting: Setting<String> = Setting::new(&client, desk.path()).keep(KEPT);
    let last = setting.get().await?;
    let all = setting.earlier().await?.into_iter().chain(last.clone());
    let values = all.map(|reading| Ok((reading.version, reading.value?)));
    let values: BTreeMap<i32, String> =
        values.collect::<Result<_, Box<str>>>().map_err(String::from)?;
    judge_setting(&values, log.take())?;
    seen(&mut onlookers, "all see the value", || all_see(&views, &last)).await
}

fn judge_setting(values: &BTreeMap<i32, String>, record: Vec<(String, Told)>) -> Checked {
    holds("a version is missing", values.keys().zip(0..).all(|(version, at)| *version == at))?;
    for (value, told) in record {
        match told {
            Told::Version(version) => {
                equal(&format!("version {version}"), values.get(&version), Some(&value))?;
            }
            Told::Denied => {
                holds(&format!("{value} was set"), values.values().all(|it| *it != value))?;
            }
        }
    }
    Ok(())
}

/// Whoever discovers sees at last who is registered, and chooses nobody who is not up.
pub(super) async fn registry(desk: Desk) -> Checked {
    const SERVICE: &str = "orders";
    let views: Views<Vec<Instance>> = Rc::default();
    let (path, views_of) = (desk.path().to_owned(), views.clone());
    let mut onlookers = desk.onlookers(ONLOOKERS, async move |client, number| {
        let mut discovery = Registry::new(client, &path).discover(SERVICE).await?;
        loop {
            let instances = discovery.changed().await?;
            if let Some(choice) = discovery.choose() {
                equal("the health of whom it chooses", choice.instance.health, Health::Up)?;
            }
            view(&views_of, number)?.replace(instances);
        }
    });
    let ids = Rc::new(std::cell::Cell::new(0_usize));
    let desk_of = desk.clone();
    let turn = async move |client: &Client, turn: Turn| {
        ids.set(ids.get() + 1);
        let instance = |port| Instance::new(&format!("i{}", ids.get()), "127.0.0.1", port);
        let (mine, another) = (instance(80), instance(81));
        let registry = Registry::new(client, desk_of.path());
        let mut registration = registry.register(SERVICE, mine).await?;
        match registry.register(SERVICE, another).await {
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Err("two have one id".into()),
        }
        registration.set_health(Health::Draining).await?;
        pause(2).await;
        if turn.number.is_multiple_of(2) {
            registration.unregister().await?;
        } else {
            drop(registration);
        }
        desk_of.step();
        Ok(())
    };
    desk.crew(3, turn).await?;
    let client = desk.client(0).await?;
    let last = Instance::new("the last", "127.0.0.1", 80);
    let registered = Registry::new(&client, desk.path()).register(SERVICE, last).await?;
    let expected = vec![registered.instance().clone()];
    seen(&mut onlookers, "all see who is registered", || all_see(&views, &expected)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lost_or_denied_and_set_is_found_out() {
        let values = |all: &[(i32, &str)]| -> BTreeMap<i32, String> {
            all.iter().map(|(version, value)| (*version, (*value).to_owned())).collect()
        };
        let told = || vec![("a".to_owned(), Told::Version(0)), ("c".to_owned(), Told::Denied)];
        assert!(judge_setting(&values(&[(0, "a"), (1, "b")]), told()).is_ok());
        assert!(judge_setting(&values(&[(0, "a"), (2, "b")]), told()).is_err(), "one is missing");
        assert!(judge_setting(&values(&[(0, "x"), (1, "b")]), told()).is_err(), "another's value");
        assert!(judge_setting(&values(&[(0, "a"), (1, "c")]), told()).is_err(), "it was denied");
    }
}
