import { by, label, put, set, time } from "./format.js";

const LENGTH = 200;
const list = by("entries");

const entry = (c, choose) => {
	const li = by("entry").content.firstElementChild.cloneNode(true);
	const [when, what] = li.children;
	const [button, line] = what.children;
	const [change, cause] = line.children;
	const [from, glyph, to] = change.children;
	const kind = c.mode ? "overruled" : c.to;
	const name = c.b ? label(c.b) : c.name || "(no name)";
	put(when, (c.exact ? "" : "~") + time(c.t));
	put(button, name);
	set(button, "title", name);
	button.addEventListener("click", () => choose(c));
	change.classList.add(kind);
	put(from, c.from);
	set(glyph.firstElementChild, "href", "#" + kind);
	put(to, c.to);
	put(cause, c.cause);
	return Object.assign(li, { t: c.t });
};

// add puts changes into the log, the newest first.
export const add = (changes, choose) => {
	for (const c of changes) {
		const after = [...list.children].find((li) => li.t <= c.t) ?? null;
		list.insertBefore(entry(c, choose), after);
	}
	while (list.children.length > LENGTH) list.lastElementChild.remove();
	by("quiet").hidden = list.children.length > 0;
};
