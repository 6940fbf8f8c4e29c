"""Looking into a WHERE text: never inside quotes, whatever stands there. Tried against the sandbox's own parser."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.crms.salesforce import soql
from connector.errors import Refused
from connector.sandbox.crms.salesforce import errors
from connector.sandbox.crms.salesforce import soql as theirs

SELECT = "SELECT Id FROM Case"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
INNOCENT = [
    "Subject LIKE '%order by mail%'",
    "Subject = 'a LIMIT 5'",
    "Subject = 'it\\'s order by'",
    "Subject = 'a;b'",
    "Subject = '-- /* //'",
    "Subject = ')'",
    "Subject = '('",
    "Subject = '\\\\'",
    "Subject = '\n order by x'",
    "Subject = 'WHERE'",
    "(Subject = 'a' OR Subject = 'b') AND Status = 'New'",
    "Order__c = 'x'",
    "Limit__c = 5",
    "Subject = 'group by x' AND Status != null",
    "LastModifiedDate > 2026-11-01T00:00:00Z",
    "ContactId IN (SELECT Id FROM Contact ORDER BY Name LIMIT 5)",
]


@pytest.mark.parametrize("where", INNOCENT)
def test_a_condition_is_never_cut_inside_quotes(where: str) -> None:
    assert soql.condition(where) == where
    assert soql.condition(f"  wHere {where} ") == where
    assert soql.without_order(f"WHERE {where} ORDER BY CreatedDate DESC").strip() == f"WHERE {where}"


@pytest.mark.parametrize(
    "where",
    [
        "",
        " ",
        "where",
        "Subject = 'x",
        "Subject = 'x\\'",
        "a = 1) OR (b = 1",
        "(a = 1",
        "a = 1)",
        "a = 1; b",
        "a = 1 ORDER BY b",
        "a = 1 order\n by b",
        "a = 1 LIMIT 5",
        "a = 1 OFFSET 5",
        "a = 1 FOR UPDATE",
        "a = 1 GROUP BY b",
        "a = 1 -- b",
        "a = 1 /* b */",
        "a = 1 // b",
        "a = 1 ALL ROWS",
        "a = 1 WITH USER_MODE",
    ],
)
def test_what_is_no_condition_is_refused_in_words(where: str) -> None:
    with pytest.raises(Refused, match="the query cannot be read: "):
        soql.condition(where)


@pytest.mark.parametrize(
    ("query", "rest"),
    [
        (
            "SELECT Id FROM Case WHERE Subject = 'order by' ORDER BY Id LIMIT 5;",
            "WHERE Subject = 'order by' ORDER BY Id LIMIT 5",
        ),
        ("select Id\nfrom case", ""),
        ("SELECT Id, Subject FROM Case c WHERE c.Subject = ';'", "c WHERE c.Subject = ';'"),
    ],
)
def test_what_follows_from_is_found(query: str, rest: str) -> None:
    assert soql.after_from(query, "Case") == rest


@pytest.mark.parametrize(
    "query",
    [
        "",
        "SELECT",
        "SELECT Id",
        "SELECT FROM Case",
        "SELECT Id FROM",
        "SELECT Id FROM Contact",
        "DELETE FROM Case",
        "SELECT COUNT() FROM Case",
        "SELECT (SELECT Id FROM Contacts) FROM Case",
        "SELECT 'a FROM Case",
        "SELECT Id FROM Case; SELECT Id FROM Case",
        "SELECT Id FROM Case -- all",
        "FROM Case",
    ],
)
def test_what_is_no_query_of_cases_is_refused_in_words(query: str) -> None:
    with pytest.raises(Refused, match="the query cannot be read: "):
        soql.after_from(query, "Case")


@pytest.mark.parametrize(
    ("rest", "counted"),
    [
        ("WHERE a = 1 ORDER BY b LIMIT 5", "WHERE a = 1 LIMIT 5"),
        ("ORDER BY b, c DESC NULLS LAST OFFSET 3", "OFFSET 3"),
        ("WHERE a = 'order by' LIMIT 5", "WHERE a = 'order by' LIMIT 5"),
        ("", ""),
        ("order\nby Id for view", "for view"),
    ],
)
def test_a_count_has_no_order_and_keeps_its_limit(rest: str, counted: str) -> None:
    assert soql.without_order(rest) == counted


WORDS = st.sampled_from(
    ["order by x", "limit 5", "'", "\\", "(", ")", ";", "--", "/*", "where", "from", "a", " ", "\n"]
)
STRINGS = (
    st.lists(WORDS | st.text(max_size=3), max_size=6)
    .map("".join)
    .map(lambda text: "'" + re.sub(r"(['\\])", r"\\\1", text) + "'")
)
FIELDS = st.sampled_from(["Subject", "Status", "Order__c", "Limit__c", "Contact.Name"])
COMPARED = st.builds("{} {} {}".format, FIELDS, st.sampled_from(["=", "!=", "LIKE", "<"]), STRINGS)
CONDITIONS = st.recursive(
    COMPARED,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["AND", "or"]), inner) | st.builds("NOT {}".format, inner)
    ),
    max_leaves=5,
)
ORDERS = st.sampled_from(["", " ORDER BY Subject", " order  by Status DESC NULLS LAST, Subject", "\nORDER\nBY Id"])
LIMITS = st.sampled_from(["", " LIMIT 5", " limit 7 offset 3", "\nFOR VIEW"])


def parsed(rest: str) -> theirs.Query:
    return theirs.parse(f"{SELECT} {rest}", NOW)


@given(where=CONDITIONS, order=ORDERS, limit=LIMITS)
def test_without_its_order_a_query_still_finds_the_same(where: str, order: str, limit: str) -> None:
    rest = f"WHERE {where}{order}{limit}"
    whole, counted = parsed(rest), parsed(soql.without_order(rest))
    assert (counted.where, counted.limit, counted.offset, counted.orders) == (
        whole.where,
        whole.limit,
        whole.offset,
        (),
    )
    assert parsed(soql.after_from(f"{SELECT} {rest}", "case")) == whole


@given(where=CONDITIONS)
def test_a_condition_that_is_taken_means_the_same_in_parentheses(where: str) -> None:
    alone = parsed(f"WHERE {soql.condition(where)}").where
    both = parsed(f"WHERE ({soql.condition(where)}) AND Id = 'x'").where
    assert isinstance(both, theirs.Combination)
    assert both.parts[0] == alone


@given(st.lists(WORDS | COMPARED | st.sampled_from([" OR ", " AND ", ") OR (", "Id = 'x'"]), max_size=8).map("".join))
def test_whatever_is_taken_as_a_condition_cannot_leave_its_parentheses(where: str) -> None:
    """Whoever gives a condition cannot reach cases beyond the ids that it is asked with."""
    try:
        query = parsed(f"WHERE ({soql.condition(where)}) AND Id = 'only'")
    except (Refused, errors.ApiError):
        return
    assert isinstance(query.where, theirs.Combination)
    assert query.where.word == "and"
    last = query.where.parts[-1]
    assert isinstance(last, theirs.Comparison)
    assert (last.path, last.value, query.limit, query.orders) == ("Id", "only", None, ())
