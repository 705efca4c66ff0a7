//! What `/etc/roundsman/migrate.toml` may hold: nothing but the keys of `common.toml`.

pub use roundsman_kit::config::NoKeys as Config;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_shows_no_keys() {
        let text = include_str!("../../../config/migrate.toml");
        roundsman_tests::assert_shipped_config(text, &Config::default());
    }
}
