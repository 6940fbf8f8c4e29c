"""Read the ids in a file given by an operator: one per line, or a CSV as spreadsheets and reports write it.

The whole file is read before anything is planned, so that an unreadable id is reported and not left out.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connector.backfill import decoding, report_rows
from connector.errors import BadFile

# Names of the id column, in lower case without blanks and punctuation, in order of preference.
NAMES = ("ticketid", "id", "caseid18", "18digitcaseid", "caseid18digit", "id18", "caseid")
SEPARATORS = ",;\t|"
# The first line by which a spreadsheet may declare its separator.
SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
# Invisible characters that come with copied ids or joined files.
AROUND = "\ufeff\u200b"
# Characters that some programs take for line ends. In a cell of words they are left as they are.
UNSEEN_CHARACTER = re.compile("[\x0b\x0c\x85\u2028\u2029]")
UNCLOSED = (
    'a quotation mark (") is opened here and not closed, or stands inside a quoted text: '
    "close it, or write it twice where it belongs to the text"
)
UNSEEN = "expected one id, but there is an invisible character ({}) in it: put each id on a line of its own"
LINE_END = re.compile(r"\r\n|\r|\n")
SEVERAL = "expected one id in a line, or a first line that names the columns, one of them Id"
# Rows without an id that are named; the others are counted.
NAMED_ROWS = 5


@dataclass(frozen=True, slots=True)
class IdFile:
    """The ids, in the file's order, and the first lines of the rows without one."""

    ids: list[str]
    lines_without: list[int]

    def left_out(self, where: str) -> str:
        """Say how many rows of `where` had no id, and which; empty: all had one."""
        count = len(self.lines_without)
        if not count:
            return ""
        named = ", ".join(str(line) for line in self.lines_without[:NAMED_ROWS])
        more = f" and {count - NAMED_ROWS:,} more" if count > NAMED_ROWS else ""
        rows, lines = ("row", "line") if count == 1 else ("rows", "lines")
        return f"{count:,} {rows} of {where} without an id: left out ({lines} {named}{more})."


def read(data: bytes) -> IdFile:
    """Return the ids of a column called Id, ticket_id or Case ID, else of the first. Raises BadFile, with the line."""
    text = decoding.text_of(data)
    first = next((line for line in io.StringIO(text, newline="") if line.strip()), "")
    if said := SEPARATOR_LINE.fullmatch(first):
        separator, text = said[1], text.replace(first, "\n", 1)
    else:
        separator = _separator(first)
    rows = list(_rows(text, separator))
    rows = report_rows.without_titles(rows, lambda row: _column(row) is not None)
    head = rows[0] if rows else (1, [""])
    column = _column(head[1])
    data_rows = rows if column is None else report_rows.without_footer(rows[1:], column)
    if column is None:
        for line, row in rows:
            if sum(bool(cell) and _alike(cell, row[0]) for cell in row) > 1:
                raise BadFile(f"line {line}: {SEVERAL}")
    column = column or 0
    found = [(line, row, row[column] if len(row) > column else "") for line, row in data_rows]
    ids = [given for _, _, given in found if given]
    if not ids:
        raise BadFile("expected ids, but there is none in it")
    for line, row, own in [*found, (*head, ids[0])]:
        if unseen := UNSEEN_CHARACTER.search(own):
            raise BadFile(f"line {line}: {UNSEEN.format(f'U+{ord(unseen[0]):04X}')}")
        if LINE_END.search(own) or _swallows(row, column, own, separator):
            raise BadFile(f"line {line}: {UNCLOSED}")
    return IdFile(ids, [line for line, _, given in found if not given])


def _separator(line: str) -> str:
    """Return the separator by which this line has an id column, else the one that occurs first."""
    outside = re.sub(r'"[^"]*"', "", line)
    order = sorted((one for one in SEPARATORS if one in outside), key=outside.index)
    named = (one for one in order if _column(_stripped(next(csv.reader([line], delimiter=one)))) is not None)
    return next(named, order[0] if order else SEPARATORS[0])


def _rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the number of its first line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = _stripped(next(reader))
        except StopIteration:
            return
        except csv.Error:
            raise BadFile(f"line {line}: {UNCLOSED}") from None
        if any(row):
            yield line, row


def _stripped(row: Sequence[str]) -> list[str]:
    return [cell.strip().strip(AROUND).strip() for cell in row]


def _column(row: Sequence[str]) -> int | None:
    """Return the position of the id column; None: the row has no column names."""
    names = [re.sub(r"[\W_]", "", cell).lower() for cell in row]
    return next((names.index(name) for name in NAMES if name in names), None)


def _swallows(row: Sequence[str], column: int, own: str, separator: str) -> bool:
    """Return whether a cell of this row contains other rows: an unclosed quotation mark was closed by a later one."""
    cells = [LINE_END.split(cell) for cell in row]
    lines = [line.split(separator) for lines in cells for line in lines[1:]]
    # The first line of such a cell is the rest of the row that opened the quotation mark.
    before = range(min(column, len(row)))
    lines += [[*row[:at], *cells[at][0].split(separator)] for at in before if len(cells[at]) > 1]
    return any(len(line) == len(row) and _alike(line[column].strip(' "'), own) for line in lines)


def _alike(cell: str, own: str) -> bool:
    """Return whether the cell could be an id of the same kind."""
    return cell.isalnum() and len(cell) == len(own) and cell[:3] == own[:3]
