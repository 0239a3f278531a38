"""Pages of the reports."""

from __future__ import annotations

from typing import Any

from flask import render_template
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access
from flask_babel import gettext as _

from app.core.clock import local, utcnow
from app.mirror.queries import freshness
from app.reports import access, dashboard, queries


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
