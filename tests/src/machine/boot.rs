//! How a machine comes to be: options, namespaces, overlay, nspawn.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};

use super::cgroup::{self, Cgroups};
use super::keeper::Keeper;
use super::{Machine, evidence, names};
use crate::{Manager, layout, skipped};

/// What runs first in the machine's namespaces: lays the overlay over the cached tree, in a
/// private mount namespace, and runs nspawn in the machine's cgroups. nspawn ends with 133 when
/// the machine reboots, and is started again on the same overlay then.
const BOOT_SCRIPT: &str = r#"
set -eu
dir=$1 tree=$2
shift 2
exec 8<"$tree"; flock --shared 8
mkdir -p /run/systemd/nspawn
mount -t tmpfs -o mode=755 roundsman /run/systemd/nspawn
mount -t tmpfs -o mode=755,size=2g roundsman "$dir/disk"
mkdir "$dir/disk/upper" "$dir/disk/work" "$dir/disk/root"
mount -t overlay -o "lowerdir=$tree,upperdir=$dir/disk/upper,workdir=$dir/disk/work" \
    overlay "$dir/disk/root"
status=133
while [ "$status" = 133 ]; do
    (
        for cgroup in $CGROUPS; do mkdir -p "$cgroup"; echo 0 >"$cgroup/cgroup.procs"; done
        exec systemd-nspawn --quiet --directory="$dir/disk/root" "$@"
    ) && status=0 || status=$?
done
exit "$status"
"#;

/// What a machine is to be like.
#[derive(Debug, Clone)]
pub struct Options {
    test: String,
    hostname: String,
    arguments: Vec<String>,
}

impl Options {
    /// A plain machine with a private network (loopback only) for the test of this name.
    pub fn new(test: &str) -> Self {
        Self {
            test: test.to_owned(),
            hostname: "testhost".to_owned(),
            arguments: Vec::new(),
        }
    }

    /// The machine's host name.
    pub fn hostname(mut self, name: &str) -> Self {
        name.clone_into(&mut self.hostname);
        self
    }

    /// A tmpfs of `size` (`64m`) mounted at `path`.
    pub fn tmpfs(mut self, path: &str, size: &str) -> Self {
        self.arguments
            .push(format!("--tmpfs={path}:mode=755,size={size}"));
        self
    }

    /// A directory of this machine, seen at `inside`.
    pub fn bind(mut self, directory: &Path, inside: &str) -> Self {
        self.arguments
            .push(format!("--bind={}:{inside}", directory.display()));
        self
    }

    /// The same, read-only.
    pub fn bind_read_only(mut self, directory: &Path, inside: &str) -> Self {
        self.arguments
            .push(format!("--bind-ro={}:{inside}", directory.display()));
        self
    }

    /// Boots a machine for `body` and takes it down afterwards. Where machines cannot run the
    /// test counts as skipped. When `body` fails, the journal and the console are kept under
    /// `target/nspawn/failed/<test>`.
    ///
    /// # Panics
    /// When boot, body or clean shutdown fail, with the whole chain of reasons.
    #[track_caller]
    pub fn run(self, body: impl FnOnce(&mut Machine) -> Result<()>) {
        if let Some(reason) = missing() {
            skipped::test(&self.test, &reason);
            return;
        }
        let test = self.test.clone();
        let mut machine = match self.boot() {
            Ok(machine) => machine,
            Err(error) => panic!("{test}: booting: {error:#}"),
        };
        if let Err(error) = body(&mut machine) {
            panic!("{test}: {error:#}");
        }
        if let Err(error) = machine.stop() {
            panic!("{test}: {error:#}");
        }
    }

    /// Boots a machine and waits until it is up.
    pub fn boot(self) -> Result<Machine> {
        if let Some(reason) = missing() {
            bail!(reason);
        }
        names::sweep();
        evidence::forget(&self.test);
        let tree = root_tree()?;
        let name = names::fresh()?;
        let run_dir = names::run_dir(&name);
        fs::create_dir(&run_dir).with_context(|| format!("making {}", run_dir.display()))?;
        fs::create_dir(run_dir.join("disk"))?;
        let notify = Manager::bind(run_dir.join("notify"))?;
        let cgroups = Cgroups::of(&name);
        let command = self.command(&name, &tree, &run_dir, &cgroups, &notify);
        let mut machine = Machine {
            test: self.test,
            cgroups,
            run_dir,
            keeper: Keeper::start(command)?,
            notify,
            leader: 0,
            stopped: false,
        };
        machine.leader = machine.keeper.await_boot(&machine.notify)?;
        machine.settle()?;
        Ok(machine)
    }

    fn command(
        &self,
        name: &str,
        tree: &Path,
        run_dir: &Path,
        cgroups: &Cgroups,
        notify: &Manager,
    ) -> Command {
        let cgroups: Vec<_> = cgroups
            .dirs
            .iter()
            .map(|dir| dir.to_string_lossy())
            .collect();
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--", "unshare", "--mount"])
            .args(["--propagation=private", "--pid", "--fork"])
            .args(["--kill-child=KILL", "--mount-proc", "--", "sh", "-c"])
            .args([BOOT_SCRIPT, "boot"])
            .args([run_dir, tree])
            .args(["--boot", "--register=no", "--keep-unit", "--machine", name])
            .arg(format!("--hostname={}", self.hostname))
            .args(["--private-network"])
            // bpf lets PID 1 enforce IPAddressDeny=; @clock lets programs read the clock's
            // state. Setting it stays forbidden: the machine has no CAP_SYS_TIME.
            .arg("--system-call-filter=bpf @clock")
            .args(["--notify-ready=yes", "--link-journal=no"])
            .args(["--resolv-conf=off", "--timezone=off"])
            .args(&self.arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("CGROUPS", cgroups.join(" "))
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            .env("NOTIFY_SOCKET", notify.path())
            // Ctrl-C is for whoever keeps the machine; it then shuts down in good order.
            .process_group(0)
            .stdin(Stdio::null());
        command
    }
}

/// Why machines cannot run here; `None` when they can.
pub fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root".to_owned());
    }
    for (program, package) in [
        ("/usr/bin/systemd-nspawn", "systemd-container"),
        ("/usr/bin/mmdebstrap", "mmdebstrap"),
        ("/usr/bin/setpriv", "util-linux"),
    ] {
        if !Path::new(program).exists() {
            return Some(format!("{program} is missing: apt-get install {package}"));
        }
    }
    if cgroup::hierarchies().is_empty() {
        return Some("this machine has no cgroup v2 hierarchy".to_owned());
    }
    None
}

/// The cached root tree, made when it does not exist yet; looked up once per process.
fn root_tree() -> Result<PathBuf> {
    static TREE: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut tree = TREE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(tree) = &*tree {
        return Ok(tree.clone());
    }
    Ok(tree.insert(make_root_tree()?).clone())
}

fn make_root_tree() -> Result<PathBuf> {
    let script = layout::project().join("tests/nspawn/rootfs.sh");
    let output = Command::new(&script)
        .arg(layout::cache())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("running {}", script.display()))?;
    ensure!(output.status.success(), "{} failed", script.display());
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}
