import { by, label, percent, put, rate, set, span } from "./format.js";

const body = by("rows");
const rows = new Map(); // by id

const rejects = (b) => b.mode === "force-open" || (b.mode === "auto" && b.state === "open");
const rank = (b) => (rejects(b) ? 3 : b.state !== "closed" ? 2 : b.mode === "auto" ? 0 : 1);

// badges shows the state and the mode of a breaker.
export const badges = (element, b) => {
	const [pill, mode] = element.children;
	set(pill, "class", "pill " + b.state);
	set(pill.querySelector("use"), "href", "#" + b.state);
	put(pill.lastElementChild, b.state);
	mode.hidden = b.mode === "auto";
	put(mode, b.mode);
};

export const about = (b, now) => [
	b.mode_until && span(Date.parse(b.mode_until) - now) + " left",
	b.since && `${b.state} for ${span(now - Date.parse(b.since))}`, b.cause,
	b.totals.would_reject && b.totals.would_reject + " not rejected in dry runs",
	b.rule && "rule " + b.rule, b.name !== b.key && b.name,
].filter(Boolean).join(" · ");

const cell = (td, n, text, much = false) => {
	put(td, text);
	td.classList.toggle("zero", !n);
	td.classList.toggle("much", much);
};

const spark = (svg, track) => {
	const points = track.slice(-120);
	const any = points.some((s) => s.ratio > 0);
	const line = any ? points.map((s, i) => `${121 - points.length + i},${(23 - 22 * s.ratio).toFixed(1)}`).join(" ") : "";
	set(svg.firstElementChild, "points", any ? `${121 - points.length},24 ${line} 120,24` : "");
	set(svg.lastElementChild, "points", line);
};

const fill = (row, b, history, now, chosen) => {
	const [state, head, offered, allowed, rejected, failed, ratio, inFlight] = row.tr.children;
	const [button, more] = head.children;
	const r = history.over(b.id, 3);
	const share = history.over(b.id, 10).failed;
	set(row.tr, "class", (rejects(b) ? "open " : "") + (chosen ? "chosen" : ""));
	set(button, "aria-current", String(chosen));
	for (const [element, text] of [[button, label(b)], [more, about(b, now)]]) {
		put(element, text);
		set(element, "title", text);
	}
	badges(state, b);
	cell(offered, r.offered, rate(r.offered));
	cell(allowed, r.allowed, rate(r.allowed));
	cell(rejected, r.rejected, rate(r.rejected));
	cell(failed, share, percent(share), share >= 0.5);
	cell(ratio.lastElementChild, b.reject_ratio, percent(b.reject_ratio), b.reject_ratio >= 0.5);
	spark(ratio.firstElementChild, history.of(b.id));
	cell(inFlight, b.totals.in_flight, String(b.totals.in_flight));
};

const matches = (b, filter, only) => (!only || b.state === only || (only === "overruled" && b.mode !== "auto")) &&
	[label(b), b.name, b.state, b.mode, b.cause, b.rule].some((s) => s.toLowerCase().includes(filter));

let weighed = 0;

// show fills the table, and returns the breakers in it, in their order. The
// traffic is weighed anew every 10 s, and in steps: rows that change places all
// the time cannot be read.
export const show = (listing, history, view) => {
	const now = Date.parse(listing.now);
	const anew = Math.abs(now - weighed) >= 10000 || history.of("").length < 4;
	if (anew) weighed = now;
	const shown = listing.breakers.filter((b) => matches(b, view.filter, view.only));
	for (const b of shown) {
		let row = rows.get(b.id);
		if (!row) {
			row = { tr: by("row").content.firstElementChild.cloneNode(true) };
			row.tr.addEventListener("click", () => view.toggle(b.id));
			rows.set(b.id, row);
		}
		if (anew || row.weight === undefined) row.weight = Math.round(4 * Math.log2(1 + history.over(b.id, 30).offered));
		fill(row, b, history, now, b.id === view.chosen);
	}
	const weight = (b) => rows.get(b.id).weight;
	shown.sort((a, b) => rank(b) - rank(a) || weight(b) - weight(a) || (label(a) < label(b) ? -1 : 1));
	place(shown.map((b) => rows.get(b.id).tr));
	for (const [id, { tr }] of rows) if (!tr.isConnected) rows.delete(id);
	return shown;
};

// place makes the body hold these rows, and moves no other than it has to: a row
// that is moved loses the focus.
const place = (wanted) => {
	const focused = document.activeElement;
	const keep = new Set(wanted);
	for (const tr of [...body.children]) if (!keep.has(tr)) tr.remove();
	let next = body.firstElementChild;
	for (const tr of wanted) {
		if (tr === next) next = next.nextElementSibling;
		else body.insertBefore(tr, next);
	}
	if (body.contains(focused)) focused.focus({ preventScroll: true });
};

export const focus = (id) => {
	const { tr } = rows.get(id);
	tr.querySelector("button").focus({ preventScroll: true });
	tr.scrollIntoView({ block: "nearest" });
};
