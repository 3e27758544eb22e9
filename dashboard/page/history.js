// What the page has seen: the server keeps no history.
const LENGTH = 300; // samples of each breaker: 5 minutes
const STATES = ["closed", "half-open", "open"];
const COUNTS = ["offered", "allowed", "rejected", "success", "failure"];

export class History {
	tracks = new Map(); // samples by id; "" has the sum of all
	seen = new Map(); // breakers by id, as they were last
	at = 0;

	// add takes a listing, and returns what changed since the one before.
	add(listing) {
		const t = performance.timeOrigin + performance.now(); // does not jump
		const d = (t - this.at) / 1000; // seconds that a sample tells of
		const sum = { t, d, ratio: null, state: "closed" };
		for (const name of COUNTS) sum[name] = 0;
		const changes = [];
		const seen = new Map();
		for (const b of listing.breakers) {
			const before = this.seen.get(b.id);
			seen.set(b.id, b);
			changes.push(...(before ? changed(before, b, Date.parse(listing.now)) : recalled(b)));
			// What is new since the last look has counted from zero. But at the
			// first look, or in a list that is cut, nobody knows for how long.
			if (!before && (!this.at || listing.left_out > 0)) continue;
			const s = { t, d, ratio: b.reject_ratio, state: b.mode === "force-open" ? "open" : b.state };
			for (const name of COUNTS) {
				s[name] = Math.max(0, b.totals[name] - (before?.totals[name] ?? 0));
				sum[name] += s[name];
			}
			this.#push(b.id, s);
		}
		if (this.at) this.#push("", sum);
		for (const id of this.tracks.keys()) if (id && !seen.has(id)) this.tracks.delete(id);
		this.seen = seen;
		this.at = t;
		return changes;
	}

	#push(id, s) {
		const track = this.of(id);
		// After a click there is a look at once: too soon for a sample.
		const last = s.d < 0.5 && track.pop();
		if (last) for (const name of ["d", ...COUNTS]) s[name] += last[name];
		if (track.push(s) > LENGTH) track.shift();
		this.tracks.set(id, track);
	}

	of(id) {
		return this.tracks.get(id) ?? [];
	}

	// over returns the calls per second of the last seconds, and the share of
	// failures; null is for what is not known.
	over(id, seconds) {
		const last = this.of(id).filter((s, i, all) => i === all.length - 1 || s.t > this.at - seconds * 1000);
		const sum = (name) => last.reduce((n, s) => n + s[name], 0);
		const r = {};
		for (const name of COUNTS) r[name] = last.length ? sum(name) / sum("d") : null;
		r.failed = r.success + r.failure > 0 ? r.failure / (r.success + r.failure) : null;
		return r;
	}
}

const change = (b, t, from, to, cause, exact) => ({ t, b, from, to, cause, exact });

// recalled returns the last transition of a breaker that was not seen before.
const recalled = (b) => {
	const from = STATES.filter((s) => b.transitions[s]?.[b.state]);
	return from.length && b.since ? [change(b, Date.parse(b.since), from.length === 1 ? from[0] : "", b.state, b.cause, true)] : [];
};

// changed returns the transitions between two looks, oldest first. How many
// there were is known; when and why, only of the last one.
const changed = (a, b, t) => {
	const left = {};
	let n = 0;
	for (const from of STATES) {
		for (const to of STATES) {
			const more = (b.transitions[from]?.[to] ?? 0) - (a.transitions[from]?.[to] ?? 0);
			left[from + to] = more;
			n += more;
		}
	}
	const steps = (n < 20 && walk(a.state, b.state, left, n)) || (a.state === b.state ? [] : [[a.state, b.state]]);
	const changes = steps.map(([from, to]) => change(b, b.since ? Date.parse(b.since) : t, from, to, "", false));
	if (changes.length && b.since) Object.assign(changes.at(-1), { cause: b.cause, exact: true });
	if (a.mode !== b.mode) changes.push({ ...change(b, t, a.mode, b.mode, "", false), mode: true });
	return changes;
};

// walk finds a way between two states that takes each transition as often as it
// is left.
const walk = (at, end, left, n) => {
	if (n === 0) return at === end ? [] : null;
	for (const to of STATES) {
		if (!(left[at + to] > 0)) continue;
		const rest = walk(to, end, { ...left, [at + to]: left[at + to] - 1 }, n - 1);
		if (rest) return [[at, to], ...rest];
	}
	return null;
};
