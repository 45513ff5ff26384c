//! `tests` beside rules.

use super::*;

#[test]
fn an_element_of_events_is_a_body_only_if_it_has_no_key_of_ours() {
    let events = |element: &str| format!("tests: [ {{ name: a, events: [ {element} ], expect: [] }} ]\n");
    let body = "{ event_type: i_new, incident: { incident_id: i1 } }";
    for element in [body, &format!("{{ after: 1s, event: {body} }}")] {
        let loaded = load_text(&events(element));
        assert!(!loaded.has_errors(), "{element}: {:?}", found(&loaded));
        assert_eq!(loaded.tests[0].events.len(), 1);
    }
    for element in ["{ after: 1s, incident: { incident_id: i1 } }", "{ event_type: i_new }"] {
        assert!(load_text(&events(element)).has_errors(), "{element}");
    }
}

#[test]
fn a_test_file_needs_no_rules() {
    let folder = Folder::new();
    folder.write("rules/a.yaml", &rule("owner: x"), 0o644);
    folder.write("rules/b.test.yaml", "tests: [ { name: a, event: { i: 1 }, expect: [ { rule: a } ] } ]\n", 0o644);
    let loaded = folder.load();
    assert_eq!(found(&loaded), [] as [&str; 0]);
    assert_eq!(loaded.tests.len(), 1);
}
