//! What is followed: subtrees, groups, settings, services.

use super::{Bench, Check, Checked, Failed, equal, holds, until};
use bellwether_client::recipes::{
    Group, Health, Instance, MemberChange, NodeChange, Registry, Setting, Snapshot, Subtree,
};
use bellwether_client::{Client, Create, CreateMode};
use std::collections::BTreeMap;

pub(super) const CHECKS: &[Check] = &[
    ("subtree follows", |bench| Box::pin(subtree_follows(bench))),
    ("subtree before its root", |bench| Box::pin(subtree_before_its_root(bench))),
    ("subtree under many changes", |bench| Box::pin(subtree_under_many_changes(bench))),
    ("group", |bench| Box::pin(group(bench))),
    ("setting", |bench| Box::pin(setting(bench))),
    ("setting of another's making", |bench| Box::pin(setting_of_another(bench))),
    ("registry", |bench| Box::pin(registry(bench))),
    ("registry chooses", |bench| Box::pin(registry_chooses(bench))),
];

fn node(path: &str) -> Create {
    Create::new(path, CreateMode::Persistent)
}

async fn subtree_follows(bench: Bench) -> Checked {
    let client = bench.client().await?;
    let path = &bench.path;
    client.create(node(path).data(b"root")).await?;
    client.create(node(&format!("{path}/a"))).await?;
    let subtree = Subtree::open(&client, path).await?;
    holds("the first is settled", subtree.snapshot().is_settled())?;
    let mut watch = subtree.watch();
    let (changes, first) = watch.next().await?;
    equal("what is there at first", changes.len(), 2)?;
    equal("the root's data", first.get(path).map(|node| &*node.data), Some(b"root".as_slice()))?;
    client.create(node(&format!("{path}/a/b"))).await?;
    let (changes, _) = watch.next().await?;
    holds("added", matches!(changes.as_slice(), [NodeChange::Added { .. }]))?;
    client.set_data(path, b"other", None).await?;
    let (changes, _) = watch.next().await?;
    holds("changed", matches!(changes.as_slice(), [NodeChange::Changed { .. }]))?;
    client.delete(&format!("{path}/a/b"), None).await?;
    let (changes, last) = watch.next().await?;
    holds("removed", matches!(changes.as_slice(), [NodeChange::Removed { .. }]))?;
    let names: Vec<&str> = last.children(path).map(|(name, _)| name).collect();
    equal("the children at last", names, vec!["a"])
}

async fn subtree_before_its_root(bench: Bench) -> Checked {
    let client = bench.client().await?;
    let subtree = Subtree::open(&client, &bench.path).await?;
    holds("nothing is there", subtree.snapshot().is_empty())?;
    let mut watch = subtree.watch();
    client.create(node(&bench.path)).await?;
    let (changes, snapshot) = watch.next().await?;
    equal("the root comes", (changes.len(), snapshot.len()), (1, 1))
}

/// Every node as a client reads it.
async fn read_all(client: &Client, root: &str) -> Result<BTreeMap<String, i64>, Failed> {
    let (mut all, mut left) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(path) = left.pop() {
        let (_, stat) = client.get_data(&path).await?;
        all.insert(path.clone(), stat.mzxid.0);
        let names = client.get_children(&path).await?;
        left.extend(names.iter().map(|name| format!("{path}/{name}")));
    }
    Ok(all)
}

fn seen(snapshot: &Snapshot) -> BTreeMap<String, i64> {
    snapshot.iter().map(|(path, node)| (path.to_owned(), node.stat.mzxid.0)).collect()
}

async fn subtree_under_many_changes(bench: Bench) -> Checked {
    let (client, other) = (bench.client().await?, bench.client().await?);
    let root = bench.path.clone();
    client.create(node(&root)).await?;
    let subtree = Subtree::open(&client, &root).await?;
    for round in 0..400_u32 {
        let path = format!("{root}/n{}", round % 7);
        let below = format!("{path}/x{}", round % 3);
        match round % 5 {
            0 => drop(other.create(node(&path)).await),
            1 | 2 => drop(other.create(node(&below)).await),
            3 => drop(other.set_data(&path, &round.to_be_bytes(), None).await),
            _ => drop(other.delete(&below, None).await),
        }
    }
    let expected = read_all(&other, &root).await?;
    let mut watch = subtree.watch();
    while seen(&subtree.snapshot()) != expected {
        watch.next().await?;
    }
    holds("it is settled", subtree.snapshot().is_settled())
}

