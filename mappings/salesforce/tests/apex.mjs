/** Parses each Apex file that is named, by Salesforce's grammar; prints what cannot be read and ends with 1. */
import { readFileSync } from 'node:fs';
import { argv, exit } from 'node:process';
import { ApexErrorListener, ApexParserFactory } from '@apexdevtools/apex-parser';

class Complaints extends ApexErrorListener {
    found = [];
    apexSyntaxError(line, column, message) {
        this.found.push(`${line}:${column} ${message}`);
    }
}

const complaints = argv.slice(2).flatMap((path) => {
    const listener = new Complaints();
    const parser = ApexParserFactory.createParser(readFileSync(path, 'utf8'));
    parser.removeErrorListeners();
    parser.addErrorListener(listener);
    parser.compilationUnit();
    return listener.found.map((complaint) => `${path}:${complaint}`);
});
complaints.forEach((complaint) => console.error(complaint));
exit(complaints.length ? 1 : 0);
