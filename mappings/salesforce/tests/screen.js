/** The action on the screen, for its tests: open it, type, click, read. The tests mock what Apex answers. */
import { createElement } from 'lwc';
import preview from '@salesforce/apex/TextCustomerController.preview';
import TextCustomer from 'c/textCustomer';
import { answer, CASE, FINE } from './answers';

let element;

export const flush = () => jest.advanceTimersByTimeAsync(0);

/** Puts the action on the screen. It has no record yet. */
export function show() {
    element = createElement('c-text-customer', { is: TextCustomer });
    document.body.appendChild(element);
    return element;
}

/** Opens it for a case, with what the connector says of it. */
export async function open(shown = FINE) {
    preview.mockResolvedValue(answer(shown));
    show().recordId = CASE;
    await flush();
    return element;
}

export const find = (selector) => element.shadowRoot.querySelector(selector);
export const words = (selector) => find(selector)?.textContent.replace(/\s+/g, ' ').trim();
export const focused = () => element.shadowRoot.activeElement;

export function type(selector, value) {
    find(selector).dispatchEvent(new CustomEvent('change', { detail: { value } }));
}

/** Types, and waits until the typing counts as over. */
export async function typed(selector, value) {
    type(selector, value);
    await jest.advanceTimersByTimeAsync(500);
}

export const click = (id) => clicked(`[data-id="${id}"]`);

export async function clicked(selector) {
    find(selector).click();
    await flush();
}

/** Presses the pointer on something, and does not release it. */
export function press(selector, how = {}) {
    const pressed = new MouseEvent('pointerdown', { bubbles: true, composed: true, button: 0, ...how });
    find(selector).dispatchEvent(pressed);
}

export function release(how = 'pointerup') {
    document.body.dispatchEvent(new MouseEvent(how, { bubbles: true, composed: true }));
}

export function begin() {
    jest.useFakeTimers();
    jest.resetAllMocks();
}

export function end() {
    document.body.replaceChildren();
    jest.useRealTimers();
}
