// The breaker that was chosen, or all of them together: its plot, what is known
// of it, and, for those who may, what can be done to it.
import { by, counts, label, put, set, span, time } from "./format.js";
import { draw } from "./plot.js";
import { about, badges } from "./table.js";

let current = null;

const one = (b) => ({
	Since: b.since ? time(Date.parse(b.since)) + (b.retry_after_ms ? `, retry after ${span(b.retry_after_ms)}` : "") : "–",
	Window: (b.window.length_ms ? b.window.length_ms / 1000 + " s: " : "") +
		counts(b.window, "success", "failure", "rejected", ...(b.window.slow ? ["slow"] : [])),
	"In a row": `${b.consecutive_successes} success, ${b.consecutive_failures} failure, ${b.openings} openings`,
	"In total": counts(b.totals, "offered", "allowed", "rejected", "success", "failure", "ignored"),
	Rule: b.rule || "–",
});

const tell = (facts) => {
	const list = by("facts");
	Object.entries(facts).flat().forEach((text, i) => {
		put(list.children[i] ?? list.appendChild(document.createElement(i % 2 ? "dd" : "dt")), text);
	});
};

export const show = (listing, history, b) => {
	const now = Date.parse(listing.now);
	if (b?.id !== current?.id) {
		by("facts").replaceChildren();
		ask(null);
		complain("");
	}
	current = b;
	put(by("chosen"), b ? label(b) : "All breakers");
	by("all").hidden = !b;
	for (const badge of [...by("about").children].slice(0, 2)) badge.hidden = !b;
	if (b) badges(by("about"), b);
	put(by("about").lastElementChild, b ? about(b, now) : `The sum of ${listing.breakers.length}.`);
	tell(b ? one(b) : { Keys: `${listing.keys.held} of ${listing.keys.limit}` });
	draw(history.of(b ? b.id : ""), history.at);
	by("controls").hidden = !(listing.admin && b?.controllable);
	for (const button of choices) if (button.value !== "reset") set(button, "aria-pressed", String(b?.mode === button.value));
};

export const complain = (text) => {
	by("failure").hidden = !text;
	put(by("failure"), text);
};

const QUESTIONS = {
	"force-open": "Reject every call of",
	"force-closed": "Let through every call of",
	"dry-run": "Reject no call of",
	reset: "Close, and forget what was seen of",
};
const choices = by("controls").querySelectorAll("[role] button");
let asked = null; // the button that waits for a yes

const lasts = (button) => button.value in QUESTIONS && button.value !== "reset";

const ask = (button) => {
	asked = button;
	by("confirm").hidden = !button;
	if (!button) return;
	put(by("question"), `${QUESTIONS[button.value]} ${label(current)}${lasts(button) ? " for " + by("for").selectedOptions[0].text : ""}?`);
	put(by("yes"), button.textContent);
	by("yes").focus();
};

// cancel takes back a question, and reports whether there was one.
export const cancel = () => {
	asked?.focus();
	const was = asked;
	ask(null);
	return was;
};

// connect makes the buttons call send with a breaker and what to do to it.
export const connect = (send) => {
	const go = (button) => send(current, { action: button.value, for: lasts(button) ? by("for").value : undefined });
	for (const button of choices) {
		button.addEventListener("click", () => {
			ask(button.value in QUESTIONS ? button : null);
			if (!asked) go(button);
		});
	}
	by("for").addEventListener("change", () => ask(asked));
	by("yes").addEventListener("click", () => go(cancel()));
	by("no").addEventListener("click", cancel);
};
