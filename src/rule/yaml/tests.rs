use std::path::Path;

use proptest::prelude::*;

use super::doc::Doc;
use super::*;

/// The tree in short, each value with its span, and the codes of what was found.
fn tree(text: &str) -> (Option<Node>, Vec<&'static str>) {
    let doc = Doc::new(Path::new("a.yaml"), text.into());
    let node = parse(&doc);
    (node, doc.take().into_iter().map(|found| found.code).collect())
}

fn value(text: &str) -> Kind {
    let (node, found) = tree(&format!("k: {text}\n"));
    assert_eq!(found, [] as [&str; 0], "{text}");
    let Some(Node { kind: Kind::Map(mut entries), .. }) = node else { panic!("{text}") };
    entries.remove(0).1.kind
}

#[test]
fn plain_scalars_are_what_yaml_1_2_says_or_ambiguous() {
    assert_eq!(value(""), Kind::Null);
    assert_eq!(value("~"), Kind::Null);
    assert_eq!(value("true"), Kind::Bool(true));
    assert_eq!(value("-12"), Kind::Int(-12));
    assert_eq!(value("74058170041504"), Kind::Int(74_058_170_041_504));
    assert_eq!(value("2.5e3"), Kind::Float(2500.0));
    assert!(matches!(value("99999999999999999999"), Kind::Ambiguous { .. }));
    assert!(matches!(value("no"), Kind::Ambiguous { .. }));
    assert!(matches!(value("2026-01-01"), Kind::Text { .. }));
    assert!(matches!(value("'no'"), Kind::Text { style: Style::Single, .. }));
}

#[test]
fn spans_cover_what_is_written() {
    let text = "a: [x, {b: 'ü'}]\nc:\n  d: |\n    one\n    two\n";
    let (node, _) = tree(text);
    let Some(Node { kind: Kind::Map(entries), .. }) = node else { panic!() };
    assert_eq!(text.get(entries[0].1.span.clone()), Some("[x, {b: 'ü'}]"));
    assert_eq!(text.get(entries[1].1.span.clone()), Some("d: |\n    one\n    two\n"));
}

#[test]
fn bombs_and_surprises_are_refused_and_the_rest_is_read() {
    assert_eq!(
        tree("a: &x [1]\nb: [*x, *y]\nc: !t 1\nc: 2\n").1,
        ["yaml-anchor", "yaml-anchor", "yaml-anchor", "yaml-tag", "duplicate-key"]
    );
    assert_eq!(tree("? [a]\n: 1\n").1, ["wrong-type"]);
    assert_eq!(tree("").1, ["empty"]);
}

/// Every decoded character is found where it, or the escape for it, is written.
#[track_caller]
fn maps(yaml: &str) {
    let doc = Doc::new(Path::new("a.yaml"), yaml.into());
    let Some(Node { kind: Kind::Map(entries), .. }) = parse(&doc) else { panic!("{yaml}") };
    let node = &entries[0].1;
    let Kind::Text { text, .. } = &node.kind else { panic!("{yaml}") };
    for (at, c) in text.char_indices().filter(|(_, c)| c.is_alphanumeric()) {
        let span = doc.inside(node, at);
        let written = doc.written(&span);
        assert!(written == c.to_string() || written == "\\", "{yaml:?} at {at}: {written}");
    }
}

#[test]
fn decoded_characters_are_found_where_they_are_written() {
    maps("k: plain é words\n");
    maps("k: plain\n  over\n\n\n  lines\n");
    maps("k: 'it''s a ''q'' é'\n");
    maps("k: 'over\n  lines\n\n  x'\n");
    maps("k: \"tab\\t é \\\"q\\\" \\u00e9x \\x41y \\\n   joined\"\n");
    maps("k: |\n  one\n    two é\n\n  three\n");
    maps("k: |2-\n    one\n  two\n");
    maps("k: |\n\n  late\n  start\n");
    maps("k: |\r\n  one\r\n  two\r\n");
}

proptest! {
    #[test]
    fn places_inside_text_lie_on_char_boundaries(text in "\\PC{0,40}", quote in 0..4, offset in 0usize..60) {
        let yaml = match quote {
            0 => format!("k: {text}\n"),
            1 => format!("k: '{}'\n", text.replace('\'', "''")),
            2 => format!("k: \"{}\"\n", text.replace('\\', "\\\\").replace('"', "\\\"")),
            _ => format!("k: |\n  {text}\n  {text}\n"),
        };
        let doc = Doc::new(Path::new("a.yaml"), yaml.clone().into());
        if let Some(Node { kind: Kind::Map(entries), .. }) = parse(&doc) {
            for (_, value) in &entries {
                let span = doc.inside(value, offset);
                prop_assert!(yaml.get(span).is_some());
            }
        }
    }
}
