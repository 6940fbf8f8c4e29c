import { createElement } from 'lwc';
import { notifyRecordUpdateAvailable } from 'lightning/uiRecordApi';
import preview from '@salesforce/apex/TextCustomerController.preview';
import send from '@salesforce/apex/TextCustomerController.send';
import read from '@salesforce/apex/TextCustomerController.read';
import TextCustomer from 'c/textCustomer';
import { answer, CASE, CLOSED, FAILED, FINE, problem, QUEUED, SENT } from '../../../../../../tests/answers';

jest.mock('@salesforce/apex/TextCustomerController.preview', () => ({ default: jest.fn() }), { virtual: true });
jest.mock('@salesforce/apex/TextCustomerController.send', () => ({ default: jest.fn() }), { virtual: true });
jest.mock('@salesforce/apex/TextCustomerController.read', () => ({ default: jest.fn() }), { virtual: true });

let element;
const find = (selector) => element.shadowRoot.querySelector(selector);
const words = (selector) => find(selector)?.textContent.replace(/\s+/g, ' ').trim();
const flush = () => jest.advanceTimersByTimeAsync(0);
const typed = (selector, value) => {
    find(selector).dispatchEvent(new CustomEvent('change', { detail: { value } }));
    return jest.advanceTimersByTimeAsync(500);
};
const click = (id) => {
    find(`[data-id="${id}"]`).click();
    return flush();
};

async function open(shown = FINE) {
    preview.mockResolvedValue(answer(shown));
    element = createElement('c-text-customer', { is: TextCustomer });
    document.body.appendChild(element);
    expect(preview).not.toHaveBeenCalled();
    element.recordId = CASE;
    await flush();
}

beforeEach(() => {
    jest.useFakeTimers();
    jest.resetAllMocks();
});

afterEach(() => {
    document.body.replaceChildren();
    jest.useRealTimers();
});

