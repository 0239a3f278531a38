"""The reports there are, in the order of the menu."""

from __future__ import annotations

from app.reports.kinds.churn import Churn
from app.reports.kinds.composition import Composition
from app.reports.kinds.contribution import Contribution
from app.reports.kinds.forecast import Forecast
from app.reports.kinds.funnel import Funnel
from app.reports.kinds.ledger import Ledger
from app.reports.kinds.levels import Levels
from app.reports.kinds.measures import Retention
from app.reports.kinds.plans import Plans
from app.reports.kinds.returning import Returning
from app.reports.kinds.service import Service
from app.reports.report import Report

REPORTS: tuple[Report, ...] = (
    Contribution(),
    Composition(),
    Levels(),
    Service(),
    Churn(),
    Ledger(),
    Retention(),
    Returning(),
    Funnel(),
    Forecast(),
    Plans(),
)
BY_ID = {report.id: report for report in REPORTS}


def title_of(id: str) -> str:
    """What the report of this id is called in the reader's language; whatever else is given, as it is."""
    return str(BY_ID[id].title) if id in BY_ID else id
