//! Seeded numbers, without a crate: the committed file must not change when a crate does.

/// SplitMix64, see <https://prng.di.unimi.it/splitmix64.c>.
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0, below `end`, which is above 0; slightly skewed, which does not matter here.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True once in so many times.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// One of these values, as often as its weight says.
    pub(crate) fn weighted<T: Copy>(&mut self, of: &[(usize, T)]) -> T {
        let total = of.iter().map(|(weight, _)| weight).sum();
        let mut point = self.below(total);
        for (weight, value) in of {
            if point < *weight {
                return *value;
            }
            point -= weight;
        }
        of[0].1
    }

    /// A place from 0, below `end`, with Zipf's law: place n is taken 1/(n+1) as often as place 0.
    ///
    /// In whole numbers, so that no platform's rounding changes the file.
    pub(crate) fn zipf(&mut self, end: usize) -> usize {
        const SCALE: usize = 1_000_000;
        let total = (1..=end).map(|rank| SCALE / rank).sum();
        let mut point = self.below(total);
        for rank in 1..=end {
            let weight = SCALE / rank;
            if point < weight {
                return rank - 1;
            }
            point -= weight;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_algorithm() {
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn the_first_place_is_taken_ten_times_as_often_as_the_tenth() {
        let mut random = Random::new(1);
        let mut taken = [0_usize; 100];
        for _ in 0..200_000 {
            taken[random.zipf(100)] += 1;
        }
        let ratio = taken[0] * 10 / taken[9];
        assert!((90..=110).contains(&ratio), "{ratio}");
    }
}
