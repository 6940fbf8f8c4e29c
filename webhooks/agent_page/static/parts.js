// Updates the parts of the page that change.
import { watchPointer } from "../../assets/pressing.js";

export const byId = (id) => document.getElementById(id);

const PARTS = ["preview", "verdict", "progress", "texts"];
const shown = new Map();

export function begin() {
  document.documentElement.classList.add("with-script");
  for (const id of PARTS) if (byId(id)) shown.set(id, written(byId(id)));
  localise(document);
  watchPointer();
}

// Replaces a part only when it changed, so that screen readers do not repeat it and the focus stays.
export function replace(id, html) {
  const part = byId(id);
  const news = document.createElement("template");
  news.innerHTML = html;
  if (shown.get(id) === written(news)) return;
  shown.set(id, written(news));
  const open = part.querySelector("details")?.open;
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  part.replaceChildren(news.content);
  if (open && part.querySelector("details")) part.querySelector("details").open = true;
  localise(part);
  if (focused) byId(focused)?.focus({ preventScroll: true });
}

const written = (part) => part.innerHTML.trim();

// Shows times in the reader's time zone.
function localise(part) {
  for (const time of part.querySelectorAll("time")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) {
      time.title = time.textContent;
      time.textContent = moment.toLocaleString("en-GB", {
        day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
      });
    }
  }
}
