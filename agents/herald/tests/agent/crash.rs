//! Killed at any moment - herald, its receivers, a writer - nothing is lost and the order is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use roundsman_kit::Paths;
use roundsman_store::delivery::State;
use roundsman_store::event::{self, EventId, Filter};
use roundsman_store::{Location, Role, Store};
use roundsman_tests::{PATIENCE, Process};

use crate::receiver::read;
use crate::support::{START, World, publish, trigger};

/// How often herald is killed.
const ROUNDS: u32 = 1000;

/// Every so many rounds, a receiver or the writer is killed as well.
const OTHERS: u32 = 3;

const KEYS: u64 = 7;

const JOB: &str = "ROUNDSMAN_HERALD_JOB";

/// The entry of the processes that are killed; without a job it has nothing to do.
#[test]
fn entry() {
    let Ok(job) = std::env::var(JOB) else { return };
    match job.split(' ').collect::<Vec<_>>()[..] {
        ["write", root, name] => write_for_ever(Path::new(root), name),
        ["receive", port, log] => receive_for_ever(port.parse().unwrap(), Path::new(log)),
        _ => panic!("no such job: {job}"),
    }
}

fn child(job: String) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "crash::entry", "--nocapture"])
        .env(JOB, job);
    Process::spawn(&mut command, None).unwrap()
}

fn write_for_ever(root: &Path, name: &str) {
    let location = Location::new(&Paths::under(root), "/var/lib/roundsman/roundsman.db");
    let mut store = Store::open(&location, Role::Agent).unwrap();
    for n in 0_u64.. {
        let key = format!("key{}", n % KEYS);
        let now = roundsman_kit::clock::Timestamp(START);
        publish(&mut store, now, &format!("{name}-{n}"), Some(&key));
        // Leaves the disk to the others for a moment.
        std::thread::park_timeout(Duration::from_millis(4));
    }
}

/// Notes each request before it is answered, in one write.
fn receive_for_ever(port: u16, log: &Path) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .open(log)
        .unwrap();
    let log = Mutex::new(log);
    std::thread::scope(|scope| {
        while let Ok((stream, _)) = listener.accept() {
            let log = &log;
            // A client that was killed is gone, which is no fault of the server.
            scope.spawn(move || drop(receive(stream, log)));
        }
    });
}

fn receive(mut stream: TcpStream, log: &Mutex<fs::File>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some((headers, body)) = read(&mut reader)? {
        let digest = ring::digest::digest(&ring::digest::SHA256, &body);
        let line = format!("{} {:x?}\n", headers["webhook-id"], &digest.as_ref()[..8]);
        log.lock().unwrap().write_all(line.as_bytes())?;
        stream.write_all(b"HTTP/1.1 204 Said\r\n\r\n")?;
    }
    Ok(())
}

/// A receiver that comes back on its port.
struct Mortal {
    port: u16,
    log: PathBuf,
    process: Process,
}

impl Mortal {
    fn new(world: &World, name: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let log = world.root.at(format!("/{name}.log"));
        Self {
            port,
            process: child(format!("receive {port} {}", log.display())),
            log,
        }
    }

    fn die_and_return(&mut self) {
        // The former one is killed by its end here, before the new one wants its port.
        let nobody = Process::spawn(&mut Command::new("true"), None).unwrap();
        drop(std::mem::replace(&mut self.process, nobody));
        self.process = child(format!("receive {} {}", self.port, self.log.display()));
    }

    fn endpoint(&self, name: &str) -> String {
        let schedule = ["1s"; 100];
        format!(
            "[endpoints.{name}]\nurl = 'http://127.0.0.1:{}/'\nallow = ['127.0.0.1/32']\n\
             concurrency = 8\nschedule = {schedule:?}\n",
            self.port
        )
    }

