"""connector migrate: bring the database up to date."""

import click

from connector.cli.connection import load_settings
from connector.store import migrations, postgres


@click.command()
def migrate() -> None:
    """Bring the database's schema up to date. Safe to run again, and while others run it."""
    with postgres.running(load_settings(may_make=True)) as url:
        ran = migrations.migrate(url)
    click.echo("\n".join(f"migrated: {name}" for name in ran) or "the schema is current")