async fn group(bench: Bench) -> Checked {
    let (one, two) = (bench.client().await?, bench.client().await?);
    let group = Group::new(&one, &bench.path);
    equal("nobody is there", group.members().await?.len(), 0)?;
    let mut first = group.join(b"one").await?;
    let mut watch = group.watch().await?;
    let joined = watch.next().await?;
    let MemberChange::Joined(member) = joined else { return Err(format!("{joined:?}").into()) };
    equal("who joined", &*member.name, first.name())?;
    let second = Group::new(&two, &bench.path).join(b"two").await?;
    holds("another", matches!(watch.next().await?, MemberChange::Joined(_)))?;
    first.update(b"uno").await?;
    let updated = watch.next().await?;
    let MemberChange::Updated(member) = updated else { return Err(format!("{updated:?}").into()) };
    equal("what it says", &*member.data, b"uno".as_slice())?;
    let members = group.members().await?;
    let words: Vec<&[u8]> = members.iter().map(|member| &*member.data).collect();
    equal("members in the order of joining", words, vec![b"uno".as_slice(), b"two"])?;
    drop(second);
    holds("one left", matches!(watch.next().await?, MemberChange::Left(_)))?;
    two.close().await;
    equal("who is left", watch.members().len(), 1)?;
    first.leave().await?;
    holds("all left", matches!(watch.next().await?, MemberChange::Left(_)))
}

async fn setting(bench: Bench) -> Checked {
    let client = bench.client().await?;
    let setting: Setting<i64> = Setting::new(&client, &bench.path).keep(2);
    let mut watch = setting.watch();
    equal("not set", watch.next().await?, None)?;
    for value in [10, 20, 30, 40] {
        setting.set(&value).await?;
        let told_of = watch.next().await?.and_then(|reading| reading.value.ok());
        equal("what is told", told_of, Some(value))?;
    }
    let stale = setting.set_if(&99, 1).await;
    holds("an older version is refused", stale.is_err())?;
    let earlier = setting.earlier().await?;
    let values: Vec<_> = earlier.into_iter().map(|past| (past.version, past.value)).collect();
    equal("what is kept", values, vec![(2, Ok(30)), (1, Ok(20))])?;
    equal("rolled back", setting.roll_back().await?, 4)?;
    let now = setting.get().await?.ok_or("it is gone")?;
    equal("after it", (now.value, now.version), (Ok(30), 4))?;
    holds("what is not kept", setting.roll_back_to(0).await.is_err())
}

async fn setting_of_another(bench: Bench) -> Checked {
    let client = bench.client().await?;
    client.create(node(&bench.path).data(b"ten")).await?;
    let setting: Setting<i64> = Setting::new(&client, &bench.path);
    let found = setting.get().await?.ok_or("it is there")?;
    holds("it says what is wrong", found.value.is_err_and(|why| why.contains("\"ten\"")))?;
    equal("it can be set", setting.set(&10).await?, 1)
}

async fn registry(bench: Bench) -> Checked {
    let (one, two) = (bench.client().await?, bench.client().await?);
    let registry = Registry::new(&one, &bench.path);
    let mut discovery = Registry::new(&two, &bench.path).discover("orders").await?;
    holds("nobody to choose", discovery.choose().is_none())?;
    let instance = Instance::new("a", "127.0.0.1", 80);
    let mut first = registry.register("orders", instance.clone()).await?;
    holds("an id is one's own", registry.register("orders", instance).await.is_err())?;
    until(|| async { Ok(discovery.choose().map(drop)) }).await?;
    first.set_health(Health::Draining).await?;
    until(|| async { Ok(discovery.choose().is_none().then_some(())) }).await?;
    equal("it is listed all the same", discovery.instances().len(), 1)?;
    equal("services", registry.services().await?, vec!["orders".into()])?;
    discovery.changed().await?;
    drop(first);
    until(|| async { Ok(discovery.instances().is_empty().then_some(())) }).await
}

async fn registry_chooses(bench: Bench) -> Checked {
    let client = bench.client().await?;
    let registry = Registry::new(&client, &bench.path);
    let mut kept = Vec::new();
    for id in ["a", "b", "c"] {
        let instance = Instance::new(id, "127.0.0.1", 80);
        kept.push(registry.register("orders", instance).await?);
    }
    let discovery = registry.discover("orders").await?;
    let by_key = |key: u32| discovery.choose_for(&key.to_be_bytes()).map(|c| c.instance.id.clone());
    for key in 0..50 {
        equal("the same key, the same instance", by_key(key), by_key(key))?;
    }
    let busy: Vec<_> = (0..30).filter_map(|_| discovery.choose()).collect();
    for id in ["a", "b", "c"] {
        let count = busy.iter().filter(|choice| &*choice.instance.id == id).count();
        holds(&format!("{id} has {count} of 30"), (5..=15).contains(&count))?;
    }
    drop(busy);
    let failed = discovery.choose().ok_or("none to choose")?;
    let id = failed.instance.id.clone();
    failed.failed();
    for _ in 0..20 {
        let choice = discovery.choose().ok_or("none to choose")?;
        holds("one that failed is passed over", choice.instance.id != id)?;
    }
    Ok(())
}
