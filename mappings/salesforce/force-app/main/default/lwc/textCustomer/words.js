import { timeWords } from './later';

/** What the connector's answers are called on the screen. */
const VERDICTS = {
    warn: 'Note',
    stop: 'Blocked',
    hold: 'Not now',
    overridden: 'Overridden'
};
// The key of the API that a refusal begins with. The screen has a field for it.
const KEY = /^send_at: /;
const NO_ANSWER = 'Salesforce did not answer. Check your connection.';

const plural = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`;

/** A sentence, whatever came. */
export function sentence(words) {
    const trimmed = (words ?? '').trim();
    const end = /[.!?…]$/.test(trimmed) ? '' : '.';
    return trimmed && trimmed[0].toUpperCase() + trimmed.slice(1) + end;
}

/** The findings that say anything against the text. */
export function findings(all) {
    return (all ?? [])
        .filter((one) => one.verdict !== 'ok')
        .map((one, index) => ({
            key: `${one.check}${index}`,
            verdict: VERDICTS[one.verdict] ?? VERDICTS.warn,
            why: sentence(one.why),
            style: one.verdict === 'stop' || one.verdict === 'hold' ? 'slds-text-color_error' : ''
        }));
}

/** The names of those findings that a person's reason may be given for. */
export function overridable(all) {
    return (all ?? []).filter((one) => one.overridable).map((one) => one.id);
}

/** "2 segments of at most 4" */
export function segmentsLine({ segments }, most) {
    const limit = most ? ` of at most ${most}` : '';
    return `${plural(segments, 'segment')}${limit}${most && segments > most ? ': too long' : ''}`;
}

/** "96 characters, GSM-7"; and which character makes segments short. */
export function unitsLine({ encoding, units }, stranger) {
    return `${units} characters, ${encoding}` + (stranger ? ` because of “${stranger}”: segments are shorter` : '');
}

/** What became of a text. One that was asked for before is not sent again: it is that text then. */
export function outcome(text) {
    const words = [
        text.duplicate && 'It was asked for before, and is not sent twice.',
        sentence(text.said),
        !text.final && 'The case will show the outcome.'
    ];
    return words.filter(Boolean).join(' ');
}

/** What is known of a text, to be shown in a list. */
export function facts(text) {
    return [
        ['Scheduled for', text.final ? '' : timeWords(text.send_at)],
        ['Chat', text.chat_id],
        ['Chat status', text.chat_status],
        ['To', text.to],
        ['Message', text.message],
        ['Text', text.id]
    ]
        .filter(([, value]) => value)
        .map(([name, value]) => ({ name, value, termKey: `${name} term`, key: name }));
}

/** What an answer of the Apex controller holds: { found } or { problem, isUnclear }. A call that fails is unclear. */
export async function ask(method, parameters) {
    try {
        const { body, problem, unclear } = await method(parameters);
        return problem ? { problem: sentence(problem.replace(KEY, '')), isUnclear: Boolean(unclear) } : { found: JSON.parse(body) };
    } catch (error) {
        return { problem: sentence(error?.body?.message ?? NO_ANSWER), isUnclear: true };
    }
}
