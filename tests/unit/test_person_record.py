"""The record of one person: what is masked in it, and its checksum."""

import hashlib
import json
from datetime import datetime, timedelta, timezone
from typing import Any

from connector import person_record

AT = datetime(2026, 11, 26, 13, 0, 5, 900, tzinfo=timezone(timedelta(hours=1)))
RECORD: dict[str, Any] = {
    "number": "+14155550132",
    "texts": [{"id": 17, "message": "Hi Zoë", "sent_to": "+14155550132", "received_at": AT, "why": "", "agent": None}],
    "reviews": [{"words": "please stop", "why": "called from +1 415 555 0132"}],
}


def test_a_masked_record_has_neither_number_nor_words() -> None:
    masked = person_record.masked(RECORD)

    assert masked == {
        "number": "••••••••0132",
        "texts": [
            {
                "id": 17,
                "message": "6 characters",
                "sent_to": "••••••••0132",
                "received_at": AT,
                "why": "",
                "agent": None,
            }
        ],
        "reviews": [{"words": "11 characters", "why": "called from •••••••••••••32"}],
    }
    assert RECORD["number"] == "+14155550132", "the record itself is unchanged"


def test_the_checksum_is_over_sorted_json_in_utc() -> None:
    canonical = person_record.canonical(RECORD)

    assert canonical == json.dumps(json.loads(canonical), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert '"received_at":"2026-11-26T12:00:05Z"' in canonical
    assert "Zoë" in canonical
    assert person_record.checksum(RECORD) == hashlib.sha256(canonical.encode()).hexdigest()


def test_any_change_changes_the_checksum_and_the_order_of_fields_does_not() -> None:
    turned = dict(reversed(RECORD.items()))
    changed = RECORD | {"number": "+14155550133"}

    assert person_record.checksum(turned) == person_record.checksum(RECORD)
    assert person_record.checksum(changed) != person_record.checksum(RECORD)
    assert person_record.checksum(person_record.masked(RECORD)) != person_record.checksum(RECORD)
