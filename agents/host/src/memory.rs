//! Memory and swap: `/proc/meminfo`.
//!
//! The families are made from the fields of the file, so that what a newer kernel adds is shown
//! without a newer version of this program.

use crate::collector::{Collector, Host, Scrape};
use crate::error::Error;
use crate::exposition::Value;
use crate::file::{File, read_once};
use crate::root::Root;
use crate::text::{Line, printable};

/// Memory and swap in bytes. Fields that the kernel does not give are `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memory {
    fields: Vec<(String, u64)>,
}

impl Memory {
    /// A field by its name in `/proc/meminfo`, such as `Active(anon)`: bytes, or a count for
    /// the `HugePages_` ones.
    pub fn field(&self, name: &str) -> Option<u64> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| *value)
    }

    /// All memory.
    pub fn total(&self) -> Option<u64> {
        self.field("MemTotal")
    }

    /// What programs could still be given without swapping.
    pub fn available(&self) -> Option<u64> {
        self.field("MemAvailable")
    }

    /// What is not available.
    pub fn used(&self) -> Option<u64> {
        self.total()?.checked_sub(self.available()?)
    }

    /// What is not available, in per cent.
    pub fn used_percent(&self) -> Option<f64> {
        percent(self.used()?, self.total()?)
    }

    /// All swap space; 0 where there is none.
    pub fn swap_total(&self) -> Option<u64> {
        self.field("SwapTotal")
    }

    /// Swap space in use.
    pub fn swap_used(&self) -> Option<u64> {
        self.swap_total()?.checked_sub(self.field("SwapFree")?)
    }

    /// Swap space in use, in per cent; `None` where there is none.
    pub fn swap_used_percent(&self) -> Option<f64> {
        percent(self.swap_used()?, self.swap_total()?)
    }
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

/// Reads memory and swap now.
pub fn read(root: &Root) -> Result<Memory, Error> {
    read_once(&root.proc("meminfo"), |text| {
        let mut memory = Memory::default();
        for line in text.lines() {
            let field = parse(line)?;
            let name = printable(field.name).into_owned();
            memory.fields.push((name, field.value()));
        }
        if memory.total().is_none() {
            return Err(text.missing("MemTotal"));
        }
        Ok(memory)
    })
}

struct Field<'a> {
    name: &'a [u8],
    number: u64,
    in_kib: bool,
}

impl Field<'_> {
    fn value(&self) -> u64 {
        let unit = if self.in_kib { 1024 } else { 1 };
        self.number.saturating_mul(unit)
    }
}

fn parse(line: Line<'_>) -> Result<Field<'_>, Error> {
    let (name, mut rest) = line.split(b':', "field of memory")?;
    let number = rest.number("amount of memory")?;
    let in_kib = match rest.next() {
        None => false,
        Some(b"kB") => true,
        Some(_) => return Err(line.malformed("unit of memory")),
    };
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'(' | b')');
    if name.is_empty() || !name.iter().all(allowed) {
        return Err(line.malformed("name of a field"));
    }
    Ok(Field {
        name,
        number,
        in_kib,
    })
}

pub(crate) struct MemoryCollector {
    file: File,
    name: String,
}

impl MemoryCollector {
    pub(crate) fn boxed(host: &Host) -> Box<dyn Collector> {
        Box::new(Self {
            file: File::listing(&host.root, host.root.proc("meminfo")),
            name: String::new(),
        })
    }
}

impl Collector for MemoryCollector {
    fn collect(&mut self, scrape: &mut Scrape<'_>) -> Result<(), Error> {
        let text = self.file.read(scrape.buffer)?;
        let mut first_fault = None;
        let mut shown = 0;
        for line in text.lines() {
            let field = match parse(line) {
                Ok(field) => field,
                Err(error) => {
                    first_fault.get_or_insert(error);
                    continue;
                }
            };
            family_name(&field, &mut self.name);
            scrape
                .page
                .gauge(&self.name, "A field of /proc/meminfo.")
                .value(Value::from(field.value()));
            shown += 1;
        }
        if shown == 0 {
            return Err(first_fault.unwrap_or_else(|| text.missing("field of memory")));
        }
        if let Some(error) = first_fault {
            scrape.failed(error);
        }
        Ok(())
    }
}

/// `Active(anon)` in kB is shown as `node_memory_Active_anon_bytes`.
fn family_name(field: &Field<'_>, name: &mut String) {
    name.clear();
    name.push_str("node_memory_");
    for byte in field.name {
        match byte {
            b'(' => name.push('_'),
            b')' => {}
            other => name.push(char::from(*other)),
        }
    }
    if field.in_kib {
        name.push_str("_bytes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;
    use std::path::Path;

    #[test]
    fn figures_come_from_the_fields() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("proc")).unwrap();
        let write = |text: &str| std::fs::write(tree.path().join("proc/meminfo"), text).unwrap();
        let root = Root::new(tree.path());
        write(
            "MemTotal: 1000 kB\nMemAvailable: 250 kB\nHugePages_Total: 3\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
        );
        let memory = read(&root).unwrap();
        assert_eq!(memory.used(), Some(750 * 1024));
        assert_eq!(memory.used_percent(), Some(75.0));
        assert_eq!(memory.field("HugePages_Total"), Some(3));
        assert_eq!(memory.swap_used_percent(), None);
        write("MemFree: 1 kB\n");
        assert!(read(&root).is_err());
        write("MemTotal: -1 kB\n");
        assert!(read(&root).is_err());
    }

    #[test]
    fn names_are_those_of_node_exporter() {
        let name = |text: &'static str| {
            let text = Text::new(Path::new("/proc/meminfo"), text.as_bytes());
            let mut name = String::new();
            family_name(&parse(text.first()).unwrap(), &mut name);
            name
        };
        assert_eq!(name("Active(anon): 1 kB"), "node_memory_Active_anon_bytes");
        assert_eq!(name("HugePages_Free: 1"), "node_memory_HugePages_Free");
        assert!(parse(Text::new(Path::new("x"), b"a b: 1 kB").first()).is_err());
    }
}
