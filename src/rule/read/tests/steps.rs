//! Steps: what is refused in them, what they know of each other, and the programs that they name.

use super::*;

#[test]
fn a_secret_that_stands_in_a_rule_is_pointed_out_and_not_shown() {
    let yaml = step("shell: x\nenv: { API_TOKEN: hunter2-hunter2, TOKEN_FILE: secrets/a, TOKEN: /run/token }");
    let loaded = load_text(&yaml);
    assert_eq!(found(&loaded), ["7:27 inline-secret"]);
    for format in [Format::Human { colour: false }, Format::Json, Format::Github] {
        let shown = diagnostic::render(format, &loaded.diagnostics, &loaded.sources);
        assert!(!shown.contains("hunter2") && shown.contains("API_TOKEN"), "{shown}");
    }
}

#[test]
fn templates_where_code_is_read_are_refused() {
    for (argv, is_refused) in [
        ("sh, -c, \"{{ t }}\"", true),
        ("bash, -ec, \"{{ t }}\"", true),
        ("/bin/bash, \"-c{{ t }}\"", true),
        ("python3, -c, \"{{ t }}\"", true),
        ("python3.12, -m, \"{{ t }}\"", true),
        ("perl, -e, \"{{ t }}\"", true),
        ("node, \"--eval={{ t }}\"", true),
        ("awk, \"{{ t }}\", f", true),
        ("sed, -n, -e, \"{{ t }}\"", true),
        ("find, /tmp, -exec, ls, \"{{ t }}\", ;", true),
        ("env, A=b, sudo, -u, root, sh, -c, \"{{ t }}\"", true),
        ("awk, -F, x, \"{{ t }}\"", true),
        ("python3, -W, ignore, \"{{ t }}\"", true),
        ("sed, p, file, -e, \"{{ t }}\"", true),
        ("timeout, 5, \"{{ t }}\"", true),
        ("ssh, host, \"{{ t }}\"", true),
        ("npx, \"{{ t }}\"", true),
        ("docker, exec, x, sh, -c, \"{{ t }}\"", true),
        ("sh, -c, 'echo \"$1\"', --, \"{{ t }}\"", false),
        ("python3, ./scripts/heal.sh, --, \"{{ t }}\"", false),
        ("sed, -e, s/a/b/, --, \"{{ t }}\"", false),
        ("ls, --, \"{{ t }}\"", false),
        ("ls, --host, \"{{ t }}\"", false),
        ("ls, \"--host={{ t }}\"", false),
    ] {
        let found = found(&load_text(&step(&format!("run: [{argv}]"))));
        if is_refused {
            // `- run: [` stands before the argv; the element begins at its quote.
            let before = argv.find("{{").unwrap();
            let at = 15 + argv[..before].rfind('"').unwrap();
            let expected = format!("6:{at} template-as-code");
            assert!(found.contains(&expected), "{argv}: {found:?} without {expected}");
        } else {
            assert!(!found.iter().any(|found| found.contains("template")), "{argv}: {found:?}");
        }
    }
}

#[test]
fn a_template_that_no_event_can_fill_is_pointed_out() {
    check(&step("run: [ls, \"--x={{ targt }}\"]"), &["6:27 unknown-path"]);
    check(&step("run: [ls, \"--x={{ label.host }}\"]"), &["6:27 unknown-path"]);
    check(&step("run: [ls, \"--x={{ labels.anything }} {{ now }} {{ alerts | length }}\"]"), &[]);
    let own = step("wait: 1s").replace("target: t", "target: \"{{ target }}\"");
    check(&own, &["4:17 unknown-path"]);
    check(&rule("on_failure: [ { run: [ls, \"--why={{ run.error }}\"] } ]"), &[]);
}

