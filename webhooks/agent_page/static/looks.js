// Schedules previews while the agent types: after a short pause, within the rate limit. An older answer never replaces
// a newer one.

const PAUSE_MS = 300;
const RETRY_MS = 3000;
const SLOWEST_MS = 16000;
const PATIENCE_MS = 30000;
const OVER = [403, 410];

// typed() returns the current input, `seen` is the input that the page was made with. ask(signal) fetches a preview;
// answered(news) shows it; failed(status) reports its failure; stale(yes) marks the preview as older than the input.
// `everyMs` is the interval between previews; it grows while there are no answers.
export function startLooking({ typed, seen, everyMs, ask, answered, failed, stale }) {
  let asked = seen; // the input of the newest request
  let begun = 0;
  let newest = 0; // the request whose answer is shown
  let unanswered = 0;
  let begunAt = -Infinity;
  let over = false;
  let timer;

  function soon(pause = PAUSE_MS) {
    if (over) return;
    stale(typed() !== seen);
    wait(pause);
  }

  function wait(pause) {
    clearTimeout(timer);
    if (typed() === asked) return;
    const distance = Math.min(everyMs * 2 ** Math.max(unanswered - 1, 0), SLOWEST_MS);
    timer = setTimeout(look, Math.max(pause, begunAt + distance - Date.now()));
  }

  async function look() {
    const mine = ++begun;
    const words = (asked = typed());
    begunAt = Date.now();
    unanswered += 1;
    try {
      const answer = await ask(AbortSignal.timeout(PATIENCE_MS));
      if (!answer.ok) throw answer;
      const news = await answer.json();
      if (over || mine < newest) return;
      newest = mine;
      unanswered = 0;
      seen = words;
      answered(news);
      soon();
    } catch (trouble) {
      if (over || mine < begun) return; // the newer request reports the state
      failed(trouble.status);
      if (OVER.includes(trouble.status)) end();
      else if (again(trouble.status)) {
        asked = null;
        wait(Math.max(RETRY_MS, 1000 * Number(trouble.headers?.get("Retry-After") ?? 0)));
      }
    }
  }

  function end() {
    over = true;
    clearTimeout(timer);
  }

  return { soon, now: () => soon(0), end };
}

// Whether a retry may succeed. No status: there was no answer.
function again(status) {
  return status === undefined || status === 429 || status >= 500;
}
