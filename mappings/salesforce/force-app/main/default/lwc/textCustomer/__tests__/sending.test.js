import { notifyRecordUpdateAvailable } from 'lightning/uiRecordApi';
import preview from '@salesforce/apex/TextCustomerController.preview';
import send from '@salesforce/apex/TextCustomerController.send';
import read from '@salesforce/apex/TextCustomerController.read';
import { answer, CASE, FAILED, FINE, problem, QUEUED, SENT } from '../../../../../../tests/answers';
import { begin, click, end, find, flush, focused, open, typed, words } from '../../../../../../tests/screen';

jest.mock('@salesforce/apex/TextCustomerController.preview', () => ({ default: jest.fn() }), { virtual: true });
jest.mock('@salesforce/apex/TextCustomerController.send', () => ({ default: jest.fn() }), { virtual: true });
jest.mock('@salesforce/apex/TextCustomerController.read', () => ({ default: jest.fn() }), { virtual: true });
jest.mock('@salesforce/apex/TextCustomerController.cancel', () => ({ default: jest.fn() }), { virtual: true });

beforeEach(begin);
afterEach(end);

describe('sending', () => {
    it('sends once on a double click and shows the chat', async () => {
        await open();
        send.mockResolvedValue(answer(SENT));
        find('[data-id="send"]').click();
        find('[data-id="send"]').click();
        await flush();
        expect(send).toHaveBeenCalledTimes(1);
        expect(send).toHaveBeenCalledWith({
            caseId: CASE,
            message: 'Hi Ana',
            overrideReason: '',
            overrides: [],
            sendAt: '',
            language: '',
            after: '17',
            idempotencyKey: expect.stringMatching(/^[0-9a-f]{32}$/)
        });
        expect(words('[data-id="outcome"]')).toBe('Sent. Chat 114 is selecting.');
        expect(words('[data-id="facts"]')).toContain('Chat114Chat statusselecting');
        expect(focused()).toBe(find('[data-id="outcome"]'));
        expect(notifyRecordUpdateAvailable).toHaveBeenCalledWith([{ recordId: CASE }]);
        expect(find('[data-id="send"]')).toBeNull();
        expect(find('[data-id="edit"]')).toBeNull();
    });

    it('says that somebody else had asked before', async () => {
        await open();
        send.mockResolvedValue(answer({ ...SENT, duplicate: true }));
        await click('send');
        expect(words('[data-id="outcome"]')).toBe(
            'It was asked for before, and is not sent twice. Sent. Chat 114 is selecting.'
        );
    });

    it('looks until there is an outcome', async () => {
        await open();
        send.mockResolvedValue(answer(QUEUED));
        read.mockResolvedValueOnce(problem('nobody there', true));
        read.mockResolvedValueOnce(answer(QUEUED)).mockResolvedValueOnce(answer(SENT));
        await click('send');
        expect(find('[data-id="send"]').label).toBe('Sending …');
        await jest.advanceTimersByTimeAsync(3000);
        expect(read).toHaveBeenCalledTimes(3);
        expect(read).toHaveBeenCalledWith({ caseId: CASE, textId: '18' });
        expect(words('[data-id="outcome"]')).toBe('Sent. Chat 114 is selecting.');
    });

    it.each([
        ['it is known to leave later', answer({ ...QUEUED, leaves_at: '2026-11-24T15:00:00Z' }), 1],
        ['nobody answers', problem('nobody there', true), 3],
        ['it takes too long', answer(QUEUED), 25]
    ])('stops looking when %s', async (_, seen, looks) => {
        await open();
        send.mockResolvedValue(answer(QUEUED));
        read.mockResolvedValue(seen);
        await click('send');
        await jest.advanceTimersByTimeAsync(60000);
        expect(read).toHaveBeenCalledTimes(looks);
        expect(words('[data-id="outcome"]')).toBe('It waits for its turn. The case will show the outcome.');
    });

    it.each([
        ['an unclear answer', () => send.mockResolvedValueOnce(problem('no answer', true))],
        ['no answer', () => send.mockRejectedValueOnce(new Error('offline'))]
    ])('repeats the very same request after %s', async (_, fail) => {
        await open();
        fail();
        await click('send');
        expect(words('[role="alert"]')).toContain('It is not known whether the request arrived.');
        expect(focused()).toBe(find('[role="alert"] p'));
        expect(find('lightning-textarea').disabled).toBe(true);
        expect(find('[data-id="send"]').label).toBe('Try again');
        send.mockResolvedValueOnce(answer(SENT));
        await click('send');
        expect(send.mock.calls[1]).toEqual(send.mock.calls[0]);
        expect(words('[data-id="outcome"]')).toBe('Sent. Chat 114 is selecting.');
    });

    it('has a new key only for other words after a refusal', async () => {
        await open();
        send.mockResolvedValueOnce(problem('the message is empty'));
        await click('send');
        expect(words('[role="alert"]')).toBe('The message is empty.');
        expect(find('lightning-textarea').disabled).toBe(false);
        send.mockResolvedValueOnce(problem('the message is empty'));
        await click('send');
        expect(send.mock.calls[1]).toEqual(send.mock.calls[0]);
        await typed('lightning-textarea', 'Hello Ana');
        send.mockResolvedValueOnce(answer(SENT));
        await click('send');
        expect(send.mock.calls[2][0].message).toBe('Hello Ana');
        expect(send.mock.calls[2][0].idempotencyKey).not.toBe(send.mock.calls[0][0].idempotencyKey);
    });

    it('shows why it did not leave, and wants other words then', async () => {
        await open();
        send.mockResolvedValueOnce(answer(FAILED));
        await click('send');
        expect(words('[data-id="outcome"]')).toBe('Not sent: the number is not reachable.');
        preview.mockResolvedValue(answer({ ...FINE, after: 18 }));
        const focus = jest.spyOn(HTMLElement.prototype, 'focus');
        await click('edit');
        expect(focus.mock.contexts).toEqual([find('lightning-textarea')]);
        expect(words('[data-id="hint"]')).toBe('Change the message to try again.');
        expect(find('[data-id="send"]').disabled).toBe(true);
        await typed('lightning-textarea', 'Hello Ana');
        send.mockResolvedValueOnce(answer(SENT));
        await click('send');
        expect(send.mock.calls[1][0]).toMatchObject({ message: 'Hello Ana', after: '18' });
        expect(send.mock.calls[1][0].idempotencyKey).not.toBe(send.mock.calls[0][0].idempotencyKey);
    });
});
