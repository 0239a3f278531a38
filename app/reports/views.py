"""Pages of the reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any, ClassVar
from urllib.parse import urlencode

from flask import abort, flash, g, redirect, render_template, request, send_file, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from app.core.choosing import take_room
from app.core.clock import today, utcnow
from app.core.errors import BusinessError
from app.core.lookups import choices_page
from app.core.scope import may, row_id
from app.core.screen import number_arg
from app.core.unit import unit_of_work
from app.extensions import db
from app.mirror.queries import freshness
from app.notices.kinds import Leads
from app.notices.transport import address_in
from app.reports import access, closing, dashboard, export, operations, period, queries
from app.reports.catalogue import BY_ID, REPORTS
from app.reports.models import Every, FileKind, ReportMail
from app.reports.operations import subscribe, unsubscribe
from app.reports.planner import read_much
from app.reports.report import LINES, TOTAL, Ask, Column, Report, Table, rows_behind
from app.reports.span import running
from app.reports.tiles import BY_KEY, TILES, arranged, moved

PAGE = 50  # rows behind a figure on one page
DRAWN = 10  # lines that a chart shows of a report of several pages


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
        everybody = access.sees_all(report)
        teams = queries.teams() if everybody else {}
        team = row_id(request.args.get("team"))
        team = team if team in teams else None
        span = running(request.args.get("span", ""), now)
        shown = arranged(queries.tiles_of(g.user.id))
        scopes = access.scopes(everybody=everybody, team_id=team)
        read_much()
        kpis, cards = dashboard.tiles(shown, span=span, scopes=scopes, team=team)
        chosen = {"team": team} if team else {}
        return self._page(
            "reports/dashboard.html",
            title=_("Dashboard"),
            everybody=everybody,
            team=teams[team] if team else None,
            teams=[(name, self._url(span=span.code, team=pk), pk == team) for pk, name in teams.items()],
            all_teams=self._url(span=span.code),
            span=span,
            spans=[(label, self._url(span=code, **chosen), code == span.code) for code, label in dashboard.SPANS],
            fresh=freshness(now),
            kpis=kpis,
            cards=cards,
            closed=dashboard.closed_months(shown, span, company=everybody and team is None),
            how=[(tile.label, dashboard.HOW[tile.key]) for tile in shown],
        )

    def denied(self, method: str) -> tuple[str, str, Any]:
        """What the history calls a POST that was turned away: kind of record, action, what it was about."""
        return "report", method, _l("Dashboard")

    @expose("/arrange", methods=["GET", "POST"])
    @has_access
    @permission_name("show")
    def arrange(self) -> Any:
        """安排看板: which tiles one sees on one's own dashboard, in which order. A move keeps what is ticked, too."""
        mistake = ""
        chosen = [tile.key for tile in arranged(queries.tiles_of(g.user.id))]
        if request.method == "POST":
            me = g.user._get_current_object()
            if "reset" in request.form:
                with unit_of_work():
                    operations.arrange_as_the_house(actor=me)
                flash(_("The dashboard is as it was at first."), "success")
                return redirect(self._url())
            keys = [key for key in dict.fromkeys(request.form.getlist("order")) if key in BY_KEY]
            chosen = [key for key in keys if key in request.form.getlist("shown")]
            for name, by in (("up", -1), ("down", 1)):
                if name in request.form:
                    if request.form[name] not in chosen:
                        abort(400)
                    chosen = moved(chosen, request.form[name], by)
            try:
                with unit_of_work():
                    operations.arrange(chosen, actor=me)
            except BusinessError as refusal:
                mistake = str(refusal)
            else:
                if "up" in request.form or "down" in request.form:
                    return redirect(url_for(f"{self.endpoint}.arrange"))
                flash(_("The dashboard is arranged."), "success")
                return redirect(self._url())
        page = self._page(
            "reports/arrange.html",
            title=_("Arrange the dashboard"),
            chosen=chosen,
            kinds=[
                (label, sorted((t for t in TILES if t.chart is chart), key=lambda t: _place(t.key, chosen)))
                for label, chart in ((_("Figures"), False), (_("Charts"), True))
            ],
            mistake=mistake,
            back=self._url(),
        )
        return (page, 400) if mistake else page

    def _page(self, template: str, **given: Any) -> Any:
        return render_template(
            template, view=self, appbuilder=self.appbuilder, base_template=self.appbuilder.base_template, **given
        )

    def _url(self, **given: Any) -> str:
        return url_for(f"{self.endpoint}.show", **given)


