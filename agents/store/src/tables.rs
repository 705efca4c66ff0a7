//! One module per table: its row, its new row, its queries as functions over a transaction.

pub mod cursor;
pub mod cycle;
pub mod delivery;
pub mod delivery_group;
pub mod endpoint;
pub mod event;
pub mod event_count;
pub mod sample;
pub mod trial;

/// What a column that holds an enumeration contains, if this version does not know it.
#[derive(Debug, thiserror::Error)]
#[error("{found:?} is not one of {known}")]
pub struct UnknownName {
    /// The text that was found.
    pub found: String,
    /// The names that would do, separated by commas.
    pub known: &'static str,
}

/// Implements the text form of an enumeration: `as_str`, `FromStr`, `Display`, and both ways to SQLite.
macro_rules! text_enum {
    ($type:ty, $known:literal, $($variant:ident = $text:literal),+ $(,)?) => {
        impl $type {
            /// The name in the store and on the command line.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::tables::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::tables::UnknownName {
                        found: text.into(),
                        known: $known,
                    }),
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }
    };
}

/// The same for an enumeration whose column is its text.
macro_rules! text_column {
    ($type:ty) => {
        impl rusqlite::types::ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }

        impl rusqlite::types::FromSql for $type {
            fn column_result(
                value: rusqlite::types::ValueRef<'_>,
            ) -> rusqlite::types::FromSqlResult<Self> {
                let text = value.as_str()?;
                text.parse().map_err(rusqlite::types::FromSqlError::other)
            }
        }
    };
}

pub(crate) use {text_column, text_enum};
