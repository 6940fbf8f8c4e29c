// What was typed is kept in this tab: going back and loading again bring it back, with the findings that a reason was
// given for. The browser itself brings nothing back (autocomplete="off"): it would not know of the latter.
const KEPT = ["message", "override", "findings"];
const place = `typed:${location.pathname}${location.search}`;

export function keep(form) {
  const typed = KEPT.map((name) => [name, form.elements[name].value]);
  withStorage((storage) => storage.setItem(place, JSON.stringify(Object.fromEntries(typed))));
}

export function bringBack(form) {
  const [visit] = performance.getEntriesByType("navigation");
  if (!["back_forward", "reload"].includes(visit?.type)) return;
  const typed = JSON.parse(withStorage((storage) => storage.getItem(place)) ?? "{}");
  for (const name of KEPT) if (name in typed) form.elements[name].value = typed[name];
}

// A browser may refuse to keep anything, in a frame above all: then the page is as the server made it.
function withStorage(act) {
  try {
    return act(window.sessionStorage);
  } catch {
    return null;
  }
}
