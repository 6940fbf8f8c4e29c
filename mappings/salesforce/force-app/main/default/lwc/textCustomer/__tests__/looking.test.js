import preview from '@salesforce/apex/TextCustomerController.preview';
import send from '@salesforce/apex/TextCustomerController.send';
import { answer, CASE, CLOSED, FINE, problem, SENT } from '../../../../../../tests/answers';
import { begin, click, end, find, flush, focused, open, show, type, typed, words } from '../../../../../../tests/screen';

jest.mock('@salesforce/apex/TextCustomerController.preview', () => ({ default: jest.fn() }), { virtual: true });
jest.mock('@salesforce/apex/TextCustomerController.send', () => ({ default: jest.fn() }), { virtual: true });
jest.mock('@salesforce/apex/TextCustomerController.read', () => ({ default: jest.fn() }), { virtual: true });
jest.mock('@salesforce/apex/TextCustomerController.cancel', () => ({ default: jest.fn() }), { virtual: true });

beforeEach(begin);
afterEach(end);

describe('before it leaves', () => {
    it('waits for the record, then shows whom it goes to and what it says', async () => {
        const element = show();
        await flush();
        expect(preview).not.toHaveBeenCalled();
        preview.mockResolvedValue(answer(FINE));
        element.recordId = CASE;
        element.recordId = CASE;
        await flush();
        expect(preview).toHaveBeenCalledTimes(1);
        expect(preview).toHaveBeenCalledWith({
            caseId: CASE,
            message: '',
            template: '',
            overrideReason: '',
            overrides: [],
            sendAt: '',
            language: ''
        });
        expect(words('[data-id="recipient"]')).toBe('Ana Silva, +1•••••••••32');
        expect(find('lightning-textarea').value).toBe('Hi Ana');
        expect(words('[data-id="segments"]')).toBe('1 segment of at most 4');
        expect(find('[data-id="findings"]')).toBeNull();
        expect(find('[data-id="reason"]')).toBeNull();
        expect(find('[data-id="send"]').disabled).toBe(false);
    });

    it('counts at once, and asks the connector when the typing stops', async () => {
        await open();
        type('lightning-textarea', 'a’'.repeat(36));
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
        type('lightning-textarea', 'Hel');
        await typed('lightning-combobox', 'call_us');
        expect(preview).toHaveBeenCalledTimes(2);
        expect(preview).toHaveBeenLastCalledWith(expect.objectContaining({ message: '', template: 'call_us' }));
    });

    it('keeps what is typed while the words of a template are still to come', async () => {
        await open();
        let late;
        preview.mockReturnValueOnce(new Promise((resolve) => (late = resolve)));
        await typed('lightning-combobox', 'call_us');
        type('lightning-textarea', 'My own words');
        late(answer({ ...FINE, message: 'Call us, Ana' }));
        await flush();
        expect(find('lightning-textarea').value).toBe('My own words');
        await jest.advanceTimersByTimeAsync(500);
        expect(preview).toHaveBeenLastCalledWith(expect.objectContaining({ message: 'My own words', template: '' }));
    });

    it('still takes the words of a template when a time is chosen before they come', async () => {
        await open();
        preview.mockReturnValueOnce(new Promise(() => {}));
        await typed('lightning-combobox', 'call_us');
        preview.mockResolvedValue(answer({ ...FINE, message: 'Call us, Ana' }));
        type('[data-id="send-at"]', '2099-11-27T14:30:00.000Z');
        await flush();
        expect(preview).toHaveBeenLastCalledWith(expect.objectContaining({ message: '', template: 'call_us' }));
        expect(find('lightning-textarea').value).toBe('Call us, Ana');
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
        expect(words('[data-id="findings"]')).toBe('Blocked: It is 22:10 for the customer.');
        expect(find('[data-id="send"]').disabled).toBe(true);
        preview.mockResolvedValue(
            answer({ ...FINE, findings: [{ ...CLOSED.findings[0], verdict: 'overridden', why: 'overridden: urgent' }] })
        );
        await typed('[data-id="reason"]', ' urgent ');
        expect(preview).toHaveBeenLastCalledWith(expect.objectContaining({ overrideReason: 'urgent', overrides: ['hours'] }));
        expect(words('[data-id="findings"]')).toBe('Overridden: Overridden: urgent.');
        send.mockResolvedValue(answer(SENT));
        await click('send');
        expect(send).toHaveBeenCalledWith(expect.objectContaining({ overrideReason: 'urgent', overrides: ['hours'] }));
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
        expect(find('[data-id="reason"]')).toBeNull();
        expect(find('[data-id="send"]').disabled).toBe(true);
    });

    it('shows why the case cannot be looked at', async () => {
        preview.mockResolvedValueOnce(problem('You cannot see this case'));
        show().recordId = CASE;
        await flush();
        expect(words('[role="alert"]')).toBe('You cannot see this case.');
        expect(focused()).toBe(find('[role="alert"] p'));
        expect(find('lightning-textarea')).toBeNull();
        expect(find('[data-id="send"]')).toBeNull();
    });

    it('closes', async () => {
        const element = await open();
        const closed = jest.fn();
        element.addEventListener('lightning__actionsclosescreen', closed);
        await click('close');
        expect(closed).toHaveBeenCalledTimes(1);
    });
});