#[test]
fn a_command_line_as_one_text_is_told_how_to_be_a_list() {
    let loaded = load_text(&step("run: ./scripts/heal.sh --host db-07"));
    assert_eq!(found(&loaded), ["6:14 wrong-type"]);
    // In brackets as it stands it would be a program with spaces in its name.
    let hint = loaded.diagnostics[0].hint.clone().unwrap();
    assert!(hint.contains("[./scripts/heal.sh, --host, db-07]"), "{hint}");
}

#[test]
fn a_literal_host_account_or_port_must_be_one() {
    check(&step("ssh: { host: db-07, user: ops, port: 22, run: [uptime] }"), &[]);
    check(&step("ssh: { host: \"{{ target }}\", shell: uptime, stdin: none }"), &[]);
    check(&step("ssh: { host: -oProxyCommand=id, run: [x] }"), &["6:22 invalid-value"]);
    check(&step("ssh: { host: a, user: \"-l\", run: [x] }"), &["6:31 invalid-value"]);
    check(&step("ssh: { host: a, port: 70000, run: [x] }"), &["6:31 invalid-value"]);
    check(&step("ssh: { host: a, run: [\"-x\"] }"), &["6:31 invalid-value"]);
    check(&step("ssh: { host: a }"), &["6:14 step-kind"]);
    check(&step("ssh: { host: a, run: [x], shell: x }"), &["6:35 step-kind"]);
    check(&step("ssh: { host: a, cwd: /tmp, run: [x] }"), &["6:25 unknown-key"]);
    check(&step("ssh: { host: a, shell: \"echo {{ target }}\" }"), &["6:38 template-in-shell"]);
    check(&step("ssh: { host: a, run: [\"{{ target }}\"] }"), &["6:31 template-not-literal"]);
    check(&step("ssh: { host: a, run: [sh, -c, \"{{ target }}\"] }"), &["6:39 template-as-code"]);
    check(&step("ssh: { host: a, env: { LD_PRELOAD: x }, run: [x] }"), &["6:32 env-name"]);
    // A script that an interpreter runs over there need not be here.
    check(&step("ssh: { host: a, run: [sh, ./not-here.sh] }"), &[]);
}

#[test]
fn a_list_is_known_before_anything_starts() {
    let each = |more: &str| step(&format!("each: {{ {more}steps: [ {{ run: [ls, --, \"{{{{ item }}}}\"] }} ] }}"));
    check(&each("in: labels.hosts, "), &[]);
    check(&each("in: [a, \"{{ labels.b }}\"], batch: 2, tolerance: 1, "), &[]);
    check(&each(""), &["6:15 missing-key"]);
    check(&each("in: \"{{ labels.hosts }}\", "), &["6:21 invalid-script"]);
    check(&each("in: steps.probe.json, "), &["6:21 unknown-step"]);
    check(&each("in: [\"{{ steps.probe.stdout }}\"], "), &["6:26 unknown-step"]);
    check(&each("in: labels.hosts, as: alert, "), &["6:39 invalid-value"]);
    check(&each("in: labels.hosts, batch: 0, "), &["6:42 invalid-value"]);
    check(
        &step("each: { in: labels.hosts, steps: [ { each: { in: labels.hosts, steps: [ { wait: 1s } ] } } ] }"),
        &["6:46 invalid-value"],
    );
    check(&rule("on_failure: [ { each: { in: labels.hosts, steps: [ { wait: 1s } ] } } ]"), &["6:21 invalid-value"]);
    check(&step("retry: { attempts: 2 }\neach: { in: labels.hosts, steps: [ { wait: 1s } ] }"), &["6:9 invalid-value"]);
    // The item is a name inside, and only there.
    let inside = "each: { in: labels.hosts, as: host, steps: [ { if: 'host != \"db-1\"', wait: 1s } ] }";
    check(&step(inside), &[]);
    check(&step("if: host == 1\nwait: 1s"), &["6:13 invalid-script"]);
}

