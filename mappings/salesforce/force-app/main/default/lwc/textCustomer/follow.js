/** Looks for a text's outcome: every second, for about two minutes with what the connector itself waits. */
const LOOK_EVERY = 1000;
const MOST_LOOKS = 25;
// Looks one after another that get no answer.
const MOST_MISSES = 3;

/** The text as it was last seen: with its outcome, known to leave later, or as it is when nobody waits any more. */
export async function follow(text, { look, isGone }) {
    let last = text;
    let misses = 0;
    for (let looks = 0; looks < MOST_LOOKS && misses < MOST_MISSES; looks += 1) {
        if (last.final || last.leaves_at || isGone()) {
            break;
        }
        // Each look needs the answer of the one before.
        // eslint-disable-next-line no-await-in-loop
        await pause(LOOK_EVERY);
        // eslint-disable-next-line no-await-in-loop
        const { found } = await look(String(last.id));
        last = found ?? last;
        misses = found ? 0 : misses + 1;
    }
    return last;
}

function pause(milliseconds) {
    return new Promise((resolve) => {
        // Waiting is what this is for.
        // eslint-disable-next-line @lwc/lwc/no-async-operation
        setTimeout(resolve, milliseconds);
    });
}
