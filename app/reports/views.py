"""Pages of the reports."""

from __future__ import annotations

from io import BytesIO
from typing import Any, ClassVar

from flask import abort, g, render_template, request, send_file, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _

from app.core.clock import local, today, utcnow
from app.core.scope import may
from app.core.unit import unit_of_work
from app.core.views import number_arg
from app.mirror.queries import freshness
from app.reports import access, dashboard, export, period, queries
from app.reports.catalogue import REPORTS
from app.reports.operations import note_export
from app.reports.report import LINES, TOTAL, Ask, Column, Report, Table, rows_behind

PAGE = 50  # rows behind a figure on one page
PRINTED = 1000  # lines of a printed page


class DashboardView(BaseView):
    """经营看板: how the company stands, or, without the right can_see_all, how one's own customers do."""

    route_base = "/dashboard"
    class_permission_name = "Dashboard"
    default_view = "show"
    base_permissions = ["can_show", "can_see_all"]

    @expose("/")
    @has_access
    def show(self) -> Any:
        report, now = self.class_permission_name, utcnow()
        today = local(now).date()
        customers, cases = access.customers_in(report), access.cases_in(report)
        opportunities = access.opportunities_in(report)
        best = queries.top_customers(year=today.year, customers=customers)
        figures = queries.headline(as_of=now, customers=customers, opportunities=opportunities, cases=cases)
        return render_template(
            "reports/dashboard.html",
            title=_("Dashboard"),
            everybody=access.sees_all(report),
            fresh=freshness(now),
            kpis=dashboard.kpis(figures, day=today),
            cards=[
                dashboard.churn_card(queries.churn_by_week(as_of=now, cases=cases)),
                dashboard.level_card(queries.customers_by_level(customers=customers)),
                dashboard.contribution_card(
                    best, year=today.year, openable=access.openable_customers([c.customer_id for c in best])
                ),
                dashboard.opportunity_card(queries.opportunities_by_status(opportunities=opportunities)),
            ],
            view=self,
            appbuilder=self.appbuilder,
            base_template=self.appbuilder.base_template,
        )


class ReportView(BaseView):
    """One report: its page, the rows behind each figure, its files, and a page to print."""

    report: ClassVar[Report]
    default_view = "show"
    base_permissions = ["can_show", "can_see_all", "can_export"]

    @expose("/")
    @has_access
    def show(self) -> Any:
        ask = self.report.ask(request.args)
        first = number_arg("from", 0, low=0, high=10_000_000)
        table = self.report.table(ask, first=first)
        if first and not table.lines:
            abort(404)
        pages = table.count > LINES
        return render_template(
            "reports/report.html",
            **self.page(ask, table),
            first=first,
            previous=self.url("show", ask, **{"from": max(0, first - LINES)}) if first else None,
            next=self.url("show", ask, **{"from": first + LINES}) if pages and first + LINES < table.count else None,
        )

    @expose("/print")
    @has_access
    @permission_name("show")
    def print(self) -> Any:
        """The same without what is only for screens."""
        ask = self.report.ask(request.args)
        table = self.report.table(ask, most=PRINTED)
        return render_template("reports/print.html", **self.page(ask, table), facts=export.facts_of(ask))

    @expose("/rows")
    @has_access
    @permission_name("show")
    def rows(self) -> Any:
        """The rows behind one figure."""
        ask, column, key = self._figure(request.args)
        first = number_arg("from", 0, low=0, high=10_000_000)
        rows = rows_behind(ask, column, key, first=first, most=PAGE)
        where = {"line": key, "column": column.key}
        return render_template(
            "reports/rows.html",
            title=self.report.title,
            report=self.report,
            label=self._label(ask, key),
            rows=rows,
            ask=ask,
            facts=export.facts_of(ask)[:-1],
            first=first,
            back=self.url("show", ask),
            previous=self.url("rows", ask, **where, **{"from": max(0, first - PAGE)}) if first else None,
            next=self.url("rows", ask, **where, **{"from": first + PAGE}) if first + PAGE < rows.count else None,
            exports=may("can_export", self.report.right),
            where=where,
            **self.frame(),
        )

    @expose("/export", methods=["POST"])
    @has_access
    def export(self) -> Any:
        """The table, or the rows behind one figure, as a file; who took it is written down."""
        kind = request.form.get("format", "")
        if kind not in export.MIME:
            abort(400)
        if "line" in request.form:
            ask, column, key = self._figure(request.form)
            rows = rows_behind(ask, column, key, most=export.MOST)
            label = self._label(ask, key)
            sheet, name = export.rows_sheet(ask, rows, label), export.file_name(ask, kind, label)
        else:
            ask = self.report.ask(request.form)
            sheet = export.sheet_of(ask, self.report.table(ask, most=export.MOST))
            name = export.file_name(ask, kind)
        content = sheet.file(kind)
        with unit_of_work():
            told = f"{self.report.id}?{'&'.join(f'{k}={v}' for k, v in ask.args.items())} {kind} {len(sheet.rows)}"
            note_export(told, actor=g.user._get_current_object(), ip=request.remote_addr)
        return send_file(BytesIO(content), mimetype=export.MIME[kind], as_attachment=True, download_name=name)

    # -- what the pages share --------------------------------------------------------------------------------

    def page(self, ask: Ask, table: Table) -> dict[str, Any]:
        """What the page and the printed page show."""
        return {
            "title": self.report.title,
            "report": self.report,
            "ask": ask,
            "table": table,
            "note": self.report.note(ask, table),
            "charts": self.report.charts(ask, table, lambda line, column: self.rows_url(ask, line, column)),
            "rows_url": lambda line, column: self.rows_url(ask, line, column),
            "periods": period.offered(today()) if self.report.timed else [],
            "running": ask.period is not None and not ask.period.is_over(today()),
            "everybody": access.sees_all(self.report.right),
            "exports": may("can_export", self.report.right),
            "print_url": self.url("print", ask),
            "fresh": freshness(utcnow()),
            **self.frame(),
        }

    def frame(self) -> dict[str, Any]:
        """What every page of ours needs."""
        return {"view": self, "appbuilder": self.appbuilder, "base_template": self.appbuilder.base_template}

    def url(self, method: str, ask: Ask, **more: Any) -> str:
        """An address of this report with its filters."""
        return url_for(f"{self.endpoint}.{method}", **{**ask.args, **more})

    def rows_url(self, ask: Ask, line: str, column: str) -> str | None:
        """Where the rows of a figure are; those of a share or a rate are the rows of what it is a part of."""
        found = ask.columns[column]
        if found.of is not None:
            return self.rows_url(ask, line, found.of[0])
        return self.url("rows", ask, line=line, column=column) if found.adds_up else None

    def _figure(self, given: Any) -> tuple[Ask, Column, str]:
        """Which figure an address means; 404 for none."""
        ask = self.report.ask(given)
        found = ask.columns.get(given.get("column", ""))
        if found is None or not found.adds_up:
            abort(404)
        return ask, found, given.get("line", TOTAL)[:100]

    def _label(self, ask: Ask, key: str) -> str:
        """What the line of this key is called; 404 for none."""
        if key == TOTAL:
            return str(_("All"))
        label = self.report.label_of(ask, key)
        if label is None:
            abort(404)
        return str(label)


VIEWS = [
    type(
        f"{report.right}View",
        (ReportView,),
        {"report": report, "class_permission_name": report.right, "route_base": f"/reports/{report.id}"},
    )
    for report in REPORTS
]
"""A view of its own for every report, so that each has rights of its own."""
