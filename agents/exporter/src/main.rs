//! One scrape page for Prometheus.
fn main() {}
