import { by, put, rate, set, time } from "./format.js";

const TOP = 19, BOTTOM = 18;
const svg = by("plot");

const make = (parent, name, attributes) => {
	const element = parent.appendChild(document.createElementNS("http://www.w3.org/2000/svg", name));
	for (const key in attributes) element.setAttribute(key, attributes[key]);
	return element;
};
const path = (name) => make(svg, "path", { class: name });

const hatch = make(make(svg, "defs"), "pattern", { id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
make(hatch, "path", { d: "M2.5 0V5", "stroke-width": 1.6 });
const grid = path("grid");
const areas = [path("allowed"), path("rejected")];
const offered = path("curve offered"), failed = path("curve failed");
const bands = make(svg, "g");
const texts = ["start", "start", "end"].map((anchor) => make(svg, "text", { "text-anchor": anchor }));
const cursor = path("cursor");

// nice returns the first of 1, 2, 5, 10, 20 … that is not below n.
const nice = (n) => {
	const power = 10 ** Math.floor(Math.log10(Math.max(n, 1)));
	return [1, 2, 5, 10].map((f) => f * power).find((f) => f >= n);
};

let pointer = null; // its x
let last = [];

// draw shows the last 1, 2 or 5 minutes of a track.
export const draw = (track, now) => {
	last = [track, now];
	const width = svg.clientWidth, bottom = svg.clientHeight - BOTTOM;
	const minutes = [1, 2, 5].find((m) => !(track[0]?.t < now - m * 60000)) ?? 5;
	const seen = track.filter((s) => s.t > now - minutes * 60000 - 2000);
	const per = (name) => (s) => s[name] / s.d;
	const max = nice(Math.max(0, ...seen.map(per("offered"))));
	const x = (t) => +(width - ((now - t) / 60000 / minutes) * width).toFixed(1);
	const y = (n) => +(bottom - (n / max) * (bottom - TOP)).toFixed(1);
	const points = (of) => seen.map((s) => x(s.t) + " " + y(of(s)));
	const curve = (of) => (seen.length ? "M" + points(of).join("L") : "");
	const area = (low, high) => (seen.length ? `${curve(high)}L${points(low).reverse().join("L")}Z` : "");
	set(grid, "d", [0, 0.5, 1].map((part) => `M0 ${y(max * part)}H${width}`).join(""));
	set(areas[0], "d", area(() => 0, per("allowed")));
	set(areas[1], "d", area(per("allowed"), per("offered")));
	set(offered, "d", curve(per("offered")));
	set(failed, "d", curve(per("failure")));
	band(seen, x);

	const aimed = pointer !== null && seen.length > 0;
	const s = aimed ? seen.reduce((a, b) => (Math.abs(x(b.t) - pointer) < Math.abs(x(a.t) - pointer) ? b : a)) : seen.at(-1);
	set(cursor, "d", aimed ? `M${x(s.t)} ${TOP}V${bottom}` : "");
	const words = [rate(max) + " /s", minutes + " min ago", aimed ? time(s.t) : "now"];
	texts.forEach((text, i) => {
		put(text, words[i]);
		set(text, "x", i < 2 ? "1" : String(width - 1));
		set(text, "y", String(i ? bottom + 13 : TOP - 9));
	});
	["offered", "allowed", "rejected", "failure"].forEach((name, i) => put(by("legend").children[i].lastElementChild, s ? rate(per(name)(s)) + " /s" : "–"));
};

// band marks above the plot when the breaker was not closed: high for open, low
// for half-open.
const band = (seen, x) => {
	bands.replaceChildren();
	for (let i = 0; i < seen.length; i++) {
		const { state, t, d } = seen[i];
		while (seen[i + 1]?.state === state) i++;
		const from = Math.max(0, x(t - d * 1000)), height = state === "open" ? 5 : 2;
		if (state !== "closed") make(bands, "rect", { class: state, x: from, y: TOP - height, width: Math.max(1, x(seen[i].t) - from), height });
	}
};

const point = (x) => {
	pointer = x;
	if (last[0]) draw(...last);
};
svg.addEventListener("pointermove", (e) => point(e.offsetX));
svg.addEventListener("pointerleave", () => point(null));
