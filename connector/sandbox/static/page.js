// Keeps the page current: fetches its parts every second and replaces those that changed.
"use strict";

const PERIOD_MS = 1000;
const live = document.querySelector(".live");

// A click counts only where the pointer is released over what it was pressed on. So nothing moves in between.
// Only the first button clicks. A menu that opens takes the release for itself.
let pressed = false;
addEventListener("pointerdown", (event) => { pressed = event.button === 0; }, true);
for (const end of ["pointerup", "pointercancel", "change", "contextmenu"]) {
  addEventListener(end, () => { pressed = false; }, true);
}

const shown = new Map();
const written = (part) => part.innerHTML.trim();

function replace(part, html) {
  const news = document.createElement("template");
  news.innerHTML = html;
  if ((shown.get(part) ?? written(part)) === written(news)) return;
  shown.set(part, written(news));
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  const opened = part.querySelector("details")?.open;
  const atEnd = part.scrollHeight - part.scrollTop - part.clientHeight < 40;
  part.replaceChildren(news.content);
  if (opened) part.querySelector("details").open = true;
  if (focused) document.getElementById(focused)?.focus();
  if (part.id === "phone" && atEnd) part.scrollTop = part.scrollHeight;
}

async function update() {
  try {
    const answer = await fetch(document.body.dataset.parts, { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    const parts = await answer.json();
    for (const [name, html] of pressed ? [] : Object.entries(parts)) {
      const part = document.getElementById(name);
      if (part) replace(part, html);
    }
    live.textContent = "Updates by itself";
  } catch {
    live.textContent = "The sandbox does not answer";
  }
  setTimeout(update, PERIOD_MS);
}

live.hidden = false;
document.querySelector(".refresh").hidden = true;
const phone = document.getElementById("phone");
phone.scrollTop = phone.scrollHeight;
update();
