"""The reports of this year: the bare SQL of their figures, the product's answer and page, the page of the admin.

The bare SQL and the admin answer for this year only. The product's answer has the year before beside it (where the
report compares) and is timed alone, too, in this process; its page adds rights, charts and frame.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any

from bench import ours
from bench.pages import Pages, Result, Work

EIGHT_HOURS = timedelta(hours=8)
LABELS = "SELECT id, label_zh FROM dictionary_item WHERE type = '{}' ORDER BY sort_order, id"
PEOPLE = "SELECT id, last_name || first_name FROM ab_user"
FIRST = "(SELECT case_id, min(at) AS at FROM retention_measure GROUP BY case_id) f"
YEAR = """
    SELECT customer_id, order_count, order_total FROM customer_year
    WHERE year = %(year)s AND customer_id NOT IN (SELECT id FROM customer WHERE status = 'deleted')
"""


def _in_year(column: str) -> str:
    return f"{column} >= %(start)s AND {column} < %(end)s"


def _lost(when: str) -> str:
    """The customers lost at an instant."""
    return f"""SELECT customer_id FROM churn_case
               WHERE lost_at < %({when})s AND (resolved_at IS NULL OR resolved_at >= %({when})s)"""


def _event(kind: str, moment: str, where: str = "true", source: str = "churn_case k") -> str:
    return f"SELECT '{kind}' AS kind, k.owner_id FROM {source} WHERE {where} AND {_in_year(moment)}"


SQL: dict[str, list[str]] = {
    "contribution": [
        f"""
        SELECT c.name, c.number, y.*, sum(order_total) OVER (ORDER BY order_total DESC, customer_id)
        FROM ({YEAR} ORDER BY order_total DESC, customer_id LIMIT 100) y JOIN customer c ON c.id = y.customer_id
        ORDER BY order_total DESC, customer_id
        """,
        f"""
        SELECT letter, step, count(*), sum(order_count), sum(order_total)
        FROM (
            SELECT order_count, order_total, div((place - 1) * 20, number) AS step,
                   CASE WHEN (running - order_total) * 100 < 80 * whole THEN 'A'
                        WHEN (running - order_total) * 100 < 95 * whole THEN 'B' ELSE 'C' END AS letter
            FROM (
                SELECT order_count, order_total, sum(order_total) OVER w AS running, row_number() OVER w AS place,
                       sum(order_total) OVER () AS whole, count(*) OVER () AS number
                FROM ({YEAR}) y WINDOW w AS (ORDER BY order_total DESC, customer_id ROWS UNBOUNDED PRECEDING)
            ) ranked
        ) classed GROUP BY letter, step
        """,
        "SELECT count(*) FROM customer WHERE status <> 'deleted'",
    ],
    "composition": [
        "SELECT level_id, count(*) FROM customer WHERE status = 'active' GROUP BY level_id",
        LABELS.format("level"),
    ],
    "levels": [
        f"""
        WITH changed AS (
            SELECT record_id AS id, (array_agg(before::int ORDER BY at, id))[1] AS was,
                   (array_agg(before::int ORDER BY at, id) FILTER (WHERE at >= %(end)s))[1] AS is
            FROM field_change WHERE record_type = 'customer' AND field = 'level_id' AND at >= %(start)s
            GROUP BY record_id
        ), was_lost AS ({_lost("start")}), is_lost AS ({_lost("end")})
        SELECT CASE WHEN registered_on >= %(first)s THEN 'new' WHEN w THEN 'back' ELSE start::text END,
               CASE WHEN g THEN 'lost' ELSE stop::text END, count(*)
        FROM (
            SELECT c.registered_on, coalesce(x.was, c.level_id) AS start, coalesce(x.is, c.level_id) AS stop,
                   c.id IN (SELECT customer_id FROM was_lost) AS w, c.id IN (SELECT customer_id FROM is_lost) AS g
            FROM customer c LEFT JOIN changed x USING (id)
            WHERE c.status <> 'deleted' AND c.registered_on < %(until)s
        ) facts WHERE NOT (w AND g) OR registered_on >= %(first)s GROUP BY 1, 2
        """,
        LABELS.format("level"),
    ],
    "service": [
        f"""
        SELECT type_id, count(*), count(*) FILTER (WHERE status = 'archived'), sum(times_returned),
               sum(satisfaction) FILTER (WHERE status = 'archived'),
               count(*) FILTER (WHERE status = 'archived' AND satisfaction = 5),
               count(*) FILTER (WHERE status = 'archived' AND satisfaction = 4),
               count(*) FILTER (WHERE status = 'archived' AND satisfaction = 3)
        FROM ticket WHERE deleted_at IS NULL AND {_in_year("created_at")} GROUP BY type_id
        """,
        LABELS.format("ticket_type"),
    ],
    "churn-analysis": [
        "SELECT owner_id, kind, count(*) FROM ("
        + " UNION ALL ".join(
            [
                _event("warned", "opened_at"),
                _event("deferred", "f.at", source=f"churn_case k JOIN {FIRST} ON f.case_id = k.id"),
                _event("recovered", "resolved_at", "status = 'recovered'"),
                _event(
                    "retained",
                    "resolved_at",
                    "status = 'recovered' AND EXISTS (SELECT 1 FROM retention_measure WHERE case_id = k.id)",
                ),
                _event("lost", "lost_at"),
                _event("won_back", "resolved_at", "status = 'won_back'"),
            ]
        )
        + ") events GROUP BY owner_id, kind",
        f"""
        SELECT count(*) - count(*) FILTER (WHERE id IN ({_lost("start")})) FROM customer
        WHERE status <> 'deleted' AND registered_on < %(first)s
        """,
        PEOPLE,
    ],
    "churn-ledger": [
        f"""
        SELECT width_bucket(opened_at, %(ends)s::timestamp[]), width_bucket(f.at, %(ends)s::timestamp[]),
               width_bucket(lost_at, %(ends)s::timestamp[]), width_bucket(resolved_at, %(ends)s::timestamp[]),
               status = 'recovered', count(*)
        FROM churn_case k LEFT JOIN {FIRST} ON f.case_id = k.id GROUP BY 1, 2, 3, 4, 5
        """
    ],
    "measures": [
        f"""
        WITH cases AS (
            SELECT m.type_id::text AS line, k.id, k.customer_id, m.at AS since
            FROM retention_measure m JOIN churn_case k ON k.id = m.case_id
            WHERE {_in_year("m.at")} AND NOT EXISTS (SELECT 1 FROM retention_measure e
                WHERE e.case_id = m.case_id AND (e.at, e.id) < (m.at, m.id))
            UNION ALL
            SELECT 'none', k.id, k.customer_id, k.opened_at FROM churn_case k
            WHERE {_in_year("k.opened_at")} AND lost_at IS NULL
                AND NOT EXISTS (SELECT 1 FROM retention_measure WHERE case_id = k.id)
        ), outcomes AS (
            SELECT line, since, min(ordered_at) AS ordered, sum(amount) AS value
            FROM cases LEFT JOIN sales_order o ON o.customer_id = cases.customer_id AND o.status <> 'cancelled'
                AND ordered_at > since AND ordered_at < since + interval '180 days'
            GROUP BY line, cases.id, since
        )
        SELECT line, count(*)
        """
        + "".join(
            f""", count(*) FILTER (WHERE since <= %(now)s - interval '{n} days'),
                count(*) FILTER (WHERE since <= %(now)s - interval '{n} days' AND ordered < since + interval '{n} days')
            """
            for n in (30, 60, 90, 180)
        )
        + ", sum(value) FILTER (WHERE since <= %(now)s - interval '180 days') FROM outcomes GROUP BY line",
        LABELS.format("measure"),
    ],
    "retention-rate": [
        """
        SELECT level_id, count(*) FILTER (WHERE past), count(*) FILTER (WHERE past AND now),
               count(*) FILTER (WHERE now AND NOT past), sum(amount) FILTER (WHERE past AND now)
        FROM (
            SELECT customer_id, bool_or(year < %(year)s) AS past, bool_or(year = %(year)s) AS now,
                   sum(order_total) FILTER (WHERE year = %(year)s) AS amount
            FROM customer_year WHERE year IN (%(year)s, %(year)s - 1) AND order_count > 0 GROUP BY customer_id
        ) o JOIN customer c ON c.id = o.customer_id WHERE status <> 'deleted' GROUP BY level_id
        """,
        LABELS.format("level"),
    ],
    "funnel": [
        """
        SELECT count(*), sum(expected_amount)
        """
        + "".join(
            f""", count(*) FILTER (WHERE {which}), sum(expected_amount) FILTER (WHERE {which}),
                sum(({when} + interval '8 hours')::date - (created_at + interval '8 hours')::date)
                    FILTER (WHERE {which})
            """
            for which, when in (
                ("status <> 'unassigned'", "assigned_at"),
                ("status = 'won' OR status <> 'unassigned' AND begun IS NOT NULL", "coalesce(begun, closed_at)"),
                ("status = 'won'", "closed_at"),
            )
        )
        + f"""
        FROM opportunity o LEFT JOIN LATERAL (
            SELECT min(executed_at) AS begun FROM plan_step WHERE opportunity_id = o.id
        ) p ON true WHERE deleted_at IS NULL AND {_in_year("created_at")}
        """
    ],
    "forecast": [
        """
        SELECT CASE WHEN expected_close_on < %(month)s THEN 'overdue'
                    WHEN expected_close_on >= %(month)s + interval '12 months' THEN 'later'
                    ELSE to_char(expected_close_on, 'YYYY-MM') END,
               count(*), sum(expected_amount), sum(round(expected_amount * probability / 100, 2))
        FROM opportunity WHERE deleted_at IS NULL AND status IN ('unassigned', 'assigned') GROUP BY 1
        """
    ],
    "plans": [
        f"""
        SELECT assignee_id, count(*), count(*) FILTER (WHERE status = 'won'), sum(steps), sum(executed), sum(late),
               sum((begun + interval '8 hours')::date - (assigned_at + interval '8 hours')::date), count(begun)
        FROM opportunity o LEFT JOIN LATERAL (
            SELECT count(*) AS steps, count(executed_at) AS executed,
                   sum((executed_at + interval '8 hours')::date - planned_on) AS late,
                   min(executed_at) FILTER (WHERE executed_at >= o.assigned_at) AS begun
            FROM plan_step WHERE opportunity_id = o.id
        ) p ON true
        WHERE deleted_at IS NULL AND status IN ('won', 'lost') AND {_in_year("closed_at")} GROUP BY assignee_id
        """,
        PEOPLE,
    ],
}


def given() -> dict[str, Any]:
    """What the statements are asked with: this year by the company's calendar, instants as the tables keep them."""
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    today = (now + EIGHT_HOURS).date()
    firsts = [date(today.year, month, 1) for month in range(1, 13)] + [date(today.year + 1, 1, 1)]
    instants = [datetime.combine(day, datetime.min.time()) - EIGHT_HOURS for day in firsts]
    return {
        "start": instants[0], "end": instants[-1], "first": firsts[0], "until": firsts[-1], "year": today.year,
        "month": today.replace(day=1), "now": now, "ends": [*(end for end in instants[1:] if end < now), now],
    }  # fmt: skip


