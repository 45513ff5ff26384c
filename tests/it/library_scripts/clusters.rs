//! Scripts that ask and change a Kubernetes cluster.

use super::{Stage, refuses, twice};
use crate::program::stdout;

/// A cluster: the files `pod`, `deleted`, `owner`, `ready` are what it knows.
fn cluster() -> Stage {
    let kubectl = r#"
case "$*" in
    *'delete pod'*) rm -f "$here/pod" ;;
    *'get pod'*'metadata.uid'*) [ ! -e "$here/pod" ] || cat "$here/pod" ;;
    *'get pod'*'deletionTimestamp'*) [ ! -e "$here/deleted" ] || cat "$here/deleted" ;;
    *'get pod'*'ownerReferences'*) [ ! -e "$here/owner" ] || cat "$here/owner" ;;
    *'get pod'*'nodeName'*) echo n1 ;;
    *'get pod'*'output=name'*) [ ! -e "$here/pod" ] || echo pod/p ;;
    *'get nodes'*) cat "$here/nodes" ;;
    *'get node n1'*unschedulable*) [ ! -e "$here/cordoned" ] || echo true ;;
    *'get node n1'*) cat "$here/ready" ;;
    *'cordon n1'*) : > "$here/cordoned" ;;
    *horizontalpodautoscalers*) [ ! -e "$here/hpa" ] || cat "$here/hpa" ;;
    *'get deployment'*) cat "$here/replicas" ;;
    *'scale deployment'*) echo "${*##*--replicas=}" > "$here/replicas" ;;
    *) echo "unexpected: $*" >&2; exit 1 ;;
esac"#;
    Stage::new().fake("rm", "/bin/rm \"$@\"").fake("kubectl", kubectl)
}

#[test]
fn a_zombie_is_removed_once_and_only_from_a_node_that_is_lost() {
    let zombie = || cluster().with("pod", "uid").with("deleted", "2026-11-24T03:00:00Z").with("ready", "Unknown");
    let arguments = ["--context", "nj", "--namespace", "shop", "--pod", "p"];
    let name = "delete-zombie-pod.sh";
    twice(zombie, name, &arguments, "delete pod p --grace-period=0 --force", "nothing to do");
    refuses(&cluster().with("pod", "uid").with("ready", "Unknown"), name, &arguments, "is not being deleted", "delete");
    refuses(&zombie().with("owner", "StatefulSet"), name, &arguments, "belongs to a StatefulSet", "delete");
    refuses(&zombie().with("ready", "True"), name, &arguments, "is ready", "delete");
    let dead = Stage::new().fake("kubectl", "echo 'connection refused' >&2; exit 1");
    refuses(&dead, name, &arguments, "connection refused", "delete");
    refuses(&dead, "pod-gone.sh", &arguments, "connection refused", "delete");
    assert!(stdout(&cluster().run("pod-gone.sh", &arguments)).contains("is gone"));
    refuses(&zombie(), "pod-gone.sh", &arguments, "still there", "delete");
}

#[test]
fn a_node_is_cordoned_once_and_not_the_whole_cluster() {
    let lost = || cluster().with("ready", "Unknown").with("nodes", "n1=\nn2=\nn3=\n");
    let arguments = ["--context", "nj", "--node", "n1", "--percent", "34"];
    twice(lost, "cordon-node.sh", &arguments, " cordon n1", "nothing to do");
    let many = cluster().with("ready", "Unknown").with("nodes", "n1=\nn2=true\nn3=true\n");
    refuses(&many, "cordon-node.sh", &arguments, "2 of 3 nodes", " cordon n1");
    let back = cluster().with("ready", "True");
    assert!(stdout(&back.run("cordon-node.sh", &arguments)).contains("ready again"));
    refuses(&lost(), "node-cordoned.sh", &arguments[..4], "new pods can come", " cordon n1");
    assert!(lost().with("cordoned", "").run("node-cordoned.sh", &arguments[..4]).status.success());
}

#[test]
fn a_deployment_is_scaled_up_once_and_never_down() {
    let arguments = ["--context", "nj", "--namespace", "orders", "--deployment", "w", "--replicas", "8"];
    let name = "scale-up.sh";
    twice(|| cluster().with("replicas", "3"), name, &arguments, "--current-replicas=3 --replicas=8", "nothing to do");
    let large = cluster().with("replicas", "12");
    assert!(stdout(&large.run(name, &arguments)).contains("has 12 replicas"));
    assert_eq!(large.calls("scale deployment"), Vec::<String>::new());
    refuses(&cluster().with("replicas", "0"), name, &arguments, "on purpose", "scale deployment");
    refuses(
        &cluster().with("replicas", "3").with("hpa", "w-hpa"),
        name,
        &arguments,
        "is scaled by w-hpa",
        "scale deploy",
    );
}
