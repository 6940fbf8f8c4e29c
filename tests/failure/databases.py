"""The database under test, and what happens to databases: read-only after a failover, restarted, closed."""

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from tests.failure.processes import Disturbances
from tests.failure.proxy import Address

CLAIM_LOCK = 4_711
# A text that is not over, or a case that is not told. What an agent or a batch did not send is not told before a person
# has settled the unknown text that the case shows.
UNFINISHED = """
select ticket_id from texts where state in ('received', 'queued', 'sending') or outcome > written
    and not (channel <> 'trigger' and state in ('failed', 'skipped', 'cancelled') and exists (
        select from texts shown
        where shown.crm = texts.crm and shown.ticket_id = texts.ticket_id and shown.state = 'unknown'))
"""
WAIT_AT_CLAIM = f"""
create or replace function wait_at_claim() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared({CLAIM_LOCK});
    return new;
end $$;
create trigger wait_at_claim before update on texts for each row
when (new.state = 'sending' and old.state <> 'sending') execute function wait_at_claim()
"""


class Claims:
    """Claims that wait for their commit."""

    def __init__(self, holding: psycopg.Connection) -> None:
        self._holding = holding

    def any_waits(self) -> bool:
        waits = "select 1 from pg_locks where locktype = 'advisory' and objid = %s and not granted"
        return self._holding.execute(waits, [CLAIM_LOCK]).fetchone() is not None

    def let_go(self) -> None:
        """They commit, and so does every later one."""
        self._holding.execute("select pg_advisory_unlock(%s)", [CLAIM_LOCK])


class Database:
    """A database of a server, by the server's URL and its own. Its faults concern this database only."""

    def __init__(self, server: str, url: str, disturbances: Disturbances) -> None:
        self._server, self.url, self.disturbances = server, url, disturbances
        self.name = str(conninfo_to_dict(url)["dbname"])

    @property
    def address(self) -> Address | str:
        """Where its server listens: an address, or the path of a socket."""
        with psycopg.connect(self._server) as connection:
            host, port = connection.info.host, connection.info.port
        return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)

    def query(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        """The rows. Waits for nobody: raises psycopg.Error while the database is closed."""
        with psycopg.connect(self.url, autocommit=True, row_factory=dict_row) as connection:
            return connection.execute(statement, parameters).fetchall()

    def end_sessions(self) -> None:
        """End every session, as a restart does."""
        with self.disturbances.during("sessions ended", "all"), self._control() as control:
            self._end_sessions(control)

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """As a server that was a standby a moment ago, or whose provider found its disk full."""
        with self.disturbances.during("read-only", "all"):
            self._set("set default_transaction_read_only = on")
            try:
                yield
            finally:
                self._set("set default_transaction_read_only = off")

    @contextlib.contextmanager
    def closed(self) -> Iterator[None]:
        """As a server that is restarted and does not take connections yet."""
        with self.disturbances.during("closed", "all"):
            self._set("with allow_connections false")
            try:
                yield
            finally:
                self._set("with allow_connections true")

    def _set(self, what: str) -> None:
        with self._control() as control:
            control.execute(sql.SQL("alter database {} " + what).format(sql.Identifier(self.name)))
            self._end_sessions(control)

    @contextlib.contextmanager
    def _control(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self._server, autocommit=True) as control:
            yield control

    def _end_sessions(self, control: psycopg.Connection) -> None:
        control.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [self.name])

    @contextlib.contextmanager
    def held_claims(self) -> Iterator["Claims"]:
        """Whoever moves a text to `sending` waits before its commit, until the claims are let go."""
        with psycopg.connect(self.url, autocommit=True) as holding:
            holding.execute(WAIT_AT_CLAIM)
            holding.execute("select pg_advisory_lock(%s)", [CLAIM_LOCK])
            try:
                yield Claims(holding)
            finally:
                holding.execute("select pg_advisory_unlock_all()")
                holding.execute("drop trigger wait_at_claim on texts")

    def repeat_jobs(self, times: int) -> None:
        """Let each job that waits wait so many times more: a queue promises at least once."""
        columns = "select string_agg(column_name, ', ') as names from information_schema.columns"
        [row] = self.query(columns + " where table_name = 'pgqueuer' and column_name <> 'id'")
        again = "insert into pgqueuer ({0}) select {0} from pgqueuer cross join generate_series(1, %s) returning id"
        self.query(again.format(row["names"]), times)

    def waiting(self) -> bool:
        """Whether the workers still have anything to do."""
        try:
            return bool(self.query(f"{UNFINISHED} limit 1"))
        except psycopg.OperationalError:
            return True

    def unfinished(self) -> list[str]:
        """The cases about which the workers still have something to do."""
        return [row["ticket_id"] for row in self.query(UNFINISHED)]

    def story(self, ticket: str) -> list[str]:
        """The connector's own rows about a case, to find out what went wrong; nothing is checked by them."""
        rows = self.query(
            "select texts.*, events.event_id, (select json_agg(history order by history.at) from history"
            " where history.text = texts.id) as history from texts join events on events.id = texts.event"
            " where texts.ticket_id = %s order by texts.id",
            ticket,
        )
        hidden = ("sms", "trace", "crm", "ticket_id")
        return [str({name: value for name, value in row.items() if name not in hidden}) for row in rows]
