use super::super::{Format, Page};
use super::*;

fn read(page: &str) -> Result<Vec<Family<'_>>, ParseError> {
    parse(page.as_bytes(), &Limits::default())
}

fn rewritten(page: &str, format: Format) -> String {
    let mut out = Page::new(format);
    for family in read(page).unwrap() {
        let mut writer = out.family(family.kind, family.name, &family.help);
        for sample in &family.samples {
            writer.foreign(&[], sample);
        }
    }
    String::from_utf8(out.finish().to_vec()).unwrap()
}

const PAGE: &str = "\
# HELP runs_total Runs, a \\\\ and a\\nline.
# TYPE runs_total counter
runs_total{agent=\"a \\\"b\\\"\",n=\"1\"} 3
# TYPE took_seconds histogram
took_seconds_bucket{le=\"0.5\"} 1
took_seconds_bucket{le=\"+Inf\"} 2
took_seconds_sum 1.25
took_seconds_count 2
# TYPE asked summary
asked{quantile=\"0.5\"} NaN
asked_sum 0
asked_count 0
plain -1e-9
";

#[test]
fn a_page_is_written_again_as_it_was() {
    let expected = PAGE.replace("plain -1e-9", "# TYPE plain untyped\nplain -1e-9");
    assert_eq!(rewritten(PAGE, Format::Text), expected);
}

#[test]
fn a_page_can_be_shown_as_openmetrics() {
    let page = "# TYPE runs_total counter\nruns_total 3 1700000000500\nold 1\n";
    assert_eq!(
        rewritten(page, Format::OpenMetrics),
        "# TYPE runs counter\nruns_total 3 1700000000.5\n# TYPE old unknown\nold 1\n# EOF\n"
    );
}

#[test]
fn parts_belong_to_their_family_and_scattered_samples_are_gathered() {
    let families = read(PAGE).unwrap();
    let shape: Vec<_> = families
        .iter()
        .map(|family| (family.name, family.kind, family.samples.len()))
        .collect();
    assert_eq!(
        shape,
        [
            ("runs_total", Kind::Counter, 1),
            ("took_seconds", Kind::Histogram, 4),
            ("asked", Kind::Summary, 3),
            ("plain", Kind::Untyped, 1),
        ]
    );
    assert_eq!(families[0].help, "Runs, a \\ and a\nline.");
    let families = read("a{x=\"1\"} 1\nb_sum 2\na{x=\"2\"} 3\n\n# just a comment\n").unwrap();
    assert_eq!(families.len(), 2);
    assert_eq!(families[0].samples.len(), 2);
    assert_eq!(families[1].name, "b_sum");
}

#[test]
fn needless_blanks_and_commas_do_not_survive() {
    let families = read(" a { x = \"1 , }\" , y=\"2\", } \t 5\t7 \nb{} 1\n").unwrap();
    let sample = &families[0].samples[0];
    assert_eq!(sample.labels, "x=\"1 , }\",y=\"2\"");
    assert_eq!((&*sample.value, sample.timestamp), ("5", Some(7)));
    assert_eq!(families[1].samples[0].labels, "");
}

/// Page, line, message.
const MALFORMED: &[(&str, usize, &str)] = &[
    (
        "ok 1\nbad",
        2,
        "the last line does not end with a line feed",
    ),
    ("1x 1\n", 1, "\"1x\" is not a metric name"),
    ("a{1x=\"\"} 1\n", 1, "\"1x\" is not a label name"),
    (
        "a{__name__=\"b\"} 1\n",
        1,
        "\"__name__\" is not a label name",
    ),
    ("a{x=\"1\" 1\n", 1, "the labels are malformed near \"1\""),
    ("a{x=1} 1\n", 1, "the labels are malformed near \"x=1} 1\""),
    (
        "a{x=\"\\t\"} 1\n",
        1,
        "the labels are malformed near \"x=\\\"\\\\t\\\"} 1\"",
    ),
    (
        "a{x=\"1} 1\n",
        1,
        "the labels are malformed near \"x=\\\"1} 1\"",
    ),
    ("a{x=\"1\",x=\"2\"} 1\n", 1, "label \"x\" is given twice"),
    ("a\n", 1, "\"\" is not a sample value"),
    ("a one\n", 1, "\"one\" is not a sample value"),
    ("a 1 soon\n", 1, "\"soon\" is not a timestamp"),
    ("a 1 2 3\n", 1, "\"3\" stands after the sample"),
    ("# TYPE a thing\n", 1, "\"thing\" is not a metric type"),
    (
        "# TYPE a gauge\n# TYPE a gauge\n",
        2,
        "the type of a comes twice or after its samples",
    ),
    (
        "a 1\n# TYPE a gauge\n",
        2,
        "the type of a comes twice or after its samples",
    ),
    ("# HELP a x\n# HELP a y\n", 2, "a has two help texts"),
    (
        "a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\n",
        2,
        "the series a{x=\"1\",y=\"2\"} is there twice",
    ),
    (
        "a{x=\"\",y=\"2\"} 1\na{y=\"2\"} 2\n",
        2,
        "the series a{y=\"2\"} is there twice",
    ),
    (
        "# TYPE h histogram\nh_count 1\n# TYPE h_count gauge\n",
        3,
        "h_count is a part of h",
    ),
    ("h_sum 1\n# TYPE h summary\n", 2, "h_sum is a part of h"),
    (
        "# TYPE h_bucket gauge\n# TYPE h histogram\n",
        2,
        "h_bucket is a part of h",
    ),
    ("a 0x1p4\n", 1, "\"0x1p4\" is not a sample value"),
    (
        "# TYPE h histogram\nh_bucket{le=\"\"} 1\n",
        2,
        "a bucket of h has no label \"le\"",
    ),
    (
        "# TYPE h histogram\nh_bucket 1\n",
        2,
        "a bucket of h has no label \"le\"",
    ),
];

#[test]
fn what_is_malformed_is_refused_with_its_line() {
    for (page, line, message) in MALFORMED {
        let error = read(page).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("line {line}: {message}"),
            "{page:?}"
        );
    }
    let error = parse(b"a 1\n\xff 2\n", &Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "line 2: the line is not UTF-8");
}

#[test]
fn a_bucket_is_no_part_of_a_summary_and_a_help_text_alone_is_no_family() {
    let page =
        "# TYPE s summary\n# TYPE s_bucket gauge\ns_bucket 1\n# HELP s_sum A sum.\ns_sum 2\n";
    let names: Vec<_> = read(page).unwrap().iter().map(|f| f.name).collect();
    assert_eq!(names, ["s", "s_bucket"]);
    assert_eq!(
        read("# HELP h_sum A.\n# TYPE h histogram\nh_sum 1\n").unwrap()[0].name,
        "h"
    );
}

#[test]
fn numbers_are_written_as_every_reader_takes_them() {
    assert_eq!(
        rewritten(
            "# TYPE a gauge\na infinity\na{x=\"1\"} +.5e3\n",
            Format::Text
        ),
        "# TYPE a gauge\na +Inf\na{x=\"1\"} 500\n"
    );
}

#[test]
fn limits_hold() {
    let limits = Limits {
        bytes: 40,
        samples: 2,
        labels: 1,
    };
    let refused = |page: &[u8]| parse(page, &limits).unwrap_err().reason;
    assert_eq!(refused(&[b'#'; 41]), Reason::TooLarge(40));
    assert_eq!(refused(b"a 1\nb 2\nc 3\n"), Reason::TooManySamples(2));
    assert_eq!(refused(b"a{x=\"\",y=\"\"} 1\n"), Reason::TooManyLabels(1));
}

#[test]
fn no_part_of_a_page_makes_the_reader_panic() {
    for end in 0..PAGE.len() {
        let _ = parse(&PAGE.as_bytes()[..end], &Limits::default());
        let mut spoilt = PAGE.as_bytes().to_vec();
        for byte in [0, b'"', b'{', b'\\', b'\n', 0xff] {
            spoilt[end] = byte;
            let _ = parse(&spoilt, &Limits::default());
        }
    }
}
