//! A tour of the client in one program: nodes, watches, a transaction, what a lost connection
//! leaves open, a lock and an election.
//!
//! ```text
//! cargo run -p bellwether-client --example tour -- 127.0.0.1:2181
//! ```

use bellwether_client::recipes::{Election, Lock};
use bellwether_client::{AddWatchMode, Change, Connector, Create, CreateMode, Error, Fate, Multi};
use std::time::Duration;

#[expect(clippy::print_stdout, reason = "it shows what happens")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let servers = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    let connector = Connector::new().session_timeout(Duration::from_secs(10));
    let client = connector.connect(&servers).await?;

    // Nodes. A name of our own, so that two tours at once do not meet.
    let home = format!("/tour-{}", client.unique_name());
    client.create(Create::new(&home, CreateMode::Persistent).data(b"hello")).await?;
    let (data, stat) = client.get_data(&home).await?;
    println!("{home} holds {} bytes, version {}", data.unwrap_or_default().len(), stat.version);

    // A watch is a value; dropping it removes the watch.
    let mut watch = client.add_watch(&home, AddWatchMode::PersistentRecursive).await?;
    let job = format!("{home}/job");
    client.create(Create::new(&job, CreateMode::Ephemeral)).await?;
    match watch.changed().await {
        Ok(Change::Event(event)) => println!("{:?} at {}", event.event, event.path),
        Ok(Change::Gap) => println!("events may be missing: read again"),
        Err(end) => println!("{end}"),
    }
    drop(watch);

    // Several writes, all or none.
    let both = Multi::new().set_data(&home, b"two", Some(stat.version)).delete(&job, None);
    println!("{} writes at once", client.multi(both).await?.len());

    // Errors say what became of a write; `retrying` finds out and goes on.
    if let Err(error) = client.set_data(&home, b"three", Some(stat.version)).await {
        let certain = error.fate() == Fate::DidNotHappen;
        println!("{error}; it certainly did not happen: {certain}");
    }
    client.retrying().set_data(&home, b"three", stat.version + 1).await?;

    // A lock, with a token that grows from holder to holder.
    let held = Lock::new(&client, &format!("{home}/lock")).acquire().await?;
    match held.check() {
        Ok(fence) => println!("the lock is held, token {fence}"),
        Err(lost) => println!("{lost}"),
    }
    held.release().await?;

    // An office.
    let office = Election::new(&client, &format!("{home}/leader")).campaign(b"me").await?;
    println!("elected: {}", office.check().is_ok());
    office.resign().await?;

    for name in ["lock", "leader"] {
        client.delete(&format!("{home}/{name}"), None).await?;
    }
    client.delete(&home, None).await?;
    client.close().await;
    Ok(())
}
