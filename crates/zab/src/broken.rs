//! Peers that are broken on purpose, to see a checker notice it. Production builds have none of
//! this: the feature `canaries` brings it in.

macro_rules! breaks {
    ($($(#[$doc:meta])* $variant:ident $name:literal;)*) => {
        /// A way in which a peer can be broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Break { $($(#[$doc])* $variant,)* }

        impl Break {
            /// All of them.
            pub const ALL: &'static [Break] = &[$(Break::$variant,)*];

            /// What a command line calls it.
            pub fn name(self) -> &'static str {
                match self { $(Break::$variant => $name,)* }
            }
        }
    };
}

breaks! {
    /// A follower acknowledges a proposal when it hands it to the disk.
    AckBeforeSync "zab-ack-before-sync";
    /// `currentEpoch` is saved at NEWLEADER before the records of the synchronisation are durable.
    CurrentEpochBeforeSync "zab-current-epoch-before-sync";
    /// ACKEPOCH leaves before `acceptedEpoch` is saved.
    AcceptedEpochAfterAckEpoch "zab-accepted-epoch-after-ack-epoch";
    /// A leader truncates a learner's log across the end of an epoch.
    TruncAcrossEpochs "zab-trunc-across-epochs";
    /// A leader commits what it alone has.
    CommitWithoutQuorum "zab-commit-without-quorum";
    /// A completion of an append counts though the log was cut behind it.
    CompletionOfTruncatedAppend "zab-completion-of-truncated-append";
    /// UPTODATE stands for less than what is committed when it comes.
    UpToDateMissesCommit "zab-up-to-date-misses-commit";
    /// A vote for a stale history is accepted, in an election and by the leader that it makes.
    StaleVoteAccepted "zab-stale-vote-accepted";
    /// An observer goes on behind a gap.
    ObserverSkipsGap "zab-observer-skips-gap";
}
