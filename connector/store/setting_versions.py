"""Record changes of settings and mapping files at start in the audit trail, by name and fingerprint only."""

from collections.abc import Mapping

import psycopg

from connector.store import audit, pseudonyms, queries
from connector.store.audit import Action, Source

SQL = queries.load(__file__)
FINGERPRINT_LENGTH = 12


def register(
    connection: psycopg.Connection, process: str, settings: Mapping[str, str], mappings: Mapping[str, str]
) -> None:
    """Compare with the last start of this kind of process ("serve", "worker"), and record what changed.

    `settings`: values by variable. `mappings`: contents' hashes by file. Only keyed hashes of them are stored.
    """
    changes = dict.fromkeys(settings, Action.SETTING_CHANGE) | dict.fromkeys(mappings, Action.MAPPING_CHANGE)
    given = {
        name: pseudonyms.of(connection, f"setting {name}={value}")[:FINGERPRINT_LENGTH]
        for name, value in (dict(settings) | dict(mappings)).items()
    }
    asked = {"process": process, "names": list(given), "fingerprints": list(given.values())}
    actor = audit.this_user(Source.PROCESS)
    with connection.transaction():
        for name, before, after in connection.execute(SQL["register"], asked).fetchall():
            kind = "setting" if changes[name] is Action.SETTING_CHANGE else "mapping"
            audit.record(
                connection,
                actor,
                changes[name],
                audit.named(kind, name),
                before={"fingerprint": before},
                after={"fingerprint": after, "process": process},
            )
