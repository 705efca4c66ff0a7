//! Killed at any moment, herald loses nothing and keeps the order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::receiver::Receiver;
use crate::support::{World, assert_model, has_all, publish, trigger};

/// How often it is killed; the benchmark does it a thousand times.
const ROUNDS: u32 = 100;

/// Events between two looks of the one who inserts them.
const KEYS: u64 = 7;

#[test]
fn killed_at_random_points_it_delivers_everything_in_order() {
    let ops = Receiver::kind();
    let toml = trigger("all", &["ops"]) + &ops.endpoint("ops", "concurrency = 8");
    let world = World::new(&toml);
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = {
        let (is_over, mut store, now) = (Arc::clone(&is_over), world.store(), world.now());
        std::thread::spawn(move || {
            let mut published = Vec::new();
            for n in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let (uid, key) = (format!("e{n:06}"), format!("key{}", n % KEYS));
                publish(&mut store, now, &uid, Some(&key));
                published.push((uid, key));
                // Leaves the disk to the others for a moment.
                std::thread::park_timeout(Duration::from_millis(3));
            }
            published
        })
    };
    let mut dice = fastrand::Rng::with_seed(3);
    for _ in 0..ROUNDS {
        let process = world.root.agent("herald").spawn();
        // The point in its life at which it is killed.
        let life = Duration::from_millis(dice.u64(0..80));
        assert!(!process.ended(life).unwrap(), "{}", process.stderr());
        drop(process);
    }
    is_over.store(true, Ordering::Relaxed);
    let published = writer.join().unwrap();
    let herald = world.start();
    let arrivals = ops.wait("every event", |all| {
        has_all(all, published.iter().map(|(uid, _)| uid))
    });
    assert_model(&published, &arrivals);
    herald.stop();
    assert_model(&published, &ops.arrivals());
}
