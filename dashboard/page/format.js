// How numbers and times are written, and how a text of the server gets into the
// page: as text, never as markup.

export const by = (id) => document.getElementById(id);

export const put = (element, text) => {
	if (element.textContent !== text) element.textContent = text;
};

export const set = (element, name, value) => {
	if (element.getAttribute(name) !== value) element.setAttribute(name, value);
};

export const rate = (n) => {
	if (n === null) return "–";
	if (n < 9.95) return n < 0.05 ? "0" : n.toFixed(1);
	return n < 9999.5 ? n.toFixed(0) : (n / 1000).toFixed(n < 99950 ? 1 : 0) + "k";
};

// 99.97 % is not all, and 0.01 % not nothing.
export const percent = (p) => {
	if (p === null) return "–";
	if (p > 0.99 && p < 1) return (Math.floor(p * 1000) / 10).toFixed(1) + " %";
	return (p > 0 && p < 0.0995 ? Math.max(p * 100, 0.1).toFixed(1) : Math.round(p * 100)) + " %";
};

export const counts = (object, ...names) => names.map((name) => `${object[name].toLocaleString()} ${name}`).join(", ");

const UNITS = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];

export const span = (ms) => {
	const s = Math.max(0, Math.floor(ms / 1000));
	const [size, unit, part, its] = UNITS.find(([size]) => s >= size) ?? [];
	return size ? `${Math.floor(s / size)} ${unit} ${Math.floor((s % size) / part)} ${its}` : s + " s";
};

export const time = (ms) => new Date(ms).toLocaleTimeString([], { hourCycle: "h23" });

export const label = (b) => (b.overflow ? "keys beyond the limit" : b.key || b.name || "(no name)");