    /// Checks what has arrived against what was committed.
    #[track_caller]
    fn check(&self, committed: &BTreeMap<String, Vec<String>>) {
        let text = fs::read_to_string(&self.log).unwrap();
        let mut bodies = BTreeMap::new();
        let mut firsts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let keys: BTreeMap<&str, &str> = committed
            .iter()
            .flat_map(|(key, uids)| uids.iter().map(move |uid| (uid.as_str(), key.as_str())))
            .collect();
        for line in text.lines() {
            let (uid, body) = line.split_once(' ').unwrap();
            match bodies.insert(uid, body) {
                None => firsts.entry(keys[uid]).or_default().push(uid),
                Some(before) => assert_eq!(before, body, "{uid} has changed"),
            }
        }
        let firsts: BTreeMap<String, Vec<String>> = firsts
            .into_iter()
            .map(|(key, uids)| {
                (
                    key.to_owned(),
                    uids.into_iter().map(str::to_owned).collect(),
                )
            })
            .collect();
        assert!(firsts == *committed, "lost, invented or out of order");
    }
}

/// Every committed event by its key, in the order of the commits.
fn committed(world: &World) -> BTreeMap<String, Vec<String>> {
    let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut from = EventId(0);
    loop {
        let page = world
            .store()
            .read(|tx| event::after(tx, &Filter::default(), from, 1000))
            .unwrap();
        let Some(reached) = page.reached else { break };
        from = reached;
        let of_test = page
            .rows
            .found
            .into_iter()
            .filter(|event| event.agent == "test");
        for event in of_test {
            by_key
                .entry(event.order_key.unwrap())
                .or_default()
                .push(event.uid);
        }
    }
    by_key
}

fn is_settled(world: &World) -> bool {
    let counts = world
        .store()
        .read(roundsman_store::delivery::counts)
        .unwrap();
    let newest = world.store().read(event::newest_id).unwrap();
    let positions = ["all", "again"].map(|name| world.position(name).unwrap_or_default());
    let is_open = |count: &roundsman_store::delivery::Count| count.state != State::Done;
    !counts.iter().any(is_open) && positions.iter().all(|one| *one == newest.0.to_string())
}

#[test]
fn a_thousand_kills_lose_nothing_and_keep_the_order() {
    let world = World::with_clock("");
    let mut receivers = ["ops", "log"].map(|name| Mortal::new(&world, name));
    let toml = [
        trigger("all", &["ops", "log"]),
        trigger("again", &["ops"]),
        receivers[0].endpoint("ops"),
        receivers[1].endpoint("log"),
    ];
    world.config(&toml.concat());
    let root = world.root.path().display().to_string();
    let mut writer = child(format!("write {root} w0"));
    let mut dice = fastrand::Rng::with_seed(3);
    let mut kinds = BTreeSet::new();
    for round in 1..=ROUNDS {
        let herald = world.root.agent("herald").spawn();
        // The point in its life at which it is killed.
        let life = Duration::from_millis(dice.u64(0..60));
        assert!(!herald.ended(life).unwrap(), "{}", herald.stderr());
        if round % OTHERS == 0 {
            let which = dice.usize(0..3);
            kinds.insert(which);
            match receivers.get_mut(which) {
                Some(receiver) => receiver.die_and_return(),
                None => writer = child(format!("write {root} w{round}")),
            }
        }
        drop(herald);
        // A circuit that was opened by a dead receiver is tried again.
        world.advance(Duration::from_secs(61));
    }
    drop(writer);
    assert_eq!(kinds.len(), 3);
    let herald = world.start();
    let until = Instant::now() + PATIENCE * 4;
    while !is_settled(&world) {
        assert!(Instant::now() < until, "{:?}", world.endpoint("ops"));
        world.advance(Duration::from_secs(61));
        std::thread::park_timeout(Duration::from_millis(50));
    }
    herald.stop();
    let committed = committed(&world);
    let number: usize = committed.values().map(Vec::len).sum();
    assert!(number > 1000, "{number} events are no trial");
    for receiver in &receivers {
        receiver.check(&committed);
    }
}
