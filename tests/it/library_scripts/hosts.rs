//! Scripts that act on a host, or from the bastion on one.

use std::fs;

use super::{ACCEPTED, Stage, refuses, twice};
use crate::program::{both, stdout};

#[test]
fn a_service_is_restarted_once() {
    let set = || {
        Stage::new()
            .fake("systemctl", "case $1 in is-active) [ -e \"$here/up\" ] ;; restart) : > \"$here/up\" ;; esac")
            .fake("journalctl", "echo last words")
    };
    let arguments = ["--host", "localhost", "--service", "orders-api"];
    twice(set, "restart-service.sh", &arguments, "systemctl restart -- orders-api", "nothing to do");
    assert!(stdout(&set().run("restart-service.sh", &arguments)).contains("last words"));
}

#[test]
fn a_leaking_service_is_restarted_once_after_a_pause_of_its_host() {
    let set = || {
        let systemctl = "case $1 in restart) : > \"$here/small\" ;; show) if [ -e \"$here/small\" ]; then echo 104857600; else \
                         echo 3221225472; fi ;; esac";
        Stage::new().fake("systemctl", systemctl).fake("sleep", "")
    };
    let arguments = ["--host", "localhost", "--service", "w", "--mebibytes", "2048", "--jitter", "120"];
    twice(set, "restart-leaking-service.sh", &arguments, "systemctl restart -- w", "nothing to do");
    let stage = set();
    for _ in 0..2 {
        stage.run("restart-leaking-service.sh", &arguments);
    }
    let pauses = stage.calls("sleep ");
    assert_eq!(pauses[0], pauses[1], "the pause is the host's own");
    let pause: u32 = pauses[0].trim_start_matches("sleep ").parse().unwrap();
    assert!(pause <= 120, "{pause}");
    // A service whose memory nobody counts is not restarted on a guess.
    let unknown = Stage::new().fake("systemctl", "[ \"$1\" = show ] && echo '[not set]'").fake("sleep", "");
    refuses(&unknown, "restart-leaking-service.sh", &arguments, "is not known", "systemctl restart");
}

#[test]
fn memory_is_below_a_limit_only_of_a_service_that_is_up() {
    let arguments = ["--host", "localhost", "--service", "w", "--mebibytes", "2048"];
    let below = |text: &str| Stage::new().fake("systemctl", text).run("memory-below.sh", &arguments).status.success();
    assert!(below("[ \"$1\" != show ] || echo 1048576"));
    assert!(!below("[ \"$1\" != show ] || echo 4294967296"));
    assert!(!below("[ \"$1\" != show ] || echo '[not set]'"));
    assert!(!below("if [ \"$1\" = show ]; then echo 0; else exit 3; fi"));
}

#[test]
fn a_certificate_is_renewed_only_while_its_file_is_old_and_the_server_is_told_in_any_case() {
    let name = "renew-certificate.sh";
    let arguments = ["--host", "localhost", "--domain", "a.example", "--service", "nginx", "--days", "14"];
    let set = || {
        Stage::new()
            .fake("openssl", "[ -e \"$here/renewed\" ]")
            .fake("certbot", ": > \"$here/renewed\"")
            .fake("systemctl", "")
            .with_script_that_reads(name, "/etc/letsencrypt/live", "live")
    };
    refuses(&set(), name, &arguments, "certbot does not keep this certificate here", "certbot");
    refuses(&set(), name, &arguments, "certbot does not keep this certificate here", "systemctl");
    let kept = || {
        let stage = set();
        fs::create_dir_all(stage.path("live/a.example")).unwrap();
        stage.with("live/a.example/cert.pem", "")
    };
    twice(kept, name, &arguments, "certbot renew --non-interactive", "it is not renewed");
    let stage = kept().with("renewed", "");
    assert!(stage.run(name, &arguments).status.success());
    assert_eq!(stage.calls("systemctl reload -- nginx").len(), 1, "the server is told in any case");
}

#[test]
fn a_certificate_is_valid_only_if_the_server_presents_one_that_is() {
    let arguments = ["--domain", "a.example", "--days", "14"];
    let valid = |text: &str| {
        let stage = Stage::new().fake("openssl", text);
        let output = stage.run("certificate-valid.sh", &arguments);
        assert!(stage.calls("-checkend 1209600").len() == 1, "{:?}", stage.calls(""));
        output.status.success()
    };
    assert!(valid("[ \"$1\" = s_client ] && { echo CERT; exit 0; }; grep -q CERT"));
    assert!(!valid("[ \"$1\" = s_client ] && exit 1; grep -q CERT"));
}

#[test]
fn logs_are_rotated_once() {
    let set = || {
        Stage::new()
            .fake("df", "echo head; if [ -e \"$here/rotated\" ]; then echo '/dev/x 9 9 9 40% /var/log'; else echo '/dev/x 9 9 9 93% /var/log'; fi")
            .fake("find", "")
            .fake("logrotate", ": > \"$here/rotated\"")
    };
    let arguments = ["--host", "localhost", "--mount", "/var/log", "--percent", "85"];
    twice(set, "rotate-logs.sh", &arguments, "logrotate --force /etc/logrotate.conf", "nothing to do");
}