@dataclass
class Line:
    """One report: the page as every page is measured, and the product's figures without page."""

    page: Result
    figures: float
    statements: int
    rows: int


def measure(pages: Pages) -> list[Line]:
    """Every report that was asked for."""
    from app.reports.catalogue import REPORTS

    lines, values = [], given()
    for report in REPORTS:
        name = f"report {report.id}"
        if not pages.wanted(name):
            continue
        pages.say(name)
        work = Work(
            name,
            lambda _n, statements=SQL[report.id]: [(statement, values) for statement in statements],
            lambda _n, address=f"/reports/{report.id}/": address,
            lambda _n, address=f"/admin/crm/customer/report/{report.id}/": address,
        )
        took, statements, rows = figures(report, {}, times=pages.requests)
        lines.append(Line(pages.read(work), took, len(statements), rows))
        pages.say(table(lines)[-1])  # a long run that is stopped has told this much
    return lines


def figures(report: Any, asked: dict[str, str], *, times: int) -> tuple[float, list[str], int]:
    """The middle of the times of a report's answer in milliseconds, its statements, how many lines it has."""
    took = []
    with ours.reading() as seen:
        for n in range(times + 1):
            seen.clear()
            began = time.perf_counter()
            table = report.table(report.ask(asked))
            if n:  # the first is for the caches
                took.append((time.perf_counter() - began) * 1000)
            statements = list(seen)
    return median(took), statements, len(table.lines)


def table(lines: list[Line]) -> list[str]:
    """The lines as Markdown."""
    head = (
        "| report | bare SQL ms | our figures ms | our page ms | Django admin ms | Django : our page | CPU ms |"
        " statements | rows |"
    )
    rows = [
        f"| {line.page.name.removeprefix('report ')} | {line.page.sql:.1f} | {line.figures:,.1f} |"
        f" {line.page.ours:,.1f} | {line.page.django:,.1f} | **{line.page.ratio:.1f}** |"
        f" {' / '.join(map(str, line.page.cpu))} |"
        f" {line.statements} / {' / '.join(map(str, line.page.statements))} | {line.rows} |"
        for line in lines
    ]
    return [head, "|---|--:|--:|--:|--:|--:|--:|--:|--:|", *rows]
