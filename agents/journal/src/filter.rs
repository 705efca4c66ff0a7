//! Which entries and which of their fields a caller wants.

/// A field with values of it.
type Values = (Box<[u8]>, Vec<Box<[u8]>>);
/// Asked for a value: `(field, value)`.
type Test = Box<dyn FnMut(&[u8], &[u8]) -> bool + Send>;

/// The object was looked at.
pub(crate) const KNOWN: u8 = 0x80;
/// Its value is handed out.
pub(crate) const WANTED: u8 = 0x40;
/// An entry with it is not.
pub(crate) const FORBIDDEN: u8 = 0x20;
/// Conditions that there may be, one bit each.
const MOST_CONDITIONS: usize = 5;

/// Values are cut here unless [`Filter::longest_value`] says otherwise.
const LONGEST_VALUE: usize = 4 * 1024 * 1024;

/// What is handed out. By default: every entry with every field.
///
/// A condition is asked once for each *stored value* of a file, not once per entry: journald
/// stores equal values of a file once, and an entry refers to them. So a test may be costly, and
/// what it answers must depend on its arguments alone.
pub struct Filter {
    /// By name: whether it is handed out, and the conditions that look at it.
    names: Vec<(Box<[u8]>, u8)>,
    is_every_field: bool,
    conditions: Vec<Test>,
    forbidden: Vec<Values>,
    pub(crate) longest_value: usize,
}

/// There is room for five conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {MOST_CONDITIONS} conditions in one filter")]
pub struct TooManyConditions;

impl Default for Filter {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            is_every_field: true,
            conditions: Vec::new(),
            forbidden: Vec::new(),
            longest_value: LONGEST_VALUE,
        }
    }
}

impl Filter {
    /// Every entry, every field.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hands out these fields only.
    #[must_use]
    pub fn fields<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.is_every_field = false;
        for name in names {
            self.mark(name.as_bytes(), WANTED);
        }
        self
    }

    /// Only entries in which `field` has one of `values`, as a match of `journalctl`.
    ///
    /// # Errors
    /// [`TooManyConditions`], as for [`Filter::require`].
    pub fn only(self, field: &str, values: &[&str]) -> Result<Self, TooManyConditions> {
        let values: Vec<Vec<u8>> = values
            .iter()
            .map(|value| value.as_bytes().to_vec())
            .collect();
        self.require([field], move |_, value| {
            values.iter().any(|one| one == value)
        })
    }

    /// Only entries in which at least one value of these fields passes `test`, which is given the
    /// field and the value. Several conditions must all be met, by any values.
    ///
    /// # Errors
    /// [`TooManyConditions`] for the sixth.
    pub fn require<'a>(
        mut self,
        fields: impl IntoIterator<Item = &'a str>,
        test: impl FnMut(&[u8], &[u8]) -> bool + Send + 'static,
    ) -> Result<Self, TooManyConditions> {
        if self.conditions.len() == MOST_CONDITIONS {
            return Err(TooManyConditions);
        }
        let bit = 1 << self.conditions.len();
        for field in fields {
            self.mark(field.as_bytes(), bit);
        }
        self.conditions.push(Box::new(test));
        Ok(self)
    }

    /// No entry in which `field` has one of `values`.
    #[must_use]
    pub fn without(mut self, field: &str, values: &[&str]) -> Self {
        let values = values.iter().map(|value| value.as_bytes().into()).collect();
        self.mark(field.as_bytes(), FORBIDDEN);
        self.forbidden.push((field.as_bytes().into(), values));
        self
    }

    /// Values that are longer are cut here, and say so.
    #[must_use]
    pub fn longest_value(mut self, bytes: usize) -> Self {
        // The name of the field must fit.
        self.longest_value = bytes.max(256);
        self
    }

    fn mark(&mut self, name: &[u8], bit: u8) {
        match self.names.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, bits)) => *bits |= bit,
            None => self.names.push((name.into(), bit)),
        }
    }

    /// Whether values need not be looked at at all.
    pub(crate) fn takes_everything(&self) -> bool {
        self.is_every_field && self.names.is_empty()
    }

    /// What the name of a field alone says: if it has other bits than [`KNOWN`] and [`WANTED`],
    /// the value is needed for its class.
    pub(crate) fn by_name(&self, name: &[u8]) -> u8 {
        let listed = self.names.iter().find(|(known, _)| **known == *name);
        let bits = listed.map_or(0, |(_, bits)| *bits);
        let every = if self.is_every_field { WANTED } else { 0 };
        KNOWN | bits | every
    }

    /// The class of a value, given what its name said.
    pub(crate) fn by_value(&mut self, by_name: u8, name: &[u8], value: &[u8]) -> u8 {
        let mut class = by_name & (KNOWN | WANTED);
        for (number, test) in self.conditions.iter_mut().enumerate() {
            let bit = 1 << number;
            if by_name & bit != 0 && test(name, value) {
                class |= bit;
            }
        }
        let is_forbidden =
            |(field, values): &Values| **field == *name && values.iter().any(|one| **one == *value);
        if by_name & FORBIDDEN != 0 && self.forbidden.iter().any(is_forbidden) {
            class |= FORBIDDEN;
        }
        class
    }

    /// Whether an entry is handed out whose values have these classes, joined.
    pub(crate) fn takes(&self, joined: u8) -> bool {
        let all = (1 << self.conditions.len()) - 1;
        joined & all == all && joined & FORBIDDEN == 0
    }
}
