"""后台任务: which jobs run, when, and how it went."""

from __future__ import annotations

from typing import Any


def register(appbuilder: Any) -> None:
    """Register the list of runs (its menu entry is the jobs page of `desk`) and the guard of demo databases."""
    from app.runs import demo
    from app.runs.views import JobRunView

    appbuilder.add_view_no_menu(JobRunView)
    demo.install()
