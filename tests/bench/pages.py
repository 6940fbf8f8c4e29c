"""How long the pages of the console take at the server, with many texts stored: python -m tests.bench.pages --help."""

import os
import secrets
import statistics
import time

import click
from rich.console import Console
from rich.table import Table

from connector import settings
from connector.cli import demo
from connector.sandbox import Sandbox
from connector.store import migrations, postgres
from tests.conftest import created, own_server
from tests.support import many_texts
from tests.webhooks.console.conftest import Browser, Operators
from tests.webhooks.console.test_many_texts import PAGES, made_plan
from webhooks.app import create_app
from webhooks.console.roles import Role

# Further searches, of the slowest kinds: those without an index of their own.
SEARCHES = ("/texts?q=rule:nothing", "/texts?q=channel:batch", "/texts?q=state:sent rule:requested")
LIMIT_MS = 300


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--texts", type=click.IntRange(1000), default=1_000_000, show_default=True, help="How many are stored.")
@click.option("--turns", type=click.IntRange(1), default=20, show_default=True, help="How often each page is opened.")
def main(texts: int, turns: int) -> None:
    """Fill a database of its own, open every page, and print how long each took. Status 1: one took too long."""
    console = Console(soft_wrap=True)
    with (
        own_server(os.environ.get("CONNECTOR_TEST_DATABASE_URL"), "connector-pages-") as (server, _),
        created(server, "connector_pages") as url,
        Sandbox(port=0).running() as box,
    ):
        migrations.migrate(url)
        os.environ |= demo.environment(box, url, 8080, secrets.token_hex(24))
        with postgres.pool(url, 4) as pool:
            with pool.connection() as connection:
                start = time.monotonic()
                many_texts.fill(connection, texts)
                plan = made_plan(connection)
            console.print(f"{texts:,} texts and all that belongs to them: filled in {time.monotonic() - start:.0f} s")
            app = create_app(settings.load(_env_file=None), pool)
            browser = Operators(app, pool, box).client(*Role)
            figures = {path: _milliseconds(browser, path.format(plan=plan), turns) for path in (*PAGES, *SEARCHES)}
    table = Table("page", "median ms", "slowest ms")
    for path, times in figures.items():
        table.add_row(path, f"{statistics.median(times):.0f}", f"{max(times):.0f}")
    console.print(table)
    raise SystemExit(any(statistics.median(times) > LIMIT_MS for times in figures.values()))


def _milliseconds(browser: Browser, path: str, turns: int) -> list[float]:
    """How long the page took each time. Not counting the first: it makes the plans of the other connections."""
    times = []
    for _ in range(turns + 1):
        start = time.monotonic()
        answer = browser.get(path)
        times.append((time.monotonic() - start) * 1000)
        if answer.status_code != 200:
            raise SystemExit(f"{path}: {answer.status_code}")
    return times[1:]


if __name__ == "__main__":
    main()
