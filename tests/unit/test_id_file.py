"""Files of ids as people have them: every id is read, or the file is refused with the line."""

import contextlib
import csv
import io
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.backfill import id_file
from connector.errors import BadFile
from tests.support.command import connector

A, B, C, D = (f"50000000000000{number}AAA" for number in range(1, 5))


@pytest.mark.parametrize(
    "text",
    [
        "{A}\n{B}\n",
        "{A}\r\n{B}",
        "{A}\r{B}\r",
        "\n\n  {A}  \n\n{B}\n\n",
        "Id\n{A}\n{B}\n",
        "ID\n{A}\n{B}\n",
        "iD\n{A}\n{B}\n",
        "TICKET_ID\n{A}\n{B}\n",
        "Case ID,Subject\n{A},x\n{B},y\n",
        "case_id\n{A}\n{B}",
        "Subject;CaseId\nx;{A}\ny;{B}\n",
        "Subject\tId\nx\t{A}\ny\t{B}\n",
        "{A};x, y\n{B};z\n",
        "{A}\tx\n{B}\ty\n",
        '"Id";"Subject, long, and more"\n"{A}";"x"\n"{B}";"y"\n',
        "sep=;\nId;Subject\n{A};x,y\n{B};z\n",
        'Id,Subject\n{A},"two\nlines"\n{B},"a ""word"" here"\n',
        'Id,Subject\n{A},"\n\n"\n{B},5" nail\n',
        'Id,Subject\n{A},"see also\n{C}"\n{B},"one, two\nthree, four"\n',
        "Id,Subject\n,\n{A},x\n,\n{B},y\n,,,\n",
        '"Case\nID",Subject\n{A},x\n{B},y\n',
        "\ufeffId\n{A}\n\ufeff{B}\n",
        "Id\n{A}\u00a0\n{B}\u200b\n",
        "Id|Subject\n{A}|x, y\n{B}|z\n",
        "{A}|x\n{B}|y\n",
        "Case ID 18,Subject\n{A},x\n{B},y\n",
        "Case ID,Case ID (18)\n500000000000001,{A}\n500000000000002,{B}\n",
        "Cases of today\nFiltered by: open\n\nCase ID,Subject\n{A},x\n{B},y\n",
        "Case ID,Subject\n{A},x\n{B},y\nGrand Totals (2 records),\n",
        'Case ID,Subject\n{A},x\n{B},y\n\n"Today"\n"Copyright (c) 2000-2026 x"\n"Confidential"\n"Acme"\n',
        "Id,Subject\n{A},one\u2028two\n{B},one\x0ctwo\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_ids_are_read_in_every_form_and_encoding(text: str, encoding: str) -> None:
    text = text.format(A=A, B=B, C=C)
    if encoding == "latin-1":
        text = text.encode("latin-1", "ignore").decode("latin-1") + "\n"
    assert id_file.read(text.encode(encoding)).ids == [A, B]


def test_other_columns_may_be_in_latin_1() -> None:
    data = f"Id;Name\n{A};Müller\n{B};\u0093Café\u0094\n".encode("latin-1")
    assert id_file.read(data).ids == [A, B]


def test_rows_without_an_id_are_counted_and_named() -> None:
    found = id_file.read(f"Name,Id\nx,{A}\ny,\nTotal\n,\n".encode())
    assert (found.ids, found.lines_without) == ([A], [3, 4])
    assert found.left_out("cases.csv") == "2 rows of cases.csv without an id: left out (lines 3, 4)."


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], ""),
        ([2], "1 row of the ids without an id: left out (line 2)."),
        (list(range(2, 1009)), "1,007 rows of the ids without an id: left out (lines 2, 3, 4, 5, 6 and 1,002 more)."),
    ],
)
def test_the_first_rows_without_an_id_are_named(lines: list[int], words: str) -> None:
    assert id_file.IdFile([A], lines).left_out("the ids") == words


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('Id,Name\n{A},x\n{B},"y\n{C},z\n{D},z\n', 3),  # to the end of the file
        ('Id,Name\n{A},x\n{B},"y\n{C},"z"\n{D},z\n', 3),  # until the next quotation mark
        ('Id,Name\n{A},"x\n{B},y\n{C},y"\n{D},z\n', 2),  # which may even look like the end
        ('Id,Name\n{A},"x\n{B},y\n{C},"\n{D},z\n', 2),
        ('"{A}\n{B}\n{C}\n', 1),
        ('"{A}\n{B}\n{C}"\n', 1),
        ('{A}\n"{B}\n{C}"\n{D}\n', 2),
        ('"Id\n{A}\n{B}\n', 1),
        ('Id,"Name\n{A},x\n{B},y"\n{C},z\n', 1),
        ('Id,Name\n{A},"x\ny"\n{B},"y\n{C},z\n', 4),  # lines, not rows
        ('Id;Name\r\n{A};x\r\n{B};"y\r\n{C};z\r\n', 3),
        ('Id,Name\n{A},"x" y\n{B},z\n', 2),
        ('Name,Id\n"x,{A}\ny",{B}\nz,{C}\n', 2),  # in a column before the ids
        ('Name,City,Id\n"x,Y,{A}\nz",Y,{B}\n', 2),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_a_quotation_mark_that_is_not_closed_is_told_with_its_line(text: str, line: int, encoding: str) -> None:
    with pytest.raises(BadFile, match=f"^line {line}: a quotation mark"):
        id_file.read(text.format(A=A, B=B, C=C, D=D).encode(encoding))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "there is none in it"),
        (b"\n \n", "there is none in it"),
        (b"Id\n", "there is none in it"),
        (b"Id,Name\n,x\n", "there is none in it"),
        (b"\xef\xbb\xbf", "there is none"),
        (b"\xff\xfe", "there is none"),
        (b"PK\x03\x04\x14\x00", "a workbook or an archive: save it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1", "a workbook"),
        (b"Id\n500\n5\x0001\n", r"line 3: expected text, but .*0x00"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "line 2: expected text"),
        (b"\x1f\x8b\x08\x08abc", "line 1: expected text"),
        (b"\xff\xfe5\x000\x000", "it breaks off"),
    ],
    ids=repr,
)
def test_what_is_no_file_of_ids_is_told_in_one_sentence(data: bytes, words: str) -> None:
    with pytest.raises(BadFile, match=words) as caught:
        id_file.read(data)
    assert "\n" not in str(caught.value)


