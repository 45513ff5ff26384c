use super::*;

fn one(text: &str, span: Range<usize>) -> (Vec<Diagnostic>, Sources) {
    let file = Arc::new(PathBuf::from("rules/a,b.yaml"));
    let mut sources = Sources::default();
    sources.insert(&file, text.into());
    let found = Diagnostic {
        severity: Severity::Error,
        code: codes::UNKNOWN_KEY,
        message: "no key 100% `x\u{202e}`".into(),
        file,
        span,
        hint: Some("did you mean `y`?".into()),
    };
    (vec![found], sources)
}

#[test]
fn people_get_the_line_with_the_place_underlined() {
    let (found, sources) = one("a: 1\né\u{1b}é: bad key\nb: 2\n", 12..15);
    let shown = render(Format::Human { colour: false }, &found, &sources);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], "error[unknown-key]: no key 100% `x\\u{202e}`");
    assert_eq!(lines[1], "  --> rules/a,b.yaml:2:6");
    let line = lines.iter().position(|line| line.contains("é\\u{1b}é: bad key")).unwrap();
    let before = lines[line].split("bad").next().unwrap().chars().count();
    assert_eq!(lines[line + 1].chars().position(|c| c == '^'), Some(before), "{shown}");
    assert_eq!(lines[line + 1].matches('^').count(), 3);
    assert!(shown.contains("help: did you mean `y`?"), "{shown}");
}

#[test]
fn colours_are_used_only_where_wanted() {
    let (found, sources) = one("abc\n", 0..3);
    assert!(render(Format::Human { colour: true }, &found, &sources).contains('\u{1b}'));
    assert!(!render(Format::Human { colour: false }, &found, &sources).contains('\u{1b}'));
}

#[test]
fn a_file_of_one_endless_line_is_shown_in_part() {
    let (found, sources) = one(&"é".repeat(100_000), 100_000..100_004);
    assert!(render(Format::Human { colour: false }, &found, &sources).len() < 2_000);
}

#[test]
fn programs_get_positions_and_escapes() {
    let (found, sources) = one("a: 1\nb: x\r\nc\n", 12..13);
    let json: serde_json::Value = serde_json::from_str(&render(Format::Json, &found, &sources)).unwrap();
    assert_eq!((&json[0]["line"], &json[0]["column"]), (&3.into(), &2.into()));
    let (found, sources) = one("a: 1\n", 3..4);
    assert_eq!(
        render(Format::Github, &found, &sources),
        "::error file=rules/a%2Cb.yaml,line=1,col=4,title=unknown-key::no key 100%25 `x\\u{202e}` Hint: did you mean `y`?\n"
    );
    assert_eq!(render(Format::Json, &[], &sources), "[]\n");
}