def _place(key: str, chosen: list[str]) -> int:
    """Where a tile stands in the list: chosen ones in their order, then the others in the house's."""
    return chosen.index(key) if key in chosen else len(chosen)


class ReportView(BaseView):
    """One report: its page, the rows behind each figure, its files, and a page to print."""

    report: ClassVar[Report]
    default_view = "show"
    base_permissions = ["can_show", "can_see_all", "can_export"]
    fresh_password = frozenset({"export", "mail"})  # many records leave the house at once

    @expose("/")
    @has_access
    def show(self) -> Any:
        ask = self.report.ask(request.args)
        two = [request.args.get(name, "") for name in ("start", "end")]
        refused = self.report.days and any(two) and period.between(*two) is None
        if refused:
            flash(_("Give two dates from 1970 to 2100, for example 2026-03-15 and 2026-07-20."), "warning")
        first, table = self._lines(ask)
        pages = table.count > LINES
        return render_template(
            "reports/report.html",
            **self.page(ask, table, first),
            typed=two if refused else None,
            **self.mails(),
            previous=self.url("show", ask, **{"from": max(0, first - LINES)}) if first else None,
            next=self.url("show", ask, **{"from": first + LINES}) if pages and first + LINES < table.count else None,
        )

    @expose("/lookup/<key>")
    @has_access
    @permission_name("show")
    def lookup(self, key: str) -> Any:
        """A page of what a filter offers that has too much for a list; only what the reader may choose."""
        choices = next((one.choices for one in self.report.filters if one.key == key), None)
        if choices is None:
            abort(404)
        return choices_page(choices())

    @expose("/print")
    @has_access
    @permission_name("show")
    def print(self) -> Any:
        """The same without what is only for screens, and not a line more: to take away all is to export."""
        ask = self.report.ask(request.args)
        first, table = self._lines(ask)
        page = {**self.page(ask, table, first), "title": export.title_of(ask), "crumb": _("Print")}
        return render_template("reports/print.html", **page, facts=export.facts_of(ask))

    @expose("/rows")
    @has_access
    @permission_name("show")
    def rows(self) -> Any:
        """The rows behind one figure."""
        ask, column, key = self._figure(request.args)
        first = number_arg("from", 0, low=0, high=10_000_000)
        rows = rows_behind(ask, column, key, first=first, most=PAGE)
        if first and not rows.rows:
            abort(404)
        figure = " · ".join(filter(None, [self._label(ask, key), str(column.label)]))
        where = {"line": key, "column": column.key}
        return render_template(
            "reports/rows.html",
            title=f"{self.report.title} · {figure}",
            crumb=figure,
            report=self.report,
            rows=rows,
            reported=closing.reported(ask, column, key, today=rows.amount),
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

    def denied(self, _method: str) -> tuple[str, str, Any]:
        """What the history calls a POST that was turned away: kind of record, action, what it was about."""
        return "report", "export", self.report.title  # mails are files, too

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
            sheet, name = export.rows_sheet(ask, rows, label), export.file_name(ask, kind, label, str(column.label))
            where = {"line": key, "column": column.key}
        else:
            ask, where = self.report.ask(request.form), {}
            sheet = export.sheet_of(ask, closing.table_of(ask, most=export.MOST))
            name = export.file_name(ask, kind)
        content = sheet.file(kind)
        with unit_of_work():
            told = export.note_of(ask, kind, sheet, where=where)
            operations.note_export(told, actor=g.user._get_current_object())
        return send_file(BytesIO(content), mimetype=export.MIME[kind], as_attachment=True, download_name=name)

    @expose("/mail", methods=["POST"])
    @has_access
    @permission_name("export")
    def mail(self) -> Any:
        """Send the report to oneself from now on."""
        ask = self.report.ask(request.form)
        me = g.user._get_current_object()
        every, kind = request.form.get("every", ""), request.form.get("format", "")
        if every not in list(Every) or kind not in list(FileKind) or address_in(me.email) is None:
            abort(400)
        with unit_of_work():
            subscribe(me, self.report.id, ask.args, every=Every(every), kind=FileKind(kind))
        flash(_("You get this report by e-mail from the next time on."), "success")
        return redirect(self.url("show", ask) + "#mail")

    @expose("/mail/<pk>/stop", methods=["POST"])
    @has_access
    @permission_name("show")
    def stop_mail(self, pk: Any) -> Any:
        """End a mail of one's own."""
        with unit_of_work():
            if not unsubscribe(g.user._get_current_object(), self.report.id, row_id(pk) or 0):
                abort(404)
        flash(_("You no longer get this report by e-mail."), "success")
        return redirect(self.url("show", self.report.ask(request.form)) + "#mail")

    # -- what the pages share --------------------------------------------------------------------------------

    def page(self, ask: Ask, table: Table, first: int) -> dict[str, Any]:
        """What the page and the printed page show: the lines of `table`, before which there are `first` others, and the
        charts, which are the same on every page."""
        rows_url = self.rows_url(ask)
        drawn = replace(table, lines=closing.first_lines(ask, DRAWN)) if first else table
        periods = period.offered(today()) if self.report.timed else []
        teams = queries.teams() if ask.sees_all else {}
        take_room(len(periods) + len(teams))  # a long filter is searched where these leave no room
        return {
            "title": self.report.title,
            "report": self.report,
            "ask": ask,
            "table": table,
            "note": self.report.note(ask, table),
            "charts": self.report.charts(ask, drawn, rows_url),
            "rows_url": rows_url,
            "periods": periods,
            "running": ask.period is not None and not ask.period.is_over(today()),
            "everybody": ask.sees_all,
            "teams": teams,
            "before_url": self.rows_url(ask.at(ask.period.before)) if ask.period is not None else None,
            "exports": may("can_export", self.report.right),
            "first": first,
            "print_url": self.url("print", ask, **({"from": first} if first else {})),
            "fresh": freshness(utcnow()),
            **self.frame(),
        }

    def mails(self) -> dict[str, Any]:
        """What the page says of the reader's mails: the form is for who may export and has an address; what stopped is
        told to everybody."""
        address = address_in(g.user.email) if may("can_export", self.report.right) else None
        mails = queries.mails_of(g.user.id, self.report.id)
        return {
            "address": address,
            "mails": [(mail, export.filters_of(self.report.ask(mail.given))) for mail in mails],
            "every": list(Every),
            "kinds": list(FileKind),
        }

    def frame(self) -> dict[str, Any]:
        """What every page of ours needs."""
        return {"view": self, "appbuilder": self.appbuilder, "base_template": self.appbuilder.base_template}

    def url(self, method: str, ask: Ask, **more: Any) -> str:
        """An address of this report with its filters."""
        return url_for(f"{self.endpoint}.{method}", **{**ask.args, **more})

    def rows_url(self, ask: Ask) -> Callable[[str, str], str | None]:
        """Tells of a line and a column where the rows of the figure are; those of a share or a rate are the rows of
        what it is a part of. A page asks hundreds of times, so the address is looked up once."""
        address, given = url_for(f"{self.endpoint}.rows"), ask.args

        def url(line: str, column: str) -> str | None:
            found = ask.columns[column]
            while found.of is not None:
                found = ask.columns[found.of[0]]
            return f"{address}?{urlencode({**given, 'line': line, 'column': found.key})}" if found.adds_up else None

        return url

    def _lines(self, ask: Ask) -> tuple[int, Table]:
        """The page of lines that is asked for, and how many are before it; 404 for one after the last."""
        first = number_arg("from", 0, low=0, high=10_000_000)
        table = closing.table_of(ask, first=first)
        if first and not table.lines:
            abort(404)
        return first, table

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
        label = self.report.label_of(ask, key) or closing.label_of(ask, key)
        if label is None:
            abort(404)
        return str(label)


class ToReport(Leads):
    """To the report that a mail is of, or, for who may no longer open it, to the notifications."""

    def url(self, record_id: int) -> str:
        kept = db.session.get(ReportMail, record_id)
        report = BY_ID.get(kept.report) if kept is not None else None
        if report is None or not may("can_show", report.right):
            return url_for("NoticesView.index")
        return url_for(f"{report.right}View.show", _anchor="mail")


TO_REPORT = ToReport(access.OwnMails, None, "")

VIEWS = [
    type(
        f"{report.right}View",
        (ReportView,),
        {"report": report, "class_permission_name": report.right, "route_base": f"/reports/{report.id}"},
    )
    for report in REPORTS
]
"""A view of its own for every report, so that each has rights of its own."""
