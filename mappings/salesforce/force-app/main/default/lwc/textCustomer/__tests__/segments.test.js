import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cwd } from 'node:process';
import { measure, stranger } from '../segments';

// The connector's own counter is held to the same table.
const TABLE = join(cwd(), '..', '..', 'tests', 'fixtures', 'segments.json');
const rows = JSON.parse(readFileSync(TABLE, 'utf8'));

describe('segments', () => {
    it.each(rows)('$text is $encoding, $segments', ({ text, encoding, units, segments }) => {
        expect(measure(text)).toEqual({ encoding, units, segments });
    });

    it('names the character that makes segments short', () => {
        expect(stranger('€5 for you')).toBeUndefined();
        expect(stranger('it’s 😀')).toBe('’');
        expect(stranger('a😀’')).toBe('😀');
    });
});