#[test]
fn a_disk_is_below_a_limit_only_if_a_number_says_so() {
    let below = |used: &str| {
        let stage = Stage::new().fake("df", &format!("echo head; echo '/dev/x 100 50 50 {used} /'"));
        let output = stage.run("disk-below.sh", &["--host", "localhost", "--mount", "/", "--percent", "80"]);
        output.status.success()
    };
    assert!(below("79%"));
    assert!(!below("80%"));
    assert!(!below("-"));
}

#[test]
fn a_resolver_is_restarted_once() {
    let set = || {
        Stage::new()
            .fake("getent", "[ -e \"$here/works\" ]")
            .fake("systemctl", "case $1 in is-enabled) [ \"$4\" = unbound ] ;; restart) : > \"$here/works\" ;; esac")
    };
    let arguments = ["--host", "localhost", "--domain", "a.internal"];
    twice(set, "restart-resolver.sh", &arguments, "systemctl restart -- unbound", "nothing to do");
    let without = Stage::new().fake("getent", "exit 2").fake("systemctl", "[ \"$1\" != is-enabled ]");
    refuses(&without, "restart-resolver.sh", &arguments, "no resolver of its own", "systemctl restart");
    refuses(&without, "resolves.sh", &arguments, "", "systemctl restart");
}

#[test]
fn a_clock_is_synchronised_once_and_never_steps() {
    let tracking = |offset: &str, stratum: &str| format!("A,h,{stratum},1764000000.0,{offset},0,0,0,0,0,0,0,0,Normal");
    let set = || {
        let text = format!(
            "[ \"$2\" != tracking ] || if [ -e \"$here/synced\" ]; then echo '{}'; else echo '{}'; fi",
            tracking("-0.0004", "3"),
            tracking("0.640", "3")
        );
        Stage::new().fake("chronyc", &text).fake("systemctl", "[ \"$1\" != restart ] || : > \"$here/synced\"")
    };
    let arguments = ["--host", "localhost", "--milliseconds", "100"];
    twice(set, "sync-clock.sh", &arguments, "systemctl restart -- chrony", "nothing to do");
    let stage = set();
    stage.run("sync-clock.sh", &arguments);
    assert_eq!(stage.calls("makestep"), Vec::<String>::new());
    let within = |offset: &str, stratum: &str| {
        let stage = Stage::new().fake("chronyc", &format!("echo '{}'", tracking(offset, stratum)));
        stage.run("clock-within.sh", &arguments).status.success()
    };
    assert!(within("0.099", "2") && within("-0.099", "2"));
    assert!(!within("0.1", "2") && !within("-0.64", "2"));
    assert!(!within("0", "0"), "a clock that is not synchronised has no offset");
    assert!(!Stage::new().fake("chronyc", "").run("clock-within.sh", &arguments).status.success());
}

#[test]
fn a_host_is_reset_once_and_only_while_it_is_silent() {
    let (name, arguments) = ACCEPTED.iter().find(|(name, _)| *name == "reset-host.sh").unwrap();
    let set = |power: &'static str| {
        Stage::new()
            .fake("ssh-keyscan", "[ ! -e \"$here/answers\" ] || echo 'web-09 ssh-ed25519 AAAA'")
            .fake("ipmitool", &format!("case \"$*\" in *'power status') echo 'Chassis Power is {power}' ;; esac"))
            .with("password", "the-password-of-the-bmc")
    };
    twice(|| set("on"), name, arguments, "chassis power cycle", "was reset less than 30 minutes ago");
    twice(|| set("off"), name, arguments, "chassis power on", "was reset less than 30 minutes ago");
    let answers = set("on").with("answers", "");
    assert!(stdout(&answers.run(name, arguments)).contains("nothing to do"));
    assert_eq!(answers.calls("ipmitool"), Vec::<String>::new());
    refuses(&set("unknown"), name, arguments, "no usable answer", "chassis power o");
    let stage = set("on");
    stage.run(name, arguments);
    assert_eq!(stage.calls("the-password-of-the-bmc"), Vec::<String>::new(), "no list of processes shows the password");
    assert!(stage.has("resets/web-09"));
    refuses(&stage, "host-answers.sh", &["--host", "web-09"], "does not answer", "no such call");
    assert!(answers.run("host-answers.sh", &["--host", "web-09"]).status.success());
}

#[test]
fn what_is_handed_over_reaches_the_log_as_one_argument() {
    let stage = Stage::new().fake("logger", "printf '<%s>' \"$@\" > \"$here/logged\"");
    let output = stage.run("hand-over.sh", &["--about", "-n; id", "--reason", "$(id) 'quoted'"]);
    assert!(output.status.success(), "{}", both(&output));
    let logged = fs::read_to_string(stage.path("logged")).unwrap();
    assert!(logged.contains("<--><-n; id needs a person: $(id) 'quoted' (incident none, run none)>"), "{logged}");
}
