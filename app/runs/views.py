"""后台任务: the runs of the background jobs, read-only."""

from __future__ import annotations

from typing import Any

from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import lazy_gettext as _l
from markupsafe import Markup, escape

from app.core.format import NOTHING
from app.core.views import ReadOnlyView
from app.runs.access import AllRuns
from app.runs.models import JobRun
from app.runs.periodic import HAND, PERIODIC

COUNTS = {
    "due": _l("Due"),
    "opened": _l("Opened"),
    "recovered": _l("Recovered"),
    "open": _l("Open cases"),
    "closed": _l("Reports closed"),
    "queued": _l("Mails queued"),
    "customers": _l("Customers"),
    "estimated": _l("Estimated"),
    "measured": _l("Estimates compared"),
    "auc": _l("Of 100 pairs ranked rightly"),
    "told": _l("Notifications"),
    "removed": _l("Removed"),
    "sessions": _l("Sessions removed"),
    "tokens": _l("Links removed"),
    "heartbeats": _l("Signs of life removed"),
    "submissions": _l("Sent forms forgotten"),
    "rows": _l("Rows"),
    "files": _l("Attached files"),
    "missing": _l("Missing files"),
    "mb": _l("MB"),
    "kept": _l("Backups kept"),
    "stray": _l("Stray files removed"),
    "unfinished": _l("Unfinished uploads removed"),
    "runs": _l("Runs removed"),
    "repaired": _l("Totals put right"),
    "reminded": _l("Reminded"),
    "escalated": _l("Told to the leads"),
}


def job_label(job: str) -> str:
    """A job's name in the reader's language."""
    return next((str(p.label) for p in PERIODIC if p.id == job), job)


def period_label(period: str) -> str:
    """A period as people say it: the scheduled time on the company's clock, or "By hand"."""
    return str(_l("By hand")) if period.startswith(HAND) else period.replace("T", " ")


def counts_label(counts: dict[str, Any] | None) -> str | Markup:
    """What a run counted, in words."""
    if not counts:
        return NOTHING
    shown = [(COUNTS.get(name, name), value) for name, value in counts.items() if isinstance(value, int)]
    return Markup(" · ").join(Markup("{} {:,}").format(label, value) for label, value in shown) or NOTHING


class JobRunView(ReadOnlyView):
    """Every run, newest first."""

    datamodel = SQLAInterface(JobRun)
    route_base = "/jobs/runs"
    class_permission_name = "JobRun"
    scope = AllRuns
    list_title = _l("Job runs")
    show_title = _l("Job run")
    list_columns = ["job", "period", "status", "counts", "attempt", "started_at", "finished_at", "error"]
    show_columns = [
        "job",
        "period",
        "scheduled_for",
        "status",
        "counts",
        "attempt",
        "started_at",
        "heartbeat_at",
        "finished_at",
        "requested_by",
        "owner",
        "error",
    ]
    search_columns = ["status", "started_at"]
    order_columns = ["id"]
    base_order = ("id", "desc")
    label_columns = {
        "job": _l("Job"),
        "period": _l("Period"),
        "scheduled_for": _l("As of"),
        "status": _l("Status"),
        "counts": _l("Counts"),
        "attempt": _l("Attempt"),
        "started_at": _l("Started"),
        "heartbeat_at": _l("Last sign of life"),
        "finished_at": _l("Finished"),
        "requested_by": _l("Run by"),
        "owner": _l("Process"),
        "error": _l("Error"),
    }
    formatters_columns = {
        "job": job_label,
        "period": period_label,
        "counts": counts_label,
        "error": lambda text: escape(text.splitlines()[0]) if text else NOTHING,
    }
    empty_text = _l("No job has run yet. The scheduler starts the first ones by itself.")

    def show_page(self, record: JobRun) -> dict[str, Any]:
        return {**super().show_page(record), "title": f"{job_label(record.job)} · {period_label(record.period)}"}
