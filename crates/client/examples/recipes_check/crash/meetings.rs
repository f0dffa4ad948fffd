//! Barriers and double barriers while a server is killed.

use super::judges::{Gate, Party, all_enter_and_leave_together, nobody_passes_while_it_is_up};
use super::{Desk, Log, Turn, pause};
use crate::Checked;
use bellwether_client::Client;
use bellwether_client::recipes::{Barrier, DoubleBarrier};

/// One raises and lowers it, three wait.
pub(super) async fn barrier(desk: Desk) -> Checked {
    let log = Log::new();
    let (desk_of, log_of) = (desk.clone(), log.clone());
    let keeper = async move |client: &Client, _| {
        let barrier = Barrier::new(client, desk_of.path());
        barrier.raise().await?;
        log_of.note(Gate::Raised);
        pause(10).await;
        log_of.note(Gate::Lowers);
        barrier.lower().await?;
        pause(2).await;
        desk_of.step();
        Ok(())
    };
    let (desk_of, log_of) = (desk.clone(), log.clone());
    let waiter = async move |client: &Client, _| {
        let since = log_of.len();
        let barrier = Barrier::new(client, desk_of.path());
        if let Some(passed) = desk_of.unless_over(barrier.wait()).await {
            passed?;
            log_of.note(Gate::Passed { since });
            pause(3).await;
        }
        Ok(())
    };
    tokio::try_join!(desk.crew(1, keeper), desk.crew(3, waiter))?;
    nobody_passes_while_it_is_up(&log.take())
}

/// All that there are have to come.
pub(super) async fn double_barrier(desk: Desk) -> Checked {
    const TOGETHER: usize = 3;
    let log = Log::new();
    let (desk_of, log_of) = (desk.clone(), log.clone());
    let turn = async move |client: &Client, turn: Turn| {
        let note = |party| log_of.note((turn.worker, party));
        // They come and go one after the other, so that some would not wait if they need not.
        let after = 3 * u64::try_from(turn.worker)?;
        pause(after).await;
        let barrier = DoubleBarrier::new(client, desk_of.path());
        let meet = async {
            note(Party::Asks);
            let inside = barrier.enter(TOGETHER).await?;
            note(Party::In);
            pause(after).await;
            note(Party::Leaves);
            inside.leave().await
        };
        match desk_of.unless_over(meet).await {
            Some(Ok(())) => note(Party::Out),
            Some(Err(error)) => {
                note(Party::Gone);
                return Err(error.into());
            }
            None => return Ok(()),
        }
        desk_of.step();
        Ok(())
    };
    desk.crew(TOGETHER, turn).await?;
    all_enter_and_leave_together::<TOGETHER>(&log.take())
}
