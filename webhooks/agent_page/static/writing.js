// Counts segments and updates the preview while the agent types. The fields are what is sent: the script changes them
// only for a chosen template and for restored input.
import { onceReleased } from "../../assets/pressing.js";
import { bringBack, keep } from "./keeping.js";
import { startLooking } from "./looks.js";
import { byId, replace } from "./parts.js";
import { leaving, measure } from "./segments.js";

const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const NOTHING = "<p class='hint'>The preview cannot be had right now.</p>";
// The reason for a missing preview, by status.
const TROUBLE = {
  403: "This page is open no longer. Copy your words, and open it again from the ticket.",
  410: "This page is open no longer. Copy your words, and open it again from the ticket.",
  413: "This cannot be looked at: it is too long.",
  422: "This cannot be looked at: it is too long, or holds a character that cannot be kept.",
  429: "There were too many requests in this minute; trying again.",
};
const AWAY = "The connector or the CRM does not answer; trying again.";

export function startWriting(form) {
  const { message, template, override, language, send_on: day, send_time: time } = form.elements;
  const send = byId("send");
  let shown = form.elements.findings.value; // the findings on the screen
  bringBack(form);
  const looks = startLooking({
    typed: () => words(message.value, override.value, [language?.value ?? "", day.value, time.value]),
    seen: words(message.defaultValue, override.defaultValue,
      [form.elements.language_before?.value ?? "", day.defaultValue, time.defaultValue]),
    everyMs: Number(form.dataset.lookEveryMs),
    ask: (signal) => fetch(form.dataset.preview, { method: "POST", body: new FormData(form), signal }),
    answered: (news) => onceReleased(() => {
      shown = news.findings;
      show(form, news);
      if (!override.value.trim()) form.elements.findings.value = shown;
    }),
    failed: (status) => onceReleased(() => {
      replace("preview", NOTHING);
      replace("verdict", TROUBLE[status] ?? AWAY);
      mark(form, false);
    }),
    stale: (yes) => onceReleased(() => mark(form, yes)),
  });
  const count = startCounting(message);

  for (const field of [message, override]) {
    field.addEventListener("input", () => {
      if (field === override) form.elements.findings.value = shown; // a reason covers the findings on the screen
      keep(form);
      forgive(field);
      count();
      looks.soon();
    });
    field.addEventListener("change", looks.now);
  }
  startTemplates(message, template, () => {
    keep(form);
    count();
    looks.now();
  });
  language?.addEventListener("change", looks.now);
  for (const field of [day, time]) {
    field.addEventListener("change", () => {
      field.removeAttribute("aria-invalid");
      byId("later-problem")?.remove();
      keep(form);
      looks.now();
    });
  }
  form.addEventListener("submit", (event) => {
    if (event.submitter !== send) return;
    if (send.getAttribute("aria-disabled") === "true") {
      event.preventDefault();
      return;
    }
    looks.end();
    for (const field of [message, override, day, time]) field.readOnly = true; // shows what is being sent
    send.setAttribute("aria-disabled", "true");
    send.textContent = "Sending …";
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) window.location.reload(); // the agent went back: load the current state
    else refresh(); // for any input that a browser has restored
  });
  refresh();

  function refresh() {
    byId("reason").hidden &&= !override.value.trim();
    count();
    looks.now();
  }
}

const words = (message, override, choices) => JSON.stringify([message.trim(), override.trim(), ...choices]);

// Removes a problem of the last attempt to send, which may be solved. The verdict shows the present state.
function forgive(field) {
  field.removeAttribute("aria-invalid");
  byId(`${field.id}-problem`)?.remove();
}

function mark(form, stale) {
  form.classList.toggle("stale", stale);
  byId("updating").hidden = !stale;
}

function show(form, news) {
  const { override, after } = form.elements;
  replace("preview", news.preview);
  replace("verdict", news.verdict);
  replace("texts", news.texts);
  byId("reason").hidden = !news.wants_reason && !override.value.trim() && document.activeElement !== override;
  byId("send").hidden = news.stopped;
  after.value = news.after;
}

function startCounting(message) {
  const counter = byId("counter");
  const { before, after, most } = counter.dataset;
  const plain = JSON.parse(counter.dataset.plain);
  return () => {
    const leaves = leaving(message.value.trim(), { before, after, plain });
    const { segments, encoding } = measure(leaves);
    const tooMany = segments > Number(most) ? ` – at most ${most} can be sent` : "";
    counter.textContent = `${plural(Array.from(leaves).length, "character")}, ` +
      `${plural(segments, "segment")} as it leaves (${encoding})${tooMany}`;
    counter.classList.toggle("problem", Boolean(tooMany));
    counter.dataset.segments = segments;
  };
}

// Starts from a template, and can restore the agent's own words.
function startTemplates(message, template, changed) {
  const undo = byId("undo");
  let own = "";

  template?.addEventListener("change", () => {
    if (message.readOnly) return;
    const known = Array.from(template.options).some((one) => one.dataset.message.trim() === message.value.trim());
    own = known ? "" : message.value;
    undo.hidden = !own;
    message.value = template.selectedOptions[0].dataset.message;
    changed();
  });
  undo?.addEventListener("click", () => {
    if (message.readOnly) return;
    message.value = own;
    undo.hidden = true;
    message.focus();
    changed();
  });
}
