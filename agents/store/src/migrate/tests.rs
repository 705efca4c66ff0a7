use super::*;
use crate::connection::{self, Deadline};
use crate::store::Role;
use std::time::Duration;

const ONE: Step = Step {
    name: "0001_one",
    sql: "CREATE TABLE one (a INTEGER) STRICT; INSERT INTO one VALUES (1);",
    additive: true,
};
const TWO: Step = Step {
    name: "0002_two",
    sql: "CREATE TABLE two (b INTEGER) STRICT;",
    additive: true,
};
const LOSSY: Step = Step {
    name: "0003_lossy",
    sql: "DELETE FROM one; DROP TABLE two;",
    additive: false,
};
const BROKEN: Step = Step {
    name: "0002_broken",
    sql: "CREATE TABLE half (a INTEGER) STRICT; CREATE TABLE one (a INTEGER) STRICT;",
    additive: true,
};

fn open(path: &Path) -> Connection {
    let deadline = Deadline::at(Instant::now() + Duration::from_secs(10));
    connection::open(path, Role::Migrate, &deadline).unwrap()
}

fn blank() -> (tempfile::TempDir, PathBuf, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.db");
    fs::write(&path, "").unwrap();
    let connection = open(&path);
    (dir, path, connection)
}

fn number(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_blank_file_gets_every_step_once_and_the_settings_that_cannot_come_later() {
    let (_dir, path, mut connection) = blank();
    let done = run(&mut connection, &path, &[ONE, TWO]).unwrap();
    assert_eq!((done.from, done.to), (0, 2));
    assert_eq!(done.steps, ["0001_one", "0002_two"]);
    assert_eq!(done.copy, None);
    assert_eq!(number(&connection, "PRAGMA auto_vacuum"), 2);
    assert_eq!(
        number(&connection, "PRAGMA application_id"),
        i64::from(APPLICATION_ID)
    );

    let again = run(&mut connection, &path, &[ONE, TWO]).unwrap();
    assert_eq!((again.from, again.to, again.steps.len()), (2, 2, 0));
    assert_eq!(number(&connection, "SELECT count(*) FROM one"), 1);
}

#[test]
fn a_step_that_fails_leaves_the_file_at_the_step_before() {
    let (_dir, path, mut connection) = blank();
    let error = run(&mut connection, &path, &[ONE, BROKEN]).unwrap_err();
    assert!(error.to_string().contains("0002_broken"), "{error}");
    let tables = "SELECT count(*) FROM sqlite_schema WHERE type = 'table'";
    assert_eq!(number(&connection, "PRAGMA user_version"), 1);
    assert_eq!(number(&connection, tables), 1);
    run(&mut connection, &path, &[ONE, TWO]).unwrap();
    assert_eq!(number(&connection, tables), 2);
}

#[test]
fn a_lossy_step_leaves_a_copy_that_the_previous_version_can_use() {
    let (_dir, path, mut connection) = blank();
    run(&mut connection, &path, &[ONE]).unwrap();
    let done = run(&mut connection, &path, &[ONE, TWO, LOSSY]).unwrap();
    assert_eq!(number(&connection, "SELECT count(*) FROM one"), 0);
    let copy = done.copy.unwrap();
    assert_eq!(copy, beside(&path, ".schema-1"));

    // The previous version refuses the new file and names the copy.
    let refused = run(&mut connection, &path, &[ONE]).unwrap_err();
    assert!(
        matches!(&refused, Error::Newer { found: 3, known: 1, copy: Some(named), .. } if *named == copy),
        "{refused}"
    );
    assert!(refused.to_string().contains(copy.to_str().unwrap()));

    drop(connection);
    fs::rename(&copy, &path).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o660
    );
    let mut restored = open(&path);
    let back = run(&mut restored, &path, &[ONE]).unwrap();
    assert_eq!((back.from, back.to), (1, 1));
    assert_eq!(number(&restored, "SELECT count(*) FROM one"), 1);
    assert!(header(&restored, &path).unwrap().wal);
}

#[test]
fn only_our_own_or_an_empty_file_is_touched() {
    let (_dir, path, mut connection) = blank();
    connection.execute_batch("CREATE TABLE theirs (a)").unwrap();
    let error = run(&mut connection, &path, &[ONE]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Foreign {
                application_id: 0,
                ..
            }
        ),
        "{error}"
    );
    connection
        .execute_batch("PRAGMA application_id = -559038737")
        .unwrap();
    let error = run(&mut connection, &path, &[ONE]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Foreign {
                application_id: 0xdead_beef,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(number(&connection, "SELECT count(*) FROM sqlite_schema"), 1);
}

#[test]
fn step_names_carry_their_numbers() {
    for (number, step) in (1..).zip(STEPS) {
        assert_eq!(step.name.split_once('_').unwrap().0, format!("{number:04}"));
    }
}

/// `ROUNDSMAN_BLESS=1 cargo test -p roundsman-store` writes the file.
#[test]
fn schema_sql_is_what_the_migrations_make() {
    let (_dir, path, mut connection) = blank();
    run(&mut connection, &path, STEPS).unwrap();
    let mut schema = format!(
        "-- What the migrations make; generated, see src/migrate/tests.rs. Not run by anything.\n\
         PRAGMA application_id = {APPLICATION_ID:#x};\n\
         PRAGMA user_version = {};\n\
         PRAGMA auto_vacuum = INCREMENTAL;\n\
         PRAGMA journal_mode = WAL;\n",
        known()
    );
    let mut statement = connection
        .prepare(
            "SELECT sql FROM sqlite_schema
             WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'
             ORDER BY tbl_name, type <> 'table', name",
        )
        .unwrap();
    for sql in statement
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap()
    {
        schema += &format!("\n{};\n", sql.unwrap());
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.sql");
    if std::env::var_os("ROUNDSMAN_BLESS").is_some() {
        fs::write(&file, &schema).unwrap();
    }
    assert_eq!(
        fs::read_to_string(file).unwrap(),
        schema,
        "run it with ROUNDSMAN_BLESS=1"
    );
}
