//! Scripts that ask and relieve a PostgreSQL server.

use std::fs;

use super::{Stage, refuses};
use crate::program::both;

#[test]
fn queries_are_cancelled_on_standbys_alone() {
    let arguments = ["--host", "db-12", "--seconds", "300"];
    let psql = "sql=$(cat); printf '%s\\n' \"$sql\" >> \"$here/sql\"; case $sql in *pg_is_in_recovery*) cat \"$here/standby\" ;; esac";
    let standby = Stage::new().fake("psql", psql).with("standby", "t\n");
    let output = standby.run("end-long-queries.sh", &arguments);
    assert!(output.status.success(), "{}", both(&output));
    let sql = fs::read_to_string(standby.path("sql")).unwrap();
    let (chosen, condition) = sql.split_once("\nwhere ").unwrap();
    assert!(chosen.contains("pg_cancel_backend") && !condition.contains("pg_cancel_backend"), "{sql}");
    assert!(standby.calls("-v seconds=300 host=db-12 ").len() == 2, "{:?}", standby.calls(""));
    let primary = Stage::new().fake("psql", psql).with("standby", "f\n");
    refuses(&primary, "end-long-queries.sh", &arguments, "is no standby", "nothing of the kind");
    assert!(!fs::read_to_string(primary.path("sql")).unwrap().contains("pg_cancel_backend"));
}

#[test]
fn what_a_database_says_is_below_a_limit_only_if_it_is_a_smaller_number() {
    for (name, arguments) in [
        ("replica-lag-below.sh", ["--host", "db-12", "--seconds", "30"]),
        ("connections-below.sh", ["--host", "db-11", "--percent", "30"]),
    ] {
        let says = |text: &str| Stage::new().fake("psql", text).run(name, &arguments).status.success();
        assert!(says("echo 29"), "{name}");
        assert!(!says("echo 30"), "{name}");
        assert!(!says("true"), "{name}: no row");
        assert!(!says("exit 2"), "{name}: no answer");
    }
}

#[test]
fn idle_transactions_are_ended_of_one_account() {
    let stage = Stage::new().fake("psql", "cat > \"$here/sql\"");
    let output = stage.run("end-idle-transactions.sh", &["--host", "db-11", "--user", "orders", "--seconds", "300"]);
    assert!(output.status.success(), "{}", both(&output));
    assert_eq!(stage.calls("-v seconds=300 -v account=orders host=db-11 ").len(), 1, "{:?}", stage.calls(""));
    let sql = fs::read_to_string(stage.path("sql")).unwrap();
    let (chosen, condition) = sql.split_once("\nwhere ").unwrap();
    assert!(chosen.contains("pg_terminate_backend") && !condition.contains("pg_terminate_backend"), "{sql}");
    assert!(condition.contains("usename = :'account'"), "{sql}");
}
