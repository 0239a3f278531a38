"""Pages over several domains: home."""

from __future__ import annotations

from typing import Any

from flask import redirect, url_for
from flask_appbuilder import expose
from flask_appbuilder.views import IndexView
from flask_login import current_user

from app.core.scope import may


class HomeView(IndexView):
    """Home is the dashboard for whoever sees the whole company there, for an administrator the accounts, else the first
    screen the reader may open."""

    @expose("/")
    def index(self) -> Any:
        if not current_user.is_authenticated:
            return redirect(url_for("CrmAuthView.login"))
        if may("can_show", "Dashboard") and may("can_see_all", "Dashboard"):
            return redirect(url_for("DashboardView.show"))
        if may("can_list", "User") and not may("can_show", "MyWork"):
            return redirect(url_for("UserView.list"))  # who looks after the accounts, not after customers
        from app.core.web import Page

        for group in Page().menu():
            for item in group["items"]:
                return redirect(item["url"])
        return redirect(url_for("ProfileView.show"))