describe('before it leaves', () => {
    it('waits for the record, then shows whom it goes to and what it says', async () => {
        await open();
        element.recordId = CASE;
        expect(preview).toHaveBeenCalledTimes(1);
        expect(preview).toHaveBeenCalledWith({ caseId: CASE, message: '', template: '', overrideReason: '' });
        expect(words('[data-id="recipient"]')).toBe('Ana Silva, +1•••••••••32');
        expect(find('lightning-textarea').value).toBe('Hi Ana');
        expect(words('[data-id="segments"]')).toBe('1 segment of at most 4');
        expect(find('[data-id="findings"]')).toBeNull();
        expect(find('lightning-input')).toBeNull();
        expect(find('[data-id="send"]').disabled).toBe(false);
    });

    it('counts at once, and asks the connector when the typing stops', async () => {
        await open();
        find('lightning-textarea').dispatchEvent(new CustomEvent('change', { detail: { value: 'a’'.repeat(36) } }));
        await flush();
        expect(words('[data-id="segments"]')).toBe('2 segments of at most 4');
        expect(words('[data-id="units"]')).toContain('UCS-2 because of “’”');
        expect(find('[data-id="send"]').disabled).toBe(true);
        expect(preview).toHaveBeenCalledTimes(1);
        await jest.advanceTimersByTimeAsync(500);
        expect(preview).toHaveBeenLastCalledWith(
            expect.objectContaining({ message: 'a’'.repeat(36), template: '', overrideReason: '' })
        );
        expect(words('[data-id="leaves-as"]')).toBe('It leaves asHi Ana');
        expect(find('[data-id="send"]').disabled).toBe(false);
    });

    it('takes the words of a template', async () => {
        await open();
        expect(find('lightning-combobox').options).toEqual([
            { value: 'requested', label: 'Requested' },
            { value: 'call_us', label: 'Please call us' },
            { value: 'web', label: 'From the web (does not suit this case)' }
        ]);
        preview.mockResolvedValue(answer({ ...FINE, message: 'Call us, Ana' }));
        await typed('lightning-combobox', 'call_us');
        expect(preview).toHaveBeenLastCalledWith(expect.objectContaining({ message: '', template: 'call_us' }));
        expect(find('lightning-textarea').value).toBe('Call us, Ana');
    });

    it('takes a template in place of what was just typed', async () => {
        await open();
        find('lightning-textarea').dispatchEvent(new CustomEvent('change', { detail: { value: 'Hel' } }));
        await typed('lightning-combobox', 'call_us');
        expect(preview).toHaveBeenCalledTimes(2);
        expect(preview).toHaveBeenLastCalledWith(expect.objectContaining({ message: '', template: 'call_us' }));
    });

    it('drops an answer that comes after a newer question', async () => {
        await open();
        let late;
        preview.mockReturnValueOnce(new Promise((resolve) => (late = resolve)));
        await typed('lightning-textarea', 'one');
        preview.mockResolvedValueOnce(answer({ ...FINE, message: 'two' }));
        await typed('lightning-textarea', 'two');
        late(answer({ ...CLOSED, message: 'one' }));
        await flush();
        expect(find('[data-id="findings"]')).toBeNull();
    });

    it('says what stops it, and goes on with a reason', async () => {
        await open(CLOSED);
        expect(words('[data-id="findings"]')).toBe('Stops it: It is 22:10 for the customer.');
        expect(find('[data-id="send"]').disabled).toBe(true);
        preview.mockResolvedValue(
            answer({ ...FINE, findings: [{ ...CLOSED.findings[0], verdict: 'overridden', why: 'overridden: urgent' }] })
        );
        await typed('lightning-input', ' urgent ');
        expect(preview).toHaveBeenLastCalledWith(expect.objectContaining({ overrideReason: 'urgent' }));
        expect(words('[data-id="findings"]')).toBe('Overridden: Overridden: urgent.');
        send.mockResolvedValue(answer(SENT));
        await click('send');
        expect(send).toHaveBeenCalledWith(expect.objectContaining({ overrideReason: 'urgent' }));
    });

    it('sends nothing that the connector could not look at', async () => {
        await open();
        preview.mockResolvedValue(problem('the CRM does not answer', true));
        await typed('lightning-textarea', 'Hello Ana');
        expect(words('[role="alert"]')).toBe('The CRM does not answer.');
        expect(find('[data-id="leaves-as"]')).toBeNull();
        expect(find('[data-id="send"]').disabled).toBe(true);
    });

    it('asks for no reason where none would help', async () => {
        await open({ ...CLOSED, overridable: false });
        expect(find('lightning-input')).toBeNull();
        expect(find('[data-id="send"]').disabled).toBe(true);
    });

    it('shows why the case cannot be looked at', async () => {
        preview.mockResolvedValueOnce(problem('You cannot see this case'));
        element = createElement('c-text-customer', { is: TextCustomer });
        element.recordId = CASE;
        document.body.appendChild(element);
        await flush();
        expect(words('[role="alert"]')).toBe('You cannot see this case.');
        expect(element.shadowRoot.activeElement).toBe(find('[role="alert"] p'));
        expect(find('lightning-textarea')).toBeNull();
        expect(find('[data-id="send"]')).toBeNull();
    });

    it('closes', async () => {
        await open();
        const closed = jest.fn();
        element.addEventListener('lightning__actionsclosescreen', closed);
        await click('close');
        expect(closed).toHaveBeenCalledTimes(1);
    });
});

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
            after: '17',
            idempotencyKey: expect.stringMatching(/^[0-9a-f]{32}$/)
        });
        expect(words('[data-id="outcome"]')).toBe('Sent. Chat 114 is selecting.');
        expect(words('[data-id="facts"]')).toContain('Chat114Chat statusselecting');
        expect(element.shadowRoot.activeElement).toBe(find('[data-id="outcome"]'));
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
        expect(element.shadowRoot.activeElement).toBe(find('[role="alert"] p'));
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
