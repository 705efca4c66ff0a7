//! Templates of operators: what they see, and what they may cost.

use super::*;

fn compile(source: &str) -> Result<Template, TemplateError> {
    Template::compile(source)
}

fn render_as(content_type: &str, source: &str, notice: &Notice<'_>) -> Result<String, RenderError> {
    let template = compile(source).unwrap().content_type(content_type).unwrap();
    let body = template.render(notice)?;
    assert_eq!(body.content_type, content_type);
    Ok(String::from_utf8(body.bytes).unwrap())
}

fn rendered(source: &str, notice: &Notice<'_>) -> Result<String, RenderError> {
    render_as("text/plain; charset=utf-8", source, notice)
}

fn failed(source: &str, notice: &Notice<'_>) -> String {
    rendered(source, notice).unwrap_err().to_string()
}

#[test]
fn a_template_sees_the_event_and_writes_what_it_says() {
    let source = r#"{"text": {{ (severity ~ ": " ~ event.message)|json }}, "host": {{ host|tojson }},
 "unit": "{{ event.data.unit }}", "role": "{{ event.labels.role }}", "n": {{ events|length }}}"#;
    let template = Template::compile(source).unwrap();
    let body = template.render(&single(&event())).unwrap();
    assert_eq!(body.content_type, "application/json");
    assert_eq!(
        String::from_utf8(body.bytes).unwrap(),
        r#"{"text": "warning: /home is 91 % full", "host": "web1",
 "unit": "%", "role": "db", "n": 1}"#
    );
    let (lead, members) = pair();
    let source = "{{ summary }}{% if is_digest %}{% for e in events %}\n{{ loop.index }} \
                  {{ e.state }} {{ e.subject }}{% endfor %}{% endif %} {{ trigger }} {{ endpoint }}";
    assert_eq!(
        rendered(source, &group(&lead, &members)).unwrap(),
        "disks: 2 events on web1: 1 warning, 1 resolved\n1 firing /home\n2 resolved /home disks ops"
    );
    // What an event lacks is none, and can be asked for.
    let source = "{{ event.subject is none }} {{ event.data.x is defined }}";
    assert_eq!(rendered(source, &single(&bare())).unwrap(), "True False");
}

#[test]
fn a_template_that_does_not_compile_is_refused_with_its_line() {
    let refused = |source: &str| compile(source).unwrap_err();
    let error = refused("one\n{{ event.message");
    assert_eq!(error.line, 2);
    assert!(
        error.to_string().starts_with("line 2: syntax error: "),
        "{error}"
    );
    for (source, reason) in [
        ("\n\n{% if %}", "syntax error"),
        ("\n\n{{ host|shout }}", "unknown filter"),
        ("\n\n{{ host is loud }}", "unknown test"),
        ("\n\n{{ shout() }}", "unknown function"),
        ("\n\n{% include 'x' %}", "syntax error"),
    ] {
        let error = refused(source);
        assert_eq!(error.line, 3, "{error}");
        assert!(error.reason.contains(reason), "{error}");
    }
    let long = refused(&"x".repeat(64 * 1024 + 1));
    assert_eq!(long.line, 0);
    let options = Options {
        template: Some("{{"),
        ..Options::default()
    };
    let error = Renderer::new(Format::Template, &options).unwrap_err();
    assert!(
        error.to_string().starts_with("template: line 1: "),
        "{error}"
    );
}

#[test]
fn what_is_not_there_is_an_error_and_never_empty() {
    let event = event();
    let notice = single(&event);
    for source in [
        "{{ evnet }}",
        "{{ event.data.nothing }}",
        "{% if x.y %}{% endif %}",
    ] {
        let error = failed(&format!("\n{source}"), &notice);
        assert!(
            error.starts_with("template: line 2: undefined value"),
            "{error}"
        );
    }
}

#[test]
fn a_template_has_an_end_and_so_has_its_output() {
    let event = event();
    let notice = single(&event);
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
    let error = compile(endless).unwrap_err();
    assert!(error.reason.contains("out of fuel"), "{error}");
    // Behind a condition that no sample meets.
    let hidden = format!("{{% if severity == 'warning' %}}{endless}{{% endif %}}");
    assert!(failed(&hidden, &notice).contains("out of fuel"));
    let large =
        "{% for a in range(7000) %}{{ '0123456789012345678901234567890123456789' }}{% endfor %}";
    assert_eq!(
        failed(large, &notice),
        "the template wrote more than 262144 bytes"
    );
}

#[test]
fn json_is_checked_where_the_content_type_promises_it() {
    let quoted = Event {
        message: "a \"b\"\n</script>".to_owned(),
        ..event()
    };
    let notice = single(&quoted);
    let careless = r#"{"text": "{{ event.message }}"}"#;
    for content_type in ["application/json", "application/x+json; charset=utf-8"] {
        let error = render_as(content_type, careless, &notice).unwrap_err();
        assert!(matches!(error, RenderError::NotJson(_)), "{error}");
        let careful = r#"{"text": {{ event.message|json }}}"#;
        let text = render_as(content_type, careful, &notice).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["text"], quoted.message);
    }
    // Nothing is escaped by itself.
    assert_eq!(
        rendered("{{ event.message }}", &notice).unwrap(),
        quoted.message
    );
}

#[test]
fn filters_escape_for_chats() {
    let evil = Event {
        message: "<!here> *x*\u{7}".to_owned(),
        ..event()
    };
    let source = "{{ event.message|plain }} {{ event.message|slack }} {{ event.message|discord }}";
    assert_eq!(
        rendered(source, &single(&evil)).unwrap(),
        "<!here> *x*� &lt;!here&gt; *x*� \\<!here\\> \\*x\\*�"
    );
}

#[test]
fn a_content_type_that_is_no_header_is_refused() {
    for odd in [
        "",
        "text",
        "text/plain\r\nx: y",
        " text/plain",
        "text/plain; ä",
    ] {
        let options = Options {
            template: Some("x"),
            content_type: Some(odd),
            ..Options::default()
        };
        let error = Renderer::new(Format::Template, &options).unwrap_err();
        assert!(matches!(error, OptionsError::ContentType), "{odd:?}");
    }
}
