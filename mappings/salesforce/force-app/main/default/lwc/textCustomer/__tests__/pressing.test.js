import preview from '@salesforce/apex/TextCustomerController.preview';
import send from '@salesforce/apex/TextCustomerController.send';
import { answer, CLOSED, SENT } from '../../../../../../tests/answers';
import { begin, click, end, find, flush, open, press, release, typed, words } from '../../../../../../tests/screen';

jest.mock('@salesforce/apex/TextCustomerController.preview', () => ({ default: jest.fn() }), { virtual: true });
jest.mock('@salesforce/apex/TextCustomerController.send', () => ({ default: jest.fn() }), { virtual: true });
jest.mock('@salesforce/apex/TextCustomerController.read', () => ({ default: jest.fn() }), { virtual: true });
jest.mock('@salesforce/apex/TextCustomerController.cancel', () => ({ default: jest.fn() }), { virtual: true });

beforeEach(begin);
afterEach(end);

/** The action, with a preview that is still to come: it will show a finding above the buttons. */
async function waiting() {
    await open();
    let arrive;
    preview.mockReturnValueOnce(new Promise((resolve) => (arrive = () => resolve(answer(CLOSED)))));
    await typed('lightning-textarea', 'Hello Ana');
    return arrive;
}

describe('while a button is pressed', () => {
    it.each(['pointerup', 'pointercancel', 'contextmenu'])('shows nothing new before %s', async (how) => {
        const arrive = await waiting();
        press('[data-id="close"]');
        arrive();
        await flush();
        expect(find('[data-id="findings"]')).toBeNull();
        release(how);
        await flush();
        expect(words('[data-id="findings"]')).toBe('Blocked: It is 22:10 for the customer.');
    });

    it('handles the click first', async () => {
        const arrive = await waiting();
        const seen = jest.fn(() => find('[data-id="findings"]'));
        find('[data-id="close"]').addEventListener('click', seen);
        press('[data-id="close"]');
        arrive();
        await flush();
        release();
        find('[data-id="close"]').click();
        expect(seen).toHaveReturnedWith(null);
        await flush();
        expect(find('[data-id="findings"]')).not.toBeNull();
    });

    it('does not wait for ever for a release that is never reported', async () => {
        const arrive = await waiting();
        press('[data-id="close"]');
        arrive();
        await jest.advanceTimersByTimeAsync(1900);
        expect(find('[data-id="findings"]')).toBeNull();
        await jest.advanceTimersByTimeAsync(200);
        expect(find('[data-id="findings"]')).not.toBeNull();
    });

    it('shows no outcome either', async () => {
        await open();
        let arrive;
        send.mockReturnValueOnce(new Promise((resolve) => (arrive = () => resolve(answer(SENT)))));
        await click('send');
        press('[data-id="close"]');
        arrive();
        await flush();
        expect(find('[data-id="outcome"]')).toBeNull();
        release();
        await flush();
        expect(find('[data-id="outcome"]')).not.toBeNull();
    });
});

describe('what does not click', () => {
    it.each([
        ['another button of the mouse', '[data-id="close"]', { button: 2 }],
        ['a field', 'lightning-textarea', {}]
    ])('keeps nothing back: %s', async (_, selector, how) => {
        const arrive = await waiting();
        press(selector, how);
        arrive();
        await flush();
        expect(find('[data-id="findings"]')).not.toBeNull();
    });
});

it('keeps the very same button while previews come', async () => {
    const arrive = await waiting();
    const button = find('[data-id="send"]');
    arrive();
    await flush();
    expect(find('[data-id="send"]')).toBe(button);
});
