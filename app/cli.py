"""The command line: `python -m flask --app run crm ...`. Each group lives with its domain."""

from __future__ import annotations

from importlib import import_module

import click
from flask import Flask
from flask.cli import AppGroup
from flask_babel import gettext as _

crm = AppGroup(
    "crm",
    help="""Run and look after 留客 Liuke.

\b
First start:        python -m flask --app run db upgrade
                    python -m flask --app run crm init
A demo company:     python -m flask --app run crm demo
Read a sales feed:  python -m flask --app run crm sync FOLDER
Warn about churn:   python -m flask --app run crm churn --preview
Save everything:    python -m flask --app run crm backup
Put it back:        python -m flask --app run crm restore FILE
""",
)


@crm.command("init")
def init() -> None:
    """Store rights, roles and dictionary. Safe to run again: what an admin changed stays changed.

    Run it after every `flask db upgrade`, before the web processes start.
    """
    from app.core.clock import utcnow
    from app.core.unit import unit_of_work
    from app.masterdata.seed import seed_dictionary
    from app.mirror.operations import complete_totals
    from app.runs.operations import install
    from app.security.seed import seed_rights, seed_roles
    from app.tickets.precedents import index_missing
    from app.tickets.seed import seed_targets

    with unit_of_work():
        install(demo=False, now=utcnow())
        items = seed_dictionary()
        seed_targets()
        complete_totals()
        index_missing()
        rights = seed_rights()
        granted = seed_roles(rights)
    said = _("%(rights)d rights known, %(granted)d newly granted, %(items)d dictionary items added.",
             rights=len(rights), granted=granted, items=items)  # fmt: skip
    click.echo(said)


def install_cli(app: Flask) -> None:
    """Make `crm` known to this application, with the commands each domain keeps in its `commands.py`."""
    from app import DOMAINS

    for domain in DOMAINS:
        try:
            import_module(f"app.{domain}.commands").register(crm)
        except ModuleNotFoundError as missing:
            if missing.name != f"app.{domain}.commands":
                raise
    app.cli.add_command(crm)
