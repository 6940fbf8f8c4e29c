// Counts while somebody types, looks again when they have, and shows by itself what becomes of a text.
// The page does all of this without this script as well, by loading again.
import { leaving, measure } from "./segments.js";

const RETRY_MS = 3000;
const WAITING_MS = 10000;
const TELLING_MS = 1000;

const byId = (id) => document.getElementById(id);
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

// Times in the reader's own zone.
function localise(part) {
  for (const time of part.querySelectorAll("time")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) {
      time.title = time.textContent;
      time.textContent = moment.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
    }
  }
}

// Only where something changed, so that nothing is read out twice and nobody loses their place.
function replace(id, html) {
  const part = byId(id);
  if (part.dataset.html === html) return;
  part.dataset.html = html;
  const open = part.querySelector("details")?.open;
  part.innerHTML = html;
  if (open && part.querySelector("details")) part.querySelector("details").open = true;
  localise(part);
}

function startWriting(form) {
  const { message, template, override, after, key } = form.elements;
  const counter = byId("counter");
  const { before: ahead, after: behind } = counter.dataset;
  const plain = JSON.parse(counter.dataset.plain);
  const send = byId("send");
  const undo = byId("undo");
  let looked = looksLike();
  let asked = 0;

  function looksLike() {
    return JSON.stringify([message.value.trim(), override.value.trim()]);
  }

  function count() {
    const leaves = leaving(message.value.trim(), { before: ahead, after: behind, plain });
    const { segments, encoding } = measure(leaves);
    const most = Number(counter.dataset.most);
    const tooMany = segments > most ? ` – at most ${most} can be sent` : "";
    counter.textContent = `${plural(Array.from(leaves).length, "character")}, ` +
      `${plural(segments, "segment")} as it leaves (${encoding})${tooMany}`;
    counter.classList.toggle("problem", segments > most);
    counter.dataset.segments = segments;
  }

  async function look() {
    const now = looksLike();
    if (now === looked) return;
    looked = now;
    const mine = ++asked;
    byId("preview").setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.dataset.preview, { method: "POST", body: new FormData(form) });
      if (!answer.ok) throw new Error(answer.statusText);
      const news = await answer.json();
      if (mine !== asked) return;
      replace("preview", news.preview);
      replace("texts", news.texts);
      byId("reason").hidden = !news.wants_reason && !override.value.trim();
      after.value = news.after;
      key.value = news.key;
    } catch {
      looked = "";
      if (mine === asked) replace("preview", "<p class='hint'>The preview cannot be had right now.</p>");
    }
    byId("preview").removeAttribute("aria-busy");
  }

  message.addEventListener("input", count);
  message.addEventListener("change", look);
  override.addEventListener("change", look);
  let before = "";
  template?.addEventListener("change", () => {
    const words = template.selectedOptions[0].dataset.message;
    const known = Array.from(template.options).some((one) => one.dataset.message.trim() === message.value.trim());
    before = known ? "" : message.value;
    undo.hidden = !before;
    message.value = words;
    count();
    look();
  });
  undo?.addEventListener("click", () => {
    message.value = before;
    undo.hidden = true;
    message.focus();
    count();
    look();
  });
  form.addEventListener("submit", (event) => {
    if (event.submitter !== send || !send) return;
    if (send.getAttribute("aria-disabled") === "true") {
      event.preventDefault();
      return;
    }
    send.setAttribute("aria-disabled", "true");
    send.textContent = "Sending …";
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) window.location.reload(); // gone back: as it is now, not as it was
  });
  count();
}

function startWatching(watch) {
  const trouble = byId("trouble");
  let wait = 15;

  async function look() {
    let pause = RETRY_MS;
    try {
      const answer = await fetch(`${watch.dataset.news}?wait=${wait}`);
      if (answer.status === 403 || answer.status === 410) {
        trouble.textContent = "This page is open no longer. Open it again from the ticket to see more.";
        return;
      }
      if (!answer.ok) throw new Error(answer.statusText);
      const news = await answer.json();
      trouble.textContent = "";
      replace("progress", news.progress);
      document.title = `${news.said} · Text customer`;
      replace("texts", news.texts);
      if (news.final) byId("cancel")?.remove();
      if (news.done) return;
      pause = news.final ? TELLING_MS : news.waits ? WAITING_MS : 0;
    } catch {
      trouble.textContent = "The connector does not answer; trying again.";
    }
    setTimeout(look, pause);
  }

  byId("top").focus({ preventScroll: true });
  if (watch.dataset.done !== "yes") look();
}

document.documentElement.classList.add("with-script");
localise(document);
if (byId("write")) startWriting(byId("write"));
if (byId("watch")) startWatching(byId("watch"));
