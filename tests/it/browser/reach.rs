//! That everybody reaches everything: by keyboard, in either colours, on a phone, and with what reads pages aloud.

use super::*;

#[test]
fn the_keyboard_alone_leads_in_through_the_pages_and_out() {
    let (_daemon, addr) = start();
    let browser = logged_in(addr);
    browser.press(&TAB.to_string());
    assert_eq!(browser.script("return document.activeElement.textContent"), "Skip to content");
    browser.press(&ENTER.to_string());
    assert_eq!(browser.script("return location.hash"), "#content");
    browser.open(&format!("http://{addr}/"));
    // Skip link, brand, then the pages in their order.
    browser.press(&format!("{TAB}{TAB}{TAB}{TAB}{TAB}"));
    assert_eq!(browser.script("return document.activeElement.textContent.trim()"), "Approvals");
    let outlined = browser.script("return getComputedStyle(document.activeElement).outlineStyle");
    assert_eq!(outlined, "solid", "the focus is to be seen");
    browser.press(&ENTER.to_string());
    browser.wait_for_text("Nothing waits for a person.");
    let to_the_end = browser.script("return document.querySelectorAll('a[href], button').length").as_u64().unwrap();
    // From the top of the page, one stop after the other, none left out.
    browser.script("document.activeElement.blur()");
    browser.press(&String::from(TAB).repeat(usize::try_from(to_the_end).unwrap()));
    assert_eq!(browser.script("return document.activeElement.textContent"), "Log out");
    browser.press(&ENTER.to_string());
    browser.wait_for_text("Admin token");
}

#[test]
fn the_choice_of_colours_holds_against_the_system() {
    let (_daemon, addr) = start();
    let browser = logged_in(addr);
    let ground = || browser.script("return getComputedStyle(document.body).backgroundColor");
    let light = ground();
    browser.look(1280, 800, Scheme::Dark);
    let dark = ground();
    assert_ne!(light, dark);
    browser.click("button[name=theme][value=light]");
    wait_for("the light colours", || if ground() == light { Ok(()) } else { Err(ground().to_string()) });
    browser.look(1280, 800, Scheme::Light);
    browser.click("button[name=theme][value=dark]");
    wait_for("the dark colours", || if ground() == dark { Ok(()) } else { Err(ground().to_string()) });
}

#[test]
fn axe_finds_nothing_on_any_page_in_any_colours_on_any_width() {
    let (daemon, addr) = start();
    fill(&daemon, addr);
    let browser = Browser::start();
    let mut found = Vec::new();
    let looks = [(390, Scheme::Light), (390, Scheme::Dark), (1280, Scheme::Light), (1280, Scheme::Dark)];
    let look = |found: &mut Vec<String>, name: &str| {
        for (width, scheme) in looks {
            browser.look(width, 844, scheme);
            found.extend(browser.axe().into_iter().map(|one| format!("{name} {width} {scheme:?}: {one}")));
            let over = browser.script("return document.documentElement.scrollWidth - innerWidth").as_i64().unwrap();
            if over > 0 {
                found.push(format!("{name} {width}: it is {over} px wider than the window"));
            }
        }
    };
    browser.open(&format!("http://{addr}/login"));
    look(&mut found, "login");
    // That nothing is found means something only where something can be.
    browser.script("document.documentElement.removeAttribute('lang')");
    assert!(browser.axe().iter().any(|one| one.starts_with("html-has-lang")));
    browser.open(&format!("http://{addr}/login"));
    log_in(&browser);
    for (name, path) in pages(addr) {
        browser.open(&format!("http://{addr}{path}"));
        // What moves in has no colours of its own yet.
        browser.script("document.getAnimations().forEach((one) => one.finish())");
        browser.script("document.querySelectorAll('details').forEach((one) => { one.open = true })");
        look(&mut found, name);
    }
    // What there is only at times: a step that prints, a rule and a channel that are held back, a form that is refused.
    daemon.folder.write("hold", "", 0o644);
    push(&daemon, "e-live", 9, "db-09 / disk full", "disk full", "db-09");
    browser.open(&format!("http://{addr}/runs/{}", run_of(addr, "e-live")));
    browser.wait_for_text("output so far");
    browser.script("document.getAnimations().forEach((one) => one.finish())");
    look(&mut found, "run-live");
    std::fs::remove_file(daemon.folder.path("hold")).unwrap();
    browser.open(&format!("http://{addr}/rules/disk-full"));
    browser.click("section[aria-labelledby=holding] summary");
    browser.click("form[action='/pause'] button");
    browser.wait_for_text("The rule is paused");
    look(&mut found, "rule-paused");
    browser.script("document.querySelector(\"[name='form_token']\").value = 'other'");
    browser.click("form[action='/resume'] button");
    browser.wait_for_text("Nothing was done");
    look(&mut found, "refused");
    browser.open(&format!("http://{addr}/engine?channel=Order%20System"));
    browser.click("section[aria-labelledby=pauses] form[action='/pause'] button");
    browser.wait_for_text("The channel is paused");
    look(&mut found, "channel-paused");
    browser.open(&format!("http://{addr}/engine"));
    browser.click("section[aria-labelledby=switch] form[action='/pause'] button");
    browser.wait_for_text("The engine is paused");
    look(&mut found, "paused");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn on_a_phone_what_is_tapped_is_large_enough() {
    let (daemon, addr) = start();
    fill(&daemon, addr);
    let browser = logged_in(addr);
    browser.look(390, 844, Scheme::Dark);
    for path in ["/", "/approvals", "/engine", "/rules/disk-full", "/backtest"] {
        browser.open(&format!("http://{addr}{path}"));
        let small = browser.script(
            "return [...document.querySelectorAll('.top nav a, main button, main .button, main input, main select')]
               .filter((one) => one.type !== 'hidden' && one.type !== 'checkbox')
               .filter((one) => one.getBoundingClientRect().height < 44).map((one) => one.outerHTML)",
        );
        assert_eq!(small, json!([]), "{path}");
    }
}
