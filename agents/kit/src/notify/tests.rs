use std::path::Path;

use super::*;

fn received(socket: &UnixDatagram) -> String {
    let mut datagram = [0; 4096];
    let length = socket.recv(&mut datagram).unwrap();
    String::from_utf8(datagram[..length].to_vec()).unwrap()
}

#[test]
fn an_abstract_socket_hears_a_status_on_one_line() {
    let name = format!("roundsman-kit-notify-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    let name = format!("@{name}");
    let mut notifier = Notifier::new(Some(OsStr::new(&name)), None);
    notifier.ready("one\nREADY=0\r\ntwo");
    assert_eq!(received(&socket), "READY=1\nSTATUS=one READY=0  two\n");
    notifier.stopping();
    assert_eq!(received(&socket), "STOPPING=1\n");
    assert!(!notifier.is_deaf);
}

#[test]
fn a_manager_that_cannot_be_told_is_noticed() {
    for name in ["/nowhere/at/all", "vsock:2:1", ""] {
        let mut notifier = Notifier::new(Some(OsStr::new(name)), None);
        notifier.ready("x");
        assert!(notifier.is_deaf, "{name}");
    }
}

#[test]
fn pings_never_come_faster_than_the_shortest_pause() {
    let usec = Duration::from_micros;
    assert_eq!(Notifier::new(None, Some(usec(0))).period, None);
    assert_eq!(Notifier::new(None, Some(usec(1))).period, Some(SHORTEST));
    let mut notifier = Notifier::new(None, Some(usec(1)));
    assert_eq!(notifier.ping_if_due(|| false), Some(SHORTEST));
}

#[test]
fn an_unsound_agent_is_asked_again_within_the_deadline() {
    let deadline = Duration::from_secs(80);
    let mut notifier = Notifier::new(None, Some(deadline));
    assert_eq!(notifier.ping_if_due(|| false), Some(deadline / 8));
    notifier.next_ping = Instant::now();
    assert_eq!(notifier.ping_if_due(|| true), Some(deadline / 2));
}

/// A manager with a queue that is full, and the number of datagrams in it.
fn stuck(name: &Path) -> (UnixDatagram, usize) {
    let socket = UnixDatagram::bind(name).unwrap();
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    let full = (0..).find(|_| filler.send_to(b"STATUS=old\n", name).is_err());
    (socket, full.unwrap())
}

#[test]
fn a_manager_that_reads_nothing_costs_a_second_once_and_is_told_when_it_reads_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let (socket, unread) = stuck(&path);
    let deadline = Duration::from_secs(40);
    let mut notifier = Notifier::new(Some(path.as_os_str()), Some(deadline));
    let took = |act: &mut dyn FnMut()| {
        let began = Instant::now();
        act();
        began.elapsed()
    };
    // A status waits for nobody.
    let statuses = took(&mut || (0..1000).for_each(|_| assert!(!notifier.status("new"))));
    assert!(statuses < PATIENCE, "{statuses:?}");
    assert!(!notifier.is_deaf);
    // A ping waits, once, and comes again soon.
    let first = took(&mut || assert_eq!(notifier.ping_if_due(|| true), Some(deadline / 8)));
    assert!((PATIENCE..3 * PATIENCE).contains(&first), "{first:?}");
    assert!(notifier.is_deaf);
    notifier.next_ping = Instant::now();
    let second = took(&mut || assert_eq!(notifier.ping_if_due(|| true), Some(deadline / 8)));
    assert!(second < PATIENCE, "{second:?}");
    // What is said only once waits each time.
    let stopping = took(&mut || notifier.stopping());
    assert!((PATIENCE..3 * PATIENCE).contains(&stopping), "{stopping:?}");

    for _ in 0..unread {
        assert_eq!(received(&socket), "STATUS=old\n");
    }
    assert!(notifier.status("new"));
    assert!(!notifier.is_deaf);
    assert_eq!(received(&socket), "STATUS=new\n");
}

#[test]
fn a_manager_that_is_only_late_misses_nothing_it_must_hear() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let (socket, _) = stuck(&path);
    let mut notifier = Notifier::new(Some(path.as_os_str()), None);
    std::thread::scope(|scope| {
        let said = scope.spawn(|| notifier.ready("at work"));
        let heard = std::iter::repeat_with(|| received(&socket));
        let ready = heard.take(1000).find(|one| one.starts_with("READY=1"));
        assert_eq!(ready.unwrap(), "READY=1\nSTATUS=at work\n");
        assert!(said.join().unwrap());
    });
}
