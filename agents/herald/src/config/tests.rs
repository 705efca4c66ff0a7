use super::*;

#[test]
fn the_shipped_file_shows_every_key_at_its_default() {
    let text = include_str!("../../../../config/herald.toml");
    roundsman_tests::assert_shipped_config(text, &Settings::default());
}
