"""Screens of 离职交接: who leaves, by which rule, the plan, the receipt, and the way back."""

from __future__ import annotations

from collections import Counter
from typing import Any

import sqlalchemy as sa
from flask import abort, flash, g, redirect, render_template, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_appbuilder.security.sqla.models import User
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from markupsafe import Markup
from sqlalchemy.exc import OperationalError

from app.core.clock import utcnow
from app.core.errors import BusinessError, NotYours
from app.core.lifecycle import note_refusal
from app.core.scope import may, row_id
from app.core.submissions import leads_to
from app.core.unit import unit_of_work
from app.core.views import ReadOnlyView
from app.extensions import db
from app.handover import operations, queries
from app.handover.access import VisibleHandoverItems, VisibleHandovers
from app.handover.forms import fields_of, kind_from, rule_from
from app.handover.models import Handover, HandoverItem, RecordKind, RuleKind
from app.handover.plan import Plan, bundles_of, plan_for
from app.handover.rule import Rule, item_of
from app.masterdata.models import DictionaryItem
from app.security.access import all_users

FIRST = 20  # records a plan shows of each kind

PLURALS: dict[RecordKind, Any] = {
    RecordKind.customer: _l("Customers"),
    RecordKind.opportunity: _l("Opportunities"),
    RecordKind.ticket: _l("Tickets"),
    RecordKind.feedback: _l("Customer feedback"),
    RecordKind.complaint: _l("Complaints"),
}


