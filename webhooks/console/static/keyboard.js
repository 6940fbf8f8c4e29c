// Keys: / search, j k rows, Enter open, x select, p pause, ? help.
const typing = (element) => element.closest("input, textarea, select, [contenteditable]");

export function startKeyboard() {
  const help = document.getElementById("help");
  const button = document.getElementById("show-help");
  if (!help) return;
  button.hidden = false;
  button.addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || help.open) return;
    const act = {
      "/": () => document.getElementById("q").select(),
      "?": () => help.showModal(),
      "j": () => move(1),
      "k": () => move(-1),
      "x": () => here()?.querySelector("input[type=checkbox]")?.click(),
      "p": () => document.getElementById("live")?.click(),
      "Enter": () => open(event),
    }[event.key];
    if (!act) return;
    if (event.key !== "Enter") event.preventDefault();
    act();
  });
}

const rows = () => [...document.querySelectorAll("[data-row]")];
const here = () => document.querySelector("[data-row].here");

function move(by) {
  const all = rows();
  const at = all.indexOf(here());
  const next = all[Math.min(Math.max(at < 0 && by < 0 ? 0 : at + by, 0), all.length - 1)];
  if (!next) return;
  here()?.classList.remove("here");
  next.classList.add("here");
  const link = next.querySelector("a");
  (link ?? next).focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function open(event) {
  if (event.target !== document.body) return; // a focused link opens itself
  here()?.querySelector("a")?.click();
}
