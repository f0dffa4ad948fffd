//! `connection_throttle_*`: connect requests draw tokens from a bucket that fills with time, and
//! some are dropped at random while it is empty too often.
//!
//! What it keeps true: every decision is Apache's for the same time and the same chance. Time and
//! the seed of chance are arguments.
//!
//! What it leaves to others: closing the connections that are not let in (`run`).

/// The settings, checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenSettings {
    /// The size of the bucket.
    pub tokens_max: i64,
    /// How often tokens are added, milliseconds; above 0.
    pub fill_time_ms: u64,
    /// How many are added each time.
    pub fill_count: i64,
    /// The random part; `None` where nothing is left to chance.
    pub drops: Option<DropSettings>,
    /// What a new session costs.
    pub new_session_cost: i64,
    /// What a session costs that comes back.
    pub renewed_session_cost: i64,
}

/// The random part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropSettings {
    /// How often the probability is adjusted, milliseconds.
    pub freeze_time_ms: u64,
    /// By how much it grows when the bucket is empty.
    pub increase: f64,
    /// By how much it shrinks when the bucket is full enough.
    pub decrease: f64,
    /// Up to which part of the bucket may be missing for that.
    pub decrease_ratio: f64,
}

/// Who asks for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Newcomer {
    NewSession,
    RenewedSession,
}

/// The bucket.
#[derive(Debug)]
pub(crate) struct Tokens {
    settings: Option<TokenSettings>,
    tokens: i64,
    filled_ms: u64,
    adjusted_ms: u64,
    drop_probability: f64,
    chance: u64,
}

impl Tokens {
    /// A full bucket; `None` lets everybody in.
    pub(crate) fn new(settings: Option<TokenSettings>, now_ms: u64, seed: u64) -> Tokens {
        let tokens = settings.map_or(0, |settings| settings.tokens_max);
        let (filled_ms, adjusted_ms) = (now_ms, now_ms);
        Tokens { settings, tokens, filled_ms, adjusted_ms, drop_probability: 0.0, chance: seed }
    }

    /// Whether one more connection is let in.
    pub(crate) fn admit(&mut self, now_ms: u64, who: Newcomer) -> bool {
        let Some(settings) = self.settings else { return true };
        self.fill(settings, now_ms);
        if settings.drops.is_some_and(|drops| self.drops(settings, drops, now_ms)) {
            return false;
        }
        let cost = match who {
            Newcomer::NewSession => settings.new_session_cost,
            Newcomer::RenewedSession => settings.renewed_session_cost,
        };
        let enough = self.tokens >= cost;
        if enough {
            self.tokens -= cost;
        }
        enough
    }

