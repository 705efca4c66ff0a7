//! One entry, as long as the next one is not asked for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Id;
use crate::position::Position;
use crate::reader::Reader;
use crate::values::name;

/// An entry of the journal. It lies in the reader's buffers: nothing was copied.
pub struct Entry<'a> {
    pub(crate) reader: &'a Reader,
    pub(crate) position: Position,
}

/// A field of an entry with one value; a field may appear several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name, as `MESSAGE`.
    pub name: &'a [u8],
    /// Its value: any bytes.
    pub value: &'a [u8],
    /// The end of the value is missing, because it is longer than the filter allows.
    pub is_cut: bool,
    /// Where the value is stored: the same for all entries of one file that share it.
    pub object: u64,
}

impl<'a> Entry<'a> {
    /// The fields that the filter wants, in the file's order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let reader = self.reader;
        reader.taken().iter().filter_map(move |taken| {
            let bytes = reader.bytes(taken);
            let name = name(bytes)?;
            Some(Field {
                name,
                value: &bytes[name.len() + 1..],
                is_cut: taken.place.is_cut,
                object: taken.object,
            })
        })
    }

    /// The first value of a field.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        let mut fields = self.fields();
        fields
            .find(|field| field.name == name.as_bytes())
            .map(|field| field.value)
    }

    /// Fields that are lost because the file is damaged.
    pub fn damaged_fields(&self) -> usize {
        self.reader.damaged_fields
    }

    /// The place behind this entry.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// When journald took it, by the wall clock.
    pub fn realtime(&self) -> SystemTime {
        // The clock type ends long before the number does.
        let since = Duration::from_micros(self.position.realtime);
        UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
    }

    /// When journald took it, since the start of its boot.
    pub fn monotonic(&self) -> Duration {
        Duration::from_micros(self.position.monotonic)
    }

    /// The boot in which it was written.
    pub fn boot(&self) -> Id {
        self.position.boot
    }
}