class HandoverView(ReadOnlyView):
    """离职交接: one action, its plan before and its receipt after."""

    datamodel = SQLAInterface(Handover)
    scope = VisibleHandovers
    class_permission_name = "Handover"
    route_base = "/handovers"
    list_title = _l("Handovers")
    show_title = _l("Handover")
    label_columns = {
        "leaver": _l("Whose records"),
        "rule": _l("Rule"),
        "counts": _l("Counts"),
        "actor": _l("Handed over by"),
        "at": _l("Time"),
        "moved": _l("Records handed over"),
        "skipped": _l("Left alone"),
        "undone_at": _l("Undone at"),
        "undone_by": _l("Undone by"),
    }
    list_columns = ["leaver", "actor", "at", "moved", "skipped", "undone_at"]
    show_columns = ["leaver", "actor", "at", "undone_at", "undone_by"]
    numeric_columns = frozenset({"moved", "skipped"})
    search_columns = ["leaver", "actor", "at"]
    order_columns = ["at"]
    base_order = ("at", "desc")
    choices = {"leaver": all_users, "actor": all_users}
    extra_rights = ("can_see_all",)
    fresh_password = frozenset({"confirm", "undo", "disable"})
    list_template = "handover/list.html"
    show_template = "handover/receipt.html"
    empty_text = _l("When somebody leaves, everything he owns is handed over here in one go.")

    def list_page(self) -> dict[str, Any]:
        page = super().list_page()
        page["may_hand_over"] = may("can_hand_over", "Handover")
        return page

    # -- the way to a handover ------------------------------------------------------------------------------

    @expose("/new", methods=["GET"])
    @has_access
    @permission_name("hand_over")
    def new(self) -> Any:
        """Who leaves: everybody who owns anything."""
        return render_template(
            "handover/people.html", title=_("Hand over records"), owners=queries.owners(), plurals=PLURALS,
            me=g.user.id, **self.frame(),
        )  # fmt: skip

    @expose("/rule/<pk>", methods=["GET"])
    @has_access
    @permission_name("hand_over")
    def rule(self, pk: Any) -> Any:
        """By which rule, to whom."""
        leaver = self._leaver(pk)
        return self._rule_page(leaver)

    @expose("/plan/<pk>", methods=["GET"])
    @has_access
    @permission_name("hand_over")
    def plan(self, pk: Any) -> Any:
        """What would move to whom; nothing is written."""
        leaver = self._leaver(pk)
        try:
            rule = rule_from(request.args, leaver)
        except BusinessError as refusal:
            return self._rule_page(leaver, str(refusal)), 422
        return self._plan_page(leaver, rule)

    @expose("/confirm/<pk>", methods=["POST"])
    @has_access
    @permission_name("hand_over")
    def confirm(self, pk: Any) -> Any:
        """Do what the plan says, if it still is the plan."""
        leaver, actor = self._leaver(pk), self._me()
        stamp = request.form.get("stamp", "")
        try:
            rule = rule_from(request.form, leaver)
            with unit_of_work():
                handover = operations.hand_over(leaver, rule, stamp=stamp, actor=actor)
                leads_to(url_for("HandoverView.show", pk=handover.id))
        except operations.PlanChanged as refusal:
            self._note(leaver, "handover", refusal)
            return self._plan_page(leaver, rule, str(refusal)), 409
        except BusinessError as refusal:
            self._note(leaver, "handover", refusal)
            return self._rule_page(leaver, str(refusal), given=request.form), 409
        except OperationalError:
            busy = _("The database is busy: nothing was handed over. Look at the plan and try again in a moment.")
            return self._plan_page(leaver, rule, busy), 503
        flash(
            ngettext("%(num)d record was handed over.", "%(num)d records were handed over.", handover.moved), "success"
        )
        return redirect(url_for("HandoverView.show", pk=handover.id))

    def _me(self) -> User:
        return g.user._get_current_object()

    def _leaver(self, pk: Any) -> User:
        number = row_id(pk)
        leaver = db.session.get(User, number) if number else None
        if leaver is None:
            abort(404)
        return leaver

    def _note(self, leaver: User, action: str, refusal: BusinessError) -> None:
        pk = leaver.id
        note_refusal("ab_user", pk, action, actor_id=g.user.id, before=None, why=str(refusal))

    def _refused(self, leaver: User) -> str | None:
        try:
            operations.check_leaver(leaver, self._me())
        except NotYours as refusal:
            return str(refusal)
        return None

    def _rule_page(self, leaver: User, mistake: str | None = None, *, given: Any = None) -> Any:
        given = request.args if given is None else given
        kind = kind_from(given)
        bundles, _foreign = bundles_of(leaver.id)
        numbers = Counter(record.kind for bundle in bundles for record in bundle.records)
        owned = {kind: numbers[kind] for kind in RecordKind if numbers[kind]}
        by_item = Counter[int | None]()
        if kind in (RuleKind.region, RuleKind.level):
            for bundle in bundles:
                by_item[item_of(bundle, kind)] += len(bundle.records)
        items = _items(by_item)
        chosen = [number for name, value in given.items(multi=True) if name != "by" and (number := row_id(value))]
        people, whole = queries.successors(leaver, times=len(items) + 1, chosen=chosen)
        return render_template(
            "handover/rule.html", title=_("Hand over what %(name)s owns", name=leaver.get_full_name()), leaver=leaver,
            kinds=list(RuleKind), kind=kind, owned=owned, plurals=PLURALS, people=people, whole=whole,
            items=items, by_item=by_item, given=given, refused=self._refused(leaver), mistake=mistake,
            last=queries.last_handover_of(leaver) if not bundles else None, led=_led(leaver),
            **self.frame(),
        )  # fmt: skip

    def _plan_page(self, leaver: User, rule: Rule, mistake: str | None = None) -> Any:
        plan = plan_for(leaver, rule)
        people = queries.people_by_id(rule.successors())
        totals = plan.totals()
        kinds = [kind for kind in RecordKind if any(totals[person, kind] for person in people)]
        return render_template(
            "handover/plan.html", title=_("Plan of the handover"), leaver=leaver, plan=plan, rule=rule, people=people,
            kinds=kinds, totals=totals, plurals=PLURALS, fields=fields_of(rule), first=_first(plan, kinds),
            conflicts=_conflicts(plan), refused=self._refused(leaver), mistake=mistake,
            last=queries.last_handover_of(leaver) if not plan.lines else None, led=_led(leaver),
            sum_of=lambda person: sum(totals[person, kind] for kind in kinds), **self.frame(),
        )  # fmt: skip

    # -- the receipt ----------------------------------------------------------------------------------------

    def show_page(self, record: Handover) -> dict[str, Any]:
        page = super().show_page(record)
        shares = queries.shares(record)
        until = operations.undo_until(record)
        page.update(
            title=_("Handover of what %(name)s owned", name=record.leaver.get_full_name()),
            shares=shares,
            kinds=[kind for kind in RecordKind if any(share.moved[kind] for share in shares)],
            plurals=PLURALS,
            skipped=sum(share.skipped for share in shares),
            led=_led(record.leaver),
            rule=_rule_lines(Rule.from_json(record.rule)) if may("can_see_all", "Handover") else None,
            until=until,
            can_undo=may("can_undo", "Handover") and record.undone_at is None and utcnow() <= until,
            can_disable=may("can_disable", "Handover") and record.leaver.active and record.undone_at is None,
        )
        return page

    @expose("/undo/<pk>", methods=["GET", "POST"])
    @has_access
    def undo(self, pk: Any) -> Any:
        """Move back what the successors still own by this handover."""
        record, mistake, status = self.load(pk), None, 200
        if request.method == "POST":
            try:
                with unit_of_work():
                    operations.undo(record, actor=self._me())
            except BusinessError as refusal:
                mistake, status = str(refusal), 403 if isinstance(refusal, NotYours) else 409
                note_refusal("handover", record.id, "undo", actor_id=g.user.id, before=None, why=mistake)
            except OperationalError:
                mistake, status = _("The database is busy: nothing was moved back. Try again in a moment."), 503
            else:
                flash(_("The handover was undone."), "success")
                return redirect(url_for("HandoverView.show", pk=record.id))
            record = self.load(pk)
        try:
            operations.check_undo(record, self._me(), utcnow())
        except BusinessError as refusal:
            mistake = mistake or str(refusal)
        back = Counter() if mistake else queries.would_move_back(record)
        page = render_template(
            "handover/undo.html", title=_("Undo handover"), record=record, mistake=mistake, back=back,
            left=record.moved - back.total(), plurals=PLURALS, **self.frame(),
        )  # fmt: skip
        return page, status

    @expose("/disable/<pk>", methods=["POST"])
    @has_access
    def disable(self, pk: Any) -> Any:
        """Shut the account of the person who left."""
        record = self.load(pk)
        leaver = record.leaver
        try:
            with unit_of_work():
                operations.disable(leaver, actor=self._me())
        except BusinessError as refusal:
            self._note(leaver, "disable", refusal)
            flash(str(refusal), "warning")
        else:
            flash(_("The account of %(name)s is disabled.", name=leaver.get_full_name()), "success")
        return redirect(url_for("HandoverView.show", pk=pk))