IDS = st.lists(st.from_regex(r"500[A-Za-z0-9]{15}", fullmatch=True), min_size=1, max_size=30)
# What people write in other columns; it must not look like whole rows.
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.sampled_from('\n\t",;'), max_size=20)


@given(
    ids=IDS,
    words=WORDS,
    separator=st.sampled_from(id_file.SEPARATORS),
    name=st.sampled_from(["Id", "ID", "Case Id"]),
    first=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"]),
)
def test_every_csv_that_a_program_writes_is_read_whole(
    ids: list[str], words: str, separator: str, name: str, first: bool, end: str, quoting: Literal[0, 1], encoding: str
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator=end, quoting=quoting)
    for one, other in ((name, "Subject"), *((one, words) for one in ids)):
        writer.writerow([one, other] if first else [other, one])
    assert id_file.read(out.getvalue().encode(encoding)).ids == ids


@given(st.binary(max_size=200) | st.text('50A",;\n\r\tId ', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(BadFile):
        assert id_file.read(data).ids


def test_the_command_names_option_file_and_line_and_plans_nothing(url: str, tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text(f'Id,Name\n{A},"x\n{B},y\n')
    (tmp_path / "cases.xlsx").write_bytes(b"PK\x03\x04\x14\x00")
    for option, file, words in (
        ("--ids", "ids.csv", "line 2: a quotation mark"),
        ("--ids", "cases.xlsx", "this is a workbook"),
        ("--ids", ".", "Is a directory"),
        ("--query", "cases.xlsx", "this is a workbook"),
    ):
        done = connector("backfill", "salesforce", option, file, folder=tmp_path, CONNECTOR_DATABASE_URL=url)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
        assert file in done.stderr
        assert words in done.stderr


def test_several_ids_in_a_line_without_column_names_are_refused_with_the_line() -> None:
    """Else all but the first would be left out."""
    with pytest.raises(BadFile, match="line 2: expected one id in a line"):
        id_file.read(b"500000000000001AAA\n500000000000002AAA, 500000000000003AAA\n")


@pytest.mark.parametrize("character", ["\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_an_invisible_character_between_ids_is_named(character: str) -> None:
    with pytest.raises(BadFile, match=f"line 2: expected one id, .*{ord(character):04X}"):
        id_file.read(f"Id\n{A}{character}{B}\n".encode())


def test_a_nul_is_named() -> None:
    with pytest.raises(BadFile, match=r"line 3: expected text, but .*0x00"):
        id_file.read(f"Id\n{A}\n{B}\0\n".encode())


@pytest.mark.parametrize("last", ["5000000000004", "50000000000004AAAX", "nonsense"])
def test_a_last_row_that_is_no_id_is_left_out_only_as_a_part_of_a_footer(last: str) -> None:
    """A mistyped id is reported when the plan is made, and not lost."""
    assert id_file.read(f"Id\n{A}\n{last}\n".encode()).ids == [A, last]
    kept = id_file.read(f"Id\n{A}\n{last}\nGrand Totals\n".encode()).ids
    assert kept == ([A] if last == "nonsense" else [A, last])


def test_column_names_below_an_id_are_no_column_names() -> None:
    assert id_file.read(f"{A}\nId\n{B}\n".encode()).ids == [A, "Id", B]
