use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::*;
use crate::Kind;
use crate::config::Invalid;

const AGENT: Agent = Agent {
    name: "sample",
    version: "1",
    about: "Has items",
    kind: Kind::Oneshot,
    is_template: false,
    classifiers: &[],
};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Items {
    endpoints: BTreeMap<String, String>,
}

impl Config for Items {
    const ITEMS: &'static [&'static str] = &["endpoints"];

    fn validate(&self) -> Vec<Invalid> {
        let bad = self.endpoints.iter().filter(|(_, url)| url.is_empty());
        bad.map(|(name, _)| Invalid::new(format!("endpoints.{name}"), "is empty", "write one"))
            .collect()
    }
}

fn keys(ctx: &Context) -> Vec<String> {
    ctx.left_out().iter().map(|one| one.key.clone()).collect()
}

#[test]
fn a_reload_shows_what_the_new_configuration_lacks_and_a_refused_one_leaves_no_trace() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::under(root.path());
    let write = |text: &str| {
        let directory = paths.at("/etc/roundsman");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("sample.toml"), text).unwrap();
    };
    let common = Common::default();
    let mut ctx = Context::new(&AGENT, Args::default(), paths.clone(), common).unwrap();

    write("[endpoints]\ngood = 'a'\nfirst = ''\n");
    let mut seen = Vec::new();
    ctx.reload(|ctx, _: Items| {
        seen = keys(ctx);
        Ok(())
    });
    assert_eq!(seen, ["endpoints.first"]);
    assert_eq!(keys(&ctx), seen);

    write("[endpoints]\ngood = 'a'\nsecond = ''\n");
    ctx.reload(|ctx, _: Items| {
        seen = keys(ctx);
        anyhow::bail!("not now")
    });
    assert_eq!(seen, ["endpoints.second"]);
    assert_eq!(keys(&ctx), ["endpoints.first"]);

    write("[endpoints]\ngood = 'a'\n");
    ctx.reload(|_, _: Items| Ok(()));
    assert!(keys(&ctx).is_empty());
}
