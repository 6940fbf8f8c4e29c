/**
 * The "Text customer" action of a case: see the text before it leaves, send it once, now or later.
 *
 * Apex calls the connector; no address and no key ever reaches the browser.
 */
import { LightningElement, api } from 'lwc';
import { CloseActionScreenEvent } from 'lightning/actions';
import { notifyRecordUpdateAvailable } from 'lightning/uiRecordApi';
import preview from '@salesforce/apex/TextCustomerController.preview';
import send from '@salesforce/apex/TextCustomerController.send';
import cancel from '@salesforce/apex/TextCustomerController.cancel';
import read from '@salesforce/apex/TextCustomerController.read';
import { Attempt } from './attempt';
import { follow } from './follow';
import { languageOptions, scheduledTexts, timeProblem } from './later';
import { Pressing } from './pressing';
import { measure, stranger } from './segments';
import { ask, facts, findings, outcome, overridable, segmentsLine, unitsLine } from './words';

// Milliseconds without a key before the connector is asked again what it thinks of the message.
const TYPING = 500;
const NOT_KNOWN = 'It is not known whether the request arrived. Try again: it is the same request, and sent once.';

export default class TextCustomer extends LightningElement {
    view = 'loading';
    shown = {};
    message = '';
    reason = '';
    overrides = [];
    chosen = '';
    language = '';
    sendAt = '';
    timeProblem = '';
    isOwnWords = false;
    problem = '';
    isLooking = false;
    isSending = false;
    text = {};

    _recordId;
    _attempt = new Attempt();
    _pressing = new Pressing();
    _asked = 0;
    _isFilling = false;
    _focus = '';
    _timer;
    _gone = false;

    /** An action gets its record after connectedCallback: what needs it begins here. */
    @api
    get recordId() {
        return this._recordId;
    }
    set recordId(value) {
        const isFirst = value && !this._recordId;
        this._recordId = value;
        if (isFirst) {
            this.start();
        }
    }

    connectedCallback() {
        this._pressing.begin(this.template);
    }

    disconnectedCallback() {
        this._gone = true;
        this._pressing.finish();
        clearTimeout(this._timer);
    }

    renderedCallback() {
        const target = this._focus && this.refs[this._focus];
        if (target) {
            this._focus = '';
            target.focus();
        }
    }

    get isLoading() {
        return this.view === 'loading';
    }
    get isComposing() {
        return this.view === 'compose';
    }
    get isOutcome() {
        return this.view === 'outcome';
    }
    get isBroken() {
        return this.view === 'broken';
    }
    get words() {
        const overrideReason = this.overrides.length ? this.reason.trim() : '';
        const overrides = overrideReason ? this.overrides : [];
        const { sendAt, language } = this;
        return { message: this.message.trim(), overrideReason, overrides, sendAt, language };
    }
    get recipient() {
        return [this.shown.customer, this.shown.to].filter(Boolean).join(', ') || 'not known';
    }
    get templates() {
        return (this.shown.templates ?? []).map(({ name, label, message }) => ({
            value: name,
            label: message ? label : `${label} (does not suit this case)`
        }));
    }
    get hasTemplates() {
        return this.templates.length > 1;
    }
    get languages() {
        return languageOptions(this.shown.languages);
    }
    get hasLanguages() {
        return this.languages.length > 1;
    }
    get languageShown() {
        return this.language || this.shown.language;
    }
    get scheduled() {
        return scheduledTexts(this.shown.findings);
    }
    get findings() {
        return findings(this.shown.findings);
    }
    get hasFindings() {
        return this.findings.length > 0;
    }
    get size() {
        return measure(this.message.trim());
    }
    get segmentsLine() {
        return segmentsLine(this.size, this.shown.segments_most);
    }
    get unitsLine() {
        return unitsLine(this.size, stranger(this.message.trim()));
    }
    /** The exact message, where the connector changes something: a brand in front, plain quotation marks. */
    get leavesAs() {
        const exact = this.shown.message ?? '';
        return this.isLooking || this.problem || exact === this.message.trim() ? '' : exact;
    }
    get needsReason() {
        return Boolean(this.reason) || (!this.shown.allowed && Boolean(this.shown.overridable) && this.hasFindings);
    }
    get isLocked() {
        return this.isSending || this._attempt.isOpen;
    }
    get sendLabel() {
        return this.isSending ? 'Sending …' : this._attempt.isOpen ? 'Try again' : this.sendAt ? 'Schedule' : 'Send';
    }
    get cannotSend() {
        if (this.isSending || this._attempt.isOpen) {
            return this.isSending;
        }
        const { message } = this.words;
        const isBlocked = this.timeProblem || !this.shown.allowed || this._attempt.isSpent(this.words);
        return Boolean(this.isLooking || !message || isBlocked);
    }
    get hint() {
        return this._attempt.isSpent(this.words) ? 'Change the message to try again.' : '';
    }
    get said() {
        return outcome(this.text);
    }
    get facts() {
        return facts(this.text);
    }
    get isCancellable() {
        return this.isOutcome && Boolean(this.text.cancellable && this.text.send_at);
    }
    get isRefused() {
        return ['skipped', 'failed', 'cancelled'].includes(this.text.state);
    }

