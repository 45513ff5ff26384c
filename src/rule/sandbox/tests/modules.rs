//! Modules of functions that conditions share.

use super::*;

#[test]
fn modules_offer_their_functions() {
    let gate = "const MAX = 3;\nfn wanted(i) { i.alert_cnt >= global::MAX && names::good(i.title) }\nprivate fn own() { true }";
    let names = "fn good(title) { title != \"\" }\nfn boom(i) {\n  i.nope == 1\n}\nfn spin() { loop {} }";
    let modules = [("gate", gate), ("names", names)];
    assert_eq!(holds_with(&modules, "gate::wanted(incident)"), Ok(true));
    assert_eq!(holds_with(&modules, "alerts.some(|a| names::good(a.labels.host))"), Ok(true));
    let error = holds_with(&modules, "true &&\n names::boom(incident)").unwrap_err();
    assert_eq!((error.line, error.column), (Some(2), Some(9)), "{error:?}");
    assert!(error.message.contains("in `boom` at 3:5: `nope` is not there"), "{error:?}");
    let error = holds_with(&modules, "names::spin()").unwrap_err();
    assert!(error.message.contains("limit") && error.line.is_none(), "{error:?}");
    for (source, message) in [
        ("gat::wanted(incident)", "did you mean `gate`?"),
        ("gate::wantd(incident)", "did you mean `wanted`?"),
        ("gate::wanted(1, 2)", "takes 1 argument, not 2"),
        ("gate::own()", "no function `own`"),
    ] {
        let error = holds_with(&modules, source).unwrap_err();
        assert!(error.message.contains(message), "{source}: {error:?}");
    }
}

#[test]
fn every_wrong_module_is_reported() {
    let problems = sandbox(&[
        ("ok", "fn f() { 1 }"),
        ("bad", "fn f( { }"),
        ("Bad-Name", "fn f() { 1 }"),
        ("labels", "fn f() { 1 }"),
        ("ok", "fn g() { 1 }"),
        ("calls", "fn f() {\n  sleep(1)\n}"),
        ("spin", "loop {}"),
    ])
    .unwrap_err();
    let wrong: Vec<usize> = problems.iter().map(|(at, _)| *at).collect();
    assert_eq!(wrong, [1, 2, 3, 4, 5, 6], "{problems:?}");
    assert_eq!(problems[4].1.line, Some(2), "{problems:?}");
    let problems = sandbox(&[("a", "fn f() { x }")]).unwrap_err();
    assert!(problems[0].1.message.contains("no variable `x`"), "{problems:?}");
}

#[test]
fn a_module_function_can_return_steps() {
    let text = "fn steps(event) { [#{ run: [\"./fix.sh\", event.incident.labels.resource], idempotent: true }, #{ wait: 5 }] }\nfn odd(event) { 0..1 }";
    let sandbox = sandbox(&[("plan", text)]).unwrap();
    let event = incident();
    let view = EventView::new(&event);
    let extra = Extra { target: None, now: NOW, names: &[] };
    let call = |function: &str| {
        let call = sandbox.compile_call("plan", function)?;
        sandbox.call(&call, &view, extra)
    };
    assert_eq!(call("steps"), Ok(json!([{"run": ["./fix.sh", "db-07"], "idempotent": true}, {"wait": 5}])));
    assert!(call("odd").is_err());
    assert!(call("f();sleep").is_err());
    assert!(sandbox.has_function("plan", "steps", 1) && !sandbox.has_function("plan", "steps", 2));
}

#[test]
fn the_texts_that_stand_in_modules_are_known() {
    let text = "const TOOL = \"/bin/a\";\nfn f(x) { let m = #{ KEY: [\"in list\", x] }; m.prop = `front ${x} back`; \
                switch x { 1 => \"in switch\", _ => m[\"index\"] } }\nfn g() { [\"folded\", #{ k: \"deep\" }] }";
    let sandbox = sandbox(&[("a", text)]).unwrap();
    for known in ["/bin/a", "KEY", "in list", "prop", "front ", " back", "in switch", "index", "folded", "k", "deep"] {
        assert!(sandbox.has_text(known), "{known}: {:?}", sandbox.texts().collect::<Vec<_>>());
    }
    assert!(!sandbox.has_text("front back") && !sandbox.has_text("bin"));
}
