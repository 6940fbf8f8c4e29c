import preview from '@salesforce/apex/TextCustomerController.preview';
import send from '@salesforce/apex/TextCustomerController.send';
import cancel from '@salesforce/apex/TextCustomerController.cancel';
import { answer, CANCELLED, CASE, FAILED, FINE, problem, SCHEDULED } from '../../../../../../tests/answers';
import { begin, click, clicked, end, find, flush, open, typed, words } from '../../../../../../tests/screen';
import { timeWords } from '../later';

jest.mock('@salesforce/apex/TextCustomerController.preview', () => ({ default: jest.fn() }), { virtual: true });
jest.mock('@salesforce/apex/TextCustomerController.send', () => ({ default: jest.fn() }), { virtual: true });
jest.mock('@salesforce/apex/TextCustomerController.read', () => ({ default: jest.fn() }), { virtual: true });
jest.mock('@salesforce/apex/TextCustomerController.cancel', () => ({ default: jest.fn() }), { virtual: true });

const NOW = '2026-11-26T12:00:00.000Z';
const LATER = '2026-11-27T14:30:00.000Z';
const TIME = '[data-id="send-at"]';

beforeEach(() => {
    begin();
    jest.setSystemTime(new Date(NOW));
});
afterEach(end);

describe('a later time', () => {
    it('is looked at as of then, and scheduled', async () => {
        await open();
        expect(find(TIME).type).toBe('datetime');
        await typed(TIME, LATER);
        expect(preview).toHaveBeenLastCalledWith(expect.objectContaining({ message: 'Hi Ana', sendAt: LATER }));
        expect(find('[data-id="send"]').label).toBe('Schedule');
        send.mockResolvedValue(answer(SCHEDULED));
        await click('send');
        expect(send).toHaveBeenCalledWith(expect.objectContaining({ sendAt: LATER }));
        expect(words('[data-id="outcome"]')).toContain('It is scheduled for 2026-11-27 14:30 UTC.');
        expect(words('[data-id="facts"]')).toContain(`Scheduled for${timeWords(LATER)}`);
    });

    it('is the time by the clock of the user', () => {
        expect(timeWords(LATER).replace(/\s/g, ' ')).toBe('Nov 27, 2026, 6:30 AM PST');
        expect(timeWords('')).toBe('');
    });

    it.each([
        ['has passed', '2026-11-26T11:59:00.000Z', true, 'Choose a time that is still to come.'],
        ['is not complete', null, false, 'Choose a date and a time.']
    ])('is refused at once where it %s', async (_, value, valid, why) => {
        await open();
        find(TIME).validity = { valid };
        await typed(TIME, value);
        expect(words('[data-id="time-problem"]')).toBe(why);
        expect(find('[data-id="send"]').disabled).toBe(true);
        expect(preview).toHaveBeenCalledTimes(1);
        find(TIME).validity = { valid: true };
        await typed(TIME, '');
        expect(find('[data-id="time-problem"]')).toBeNull();
        expect(find('[data-id="send"]').label).toBe('Send');
        expect(find('[data-id="send"]').disabled).toBe(false);
    });

    it('that the connector refuses schedules nothing', async () => {
        await open();
        preview.mockResolvedValue(problem('send_at: expected a time within the next 30 days'));
        await typed(TIME, '2027-11-27T14:30:00.000Z');
        expect(words('[role="alert"]')).toBe('Expected a time within the next 30 days.');
        expect(find('[data-id="send"]').disabled).toBe(true);
    });
});

describe('cancelling', () => {
    async function scheduled() {
        await open();
        await typed(TIME, LATER);
        send.mockResolvedValue(answer(SCHEDULED));
        await click('send');
    }

    it('takes back the text that was just scheduled', async () => {
        await scheduled();
        cancel.mockResolvedValue(answer(CANCELLED));
        await click('cancel');
        expect(cancel).toHaveBeenCalledWith({ caseId: CASE, textId: '19' });
        expect(words('[data-id="outcome"]')).toBe('Cancelled.');
        expect(find('[data-id="cancel"]')).toBeNull();
        expect(find('[data-id="edit"]')).not.toBeNull();
    });

    it('says when it is too late', async () => {
        await scheduled();
        cancel.mockResolvedValue(problem('it is too late to cancel: the text is sent'));
        await click('cancel');
        expect(words('[role="alert"]')).toBe('It is too late to cancel: the text is sent.');
        expect(find('[data-id="cancel"]').disabled).toBe(false);
    });

    it('takes back a text that was scheduled before, and looks again', async () => {
        const found = { id: 'scheduled:12', check: 'scheduled', verdict: 'warn', why: 'text 12 is scheduled', overridable: false };
        await open({ ...FINE, findings: [found] });
        expect(words('[data-id="findings"]')).toContain('Text 12 is scheduled.');
        cancel.mockResolvedValue(answer(CANCELLED));
        preview.mockResolvedValue(answer(FINE));
        await clicked('[data-cancels="12"]');
        await flush();
        expect(cancel).toHaveBeenCalledWith({ caseId: CASE, textId: '12' });
        expect(preview).toHaveBeenCalledTimes(2);
        expect(find('[data-cancels="12"]')).toBeNull();
    });

    it('is not offered for a text that goes at once', async () => {
        await open();
        send.mockResolvedValue(answer(FAILED));
        await click('send');
        expect(find('[data-id="cancel"]')).toBeNull();
    });
});

describe('languages', () => {
    const MANY = { ...FINE, language: 'en', language_why: 'the contact has no language', languages: ['en', 'es'] };
    const LANGUAGE = '[data-id="language"]';

    it('are offered where the mapping has several', async () => {
        await open(MANY);
        expect(find(LANGUAGE).options).toEqual([
            { value: 'en', label: 'English' },
            { value: 'es', label: 'Spanish' }
        ]);
        expect(find(LANGUAGE).value).toBe('en');
        preview.mockResolvedValue(answer({ ...MANY, language: 'es', message: 'Hola Ana' }));
        await typed(LANGUAGE, 'es');
        expect(preview).toHaveBeenLastCalledWith(expect.objectContaining({ message: '', language: 'es' }));
        expect(find('lightning-textarea').value).toBe('Hola Ana');
        send.mockResolvedValue(answer(SCHEDULED));
        await click('send');
        expect(send).toHaveBeenCalledWith(expect.objectContaining({ message: 'Hola Ana', language: 'es' }));
    });

    it('leave own words as they are', async () => {
        await open(MANY);
        await typed('lightning-textarea', 'Hello there');
        await typed(LANGUAGE, 'es');
        expect(preview).toHaveBeenLastCalledWith(expect.objectContaining({ message: 'Hello there', language: 'es' }));
        expect(find('lightning-textarea').value).toBe('Hello there');
    });

    it.each([[undefined], [['en']]])('are not offered where there is nothing to choose: %j', async (languages) => {
        await open({ ...FINE, languages });
        expect(find(LANGUAGE)).toBeNull();
    });
});