    /** What Apex answers, once no button is pressed: the answer may move them. */
    async ask(method, parameters) {
        const answer = await ask(method, parameters);
        await this._pressing.over;
        return answer;
    }

    async start() {
        await this.look({ isFilling: true });
        this.view = this.shown.templates ? 'compose' : 'broken';
        this._focus = this.isBroken ? 'problem' : 'message';
    }

    /**
     * Asks what would happen. Filling takes the connector's words; else ours are looked at. Late answers are dropped;
     * words that were asked for before are asked for again.
     */
    async look({ isFilling = this._isFilling } = {}) {
        clearTimeout(this._timer);
        this._isFilling = isFilling;
        this._asked += 1;
        const asked = this._asked;
        this.isLooking = true;
        const words = isFilling ? { message: '', template: this.chosen } : { template: '' };
        const { found, problem } = await this.ask(preview, { caseId: this.recordId, ...this.words, ...words });
        if (asked !== this._asked) {
            return;
        }
        this.isLooking = false;
        this._isFilling = false;
        this.problem = problem ?? '';
        // Without an answer nothing is allowed; what was shown stays.
        this.shown = found ?? { ...this.shown, allowed: false };
        if (found && isFilling) {
            this.message = found.message ?? '';
            this.isOwnWords = false;
        }
    }

    lookSoon() {
        this.isLooking = true;
        clearTimeout(this._timer);
        // Waiting for the next key is what this is for.
        // eslint-disable-next-line @lwc/lwc/no-async-operation
        this._timer = setTimeout(() => this.look(), TYPING);
    }

    changeTemplate(event) {
        this.chosen = event.detail.value;
        this.look({ isFilling: true });
    }
    /** Typed words stay, also where others were asked for and are still to come. */
    changeMessage(event) {
        this.message = event.detail.value;
        this.isOwnWords = true;
        this._isFilling = false;
        this._asked += 1;
        this.lookSoon();
    }
    /** Another language changes the connector's words. An agent's own words stay. */
    changeLanguage(event) {
        this.language = event.detail.value;
        this.look({ isFilling: this._isFilling || !this.isOwnWords });
    }
    /** The field shows and reads the time by the user's own clock, and gives it in UTC. */
    changeTime(event) {
        this.sendAt = event.detail.value ?? '';
        this.timeProblem = timeProblem(this.sendAt, event.target.validity?.valid !== false);
        if (!this.timeProblem) {
            this.look();
        }
    }
    /** A reason is for what was on the screen when it was typed, and for nothing that is found later. */
    changeReason(event) {
        this.reason = event.detail.value;
        this.overrides = overridable(this.shown.findings);
        this.lookSoon();
    }

    /** A second click finds it sending, or repeats the very same request. */
    async send() {
        if (this.cannotSend) {
            return;
        }
        this.isSending = true;
        this.problem = '';
        const request = this._attempt.request(this.words, String(this.shown.after ?? ''));
        const { found, problem, isUnclear } = await this.ask(send, { caseId: this.recordId, ...request });
        if (found) {
            this.text = await follow(found, {
                look: (textId) => this.ask(read, { caseId: this.recordId, textId }),
                isGone: () => this._gone
            });
            this.conclude();
        } else if (isUnclear) {
            this.refuse(`${problem} ${NOT_KNOWN}`);
        } else {
            this._attempt.refused();
            this.refuse(problem);
        }
        this.isSending = false;
    }

    refuse(problem) {
        this.problem = problem;
        this._focus = 'problem';
    }

    conclude() {
        if (this.text.final) {
            this._attempt.concluded();
        }
        this.view = 'outcome';
        this._focus = 'outcome';
        notifyRecordUpdateAvailable([{ recordId: this.recordId }]);
    }

    cancelOutcome() {
        return this.cancel(String(this.text.id), (text) => {
            this.text = text;
            this.conclude();
        });
    }
    cancelScheduled(event) {
        return this.cancel(event.target.value, () => this.look());
    }
    async cancel(textId, then) {
        this.isSending = true;
        this.problem = '';
        const { found, problem } = await this.ask(cancel, { caseId: this.recordId, textId });
        this.isSending = false;
        if (found) {
            await then(found);
        } else {
            this.refuse(problem);
        }
    }

    /** Back to the message, after a text that did not leave. */
    edit() {
        this.view = 'compose';
        this._focus = 'message';
        this.look();
    }

    close() {
        this.dispatchEvent(new CloseActionScreenEvent());
    }
}