class HandoverItemView(ReadOnlyView):
    """The records of a handover, each with a link for those who may open it."""

    datamodel = SQLAInterface(HandoverItem)
    scope = VisibleHandoverItems
    class_permission_name = "HandoverItem"
    route_base = "/handover-items"
    exclude_route_methods = set(ReadOnlyView.exclude_route_methods) | {"show"}
    tab_of = {"HandoverView": "handover_id"}
    list_title = _l("Records of handovers")
    label_columns = {
        "label": _l("Record"),
        "record_type": _l("Kind"),
        "to": _l("Successor"),
        "outcome": _l("What happened"),
        "undone": _l("When undone"),
        "handover": _l("Handover"),
    }
    list_columns = ["label", "record_type", "to", "undone", "outcome", "handover"]
    show_columns: list[str] = []
    search_columns = ["handover", "record_type", "to", "outcome", "undone"]
    order_columns: list[str] = []
    base_order = ("id", "asc")
    choices = {"to": all_users}
    formatters_columns = {"record_type": lambda kind: kind.label}

    def rows(self, *args: Any, **options: Any) -> tuple[list[HandoverItem], bool]:
        """One page of items, with where each leads."""
        found, more = super().rows(*args, **options)
        g.handover_pages = {**g.get("handover_pages", {}), **queries.openable(found)}
        return found, more

    def cell(self, record: HandoverItem, name: str) -> Any:
        endpoint = g.get("handover_pages", {}).get(record.id) if name == "label" else None
        if endpoint is None:
            return super().cell(record, name)
        return Markup('<a class="name" href="{}">{}</a>').format(url_for(endpoint, pk=record.record_id), record.label)


def _led(person: User) -> list[tuple[str, str | None]]:
    """The teams a person leads, and where another lead is named; None when that is not the reader's to do."""
    allowed = may("can_edit", "Team")
    return [(t.name, url_for("TeamView.edit", pk=t.id) if allowed else None) for t in queries.teams_led_by(person)]


def _items(ids: Counter[int | None]) -> list[DictionaryItem]:
    """The regions or levels that occur, in their order."""
    wanted = [pk for pk in ids if pk is not None]
    found = sa.select(DictionaryItem).where(DictionaryItem.id.in_(wanted))
    return list(db.session.execute(found.order_by(DictionaryItem.sort_order, DictionaryItem.id)).scalars())


def _first(plan: Plan, kinds: list[RecordKind]) -> dict[RecordKind, list[Any]]:
    """The first records of each kind."""
    return {kind: [line for line in plan.lines if line.record.kind == kind][:FIRST] for kind in kinds}


def _conflicts(plan: Plan) -> list[str]:
    """What the reader should look at before he confirms."""
    found = []
    if plan.by_rest:
        found.append(
            ngettext(
                "%(num)d record fits no line of the rule and goes with the rest.",
                "%(num)d records fit no line of the rule and go with the rest.",
                plan.by_rest,
            )
        )
    if plan.foreign:
        found.append(
            ngettext(
                "%(num)d record is about a customer somebody else looks after: it moves, the customer stays there.",
                "%(num)d records are about customers somebody else looks after: they move, the customers stay there.",
                plan.foreign,
            )
        )
    return found


def _rule_lines(rule: Rule) -> tuple[Any, list[tuple[Any, User | None]]]:
    """The rule as people read it: its name, and (who gets what, person)."""
    people = queries.people_by_id(rule.successors())
    if not rule.lines and rule.rest is None:
        return rule.kind.label, [("", people.get(person)) for person in rule.people]
    ids = [pk for pk, _person in rule.lines]
    items = {
        row.id: row for row in db.session.execute(sa.select(DictionaryItem).where(DictionaryItem.id.in_(ids))).scalars()
    }
    named = [(str(items[pk]), people.get(person)) for pk, person in rule.lines if pk in items]
    return rule.kind.label, [*named, (_("The rest"), people.get(rule.rest or 0))]
