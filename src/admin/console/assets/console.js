// Keeps a page true while it is looked at. It knows nothing of events and runs: when the journal was written to, it
// fetches the page again and exchanges, inside what is marked `data-live`, the parts that became others. Without it
// everything can be read and done as well.
"use strict";

(() => {
  // Changes come in bursts: the page is fetched once the first is in, and then at most this often, in milliseconds.
  const FETCH_EVERY = 500;
  const KINDS = ["started", "received", "decided", "run-intended", "step-started", "step-ended", "run-ended",
    "approved", "set-aside", "reloaded", "paused", "resumed", "stopped"];
  const news = document.getElementById("news");

  // How long ago, in the largest unit that fits.
  const ago = (then) => {
    const seconds = Math.round((Date.now() - then) / 1000);
    const [size, name] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([size]) => Math.abs(seconds) >= size) || [1, "s"];
    const count = Math.abs(Math.round(seconds / size));
    if (count === 0) return "now";
    return seconds < 0 ? `in ${count} ${name}` : `${count} ${name} ago`;
  };

  const tellTimes = () => {
    for (const time of document.querySelectorAll("time[datetime]")) {
      const then = Date.parse(time.dateTime);
      if (Number.isNaN(then)) continue;
      time.dataset.utc ??= time.textContent;
      // Where it takes more than one line, a number stays with its unit.
      const [utc, since] = [time.dataset.utc.replace(" UTC", "\u00a0UTC"), ago(then).replaceAll(" ", "\u00a0")];
      const text = `${utc} (${since})`;
      if (time.textContent !== text) time.textContent = text;
    }
  };

  // For how long a step has run: the server said it once, and time goes on.
  const began = new WeakMap();
  const tellRunning = () => {
    for (const span of document.querySelectorAll("[data-running]")) {
      if (!began.has(span)) began.set(span, performance.now() - Number(span.dataset.running));
      const seconds = Math.floor((performance.now() - began.get(span)) / 1000);
      if (seconds > 0) span.textContent = seconds < 60 ? `for ${seconds} s` : `for ${Math.floor(seconds / 60)} min ${seconds % 60} s`;
    }
  };

  // What somebody is typing into, has opened or holds the focus in must not vanish under them.
  const isInUse = (node) => node.contains(document.activeElement) ||
    [...node.querySelectorAll("input, select")].some((field) => field.type !== "hidden" && field.type !== "checkbox" && field.value !== field.defaultValue && field.tagName === "INPUT");

  // Times carry what was added to them, so parts are compared by what the server sent.
  const sent = new WeakMap();
  const source = (node) => sent.get(node) ?? node.outerHTML;

  const keep = (node) => {
    for (const child of node.children) if (child.id) sent.set(child, child.outerHTML);
  };

  const renew = (now, next) => {
    const known = new Map([...now.children].filter((child) => child.id).map((child) => [child.id, child]));
    let place = now.firstElementChild;
    let added = 0;
    const stay = new Set();
    for (const fresh of [...next.children]) {
      const old = fresh.id ? known.get(fresh.id) : undefined;
      const html = fresh.outerHTML;
      let put;
      if (old && (source(old) === html || isInUse(old))) {
        put = old;
      } else {
        put = document.importNode(fresh, true);
        if (fresh.id) sent.set(put, html);
        if (old) {
          for (const opened of old.querySelectorAll("details[open] > summary")) {
            const same = [...put.querySelectorAll("summary")].find((one) => one.textContent === opened.textContent);
            if (same) same.parentElement.open = true;
          }
          if (place === old) place = old.nextElementSibling;
          old.remove();
        } else if (fresh.id) {
          added += 1;
          put.classList.add("fresh");
        }
      }
      stay.add(put);
      if (put === place) place = place.nextElementSibling;
      else now.insertBefore(put, place);
    }
    for (const child of [...now.children]) if (!stay.has(child) && !isInUse(child)) child.remove();
    return added;
  };

  let busy = false;
  let again = false;
  const refresh = async () => {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      // The session is over: the server leads to the login page.
      if (answer.redirected) {
        location.assign(answer.url);
        return;
      }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      let added = 0;
      for (const now of document.querySelectorAll("[data-live][id]")) {
        const next = page.getElementById(now.id);
        if (next) added += renew(now, next);
      }
      for (const selector of [".top nav", "#state"]) {
        const [now, next] = [document.querySelector(selector), page.querySelector(selector)];
        if (now && next && !now.contains(document.activeElement)) now.replaceWith(document.importNode(next, true));
      }
      showLive();
      tellTimes();
      if (added > 0) news.textContent = added === 1 ? "1 new entry" : `${added} new entries`;
    } finally {
      setTimeout(() => {
        busy = false;
        if (again) {
          again = false;
          refresh();
        }
      }, FETCH_EVERY);
    }
  };

  let live = false;
  const showLive = () => {
    const state = document.querySelector("[data-live-state]");
    if (!state) return;
    state.textContent = live ? "live" : "not live";
    state.classList.toggle("on", live);
  };

  for (const region of document.querySelectorAll("[data-live]")) keep(region);
  tellTimes();
  setInterval(tellTimes, 10000);
  setInterval(tellRunning, 1000);
  // What steps print is no record of the journal: the stream tells it of the run that is looked at.
  const run = document.querySelector("[data-run]")?.dataset.run;
  if (document.querySelector("[data-live]")) {
    const stream = new EventSource(run ? `/api/v1/stream?run=${encodeURIComponent(run)}` : "/api/v1/stream");
    stream.onopen = () => {
      live = true;
      showLive();
      // What happened between the page and the stream.
      refresh();
    };
    stream.onerror = () => {
      live = false;
      showLive();
    };
    for (const kind of [...KINDS, "output"]) stream.addEventListener(kind, refresh);
    // A browser opens six connections to a host, and pages in the background would hold them all.
    addEventListener("pagehide", () => stream.close());
    addEventListener("pageshow", (event) => event.persisted && location.reload());
  } else {
    document.querySelector("[data-live-state]")?.remove();
  }
})();
