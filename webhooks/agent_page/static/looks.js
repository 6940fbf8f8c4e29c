// When the page looks again at what is typed: after a short pause, not more often than it may, and an older answer never
// takes the place of a newer one.

const PAUSE_MS = 300;
const RETRY_MS = 3000;
const SLOWEST_MS = 16000;
const PATIENCE_MS = 30000;
const OVER = [403, 410];

// typed() are the words as they are now, `seen` those that the page was made with. ask(signal) fetches the answer to
// them; answered(news, current) shows it; failed(status) says that there is none, and stale(yes) that the words are newer
// than what is shown. Between two looks lie `everyMs`, and more while there are no answers.
export function startLooking({ typed, seen, everyMs, ask, answered, failed, stale }) {
  let asked = seen; // by the newest look
  let begun = 0;
  let newest = 0; // the look whose answer is shown
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
      if (over || mine < begun) return; // the newer look says how it is
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

// Whether the same words may find an answer later; no status: there was no answer at all.
function again(status) {
  return status === undefined || status === 429 || status >= 500;
}
