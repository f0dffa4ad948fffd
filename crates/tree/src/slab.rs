//! A slab: values under small stable ids, in pages of a fixed size.
//!
//! A page never moves, so growing costs the allocation of one page, however many values there are
//! (a vector of two million nodes would copy all of them). A freed id is given out again.

/// How many values a page holds.
const PAGE_LEN: usize = 1024;
/// The end of the list of free slots.
const NONE: u32 = u32::MAX;

enum Slot<T> {
    Used(T),
    Free { next: u32 },
}

/// Values of one type under ids.
///
/// Invariant: every free slot is in the list that starts at `free`, and `len` counts the others.
pub(crate) struct Slab<T> {
    pages: Vec<Vec<Slot<T>>>,
    free: u32,
    len: u32,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Slab<T> {
        Slab { pages: Vec::new(), free: NONE, len: 0 }
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        if self.free != NONE {
            let id = self.free;
            let slot = self.slot_mut(id).expect("the free list holds slots that exist");
            let freed = std::mem::replace(slot, Slot::Used(value));
            self.free = match freed {
                Slot::Free { next } => next,
                Slot::Used(_) => unreachable!("the free list holds free slots"),
            };
            return id;
        }
        if self.pages.last().is_none_or(|page| page.len() == PAGE_LEN) {
            self.pages.push(Vec::with_capacity(PAGE_LEN));
        }
        let pages = self.pages.len();
        let page = self.pages.last_mut().expect("a page was just made sure of");
        let id = (pages - 1) * PAGE_LEN + page.len();
        page.push(Slot::Used(value));
        u32::try_from(id).expect("memory ends long before 2^32 values")
    }

    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        let (page, slot) = place(id);
        match self.pages.get(page)?.get(slot)? {
            Slot::Used(value) => Some(value),
            Slot::Free { .. } => None,
        }
    }

    /// Whether ids from `id` on may be in use; each has to be asked for.
    pub(crate) fn reaches(&self, id: u32) -> bool {
        let (page, slot) = place(id);
        page + 1 < self.pages.len() || self.pages.get(page).is_some_and(|page| slot < page.len())
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        match self.slot_mut(id)? {
            Slot::Used(value) => Some(value),
            Slot::Free { .. } => None,
        }
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let next = self.free;
        let slot = self.slot_mut(id)?;
        if matches!(slot, Slot::Free { .. }) {
            return None;
        }
        let removed = std::mem::replace(slot, Slot::Free { next });
        self.free = id;
        self.len -= 1;
        match removed {
            Slot::Used(value) => Some(value),
            Slot::Free { .. } => unreachable!("the slot was just seen to be used"),
        }
    }

    fn slot_mut(&mut self, id: u32) -> Option<&mut Slot<T>> {
        let (page, slot) = place(id);
        self.pages.get_mut(page)?.get_mut(slot)
    }
}

fn place(id: u32) -> (usize, usize) {
    let id = id as usize;
    (id / PAGE_LEN, id % PAGE_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_given_out_again() {
        let mut slab = Slab::new();
        let ids: Vec<u32> = (0..3000).map(|n| slab.insert(n)).collect();
        assert_eq!(slab.remove(ids[7]), Some(7));
        assert_eq!(slab.remove(ids[7]), None);
        assert_eq!(slab.get(ids[7]), None);
        assert_eq!(slab.get(ids[2999]), Some(&2999));
        assert_eq!(slab.len(), 2999);
        assert_eq!(slab.insert(-1), ids[7]);
        assert_eq!(slab.insert(-2), 3000);
    }

    #[test]
    fn an_unknown_id_is_nobody() {
        assert_eq!(Slab::<u8>::new().get(5), None);
        assert_eq!(Slab::<u8>::new().remove(5), None);
    }
}
