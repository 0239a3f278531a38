"""通知: the notification centre, how one wants to hear of things, and the log of what went out."""

from __future__ import annotations

import secrets
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from flask import abort, flash, g, make_response, redirect, render_template, request, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.core.clock import utcnow
from app.core.errors import BusinessError
from app.core.scope import row_id
from app.core.unit import unit_of_work
from app.core.views import ReadOnlyView
from app.core.web import COUNTERS, Page
from app.extensions import db
from app.notices import operations, post, queries, robots, transport
from app.notices.access import AllDeliveries
from app.notices.forms import DigestForm, RobotForm
from app.notices.models import Channel, Delivery, NoticeSettings, Notification
from app.notices.reading import lines_of
from app.security import sessions
from app.security.access import all_users
from app.security.throttle import AGAIN


class Bell:
    """What the bell in the top bar says."""

    @cached_property
    def unread(self) -> int:
        """Asked when it is shown: by then the menu has mostly counted it along."""
        counts = g.setdefault("counts", {})
        return counts[queries.BELL] if queries.BELL in counts else queries.unread(g.user.id)

    @property
    def url(self) -> str:
        return url_for("NoticesView.index")


def bell() -> Bell:
    """The bell of this request, counted once."""
    if "bell" not in g:
        g.bell = Bell()
    return g.bell


class NoticesView(BaseView):
    """One's own notifications, and how to be told. No right is needed, only to be signed in."""

    route_base = "/notices"
    default_view = "index"
    for_everyone = True
    fresh_password = frozenset({"robot", "calendar"})  # both outlast the session that made them

    # -- the centre -----------------------------------------------------------------------------------------

    @expose("/", methods=["GET"])
    def index(self) -> Any:
        unread_only = request.args.get("show") == "unread"
        told, more = queries.newest(g.user.id, unread_only=unread_only, before=row_id(request.args.get("before")))
        return self._page(
            "notices/index.html",
            title=_("Notifications"),
            lines=lines_of(told),
            unread_only=unread_only,
            older=_list_url(unread_only, before=told[-1].id) if more else None,
            newer=_list_url(unread_only) if request.args.get("before") else None,
        )

    @expose("/bell", methods=["GET"])
    def bell(self) -> Any:
        """The bell and the counts of the menu, for pages that ask every 20 seconds; keeps no session alive."""
        page = Page()  # its counts bring the bell's along
        allowed = {item["name"]: item["count"] for group in page.menu() for item in group["items"]}
        counts = {name: allowed[name] for name in COUNTERS if name in allowed}
        return render_template("notices/bell.html", counts=counts)

    bell.passive = True

    @expose("/open/<pk>", methods=["POST"])
    def open(self, pk: Any) -> Any:
        """Mark one as read and go where it leads, if the reader may still see that."""
        told = self._own(pk)
        (line,) = lines_of([told])
        with unit_of_work():
            operations.mark_read(g.user.id, [told.id], at=utcnow())
        if line.url is None:
            flash(line.text, "warning")
            return redirect(url_for("NoticesView.index"))
        return redirect(line.url)

    @expose("/read", methods=["POST"])
    def read(self) -> Any:
        """Mark one (`id`) or all as read."""
        given = request.form.get("id")
        ids = None if given is None else [self._own(given).id]
        with unit_of_work():
            count = operations.mark_read(g.user.id, ids, at=utcnow())
        if ids is None:
            flash(
                ngettext("%(num)d notification is marked as read.", "%(num)d notifications are marked as read.", count),
                "success",
            )
        return redirect(_list_url(request.form.get("show") == "unread"))

    def _own(self, pk: Any) -> Notification:
        number = row_id(pk)
        found = db.session.execute(
            sa.select(Notification).where(Notification.id == number, Notification.recipient_id == g.user.id)
        ).scalar_one_or_none()
        return found or abort(404)

    # -- how to be told -------------------------------------------------------------------------------------

    @expose("/settings", methods=["GET"])
    def settings(self) -> Any:
        return self._settings()

    @expose("/settings/mail", methods=["POST"])
    def mail(self) -> Any:
        form = DigestForm()
        if not form.validate():
            return self._settings(digest=form), 422
        with unit_of_work():
            operations.set_digest(g.user.id, form.hour.data, at=utcnow())
        flash(
            _("You get no mail.") if form.hour.data is None
            else _("You get a mail every day at %(time)s.", time=f"{form.hour.data:02d}:00"),
            "success",
        )  # fmt: skip
        return redirect(url_for("NoticesView.settings"))

    @expose("/settings/robot/<kind>", methods=["POST"])
    def robot(self, kind: str) -> Any:
        channel, form = _robot_kind(kind), RobotForm(prefix=kind)
        if form.validate():
            url, secret = form.url.data or "", form.secret.data
            try:
                with unit_of_work():
                    operations.save_robot(_me(), channel, url=url, secret=secret, at=utcnow())
            except BusinessError as refusal:
                form.refuse(str(refusal), "url")
            else:
                flash(_("The robot is saved. Send it a test message."), "success")
                return redirect(url_for("NoticesView.settings"))
        return self._settings(**{kind: form}), 422

    @expose("/settings/robot/<kind>/remove", methods=["POST"])
    def remove_robot(self, kind: str) -> Any:
        with unit_of_work():
            operations.remove_robot(_me(), _robot_kind(kind))
        flash(_("The robot is removed; its address is forgotten."), "success")
        return redirect(url_for("NoticesView.settings"))

    @expose("/settings/try/<kind>", methods=["POST"])
    def test(self, kind: str) -> Any:
        """Send a test message at once and say how it went."""
        if kind == Channel.mail.value:
            way: Any = lambda key: post.try_mail(_me(), key=key)  # noqa: E731
        else:
            robot = operations.robot_of(g.user.id, _robot_kind(kind)) or abort(404)
            way = lambda key: post.try_robot(robot, key=key)  # noqa: E731
        try:
            way(f"test-{g.user.id}-{secrets.token_hex(8)}")
        except BusinessError as refusal:
            flash(_("The test message did not go out: %(why)s", why=str(refusal)), "danger")
        else:
            written = kind == Channel.mail.value and not transport.mail_goes_out()
            flash(
                _("No mail server is set, so the test message was written into the outbox folder.")
                if written
                else _("The test message went out."),
                "warning" if written else "success",
            )
        return redirect(url_for("NoticesView.settings"))

    @expose("/settings/calendar", methods=["POST"])
    def calendar(self) -> Any:
        """Make a new address, shown this once, or drop it."""
        if request.form.get("drop"):
            with unit_of_work():
                operations.drop_calendar(_me())
            flash(_("The calendar address is dead."), "success")
            return redirect(url_for("NoticesView.settings"))
        with unit_of_work():
            token = operations.renew_calendar(_me(), at=utcnow())
        answer = make_response(self._settings(address=url_for("calendar_feed", token=token, _external=True)))
        answer.headers["Referrer-Policy"] = "no-referrer"
        return answer

    def _settings(self, *, digest: Any = None, address: str | None = None, **forms: Any) -> str:
        me = _me()
        kept = db.session.get(NoticeSettings, me.id)
        if digest is None:
            digest = DigestForm(formdata=None, hour=kept.digest_hour if kept else None)
        held = queries.robots_of(me.id)
        return self._page(
            "notices/settings.html",
            title=_("Notification settings"),
            digest=digest,
            mail_on=kept is not None and kept.digest_hour is not None,
            email=me.email,
            mail_goes_out=transport.mail_goes_out(),
            ways=[
                (c, held.get(c), forms.get(c.value) or RobotForm(formdata=None, prefix=c.value), c in robots.SIGNED)
                for c in robots.HOSTS
            ],
            calendar_at=kept.calendar_at if kept else None,
            address=address,
            again=None if sessions.fresh(g.sign_in) else url_for(AGAIN, next=url_for("NoticesView.settings")),
        )

    def _page(self, template: str, **given: Any) -> str:
        return render_template(
            template, view=self, appbuilder=self.appbuilder, base_template=self.appbuilder.base_template, **given
        )


