//! How a machine comes to be: names, namespaces, overlay, nspawn, readiness.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal};

use super::cgroup::{self, Cgroups};
use super::{BOOT, Machine, evidence};
use crate::{Manager, Process, layout, skipped};

/// Every machine's name begins so, and so do its cgroups and its directory in [`RUN`].
const PREFIX: &str = "roundsman-nspawn-";
const RUN: &str = "/run";

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
        sweep();
        evidence::forget(&self.test);
        let tree = root_tree()?;
        let name = machine_name()?;
        let run_dir = Path::new(RUN).join(&name);
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

/// A name that no other machine has, and that tells whose it is: prefix, then pid namespace,
/// process id and start time of the keeper, then a number.
fn machine_name() -> Result<String> {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let pid = std::process::id();
    let started = start_time(pid).context("this process has no start time")?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Ok(format!("{PREFIX}{}-{pid}-{started}-{number}", namespace()?))
}

/// The pid namespace of this process: ids of another namespace say nothing here.
fn namespace() -> Result<u64> {
    Ok(fs::metadata("/proc/self/ns/pid")?.ino())
}

/// When a living process started, in clock ticks since boot: field 22 of `/proc/PID/stat`,
/// counted from behind the command name, which may hold anything.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    match fields.next()? {
        "Z" | "X" => None,
        _ => fields.nth(18)?.parse().ok(),
    }
}

/// Removes what killed runs have left: cgroups and directories whose keeper is gone. Every boot
/// begins with it.
pub fn sweep() {
    let mut places = cgroup::hierarchies();
    places.push(PathBuf::from(RUN));
    let mut names: Vec<String> = places
        .iter()
        .filter_map(|place| fs::read_dir(place).ok())
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_orphan(name))
        .collect();
    names.sort();
    names.dedup();
    for name in names {
        let dir = Path::new(RUN).join(&name);
        // Another run may be sweeping at the same moment; only what stays matters.
        drop(Cgroups::of(&name).remove());
        drop(fs::remove_dir_all(dir));
    }
}

fn is_orphan(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return false;
    };
    let mut parts = rest.split('-');
    let mut number = || parts.next()?.parse::<u64>().ok();
    let (Some(space), Some(pid), Some(started)) = (number(), number(), number()) else {
        return false;
    };
    namespace().is_ok_and(|own| own == space)
        && u32::try_from(pid).is_ok_and(|pid| start_time(pid) != Some(started))
}

/// The process tree of a machine and the thread that it lives and dies with. A parent-death
/// signal follows the *thread* that started the child; a test's thread may end before a machine
/// that several tests share.
pub(super) struct Keeper {
    process: Option<Process>,
    /// nspawn, as this process sees it; the script above it is pid 1 of their namespace.
    nspawn: i32,
    _alive: mpsc::Sender<()>,
}

impl Keeper {
    fn start(mut command: Command) -> Result<Self> {
        let (alive, ended) = mpsc::channel::<()>();
        let (started, process) = mpsc::channel();
        std::thread::Builder::new()
            .name("keeper".to_owned())
            .spawn(move || {
                drop(started.send(Process::spawn(&mut command, None)));
                // Ends when the other side is dropped.
                let _ = ended.recv();
            })?;
        Ok(Self {
            process: Some(process.recv()?.context("starting systemd-nspawn")?),
            nspawn: 0,
            _alive: alive,
        })
    }

    fn process(&self) -> Result<&Process> {
        self.process.as_ref().context("the machine is gone")
    }

    /// Waits for nspawn's word that the machine's init runs and is ready; gives init's pid.
    pub(super) fn await_boot(&mut self, notify: &Manager) -> Result<i32> {
        let until = Instant::now() + BOOT;
        let (mut born, mut ready) = (false, false);
        while !(born && ready) {
            // A machine that dies says nothing on the socket: look at it once a second.
            if let Some(message) = notify.next(Duration::from_secs(1))? {
                born |= message.get("X_NSPAWN_LEADER_PID").is_some();
                ready |= born && message.is("READY", "1");
            } else if Instant::now() > until || self.process()?.ended(Duration::ZERO)? {
                bail!("no machine after {BOOT:?} or its end:\n{}", self.console());
            }
        }
        let script = only_child(self.process()?.id().cast_signed())?;
        self.nspawn = only_child(script)?;
        only_child(self.nspawn)
    }

    /// Everything nspawn and the machine's console have printed.
    pub(super) fn console(&self) -> String {
        self.process
            .as_ref()
            .map(|process| process.stdout() + &process.stderr())
            .unwrap_or_default()
    }

    /// The directory that holds what the machine has written, while nspawn lives.
    pub(super) fn upper(&self, run_dir: &Path) -> PathBuf {
        let disk = run_dir.join("disk/upper");
        Path::new("/proc")
            .join(self.nspawn.to_string())
            .join("root")
            .join(disk.strip_prefix("/").unwrap_or(&disk))
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.nspawn).context("nspawn has no pid yet")?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    pub(super) fn ended(&self, within: Duration) -> Result<bool> {
        Ok(self.process()?.ended(within)?)
    }

    /// Kills the whole tree: pid 1 of its namespace dies with the process dropped here, and
    /// everything else in the namespace with that.
    pub(super) fn kill(&mut self) {
        self.process = None;
    }
}

/// The only child of a process: what `unshare` forked, what nspawn booted.
fn only_child(pid: i32) -> Result<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .with_context(|| format!("children of process {pid}"))?;
    let mut children = children.split_whitespace();
    match (children.next(), children.next()) {
        (Some(child), None) => Ok(child.parse()?),
        _ => Err(anyhow!("process {pid} has no or several children")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_orphan_only_when_its_keeper_is_gone() {
        let own = machine_name().unwrap();
        assert!(!is_orphan(&own));
        let (space, pid) = (namespace().unwrap(), std::process::id());
        assert!(is_orphan(&format!("{PREFIX}{space}-{pid}-0-1")));
        assert!(!is_orphan(&format!("{PREFIX}{}-{pid}-0-1", space + 1)));
        assert!(!is_orphan("system.slice"));
        assert!(!is_orphan(PREFIX));
    }
}
