//! What a script cannot do, whatever it tries.

use super::*;

#[test]
fn scripts_can_change_nothing() {
    fails("labels = #{}; true", "constant");
    fails("labels.a = \"6\"; true", "constant");
    fails("event.incident.title = \"6\"; true", "constant");
    fails("let labels = 1; true", "name of the event");
    fails("labels.clear(); true", "change nothing");
    fails("alerts.for_each(|i| this = 1); true", "change nothing");
    fails("alerts.push(1); true", "change nothing");
    let sandbox = sandbox(&[]).unwrap();
    let event = incident();
    let view = EventView::new(&event);
    let extra = Extra { target: None, now: NOW, names: &[] };
    let meddle = sandbox.compile("let x = labels; x.a = \"6\"; x.clear(); alerts.map(|i| labels.a); true").unwrap();
    assert_eq!(meddle.holds(&sandbox, &view, extra), Ok(true));
    let check = sandbox.compile("labels.a == \"5\" && alerts.len == 2").unwrap();
    assert_eq!(check.holds(&sandbox, &view, extra), Ok(true), "one evaluation must not be seen by the next");
    let with = Extra { target: Some("t"), ..extra };
    assert_eq!(sandbox.compile("target == \"t\"").unwrap().holds(&sandbox, &view, with), Ok(true));
    assert!(sandbox.compile("target == \"t\"").unwrap().holds(&sandbox, &view, extra).is_err());
}

#[test]
fn endless_and_deep_scripts_are_stopped() {
    fails("loop {}", "limit");
    fails("let n = 0; while true { n += 1; } true", "limit");
    fails("fn f(n) { f(n + 1) } f(0)", "nested calls");
    fails("fn f(n) { g(n) || f(n) } fn g(n) { f(n) } f(0)", "nested calls");
    let deep = format!("{}true{}", "(".repeat(500), ")".repeat(500));
    fails(&deep, "nested deeper");
    let blocks = format!("{}true{}", "if true { ".repeat(500), " }".repeat(500));
    fails(&blocks, "nested deeper");
}

#[test]
fn no_shape_of_source_overflows_the_stack() {
    // An overflow would end the process.
    for (start, repeated, middle, end, times) in [
        ("", "!", "true", "", 60_000),
        ("", "-", "1", "", 60_000),
        ("1", "+1", "", " > 0", 30_000),
        ("true", "&&true", "", "", 9_000),
        ("true", "==true", "", "", 9_000),
        ("false", "||(true)", "", "", 8_000),
        ("event", ".a", "", "", 30_000),
        ("event", "[0]", "", "", 20_000),
        ("event", ".len()", "", "", 9_000),
        ("event", "?.a", "", "", 20_000),
        ("1", " ?? 1", "", "", 9_000),
        ("", "[", "", "", 60_000),
        ("", "#{a:", "", "", 15_000),
        ("", "{", "", "", 60_000),
        ("", "|x|", "x", "", 20_000),
        ("", "`${", "", "", 20_000),
        ("if true {}", " else if true {}", "", "", 4_000),
        ("", "let x = ", "1", "", 8_000),
        ("", "if (", "", "", 15_000),
        ("", "switch 1 { _ => ", "1", "", 4_000),
        ("", "fn f() {", "", "", 8_000),
        ("", "return ", "", "", 9_000),
        ("", "try {", "", "", 10_000),
        ("1 in ", "1 in ", "1", "", 10_000),
        ("2", "**2", "", "", 20_000),
        ("/*", "/*", "", "", 30_000),
    ] {
        let source = format!("{start}{}{middle}{end}", repeated.repeat(times));
        assert!(source.len() <= SOURCE_BYTES_MAX, "{repeated}: {}", source.len());
        assert!(holds(&source).is_err(), "{repeated}");
    }
}

