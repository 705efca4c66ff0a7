use roundsman_store::delivery::Body;

use super::*;
use crate::compose::Content;

fn parcel(id: i64, key: Option<&str>) -> Parcel {
    Parcel {
        id: DeliveryId(id),
        uid: id.to_string(),
        order_key: key.map(str::to_owned),
        content: Content {
            body: Body {
                content_type: "text/plain".into(),
                bytes: Vec::new(),
            },
            headers: Default::default(),
        },
    }
}

fn line() -> Line {
    let mut line = Line::default();
    line.add(vec![
        parcel(1, Some("a")),
        parcel(2, Some("a")),
        parcel(3, None),
        parcel(4, Some("b")),
        parcel(5, Some("a")),
    ]);
    line
}

fn take(line: &mut Line) -> Option<i64> {
    line.take().map(|one| one.id.0)
}

fn sorted(ids: Vec<DeliveryId>) -> Vec<i64> {
    let mut ids: Vec<_> = ids.into_iter().map(|id| id.0).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn what_shares_a_key_goes_one_after_the_other() {
    let mut line = line();
    assert_eq!(take(&mut line), Some(1));
    assert_eq!(take(&mut line), Some(3));
    assert_eq!(take(&mut line), Some(4));
    assert_eq!(take(&mut line), None, "2 waits for 1");
    line.went_well(None);
    line.went_well(Some("b"));
    assert_eq!(take(&mut line), None);
    line.went_well(Some("a"));
    assert_eq!(take(&mut line), Some(2));
    line.add(vec![parcel(6, Some("b")), parcel(7, Some("a"))]);
    assert_eq!(take(&mut line), Some(6), "b is free again");
    line.went_well(Some("a"));
    assert_eq!(take(&mut line), Some(5));
    line.went_well(Some("a"));
    assert_eq!(take(&mut line), Some(7));
    line.went_well(Some("a"));
    assert_eq!((take(&mut line), line.left()), (None, 0));
}

#[test]
fn a_failure_takes_back_what_follows_it_and_nothing_else() {
    let mut line = line();
    assert_eq!(take(&mut line), Some(1));
    assert_eq!(sorted(line.drop_key(Some("a"))), [2, 5]);
    assert_eq!((line.left(), line.faults), (2, 1));
    assert_eq!((take(&mut line), take(&mut line)), (Some(3), Some(4)));
}

#[test]
fn what_is_under_way_keeps_its_key_when_the_rest_is_given_up() {
    let mut line = line();
    assert_eq!(take(&mut line), Some(1));
    assert_eq!(sorted(line.drain()), [2, 3, 4, 5]);
    assert_eq!(line.left(), 0);
    line.add(vec![parcel(2, Some("a")), parcel(4, Some("b"))]);
    assert_eq!((take(&mut line), take(&mut line)), (Some(4), None));
    line.went_well(Some("a"));
    assert_eq!(take(&mut line), Some(2));
}

#[test]
fn arrivals_are_worth_a_record_by_the_batch() {
    let mut line = Line::default();
    let batches: Vec<_> = (1..=3 * BATCH).filter(|_| line.is_batch()).collect();
    assert_eq!(batches, [BATCH, 2 * BATCH, 3 * BATCH]);
}
