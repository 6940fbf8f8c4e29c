/**
 * A click counts only where the pointer is released over the button that it was pressed on. So what may move the buttons
 * waits for the release.
 */
const ENDS = ['pointerup', 'pointercancel', 'contextmenu'];
// Milliseconds after which nothing waits any longer: over a button that was disabled meanwhile, no release may be reported.
const LONGEST = 2000;

export class Pressing {
    /** Resolves when no button is pressed any more, and the click has been handled. */
    over = Promise.resolve();
    _release = () => {};

    begin(template) {
        template.addEventListener('pointerdown', this._press);
        ENDS.forEach((end) => window.addEventListener(end, this._end, true));
    }

    finish() {
        ENDS.forEach((end) => window.removeEventListener(end, this._end, true));
        this._release();
    }

    _press = ({ button, target }) => {
        if (button === 0 && target.closest('lightning-button')) {
            this.over = new Promise((resolve) => {
                this._release = resolve;
                later(resolve, LONGEST);
            });
        }
    };

    // The click comes first.
    _end = () => later(this._release, 0);
}

function later(what, milliseconds) {
    // Waiting is what this is for.
    // eslint-disable-next-line @lwc/lwc/no-async-operation
    setTimeout(what, milliseconds);
}