#[test]
fn values_cannot_be_doubled_without_end() {
    fails("let s = \"x\"; loop { s += s; }", "limit");
    fails("let s = \"x\"; loop { s = s + s; }", "limit");
    fails("let s = \"xxxxxxxx\"; loop { s = `${s}${s}`; }", "limit");
    fails("let a = [1]; loop { a += a; }", "limit");
    fails("let a = [1]; loop { a.append(a); }", "limit");
    fails("let a = [1]; loop { a = [a, a]; }", "limit");
    fails("let a = [1]; loop { a.push(a); }", "limit");
    // Deep values are cloned, measured, compared and dropped by recursion.
    fails("let a = []; loop { a = [a]; }", "limit");
    fails("let a = []; loop { a = [[[[[a]]]]]; }", "limit");
    fails("let a = []; for i in 0..400 { a = [a]; } loop { if a != a { break; } a = [a]; }", "limit");
    fails("let a = #{}; loop { a = #{a: #{a: #{a: #{a: a}}}}; }", "limit");
    fails("let a = []; loop { let b = []; b.push(a); a = b; }", "limit");
    fails("let m = #{}; let n = 0; loop { n += 1; m[`k${n}`] = m; }", "limit");
    fails("let s = \"x\"; for i in 0..20 { s = s.replace(\"x\", \"xxxxxxxx\"); } true", "limit");
    fails("let s = \"x\"; for i in 0..20 { s = s.split(\"\").join(s); } true", "separator");
    fails(
        "let a = []; for i in 0..1000 { a.push(\"x\"); } let b = a; for i in 0..99 { a = a.map(|x| b.join(\"yyyyyyyyyy\")); } true",
        "limit",
    );
    fails("let s = \"x,\"; for i in 0..14 { s += s; } s.split(\",\").len > 0", "limit");
    fails("[].pad(1000000000, 1); true", "no function `pad`");
}

#[test]
fn closures_cannot_be_kept() {
    // A closure that holds a closure that holds … is measured by no limit, and dropping it overflows the stack.
    for source in [
        "let f = |x| x; true",
        "let f = 1; loop { let g = f; f = |x| g; }",
        "let a = [|x| x]; true",
        "let a = []; a.push(|x| x); true",
        "get(#{}, \"a\", |x| x) == 1",
        "[].reduce(\"f\", |x| x) == 1",
        "reduce([], \"f\", |x| x) == 1",
        "[1].map(|x| |y| x) == []",
        "let z = 1; [1].map({ let y = 1; |x| x + y }) == []",
        "fn keep(f) { f } keep(|x| x); true",
        "if true { |x| x } else { true }",
    ] {
        fails(source, "a closure can only be given");
    }
    fails("fn map(f) { f } true", "`map` is there already");
    assert_eq!(holds("let z = 1; map([1], |x| x + z) == [2] && [2].zip([3], |x, y| x * y + z) == [7]"), Ok(true));
}

#[test]
fn nothing_outside_can_be_reached() {
    for source in [
        "eval(\"true\")",
        "import \"x\" as x; true",
        "export let x = 1; true",
        "sleep(10); true",
        "print(\"x\"); true",
        "debug(1); true",
        "\"x\".print(); true",
        "exit(true)",
        "timestamp() == ()",
        "Fn(\"sleep\").call(10); true",
        "parse_json(\"{}\") == #{}",
        "open_file(\"/etc/passwd\") == ()",
        "blob(1000000000).len == 0",
        "let f = \"eval\"; f.call(\"true\")",
        "[10].map(\"sleep\") == []",
        "[\"true\"].map(\"eval\") == []",
        "is_def_var(\"x\")",
    ] {
        assert!(holds(source).is_err(), "{source}");
    }
}

#[test]
fn messages_are_bounded_and_printable() {
    let error = fails("throw \"\\x1b[31m\\u202e\" + labels.a", "\\u{1b}[31m\\u{202e}5");
    assert!(!error.message.chars().any(char::is_control));
    let error = holds("let s = \"y\"; for i in 0..12 { s += s; } throw s").unwrap_err();
    assert!(error.message.chars().count() < 500, "{}", error.message.len());
    fails("matches(labels.a, \"(\")", "cannot be used");
    fails("matches(labels.a, \"(((a{1,500}){1,500}){1,500})\")", "cannot be used");
    fails("parse_int(\"x\") == 1", "");
}