    fn fill(&mut self, settings: TokenSettings, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.filled_ms);
        if passed_ms > settings.fill_time_ms {
            let passed = i64::try_from(passed_ms).unwrap_or(i64::MAX);
            let every = i64::try_from(settings.fill_time_ms).unwrap_or(i64::MAX);
            let more = passed.saturating_mul(settings.fill_count) / every.max(1);
            self.tokens = self.tokens.saturating_add(more).min(settings.tokens_max);
            self.filled_ms = now_ms;
        }
    }

    fn drops(&mut self, settings: TokenSettings, drops: DropSettings, now_ms: u64) -> bool {
        if now_ms.saturating_sub(self.adjusted_ms) > drops.freeze_time_ms {
            let missing = settings.tokens_max - self.tokens;
            #[expect(clippy::cast_precision_loss, reason = "a bucket is far below 2^52")]
            let near =
                missing as f64 <= (settings.tokens_max as f64 * drops.decrease_ratio).round();
            let probability = self.drop_probability;
            if self.tokens == 0 && probability < 1.0 {
                self.drop_probability = (probability + drops.increase).min(1.0);
            } else if near && probability > 0.0 {
                self.drop_probability = (probability - drops.decrease).max(0.0);
            }
            self.adjusted_ms = now_ms;
        }
        self.next_chance() < self.drop_probability
    }

    /// The next of a sequence of numbers from 0 up to 1 (`SplitMix64`).
    fn next_chance(&mut self) -> f64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.chance;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        let high = u32::try_from(bits >> 32).expect("32 bits are left");
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }

    /// How many tokens are missing.
    pub(crate) fn deficit(&self) -> u64 {
        let max = self.settings.map_or(0, |settings| settings.tokens_max);
        u64::try_from(max - self.tokens).unwrap_or(0)
    }

    /// How likely the next connection is dropped whatever is in the bucket.
    pub(crate) fn drop_probability(&self) -> f64 {
        self.drop_probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: TokenSettings = TokenSettings {
        tokens_max: 3,
        fill_time_ms: 10,
        fill_count: 2,
        drops: None,
        new_session_cost: 1,
        renewed_session_cost: 2,
    };

    fn bucket(settings: TokenSettings) -> Tokens {
        Tokens::new(Some(settings), 1000, 7)
    }

    #[track_caller]
    fn check(bucket: &mut Tokens, now_ms: u64, expected: &[bool]) {
        let admitted: Vec<bool> =
            expected.iter().map(|_| bucket.admit(now_ms, Newcomer::NewSession)).collect();
        assert_eq!(admitted, expected, "at {now_ms}");
    }

    #[test]
    fn without_settings_everybody_is_let_in() {
        let mut off = Tokens::new(None, 0, 1);
        assert!((0..1000).all(|ms| off.admit(ms, Newcomer::NewSession)));
        assert_eq!((off.deficit(), off.drop_probability()), (0, 0.0));
    }

    #[test]
    fn a_bucket_empties_and_fills_with_time() {
        let mut bucket = bucket(PLAIN);
        check(&mut bucket, 1000, &[true, true, true, false]);
        assert_eq!(bucket.deficit(), 3);
        // Exactly one interval is not over yet.
        check(&mut bucket, 1010, &[false]);
        // 11 ms at 2 per 10 ms are 2.
        check(&mut bucket, 1011, &[true, true, false]);
        check(&mut bucket, 99_999, &[true, true, true, false]);
    }

    #[test]
    fn a_session_that_comes_back_has_its_own_price() {
        let mut bucket = bucket(PLAIN);
        assert!(bucket.admit(1000, Newcomer::RenewedSession));
        assert!(!bucket.admit(1000, Newcomer::RenewedSession), "one token is left");
        assert!(bucket.admit(1000, Newcomer::NewSession));
    }

    #[test]
    fn an_empty_bucket_makes_drops_likelier_and_a_full_one_rarer() {
        let drops =
            DropSettings { freeze_time_ms: 5, increase: 0.75, decrease: 0.5, decrease_ratio: 0.0 };
        let mut bucket = bucket(TokenSettings { fill_time_ms: 50, drops: Some(drops), ..PLAIN });
        check(&mut bucket, 1001, &[true, true, true]);
        bucket.admit(1006, Newcomer::NewSession);
        assert_eq!(bucket.drop_probability(), 0.75, "it was empty");
        bucket.admit(1011, Newcomer::NewSession);
        assert_eq!(bucket.drop_probability(), 0.75, "5 ms are not over");
        bucket.admit(1012, Newcomer::NewSession);
        assert_eq!(bucket.drop_probability(), 1.0, "at most 1");
        // It is full again, but its luck has run out all the same.
        assert!(!bucket.admit(5000, Newcomer::NewSession) || bucket.drop_probability() < 1.0);
        assert_eq!(bucket.drop_probability(), 0.5);
    }

    #[test]
    fn chance_follows_the_probability() {
        let mut bucket = bucket(PLAIN);
        let below = (0..10_000).filter(|_| bucket.next_chance() < 0.25).count();
        assert!((2_300..2_700).contains(&below), "{below}");
    }
}