#[test]
fn a_step_is_known_to_those_behind_it_alone() {
    let probe = "steps:\n  - { name: probe, run: [ls] }\n";
    let with_probe = |more: &str| {
        let lines = format!("{probe}{more}");
        rule(&lines).replace("    steps: [ { wait: 1s } ]\n", "")
    };
    check(
        &with_probe("  - { name: b, if: steps.probe.exit_code == 0, run: [ls, --, \"{{ steps.probe.stdout }}\"] }"),
        &[],
    );
    check(&with_probe("verify: { within: 1m, steps: [ { if: steps.probe.ok, wait: 1s } ] }"), &[]);
    check(&with_probe("on_failure: [ { run: [ls, --, \"{{ steps.probe.json.free }}\"] } ]"), &[]);
    check(&with_probe("  - { if: steps.prob.ok, wait: 1s }"), &["7:15 unknown-step"]);
    check(&with_probe("  - { run: [ls, --, \"{{ steps.prob.stdout }}\"] }"), &["7:29 unknown-step"]);
    check(&with_probe("when: steps.probe.ok"), &["7:11 unknown-step"]);
    check(
        &with_probe("guards: { attempts: { max: 1, per: 1h, then: [ { if: steps.probe.ok, wait: 1s } ] } }"),
        &["7:58 unknown-step"],
    );
    // A name with a space or a dot is written in brackets.
    check(&step("name: free space\nrun: [ls]"), &[]);
    let spaced = "  - { name: a b.c, run: [ls] }\n  - { if: 'steps[\"a b.c\"].ok', run: [ls, --, '{{ steps[\"a b.c\"].stdout }}'] }";
    check(&with_probe(spaced), &[]);
}

#[test]
fn the_steps_that_conditions_name_come_before_them() {
    let steps = |second: &str| {
        let list = format!(
            "steps:\n  - {{ name: a.b, wait: 1s }}\n  - {{ wait: 1s, if: '{second}' }}\n  - {{ name: c, wait: 1s }}"
        );
        rule(&list).replacen("    steps: [ { wait: 1s } ]\n", "", 1)
    };
    for good in [
        "steps[\"a.b\"].ok",
        "steps[\"a.b\"].json.ok.x == 1",
        "steps[\"a.b\"].exit_code == 0 && labels.x == \"steps.c\"",
    ] {
        check(&steps(good), &[]);
    }
    check(&steps("true || steps.c.ok"), &["7:34 unknown-step"]);
    check(&steps("steps[\"a.b\"].exitcode == 0"), &["7:39 unknown-step"]);
    check(&rule("on_failure: [ { wait: 1s, if: steps.none.ok } ]"), &["6:35 unknown-step"]);
    check(&rule("on_success: [ { name: x, wait: 1s }, { wait: 1s, if: steps.x.ok } ]"), &[]);
}

#[test]
fn scripts_that_others_could_change_are_refused() {
    let folder = Folder::new();
    folder.write("scripts/open.sh", "", 0o777);
    folder.write("scripts/plain.sh", "", 0o644);
    folder.write("rules/a.yaml", &step("run: [./scripts/open.sh]\nname: x"), 0o644);
    assert_eq!(found(&folder.load()), ["6:15 program-unsafe"]);
    folder.write("rules/a.yaml", &step("run: [./scripts/plain.sh]\nname: x"), 0o644);
    assert_eq!(found(&folder.load()), ["6:15 program-unsafe"]);
    // An interpreter needs no executable script, but one that only its owner can change.
    folder.write("rules/a.yaml", &step("run: [sh, ./scripts/plain.sh]"), 0o644);
    assert_eq!(found(&folder.load()), [] as [&str; 0]);
    folder.write("rules/a.yaml", &step("run: [sh, ./scripts/open.sh]"), 0o644);
    assert_eq!(found(&folder.load()), ["6:19 program-unsafe"]);
    fs::set_permissions(folder.path().join("scripts"), fs::Permissions::from_mode(0o775)).unwrap();
    folder.write("rules/a.yaml", &step("run: [./scripts/heal.sh]"), 0o644);
    assert_eq!(found(&folder.load()), ["6:15 program-unsafe"]);
}
