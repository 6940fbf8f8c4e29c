"""Workers whose clock is ahead, and the hours and the window, which are the database's clock's to say."""

import tomllib
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from tests.failure.conftest import MakeStand
from tests.failure.org import PHONE
from tests.failure.stand import GIVEN_UP

MAPPING = Path(__file__).parents[2] / "mappings" / "salesforce.toml"


def zone(hours: int) -> str:
    """The IANA name of the zone that is so many hours ahead of UTC. Its sign is the other way round."""
    return f"Etc/GMT{-hours:+d}"


def mapping(folder: Path, now: datetime) -> int:
    """A copy of the shipped mapping, with hours that open in half an hour, for two hours, where it is about noon.

    How many hours ahead of UTC that is.
    """
    ahead = 12 - now.hour if now.hour > 0 else 11
    local = now.astimezone(timezone(timedelta(hours=ahead)))
    opens, closes = (f"{local + timedelta(minutes=minutes):%H:%M}" for minutes in (30, 150))
    text = MAPPING.read_text(encoding="utf-8")
    text = text.replace('customer = "Contact.Name"', 'customer = "Contact.Name"\ntime_zone = "Time_Zone__c"')
    text = text.replace("[policy]\n", '[policy]\nzone = "time_zone"\n')
    text = text.replace('open = "08:00-20:00"', f'open = "{opens}-{closes}"')
    assert tomllib.loads(text)["policy"]["hours"]["open"] == f"{opens}-{closes}"
    (folder / "salesforce.toml").write_text(text, encoding="utf-8")
    return ahead


def a_clock_that_is_ahead(make_stand: MakeStand, folder: Path) -> None:
    """A worker is an hour ahead half an hour before the hours open, and then 25 hours ahead."""
    ahead = mapping(folder, datetime.now(UTC))
    with make_stand(workers=0, mappings=str(folder), trial_without="") as stand:
        worker = stand.add_worker(shift="+3600s")
        [early] = stand.witness.org.make_cases(1, Time_Zone__c=zone(ahead))
        [first] = stand.witness.org.make_cases(1, Time_Zone__c=zone(ahead + 1))
        stand.trigger(early, first)
        stand.await_told([first], GIVEN_UP, "Sent")
        assert set(stand.witness.journal.chats()) == {first}
        assert worker.stop() == 0

        worker.shift("+90000s")
        worker.start()
        number = stand.witness.org.case(first)[PHONE]
        [again] = stand.witness.org.make_cases(1, Time_Zone__c=zone(ahead + 1), **{PHONE: number})
        [other] = stand.witness.org.make_cases(1, Time_Zone__c=zone(ahead + 1))
        stand.trigger(again, other)
        stand.await_told([other], GIVEN_UP, "Sent")
        stand.await_told([again], 20, "Skipped")

        assert set(stand.witness.journal.chats()) == {first, other}
