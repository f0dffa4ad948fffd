//! Where a leader can be broken on purpose: see `crate::broken`. Without the feature `canaries`
//! none of it can be.

use crate::peer::Core;

macro_rules! canaries {
    ($($(#[$doc:meta])* $function:ident $variant:ident;)*) => {
        $(
            $(#[$doc])*
            #[cfg(feature = "canaries")]
            pub(super) fn $function(core: &Core) -> bool {
                core.settings.is_broken(crate::broken::Break::$variant)
            }

            #[cfg(not(feature = "canaries"))]
            pub(super) fn $function(_core: &Core) -> bool {
                false
            }
        )*
    };
}

canaries! {
    /// Its own ack of a proposal does not wait for its disk.
    acks_before_sync AckBeforeSync;
    /// One ack is enough.
    commits_alone CommitWithoutQuorum;
    /// A learner before UPTODATE is not told what is committed.
    keeps_commits_from_newcomers UpToDateMissesCommit;
    /// A learner's log is cut to the end of the epoch before its last record.
    truncates_across_epochs TruncAcrossEpochs;
    /// A learner with more than this peer is no reason to give up.
    leads_with_less StaleVoteAccepted;
}
