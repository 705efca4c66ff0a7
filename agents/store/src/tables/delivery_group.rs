//! Tables `delivery_group` and `delivery_member`: events that are told together. Written by:
//! herald. Read by: herald, janitor, ctl.

use roundsman_kit::clock::Timestamp;
use rusqlite::named_params;

use crate::error::Result;
use crate::event::{EventId, Severity};
use crate::tx::{Columns, Doing, ReadTx, WriteTx};

/// The place of a group among all there have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct GroupId(pub i64);

/// What tells one group from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupKey<'a> {
    /// To whom.
    pub endpoint: &'a str,
    /// The trigger.
    pub trigger: &'a str,
    /// What its events have in common.
    pub key: &'a str,
    /// The silence that holds it back, as `silence:NAME`; empty if none does.
    pub held_by: &'a str,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its place.
    pub id: GroupId,
    /// To whom.
    pub endpoint: String,
    /// The trigger.
    pub trigger: String,
    /// What its events have in common.
    pub key: String,
    /// The silence that holds it back, as `silence:NAME`; empty if none does.
    pub held_by: String,
    /// Its digests reach the endpoint in order with everything else of this key.
    pub order_key: String,
    /// The uid of its first event: with `n` it makes the uids of digests.
    pub first_uid: String,
    /// How many digests it has had.
    pub n: u32,
    /// When the events that wait are told.
    pub closes_at: Option<Timestamp>,
    /// When those that still hold are told again.
    pub repeats_at: Option<Timestamp>,
    /// The uid of its last digest.
    pub last_uid: Option<String>,
}

const COLUMNS: &str = "id, endpoint, trigger, key, held_by, order_key, first_uid, n, closes_at, \
                       repeats_at, last_uid";

impl Group {
    fn from_row(row: &Columns<'_>) -> Result<Self> {
        let time = |column| -> Result<Option<Timestamp>> {
            Ok(row.get::<Option<i64>>(column)?.map(Timestamp))
        };
        Ok(Self {
            id: GroupId(row.get("id")?),
            endpoint: row.get("endpoint")?,
            trigger: row.get("trigger")?,
            key: row.get("key")?,
            held_by: row.get("held_by")?,
            order_key: row.get("order_key")?,
            first_uid: row.get("first_uid")?,
            n: row.get("n")?,
            closes_at: time("closes_at")?,
            repeats_at: time("repeats_at")?,
            last_uid: row.get("last_uid")?,
        })
    }
}

fn many(tx: &ReadTx<'_>, rest: &str, params: impl rusqlite::Params) -> Result<Vec<Group>> {
    let sql = format!("SELECT {COLUMNS} FROM delivery_group {rest}");
    tx.rows(
        Doing::on("delivery_group", "select"),
        &sql,
        params,
        Group::from_row,
    )
}

/// The group with this key.
///
/// # Errors
/// That of SQLite, or a value that this version does not understand.
pub fn find(tx: &ReadTx<'_>, key: GroupKey<'_>) -> Result<Option<Group>> {
    let rest = "WHERE endpoint = ?1 AND trigger = ?2 AND key = ?3 AND held_by = ?4";
    let params = (key.endpoint, key.trigger, key.key, key.held_by);
    Ok(many(tx, rest, params)?.into_iter().next())
}

/// How many groups there are.
///
/// # Errors
/// That of SQLite.
pub fn count(tx: &ReadTx<'_>) -> Result<u64> {
    let doing = Doing::on("delivery_group", "count");
    let sql = "SELECT count(*) AS total FROM delivery_group";
    Ok(tx
        .row(doing, sql, [], |row| row.count("total"))?
        .unwrap_or(0))
}

/// The group that was begun last, of those that there are.
///
/// # Errors
/// That of SQLite.
pub fn newest(tx: &ReadTx<'_>) -> Result<Option<GroupId>> {
    let doing = Doing::on("delivery_group", "read the newest");
    let sql = "SELECT max(id) AS id FROM delivery_group";
    let found = tx.row(doing, sql, [], |row| row.get::<Option<i64>>("id"))?;
    Ok(found.flatten().map(GroupId))
}

