/** What the connector answers in the tests of the action, as Apex hands it on. */
export const CASE = '500000000000001AAA';
export const FINE = {
    ticket_id: CASE,
    number: '00001026',
    customer: 'Ana Silva',
    to: '+1•••••••••32',
    from: '+16285550199',
    message: 'Hi Ana',
    segments_most: 4,
    allowed: true,
    overridable: true,
    findings: [{ check: 'content', verdict: 'ok', why: '1 segment', overridable: false }],
    templates: [
        { name: 'requested', label: 'Requested', message: 'Hi Ana' },
        { name: 'call_us', label: 'Please call us', message: 'Call us, Ana' },
        { name: 'web', label: 'From the web' }
    ],
    after: 17
};
export const CLOSED = {
    ...FINE,
    allowed: false,
    findings: [{ check: 'hours', verdict: 'stop', why: 'it is 22:10 for the customer', overridable: true }]
};
export const SENT = {
    id: 18,
    ticket_id: CASE,
    state: 'sent',
    final: true,
    said: 'Sent. Chat 114 is selecting.',
    chat_id: 114,
    chat_status: 'selecting',
    to: '+1•••••••••32',
    message: 'Hi Ana'
};
export const QUEUED = { id: 18, ticket_id: CASE, state: 'queued', final: false, said: 'It waits for its turn.' };
export const FAILED = { id: 18, state: 'failed', final: true, said: 'Not sent: the number is not reachable.' };

export const answer = (body) => ({ body: JSON.stringify(body), unclear: false });
export const problem = (words, unclear = false) => ({ problem: words, unclear });
