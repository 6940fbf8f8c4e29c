/** What the connector answers in the tests of the action, as Apex hands it on. Its names are held to the API's. */
import answers from './answers.json';

export const CASE = answers.preview.ticket_id;
export const FINE = answers.preview;
export const CLOSED = { ...FINE, allowed: false, findings: answers.stopped };
export const SENT = answers.sent;
export const QUEUED = answers.queued;
export const FAILED = answers.failed;
export const SCHEDULED = answers.scheduled;
export const CANCELLED = answers.cancelled;

export const answer = (body) => ({ body: JSON.stringify(body), unclear: false });
export const problem = (words, unclear = false) => ({ problem: words, unclear });
