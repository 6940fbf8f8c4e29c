// Updates the progress of a text.
import { onceReleased } from "../../assets/pressing.js";
import { byId, replace } from "./parts.js";

const RETRY_MS = 3000;
const WAITING_MS = 10000;
const WRITING_BACK_MS = 1000;
const SHORTEST_MS = 250; // between two requests: an answer may come at once

export function startWatching(watch) {
  const trouble = byId("trouble");
  const wait = 15;

  async function look() {
    let pause = RETRY_MS;
    const begun = Date.now();
    try {
      const answer = await fetch(`${watch.dataset.news}?wait=${wait}`);
      if (answer.status === 403 || answer.status === 410) {
        trouble.textContent = "This page is open no longer. Open it again from the ticket to see more.";
        return;
      }
      if (!answer.ok) throw new Error(answer.statusText);
      const news = await answer.json();
      document.title = `${news.said} · Text customer`;
      onceReleased(() => {
        trouble.textContent = "";
        replace("progress", news.progress);
        replace("texts", news.texts);
        if (news.final) byId("cancel")?.remove();
      });
      if (news.done) return;
      pause = news.waits ? WAITING_MS : news.final ? WRITING_BACK_MS : Math.max(0, SHORTEST_MS - (Date.now() - begun));
    } catch {
      trouble.textContent = "The connector does not answer; trying again.";
    }
    setTimeout(look, pause);
  }

  byId("top").focus({ preventScroll: true });
  if (watch.dataset.done !== "yes") look();
}