const BEGIN: &str = "\
    INSERT INTO delivery_group (endpoint, trigger, key, held_by, order_key, first_uid, n)
    VALUES (:endpoint, :trigger, :key, :held_by, :order_key, :first_uid, 0)";

/// Begins a group.
///
/// # Errors
/// That of SQLite.
pub fn begin(
    tx: &WriteTx<'_>,
    key: GroupKey<'_>,
    order_key: &str,
    first_uid: &str,
) -> Result<Group> {
    let params = named_params! {
        ":endpoint": key.endpoint,
        ":trigger": key.trigger,
        ":key": key.key,
        ":held_by": key.held_by,
        ":order_key": order_key,
        ":first_uid": first_uid,
    };
    tx.execute(Doing::on("delivery_group", "insert"), BEGIN, params)?;
    Ok(Group {
        id: GroupId(tx.last_insert_rowid()),
        endpoint: key.endpoint.to_owned(),
        trigger: key.trigger.to_owned(),
        key: key.key.to_owned(),
        held_by: key.held_by.to_owned(),
        order_key: order_key.to_owned(),
        first_uid: first_uid.to_owned(),
        n: 0,
        closes_at: None,
        repeats_at: None,
        last_uid: None,
    })
}

const SET: &str = "\
    UPDATE delivery_group
    SET n = :n, closes_at = :closes_at, repeats_at = :repeats_at, last_uid = :last_uid
    WHERE id = :id";

/// Keeps what changes about a group: its times, and its digests.
///
/// # Errors
/// That of SQLite.
pub fn set(tx: &WriteTx<'_>, group: &Group) -> Result<()> {
    let params = named_params! {
        ":id": group.id.0,
        ":n": group.n,
        ":closes_at": group.closes_at.map(Timestamp::as_millis),
        ":repeats_at": group.repeats_at.map(Timestamp::as_millis),
        ":last_uid": group.last_uid,
    };
    tx.execute(Doing::on("delivery_group", "update"), SET, params)?;
    Ok(())
}

/// Forgets a group and what it has of events.
///
/// # Errors
/// That of SQLite.
pub fn forget(tx: &WriteTx<'_>, id: GroupId) -> Result<()> {
    for sql in [
        "DELETE FROM delivery_member WHERE group_id = ?1",
        "DELETE FROM delivery_group WHERE id = ?1",
    ] {
        tx.execute(Doing::on("delivery_group", "forget"), sql, [id.0])?;
    }
    Ok(())
}

/// The groups whose events are told now, `limit` at most; who has waited longest comes first.
///
/// # Errors
/// As [`find`].
pub fn closing(tx: &ReadTx<'_>, now: Timestamp, limit: u32) -> Result<Vec<Group>> {
    let rest = "WHERE closes_at <= ?1 ORDER BY closes_at, id LIMIT ?2";
    many(tx, rest, (now.as_millis(), limit))
}

/// The groups that are told again now, `limit` at most.
///
/// # Errors
/// As [`find`].
pub fn repeating(tx: &ReadTx<'_>, now: Timestamp, limit: u32) -> Result<Vec<Group>> {
    let rest = "WHERE repeats_at <= ?1 ORDER BY repeats_at, id LIMIT ?2";
    many(tx, rest, (now.as_millis(), limit))
}

/// The groups in which events wait, after this one; `limit` at most.
///
/// # Errors
/// As [`find`].
pub fn open(tx: &ReadTx<'_>, after: GroupId, limit: u32) -> Result<Vec<Group>> {
    let rest = "WHERE closes_at IS NOT NULL AND id > ?1 ORDER BY id LIMIT ?2";
    many(tx, rest, (after.0, limit))
}

const NEXT: &str = "\
    SELECT min(at) AS at
    FROM (SELECT min(closes_at) AS at FROM delivery_group WHERE closes_at IS NOT NULL
          UNION ALL
          SELECT min(repeats_at) FROM delivery_group WHERE repeats_at IS NOT NULL)";

