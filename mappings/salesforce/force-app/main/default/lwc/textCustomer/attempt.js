/**
 * What is asked for and under which key, so that one decision of a person is one text.
 *
 * There is one key to an opened action. Whatever is clicked again repeats the very same request. Only once the connector
 * has refused it or has said what became of it, and the words were changed since, is there a new key.
 */
export class Attempt {
    _key = newKey();
    _request = null;
    _state = 'none';

    /** The request to send: a new one, or the one that may have arrived. */
    request(words, after) {
        if (this._request && this._state !== 'open' && !isSame(this._request, words)) {
            this._key = newKey();
            this._request = null;
        }
        this._request ??= { ...words, after, idempotencyKey: this._key };
        this._state = 'open';
        return this._request;
    }

    /** It was not taken; the same request may go again. */
    refused() {
        this._state = 'refused';
    }

    /** It was taken and will not leave any more; asking for it again gives the same answer. */
    concluded() {
        this._state = 'concluded';
    }

    /** It may have arrived, and nobody knows: nothing else may be asked for now. */
    get isOpen() {
        return this._state === 'open';
    }

    /** Other words are needed. */
    isSpent(words) {
        return this._state === 'concluded' && isSame(this._request, words);
    }
}

function newKey() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function isSame(one, other) {
    const fields = ({ message, overrideReason, overrides, sendAt, language }) =>
        JSON.stringify([message, overrideReason, overrides, sendAt, language]);
    return fields(one) === fields(other);
}
