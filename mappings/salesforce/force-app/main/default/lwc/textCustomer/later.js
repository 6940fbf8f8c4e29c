/** Texts for later, and the languages of a text, in the user's own words. */
import LOCALE from '@salesforce/i18n/locale';
import TIME_ZONE from '@salesforce/i18n/timeZone';

const SCHEDULED = /^scheduled:([0-9]+)$/;

/** "Nov 27, 2026, 9:30 AM EST": the time by the user's own clock; empty where there is none. */
export function timeWords(time) {
    if (!time) {
        return '';
    }
    const style = { dateStyle: 'medium', timeStyle: 'short', timeZone: TIME_ZONE };
    const words = new Intl.DateTimeFormat(LOCALE, style).format(new Date(time));
    const zone = new Intl.DateTimeFormat(LOCALE, { timeZone: TIME_ZONE, timeZoneName: 'short' })
        .formatToParts(new Date(time))
        .find((part) => part.type === 'timeZoneName').value;
    return `${words} ${zone}`;
}

/** What is wrong with a time that was chosen; empty: nothing. The connector knows how far ahead it may be. */
export function timeProblem(time, isComplete) {
    if (!isComplete) {
        return 'Choose a date and a time.';
    }
    return time && new Date(time) <= new Date() ? 'Choose a time that is still to come.' : '';
}

/** The case's texts that are scheduled already, by what was found. */
export function scheduledTexts(findings) {
    return (findings ?? [])
        .map(({ id }) => SCHEDULED.exec(id ?? '')?.[1])
        .filter(Boolean)
        .map((id) => ({ id, label: `Cancel text ${id}` }));
}

/** The languages that can be asked for, by their names. */
export function languageOptions(tags) {
    const names = new Intl.DisplayNames([LOCALE], { type: 'language' });
    return (tags ?? []).map((value) => ({ value, label: names.of(value) }));
}
