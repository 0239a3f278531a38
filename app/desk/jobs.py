"""后台任务 page: what runs when, how it went, running the churn scan by hand and trying it on another date."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from flask import current_app, flash, g, redirect, render_template, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from redis.exceptions import RedisError

from app.churn.operations import ScanResult, scan
from app.core.clock import company_zone, local, utcnow
from app.core.errors import BusinessError
from app.core.forms import CrmForm, Filled, MomentField, sensible_date
from app.core.redis import connect, enqueue, job_id
from app.core.scope import may
from app.core.unit import set_writing
from app.desk.health import OK, health
from app.extensions import db
from app.mirror.queries import Freshness, freshness
from app.runs.models import JobRun
from app.runs.periodic import CHURN_SCAN, PERIODIC, Periodic, hand_period, instant
from app.runs.queries import last_run
from app.runs.views import counts_label

PATIENCE = 2.0  # seconds a click waits for Redis


class PreviewForm(CrmForm):
    """The moment to try the churn rule at."""

    as_of = MomentField(_l("As of"), [Filled(), sensible_date])

    @property
    def moment(self) -> datetime:
        """The chosen moment of a valid form, UTC."""
        return cast(datetime, self.as_of.data)


@dataclass(frozen=True)
class JobLine:
    """One job on the page."""

    periodic: Periodic
    next_at: datetime
    last: JobRun | None


class JobsView(BaseView):
    """The page of the background jobs; its right is the one of their runs."""

    route_base = "/jobs"
    class_permission_name = "JobRun"
    default_view = "index"

    @expose("/")
    @has_access
    @permission_name("list")
    def index(self) -> Any:
        return self.page(PreviewForm(as_of=utcnow()))

    @expose("/run", methods=["POST"])
    @has_access
    def run(self) -> Any:
        """Queue a churn scan as of now. What the ledger finds done or running is not done twice."""
        period = hand_period(utcnow())
        try:
            with closing(connect(patience=PATIENCE)) as connection:
                id = job_id(CHURN_SCAN.id, period)
                enqueue(connection, CHURN_SCAN.path, id=id, period=period, requested_by=g.user.id)
        except RedisError:
            flash(
                _(
                    "Nothing was started: the queue (Redis) is away. Try again when it is back; missed runs are caught "
                    "up by themselves then."
                ),
                "warning",
            )
        else:
            if health(utcnow())["worker"]["state"] == OK:
                flash(_("The churn scan is queued. Load the page again in a moment to see how it went."), "success")
            else:
                flash(_("The churn scan is queued. No worker is running: it starts as soon as one does."), "warning")
        return redirect(url_for("JobsView.index"))

    @expose("/preview", methods=["POST"])
    @has_access
    def preview(self) -> Any:
        """What a scan as of the chosen moment would do. Nothing is written, whatever the age of the mirror."""
        db.session.rollback()
        set_writing(False)
        form = PreviewForm()
        if not form.validate():
            return self.page(form), 422
        try:
            result = scan(as_of=form.moment, preview=True)
        except BusinessError as refusal:
            form.refuse(str(refusal))
            return self.page(form), 409
        return self.page(form, result=result)

    def page(self, form: PreviewForm, result: ScanResult | None = None) -> str:
        """The page, with the result of a preview if there is one."""
        now, zone = utcnow(), company_zone()
        mirror = freshness(now)
        return render_template(
            "desk/jobs.html",
            title=_("Background jobs"),
            jobs=[JobLine(p, instant(p.rule.next(now, zone), zone), last_run(p.id)) for p in PERIODIC],
            late=self._late(now),
            mirror=mirror,
            zone=current_app.config["LIUKE_TIMEZONE"],
            form=form,
            result=result,
            as_of=form.as_of.data if result else None,
            ahead=_ahead(form.moment, mirror) if result else None,
            may_run=may("can_run", "JobRun"),
            may_preview=may("can_preview", "JobRun"),
            counts=counts_label,
            view=self,
            appbuilder=self.appbuilder,
            base_template=self.appbuilder.base_template,
        )

    def _late(self, now: datetime) -> list[str]:
        """A sentence for every part that background jobs wait for."""
        found, mirror = health(now), freshness(now)
        sentences = {
            "redis": _("The queue (Redis) is away: no job can start. Missed runs are caught up when it is back."),
            "worker": _("No worker has given a sign of life for a while: queued jobs wait until one runs."),
            "scheduler": _("The scheduler has given no sign of life for a while: nothing starts by itself."),
        }
        late = [sentence for name, sentence in sentences.items() if found[name]["state"] != OK]
        if mirror.stale:
            late.append(_stale(mirror))
        return late


def _ahead(as_of: datetime, mirror: Freshness) -> str | None:
    """What to think of figures for a moment that the mirror has not reached."""
    if mirror.finished_at is None:
        return _("No sales feed has been read yet, so every customer counts as one who never ordered.")
    if as_of <= mirror.finished_at + timedelta(days=1):
        return None  # a feed comes every night
    return _(
        "The orders are known up to %(time)s only. These figures are what would be if nobody ordered after that.",
        time=f"{local(mirror.finished_at):%Y-%m-%d %H:%M}",
    )


def _stale(mirror: Freshness) -> str:
    if mirror.days is None:
        return _("No sales feed has been read yet: scans refuse to warn until the first one is.")
    return _(
        "The last sales feed was read %(days)d days ago: scans refuse to warn until a new one is. "
        "A refused week is run as soon as it is.",
        days=mirror.days,
    )
