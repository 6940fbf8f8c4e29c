// Replaces the live parts of a page every few seconds. Not while it is paused, hidden, or in use.
import { isPressed, watchPointer } from "../../assets/pressing.js";
import { localTimes } from "./times.js";

const EVERY_MS = 5000;
const KEY = "console.paused";
// Why a page shows what was true some time ago.
const ENDED = "Your session has ended: this page shows what was true then. Reload it to sign in again.";
const AWAY = "The connector does not answer: this page may show what is no longer true.";

export function startLive() {
  const button = document.getElementById("live");
  if (!button || !document.querySelector("[data-live]")) return;
  button.hidden = false;
  watchPointer();
  show(button);
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, paused() ? "" : "yes");
    show(button);
    if (!paused()) refresh();
  });
  addEventListener("storage", () => show(button)); // another tab was paused or resumed
  setInterval(() => paused() || document.hidden || refresh(), EVERY_MS);
}

const paused = () => localStorage.getItem(KEY) === "yes";

function show(button) {
  button.textContent = paused() ? "Resume refreshing" : "Pause refreshing";
}

async function refresh() {
  let fresh;
  try {
    const response = await fetch(location.href, { headers: { "X-Live": "1" } });
    sayOld(response.ok ? "" : response.status === 401 ? ENDED : AWAY);
    if (!response.ok) return;
    fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  } catch {
    sayOld(AWAY); // the next refresh tries again
    return;
  }
  if (paused() || isPressed()) return;
  localTimes(fresh);
  for (const part of document.querySelectorAll("[data-live]")) {
    const now = fresh.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
    if (now && !inUse(part) && now.innerHTML !== part.innerHTML) replace(part, now);
  }
}

function sayOld(words) {
  const old = document.getElementById("old");
  if (old.textContent !== words) old.textContent = words;
  old.hidden = !words;
}

// A part with the focus, a selection, or something typed or ticked stays as it is.
function inUse(part) {
  const selection = getSelection();
  return part.contains(document.activeElement) || part.querySelector(":checked, dialog[open]")
    || [...part.querySelectorAll("input, textarea")].some((field) => field.value !== field.defaultValue)
    || (!selection.isCollapsed && part.contains(selection.anchorNode));
}

function replace(part, now) {
  const at = [...part.querySelectorAll("[data-row]")].findIndex((row) => row.classList.contains("here"));
  const open = [...part.querySelectorAll("details")].map((details) => details.open);
  part.replaceChildren(...now.childNodes);
  part.querySelectorAll("details").forEach((details, index) => { details.open = open[index] ?? details.open; });
  part.querySelectorAll("[data-row]")[at]?.classList.add("here");
}
