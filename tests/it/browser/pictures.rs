//! Pictures of the pages, and how soon they are painted. Not tests: `make screenshots` and `make paint`.

use super::*;

#[test]
#[ignore = "makes pictures of every page: `make screenshots` takes those of the documents"]
fn screenshots() {
    let (daemon, addr) = start();
    fill(&daemon, addr);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    let browser = Browser::start();
    let take = |name: &str, path: &str, text: &str| {
        for (suffix, width, height, scheme) in [("", 1280, 860, Scheme::Light), ("-phone", 390, 844, Scheme::Dark)] {
            // Its charts and tables stand below each other.
            let height = if name == "backtest" && suffix.is_empty() { 1640 } else { height };
            browser.look(width, height, scheme);
            browser.open(&format!("http://{addr}{path}"));
            browser.wait_for_text(text);
            browser.script("document.getAnimations().forEach((one) => one.finish())");
            browser.screenshot(&folder.join(format!("console-{name}{suffix}.png")));
        }
    };
    take("login", "/login", "Log in");
    log_in(&browser);
    for (name, path) in pages(addr) {
        take(name, &path, "Seen by");
    }
    daemon.folder.write("hold", "", 0o644);
    push(&daemon, "e-disk-8", 8, "db-08 / disk full: /var/lib at 95 %", "disk full", "db-08");
    take("run-live", &format!("/runs/{}", run_of(addr, "e-disk-8")), "removed /var/log/app.log.3");
}

#[test]
#[ignore = "measures: `make paint`"]
fn first_paint_with_a_hundred_thousand_runs() {
    let (folder, addr) = with_console(Folder::with_rules(RULES), "");
    crate::aged::fill(&folder.path("data"), 100_000);
    let daemon = folder.start();
    let browser = logged_in(addr);
    let runs = ask(addr, "GET", "/api/v1/runs?limit=1", &[("authorization", &bearer(ADMIN))], "").json();
    let run = runs[0]["run"].as_str().unwrap();
    let event = runs[0]["event"].as_str().unwrap();
    let paths = ["/", "/runs", "/rules", "/approvals", "/engine", "/runs?before=300000", "/?before=300000"];
    let paths = paths.iter().map(|path| (*path).to_owned());
    for path in paths.chain([format!("/runs/{run}"), format!("/events/{event}"), "/incidents/i-0".into()]) {
        let mut paints: Vec<f64> = (0..7)
            .map(|_| {
                browser.open(&format!("http://{addr}{path}"));
                wait_for("the first paint", || {
                    let paint = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null";
                    browser.script(paint).as_f64().ok_or_else(String::new)
                })
            })
            .collect();
        paints.sort_by(f64::total_cmp);
        println!("{path}: first paint after {:.0} ms (median), {:.0} ms (worst of 7)", paints[3], paints[6]);
    }
    let asked = std::time::Instant::now();
    let answer = ask(addr, "GET", &format!("/api/v1/events/{event}/explain"), &[("authorization", &bearer(ADMIN))], "");
    println!("explaining on the history of then ({}): {} ms", answer.status, asked.elapsed().as_millis());
    drop(daemon);
}
