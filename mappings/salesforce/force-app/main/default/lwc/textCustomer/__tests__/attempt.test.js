import { Attempt } from '../attempt';

const HI = { message: 'Hi', overrideReason: '', overrides: [] };
const BYE = { message: 'Bye', overrideReason: '', overrides: [] };

describe('attempt', () => {
    it('has a key that the connector and Apex take', () => {
        const { idempotencyKey } = new Attempt().request(HI, '1');
        expect(idempotencyKey).toMatch(/^[0-9a-f]{32}$/);
        expect(new Attempt().request(HI, '1').idempotencyKey).not.toBe(idempotencyKey);
    });

    it('repeats the very same request while nobody knows whether it arrived', () => {
        const attempt = new Attempt();
        const first = attempt.request(HI, '1');
        expect(attempt.isOpen).toBe(true);
        expect(attempt.request(BYE, '2')).toBe(first);
    });

    it.each(['refused', 'concluded'])('keeps its key when %s until the words change', (end) => {
        const attempt = new Attempt();
        const first = attempt.request(HI, '1');
        attempt[end]();
        expect(attempt.isOpen).toBe(false);
        expect(attempt.request(HI, '2')).toBe(first);
        attempt[end]();
        const second = attempt.request(BYE, '2');
        expect(second).toMatchObject({ ...BYE, after: '2' });
        expect(second.idempotencyKey).not.toBe(first.idempotencyKey);
    });

    it('takes a reason for other words', () => {
        const attempt = new Attempt();
        const first = attempt.request(HI, '1');
        attempt.refused();
        expect(attempt.request({ ...HI, overrideReason: 'urgent' }, '1').idempotencyKey).not.toBe(first.idempotencyKey);
    });

    it('is a new one when the same reason is given for other findings', () => {
        const attempt = new Attempt();
        const first = attempt.request({ ...HI, overrideReason: 'urgent', overrides: ['hours'] }, '1');
        attempt.refused();
        const again = attempt.request({ ...HI, overrideReason: 'urgent', overrides: ['hours', 'window:17'] }, '1');
        expect(again.idempotencyKey).not.toBe(first.idempotencyKey);
    });

    it.each([{ sendAt: '2026-11-27T14:30:00.000Z' }, { language: 'es' }])('is a new one for %j', (choice) => {
        const attempt = new Attempt();
        const first = attempt.request(HI, '1');
        attempt.refused();
        expect(attempt.request({ ...HI, ...choice }, '1').idempotencyKey).not.toBe(first.idempotencyKey);
    });

    it('is spent once it has an outcome, for the same words', () => {
        const attempt = new Attempt();
        expect(attempt.isSpent(HI)).toBe(false);
        attempt.request(HI, '1');
        attempt.refused();
        expect(attempt.isSpent(HI)).toBe(false);
        attempt.concluded();
        expect(attempt.isSpent(HI)).toBe(true);
        expect(attempt.isSpent(BYE)).toBe(false);
    });
});