/// When the next group is told.
///
/// # Errors
/// That of SQLite.
pub fn next_at(tx: &ReadTx<'_>) -> Result<Option<Timestamp>> {
    let doing = Doing::on("delivery_group", "read the next");
    let found = tx.row(doing, NEXT, [], |row| row.get::<Option<i64>>("at"))?;
    Ok(found.flatten().map(Timestamp))
}

/// Where an event of a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// It is told with the next digest.
    Waiting,
    /// It was told, and may be told again.
    Told,
}

impl Stand {
    fn column(self) -> i64 {
        i64::from(self == Self::Told)
    }
}

const JOIN: &str = "\
    INSERT INTO delivery_member (group_id, event_id, told) VALUES (?1, ?2, ?3)
    ON CONFLICT DO NOTHING";

/// The event belongs to the group.
///
/// # Errors
/// That of SQLite.
pub fn join(tx: &WriteTx<'_>, group: GroupId, event: EventId, stand: Stand) -> Result<()> {
    let params = (group.0, event.0, stand.column());
    tx.execute(Doing::on("delivery_member", "insert"), JOIN, params)?;
    Ok(())
}

const LEAVE: &str =
    "DELETE FROM delivery_member WHERE group_id = ?1 AND event_id = ?2 AND told = ?3";

/// The event stands there no more.
///
/// # Errors
/// That of SQLite.
pub fn leave(tx: &WriteTx<'_>, group: GroupId, event: EventId, stand: Stand) -> Result<()> {
    let params = (group.0, event.0, stand.column());
    tx.execute(Doing::on("delivery_member", "remove"), LEAVE, params)?;
    Ok(())
}

const MEMBERS: &str = "\
    SELECT event_id FROM delivery_member
    WHERE group_id = ?1 AND told = ?2 AND event_id > ?3
    ORDER BY event_id
    LIMIT ?4";

/// The first `limit` events of the group that stand so, in the order of commits.
///
/// # Errors
/// That of SQLite.
pub fn members(tx: &ReadTx<'_>, group: GroupId, stand: Stand, limit: u32) -> Result<Vec<EventId>> {
    members_after(tx, group, stand, EventId(0), limit)
}

/// The same, of the events after this one.
///
/// # Errors
/// That of SQLite.
pub fn members_after(
    tx: &ReadTx<'_>,
    group: GroupId,
    stand: Stand,
    after: EventId,
    limit: u32,
) -> Result<Vec<EventId>> {
    let params = (group.0, stand.column(), after.0, limit);
    let doing = Doing::on("delivery_member", "select");
    tx.rows(doing, MEMBERS, params, |row| {
        Ok(EventId(row.get("event_id")?))
    })
}

/// The groups that have this event, and where it stands there; `limit` at most.
///
/// # Errors
/// As [`find`].
pub fn of_event(tx: &ReadTx<'_>, event: EventId, limit: u32) -> Result<Vec<(Group, Stand)>> {
    let sql = format!(
        "SELECT {COLUMNS}, told FROM delivery_member JOIN delivery_group ON id = group_id
         WHERE event_id = ?1 ORDER BY told, id LIMIT ?2"
    );
    let doing = Doing::on("delivery_member", "select");
    tx.rows(doing, &sql, (event.0, limit), |row| {
        let stand = match row.get::<bool>("told")? {
            true => Stand::Told,
            false => Stand::Waiting,
        };
        Ok((Group::from_row(row)?, stand))
    })
}

const URGENCY: &str = "\
    SELECT min(severity) AS severity
    FROM delivery_member JOIN event ON event.id = event_id
    WHERE group_id = ?1 AND told = 0";

/// How urgent the most urgent of the events is that wait.
///
/// # Errors
/// That of SQLite.
pub fn urgency(tx: &ReadTx<'_>, group: GroupId) -> Result<Option<Severity>> {
    let doing = Doing::on("delivery_member", "read the urgency");
    let found = tx.row(doing, URGENCY, [group.0], |row| {
        row.get::<Option<Severity>>("severity")
    })?;
    Ok(found.flatten())
}
