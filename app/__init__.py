"""留客 Liuke: the application factory. Domains register themselves, lower ones first."""

from __future__ import annotations

import gc
from importlib import import_module
from typing import Any

from flask import Flask, request

from app.extensions import csrf, db, migrate

# Import order of the house: a domain may import from those before it, never from those after it.
DOMAINS = (
    "security",
    "runs",
    "notices",
    "attachments",
    "masterdata",
    "customers",
    "sales",
    "mirror",
    "churn",
    "tickets",
    "marketing",
    "handover",
    "reports",
    "desk",
)


def create_app(config: Any = "config.Config", **overrides: Any) -> Flask:
    """Build the application. Creates no tables and no rights: `flask db upgrade` and `flask crm init` do.

    `overrides` are settings by name, for tests and benchmarks.
    """
    app = Flask(__name__)
    app.config.from_object(config)
    app.config.update(overrides)

    from app.core import errorpages, logs, proxies, starting, submissions, web
    from app.core.unit import set_writing

    starting.check(app)
    proxies.trust(app)
    logs.install(app)
    db.init_app(app)
    migrate.init_app(app, db)
    csrf.init_app(app)
    for domain in DOMAINS:
        import_models(domain)

    @app.before_request
    def decide_writing() -> None:
        # A request that may change something takes SQLite's write lock at its start (core/unit.py).
        set_writing(request.method not in ("GET", "HEAD", "OPTIONS"))

    with app.app_context():
        from app.core import personal
        from app.core.database import tune
        from app.core.fab import LiukeAppBuilder

        for engine in db.engines.values():
            tune(engine)
        appbuilder = LiukeAppBuilder()
        appbuilder.init_app(app, db.session)
        personal.begin()
        for domain in DOMAINS:
            import_module(f"app.{domain}").register(appbuilder)
    web.install(app)
    submissions.install(app)
    errorpages.install(app)

    from app.cli import install_cli

    install_cli(app)
    spare_the_collector()
    return app


def spare_the_collector() -> None:
    """Tell the garbage collector that what was built lives as long as the process: it saves a tenth of every page."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def import_models(domain: str) -> None:
    """Make the domain's tables known; a domain without tables is fine."""
    try:
        import_module(f"app.{domain}.models")
    except ModuleNotFoundError as missing:
        if missing.name != f"app.{domain}.models":
            raise
