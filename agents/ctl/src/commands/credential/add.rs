//! `roundsman credential add`.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use crate::commands::credential::{Place, restart_hint, secret};
use crate::drop_in;
use crate::host::Host;
use crate::terminal::{Out, escape};

/// Stores the secret, then the drop-in that names it, then tells systemd: whatever stops this
/// half way leaves no unit that names a file which is not there.
pub fn run(host: &Host, out: &mut Out, place: &Place) -> anyhow::Result<ExitCode> {
    let secret = secret::read(&place.name)?;
    let sealed = if host.is_live() {
        secret::encrypt(&place.name, &secret)
    } else {
        Err("the keys of another machine are not at hand".to_owned())
    };
    let (file, other, setting) = match &sealed {
        Ok(_) => (&place.encrypted, &place.plain, "LoadCredentialEncrypted"),
        Err(_) => (&place.plain, &place.encrypted, "LoadCredential"),
    };
    let bytes = sealed.as_deref().unwrap_or(secret.expose());
    drop_in::make_directory(file.parent().unwrap_or(Path::new("/")), 0o700)?;
    drop_in::write_file(file, bytes, 0o600)?;
    place.drop_in.write(&text(host, place, setting, file))?;
    drop_in::remove_file(other)?;
    drop_in::reload(host, out)?;
    let shown = file.display().to_string();
    match sealed {
        Ok(_) => writeln!(
            out,
            "stored {}, encrypted, in {}",
            place.name,
            escape(&shown)
        )?,
        Err(why) => {
            writeln!(out, "stored {} in {}", place.name, escape(&shown))?;
            writeln!(
                out,
                "it is not encrypted, only root can read it ({})",
                escape(&why)
            )?;
        }
    }
    restart_hint(host, out, place)?;
    Ok(ExitCode::SUCCESS)
}

fn text(host: &Host, place: &Place, setting: &str, file: &Path) -> String {
    // As the host sees the path when it runs, not as it lies in a tree.
    let inside = file.strip_prefix(host.paths().root()).unwrap_or(file);
    let name = &place.name;
    format!(
        "# Written by `roundsman credential add`.\n[Service]\n{setting}={name}:/{}\n",
        inside.display()
    )
}
