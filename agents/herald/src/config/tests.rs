use super::*;

#[test]
fn the_shipped_file_shows_every_key_at_its_default() {
    let text = include_str!("../../../../config/herald.toml");
    roundsman_tests::assert_shipped_config(text, &Settings::default());
}

#[test]
fn a_time_that_could_not_be_written_again_is_refused() {
    let time = "2026-11-20T08:00:00.000Z".to_owned();
    let start = Start::try_from(time.clone()).unwrap();
    assert_eq!(String::from(start), time);
    let refused = Start::try_from("-009999-01-02T01:59:59Z".to_owned());
    assert!(refused.unwrap_err().contains("nor a time"));
}
