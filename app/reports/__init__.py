"""统计报表: figures over all domains; reads the others; closes months and sends mails."""

from __future__ import annotations

from typing import Any


def register(appbuilder: Any) -> None:
    """Make the reports known, and the dashboard as the first entry of the menu."""
    from flask_babel import lazy_gettext as _l

    from app.core import history, nav, personal
    from app.notices import kinds
    from app.notices.post import COMPOSERS
    from app.reports.catalogue import REPORTS, title_of
    from app.reports.closing import forget_manager
    from app.reports.mailing import compose
    from app.reports.operations import MAIL, STOPPED
    from app.reports.views import TO_REPORT, VIEWS, DashboardView

    COMPOSERS[MAIL] = compose
    kinds.tell(
        STOPPED,
        icon="mail",
        tone="warn",
        sentence=_l("%(report)s no longer comes by e-mail: you may no longer export it."),
        leads=TO_REPORT,
        codes={"report": title_of},
    )
    personal.copies("user", forget_manager)
    history.KINDS["report"] = _l("Report")
    history.tell("report", "export", _l("exported it"), "download", attempt=_l("Export"))
    history.tell("report", "arrange", _l("Arrange the dashboard"), "layout-dashboard")
    for view, report in zip(VIEWS, REPORTS, strict=True):
        nav.add(appbuilder, view, group="reports", icon=report.icon, label=report.title, href=f"/reports/{report.id}/")

    nav.add(appbuilder, DashboardView, group=None, icon="layout-dashboard", label=_l("Dashboard"))
    entries = appbuilder.menu.get_list()
    entries.insert(0, entries.pop())
