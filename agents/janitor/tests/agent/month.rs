//! A month under steady load.

use crate::house::{DAY, HOUR, House, MINUTE, NOON};

#[test]
fn a_store_under_steady_load_stays_small_for_a_month_and_shrinks_afterwards() {
    let house = House::new();
    house.config(
        "[events]\nkeep = '5d'\n[events.kinds.'logscan.*']\nkeep = '1d'\n\
         [samples]\nraw = '1d'\nkeep = '10d'",
    );
    let mut sizes = Vec::new();
    for quarter in 0..4 * 40 {
        let at = NOON + quarter * 6 * HOUR;
        house.events("sync.done", (0..100).map(|n| at + n * 3 * MINUTE));
        let last = house.events("logscan.hit", (0..150).map(|n| at + n * 2 * MINUTE));
        house.samples((0..72).map(|n| at + n * 5 * MINUTE));
        house.reader("ops", *last.last().unwrap(), at);
        house.run(at + 6 * HOUR - MINUTE);
        if quarter % 4 == 3 {
            sizes.push(house.file_bytes());
        }
    }
    let settled = sizes[10..15].iter().max().unwrap();
    let later = sizes[15..].iter().max().unwrap();
    assert!(later * 10 <= settled * 11, "{sizes:?}");
    // Five days of the one, a day of the other.
    assert!((2000..2900).contains(&house.count()), "{}", house.count());
    assert!(house.told().is_empty(), "nothing was lost");
    let log = house.with(|store| store.figures()).unwrap().wal_bytes;
    assert!(log < 8 << 20, "{log}");

    house.run(NOON + 60 * DAY);
    assert_eq!(house.count(), 0);
    assert!(house.file_bytes() * 4 < *settled, "{}", house.file_bytes());
    assert_eq!(
        house.with(|store| store.check()).unwrap(),
        Vec::<String>::new()
    );
}