def _me() -> Any:
    return g.user._get_current_object()


def _list_url(unread_only: bool, before: int | None = None) -> str:
    """The centre, all of it or what is unread; arguments without a value are left out."""
    return url_for("NoticesView.index", show="unread" if unread_only else None, before=before)


def _robot_kind(kind: str) -> Channel:
    found = next((channel for channel in robots.HOSTS if channel.value == kind), None)
    return found or abort(404)


class DeliveryView(ReadOnlyView):
    """发送日志: what went out by mail and robots, when, and how often. What it said is not kept."""

    datamodel = SQLAInterface(Delivery)
    scope = AllDeliveries
    class_permission_name = "Delivery"
    route_base = "/deliveries"
    list_title = _l("Sent messages")
    show_title = _l("Sent message")
    label_columns = {
        "made_at": _l("Made at"),
        "channel": _l("By"),
        "recipient": _l("For"),
        "status": _l("Status"),
        "attempts": _l("Attempts"),
        "repeats": _l("Perhaps sent twice"),
        "due_at": _l("Next attempt"),
        "sent_at": _l("Sent at"),
        "error": _l("Error"),
        "key": _l("Key"),
        "message_id": _l("Message-ID"),
        "owner": _l("Process"),
    }
    list_columns = ["made_at", "channel", "recipient", "status", "attempts", "repeats", "sent_at", "error"]
    show_columns = [
        "made_at", "channel", "recipient", "status", "attempts", "repeats", "due_at", "sent_at", "error", "key",
        "message_id", "owner",
    ]  # fmt: skip
    search_columns = ["channel", "recipient", "status", "made_at"]
    order_columns = ["made_at"]
    base_order = ("made_at", "desc")
    choices = {"recipient": all_users}
    empty_text = _l("Mails and robot messages are logged here. Everybody chooses in his settings whether he gets any.")
