import * as detail from "./detail.js";
import { by, label, percent, put, rate, set, time } from "./format.js";
import { History } from "./history.js";
import * as log from "./log.js";
import * as table from "./table.js";

const EVERY = 1000, SLOW = 5000; // ms

const history = new History();
let listing = null;
let asked = ""; // what the server filtered for
let order = []; // the breakers in the table
let cursor = ""; // of the log
let received = 0; // when the last listing came
let failures = 0; // in a row
let problem = "";
let polling = false, paused = false;
let timer = 0;

const view = { filter: "", only: "", chosen: "", toggle: (id) => choose(id === view.chosen ? "" : id, true) };

// The address names the breaker that was chosen, so that it can be sent around.
let wanted = new URLSearchParams(location.hash.slice(1)).get("key");

const request = async (path, options) => {
	const response = await fetch(path, { ...options, signal: AbortSignal.timeout(SLOW) });
	if (!response.ok) throw new Error(`${response.status}: ${(await response.text()).trim()}`);
	return response.json();
};

const poll = async () => {
	clearTimeout(timer);
	if (paused || polling) return;
	polling = true;
	try {
		// If there are more than an answer holds, the server has to filter.
		asked = listing?.left_out || asked ? view.filter : "";
		const next = await request("api/v1/breakers?" + new URLSearchParams({ order: "notable", limit: 1000, filter: asked }));
		const events = next.events ? await request("api/v1/events?since=" + encodeURIComponent(cursor)) : null;
		if (!paused) accept(next, events);
		failures = 0;
	} catch (error) {
		failures++;
		problem = error.message;
	}
	polling = false;
	status();
	if (!paused) timer = setTimeout(poll, document.hidden ? SLOW : Math.min(SLOW, EVERY * 2 ** Math.min(failures, 3)));
};

const accept = (next, events) => {
	listing = next;
	received = Date.now();
	let changes = history.add(listing);
	if (events) {
		cursor = events.next;
		changes = changes.filter((c) => c.mode).concat(events.events.map((e) => ({ ...e, t: Date.parse(e.at ?? next.now), exact: true })));
	}
	log.add(changes, (c) => choose(listing.breakers.find((b) => (c.b ? b.id === c.b.id : b.name === c.name))?.id ?? "", true));
	if (!history.seen.has(view.chosen)) view.chosen = listing.breakers.find((b) => label(b) === wanted)?.id ?? "";
	render();
};

const render = () => {
	if (!listing) return;
	const { states, keys, title } = listing;
	document.title = (states.open ? `(${states.open} open) ` : "") + title;
	put(by("title"), title);
	put(by("note"), listing.note);
	if (!by("actions").firstChild) listing.actions.forEach(addAction);
	for (const tile of by("states").children) {
		const n = { ...states, overruled: listing.overruled }[tile.value];
		put(tile.firstElementChild, String(n));
		tile.classList.toggle("some", n > 0);
		set(tile, "aria-pressed", String(view.only === tile.value));
	}
	const r = history.over("", 3);
	[rate(r.offered), rate(r.allowed), rate(r.rejected), percent(history.over("", 10).failed)]
		.forEach((text, i) => put(by("traffic").children[i].firstElementChild, text));
	const notice = [
		keys.overflows && `${keys.overflows} calls had a key beyond the limit and shared a breaker.`,
		listing.unreadable && `${listing.unreadable} cannot be read: see the program's log.`,
		listing.left_out && `${listing.left_out} more are not shown: filter for them.`,
	].filter(Boolean).join(" ");
	by("notice").hidden = !notice;
	put(by("notice"), notice);
	order = table.show(listing, history, view);
	by("empty").hidden = order.length > 0;
	put(by("empty"), listing.breakers.length || asked ? "No breaker matches." : "No breaker yet. Each comes with the first call of its operation.");
	detail.show(listing, history, history.seen.get(view.chosen) ?? null);
};

const status = () => {
	const late = Date.now() - received > 3 * (document.hidden ? SLOW : EVERY);
	const stale = !paused && (failures > 0 || (received && late));
	const state = paused ? "paused" : stale ? "stale" : received ? "live" : "connecting";
	set(by("live"), "class", state);
	put(by("live"), stale && !received ? "no answer" : state + (paused || stale ? " since " + time(received) : ""));
	set(by("live"), "title", stale ? problem : "");
	document.body.classList.toggle("stale", stale);
};

const act = async (path, body) => {
	detail.complain("");
	await request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })
		.catch((error) => detail.complain("Not done. " + error.message));
	poll();
};

const addAction = (name) => {
	const button = by("actions").appendChild(document.createElement("button"));
	put(button, name);
	button.addEventListener("click", () => act("api/v1/actions?name=" + encodeURIComponent(name), {}));
};

const choose = (id, scroll) => {
	const b = history.seen.get(id);
	view.chosen = id;
	wanted = b && label(b);
	window.history.replaceState(null, "", b ? "#" + new URLSearchParams({ key: wanted }) : location.pathname);
	render();
	// On a narrow screen the list is above, and what was chosen out of sight.
	if (scroll && b && matchMedia("(max-width: 1080px)").matches) by("detail").scrollIntoView();
};

const step = (n) => {
	if (!order.length) return;
	const at = order.findIndex((b) => b.id === view.chosen);
	const { id } = order[Math.min(order.length - 1, Math.max(0, at + n))];
	choose(id);
	table.focus(id);
};

const pause = () => {
	paused = !paused;
	set(by("pause"), "aria-pressed", String(paused));
	status();
	poll();
};

const filter = (text) => {
	by("filter").value = text;
	view.filter = text.trim().toLowerCase();
	render();
};

const only = (state) => {
	view.only = view.only === state ? "" : state;
	render();
};

const escape = () => {
	if (detail.cancel()) return;
	by("filter").blur();
	if (view.filter) filter("");
	else if (view.only) only(view.only);
	else choose("");
};

const KEYS = { "/": () => by("filter").focus(), p: pause, ArrowDown: () => step(1), ArrowUp: () => step(-1), Escape: escape };

addEventListener("keydown", (e) => {
	const typing = e.target === by("filter") && !/^(Arrow|Esc)/.test(e.key);
	const scrolling = e.key.startsWith("Arrow") && e.target.closest("select, ol");
	if (typing || scrolling || e.ctrlKey || e.metaKey || e.altKey || !KEYS[e.key]) return;
	e.preventDefault();
	KEYS[e.key]();
});
document.addEventListener("visibilitychange", () => document.hidden || poll());
by("filter").addEventListener("input", () => filter(by("filter").value));
by("pause").addEventListener("click", pause);
by("all").addEventListener("click", () => choose(""));
for (const tile of by("states").children) tile.addEventListener("click", () => only(tile.value));
detail.connect((b, body) => act("api/v1/breakers?id=" + encodeURIComponent(b.id), body));
setInterval(status, EVERY);
poll();
