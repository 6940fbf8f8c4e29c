// Keeps the form's input in this tab, with the findings that a reason covers. Going back or reloading restores it. The
// browser's own restoring is off (autocomplete="off"), because it would not restore the findings.
const KEPT = ["message", "override", "findings", "send_on", "send_time"];
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

// A browser may deny storage, most often in a frame. The page then stays as the server made it.
function withStorage(act) {
  try {
    return act(window.sessionStorage);
  } catch {
    return null;
  }
}
