"""后台任务 page: what runs when, how it went, what failed, running the churn scan by hand and on another date."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from flask import abort, current_app, flash, g, redirect, render_template, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from redis.exceptions import RedisError

from app.churn.operations import ScanResult, scan
from app.core.clock import company_zone, local, utcnow
from app.core.errors import BusinessError
from app.core.forms import CrmForm, Filled, MomentField, sensible_date
from app.core.history import tell
from app.core.lifecycle import note_move, note_refusal
from app.core.redis import connect, enqueue, job_id
from app.core.scope import may
from app.core.unit import set_writing, unit_of_work
from app.desk.health import OK, health
from app.extensions import db
from app.mirror.queries import Freshness, freshness
from app.runs.access import AllRuns
from app.runs.models import JobRun
from app.runs.operations import ask_again, ask_for
from app.runs.periodic import BACKUP, CHURN_SCAN, PERIODIC, Periodic, hand_period, instant
from app.runs.queries import failures, last_done, last_run, run_of
from app.runs.views import counts_label, job_label, period_label

PATIENCE = 2.0  # seconds a click waits for Redis

tell("job_run", "run", _l("ran it by hand"), "player-play", attempt=_l("Run by hand"))
tell("job_run", "retry", _l("ran it again"), "refresh", attempt=_l("Run again"))
tell("job_run", "preview", _l("Preview"), "player-play")


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

    def denied(self, method: str) -> tuple[str, str, Any]:
        """What the history calls a POST that was turned away: kind of record, action, what it was about."""
        return "job_run", method, _l("Background jobs")

    @expose("/run", methods=["POST"])
    @has_access
    def run(self) -> Any:
        """Ask for a churn scan as of now. It is in the ledger before it is queued: a lost queue loses nothing."""
        now, actor = utcnow(), g.user._get_current_object()
        period = hand_period(now)
        with unit_of_work():
            if ask_for(CHURN_SCAN.id, period, scheduled_for=now, requested_by=actor.id):
                note_move(run_of(CHURN_SCAN.id, period), "run", actor=actor)
        queue(CHURN_SCAN, period)
        return redirect(url_for("JobsView.index"))

    @expose("/retry/<int:pk>", methods=["POST"])
    @has_access
    def retry(self, pk: int) -> Any:
        """Run once more what failed or was refused, at once. Its as-of stays what it was."""
        run = AllRuns.find(pk)
        periodic = next((p for p in PERIODIC if run is not None and p.id == run.job), None)
        if run is None or periodic is None:
            abort(404)
        actor, id, period = g.user._get_current_object(), run.id, run.period
        with unit_of_work():
            again = ask_again(id)
            if again:
                db.session.refresh(run)
                note_move(run, "retry", actor=actor)
        if again:
            queue(periodic, period)
        else:
            why = _("It was run meanwhile, or is running: there is nothing to repeat.")
            note_refusal("job_run", id, "retry", actor_id=actor.id, before=None, why=why)
            flash(why, "warning")
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
            failed=failures([p.id for p in PERIODIC if p.backfill]),
            saved=_ago(last_done(BACKUP.id), now),
            backups_kept=current_app.config["LIUKE_BACKUPS_KEPT"],
            late=self._late(now),
            mirror=mirror,
            zone=current_app.config["LIUKE_TIMEZONE"],
            form=form,
            result=result,
            as_of=form.as_of.data if result else None,
            ahead=_ahead(form.moment, mirror) if result else None,
            may_run=may("can_run", "JobRun"),
            may_retry=may("can_retry", "JobRun"),
            may_preview=may("can_preview", "JobRun"),
            counts=counts_label,
            job_label=job_label,
            period_label=period_label,
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
            "backup": _("The last backup is too old: look at its run below, and at the disk."),
            "scheduler": _("The scheduler has given no sign of life for a while: nothing starts by itself."),
        }
        late = [sentence for name, sentence in sentences.items() if found[name]["state"] != OK]
        if mirror.stale:
            late.append(_stale(mirror))
        return late


def queue(periodic: Periodic, period: str) -> None:
    """Queue what was asked for, and say when it starts: without a queue as soon as the scheduler finds one again."""
    job = periodic.label
    try:
        with closing(connect(patience=PATIENCE)) as connection:
            enqueue(connection, periodic.path, id=job_id(periodic.id, period), period=period)
    except RedisError:
        flash(
            _("%(job)s is written down. The queue (Redis) is away: it is queued by itself when that is back.", job=job),
            "warning",
        )
        return
    if health(utcnow())["worker"]["state"] == OK:
        flash(_("%(job)s is queued. Load the page again in a moment to see how it went.", job=job), "success")
    else:
        flash(_("%(job)s is queued. No worker is running: it starts as soon as one does.", job=job), "warning")


def _ago(moment: datetime | None, now: datetime) -> str | None:
    """How long ago that was, in words: hours, after two days in days; None if it never was."""
    if moment is None:
        return None
    hours = max(0, (now - moment) // timedelta(hours=1))
    if hours < 48:
        return ngettext("Last backup: %(num)d hour ago.", "Last backup: %(num)d hours ago.", hours)
    return ngettext("Last backup: %(num)d day ago.", "Last backup: %(num)d days ago.", hours // 24)


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
