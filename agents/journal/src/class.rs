//! One byte for each data object of a file: what the filter made of its value. Asked and answered
//! once for each stored value, however many entries share it.

/// Data objects are larger than this, so that no two begin in the same block.
const BLOCK: u32 = 6;
/// Blocks per page: 256 KiB of a file.
const PAGE: usize = 4096;
/// Pages per file that may exist at a time: those of 256 MiB. Beyond it, all are forgotten, and
/// values are asked again.
const MOST_PAGES: usize = 1024;
/// Beyond 256 GiB nothing is remembered.
const LAST_PAGE: usize = 1 << 20;

#[derive(Default)]
pub(crate) struct Classes {
    pages: Vec<Option<Box<[u8; PAGE]>>>,
    used: usize,
}

impl Classes {
    /// Zero: not known.
    pub fn get(&self, offset: u64) -> u8 {
        let (page, block) = place(offset);
        match self.pages.get(page) {
            Some(Some(page)) => page[block],
            _ => 0,
        }
    }

    pub fn set(&mut self, offset: u64, class: u8) {
        let (page, block) = place(offset);
        if page > LAST_PAGE {
            return;
        }
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        if self.pages[page].is_none() {
            if self.used == MOST_PAGES {
                self.pages.fill_with(|| None);
                self.used = 0;
            }
            self.used += 1;
        }
        self.pages[page].get_or_insert_with(|| Box::new([0; PAGE]))[block] = class;
    }
}

fn place(offset: u64) -> (usize, usize) {
    // The offset lies within the file, whose end the header gives and reads have reached.
    let block = (offset >> BLOCK) as usize;
    (block / PAGE, block % PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_kept_for_its_object_alone() {
        let mut classes = Classes::default();
        for offset in [264, 264 + 72, 1 << 32, (1 << 32) + 72] {
            assert_eq!(classes.get(offset), 0);
            classes.set(offset, 5);
            assert_eq!(classes.get(offset), 5);
        }
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_is_unknown() {
        let mut classes = Classes::default();
        let step = (PAGE as u64) << BLOCK;
        for page in 0..3000 {
            classes.set(page * step, 1);
            assert!(classes.used <= MOST_PAGES);
            assert_eq!(classes.get(page * step), 1);
        }
        assert_eq!(classes.get(0), 0);
    }
}
