//! Ensembles that are broken on purpose: each must be found out by a checker.
//!
//! What is broken in the protocol is broken in `zab`, which brings it in with the feature
//! `canaries`; what stands here is broken around it, in the shell that performs effects.

macro_rules! breaks {
    ($($(#[$doc:meta])* $variant:ident $name:literal;)*) => {
        /// A way in which the shell of a member is broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ShellBreak { $($(#[$doc])* $variant,)* }

        impl ShellBreak {
            /// All of them.
            pub const ALL: &'static [ShellBreak] = &[$(ShellBreak::$variant,)*];

            fn name(self) -> &'static str {
                match self { $(ShellBreak::$variant => $name,)* }
            }
        }
    };
}

breaks! {
    /// The log is reported durable when it is written, and synced with the next batch.
    DurableBeforeSync "shell-durable-before-sync";
    /// The log is cut, and the tree stays as it is: nodes of what was taken back, ephemeral ones
    /// among them, belong to nobody.
    EphemeralLeakAfterAbortedSync "shell-ephemeral-leak-after-aborted-sync";
}

/// A way in which a member is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// In its shell.
    Shell(ShellBreak),
    /// In the protocol.
    #[cfg(any(test, feature = "canaries"))]
    Zab(bellwether_zab::Break),
    /// In its store.
    #[cfg(any(test, feature = "canaries"))]
    Store(bellwether_store::Break),
}

impl Break {
    /// All of them that this build has.
    pub fn all() -> Vec<Break> {
        let mut all: Vec<Break> = ShellBreak::ALL.iter().copied().map(Break::Shell).collect();
        all.extend(Break::inside());
        all
    }

    #[cfg(any(test, feature = "canaries"))]
    fn inside() -> Vec<Break> {
        bellwether_zab::Break::ALL.iter().copied().map(Break::Zab).collect()
    }

    #[cfg(not(any(test, feature = "canaries")))]
    fn inside() -> Vec<Break> {
        Vec::new()
    }

    /// Whether the shell must not wait for the log either, or it would mend what is broken in the
    /// protocol: what it is asked later is done later.
    #[cfg(any(test, feature = "canaries"))]
    pub(super) fn saves_current_epoch_first(self) -> bool {
        self == Break::Zab(bellwether_zab::Break::CurrentEpochBeforeSync)
    }

    #[cfg(not(any(test, feature = "canaries")))]
    pub(super) fn saves_current_epoch_first(self) -> bool {
        false
    }

    /// What `--break` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Break::Shell(how) => how.name(),
            #[cfg(any(test, feature = "canaries"))]
            Break::Zab(how) => how.name(),
            #[cfg(any(test, feature = "canaries"))]
            Break::Store(_) => "store",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Break> {
        Break::all().into_iter().find(|how| how.name() == name)
    }
}
