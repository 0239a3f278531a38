"""What runs without a person: reading a feed and the churn scan, as the product, the rival and the bare SQL do it.

All three begin with the same rows, do the same work including its history, and commit; starting the process and
putting the rows back is not counted.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from bench import ours
from bench.pages import Result
from bench.place import Place

CHANGED = 10_000  # orders in a feed
HEADER = "order_no customer_no ordered_at status amount paid delivery_address".split()

MERGE = """
    CREATE TEMP TABLE feed (order_no text, customer_no text, ordered_at timestamp, status text, amount numeric(14,2),
                            paid boolean, delivery_address text) ON COMMIT DROP;
"""
TAKE = """
    CREATE TEMP TABLE touched ON COMMIT DROP AS
    WITH made AS (
        INSERT INTO sales_order AS o (external_id, customer_id, ordered_at, status, source_status, amount, paid,
                                      delivery_address)
        SELECT f.order_no, c.id, f.ordered_at, f.status, f.status, f.amount, f.paid, f.delivery_address
        FROM feed f JOIN customer c ON c.number = f.customer_no
        ON CONFLICT (external_id) DO UPDATE SET customer_id = excluded.customer_id, ordered_at = excluded.ordered_at,
            status = excluded.status, source_status = excluded.source_status, amount = excluded.amount,
            paid = excluded.paid, delivery_address = excluded.delivery_address
        WHERE (o.customer_id, o.ordered_at, o.status, o.amount, o.paid) IS DISTINCT FROM
              (excluded.customer_id, excluded.ordered_at, excluded.status, excluded.amount, excluded.paid)
        RETURNING customer_id
    ) SELECT DISTINCT customer_id FROM made;
    ANALYZE touched;
    INSERT INTO customer_stats (customer_id, last_order_at, order_count, order_total)
    SELECT customer_id, max(ordered_at), count(*), sum(amount) FROM sales_order JOIN touched USING (customer_id)
    WHERE status <> 'cancelled' GROUP BY customer_id
    ON CONFLICT (customer_id) DO UPDATE SET last_order_at = excluded.last_order_at, order_count = excluded.order_count,
        order_total = excluded.order_total;
    DELETE FROM customer_month m USING touched t WHERE m.customer_id = t.customer_id;
    INSERT INTO customer_month (customer_id, month, order_count, order_total, paid_count, paid_total)
    SELECT customer_id, date_trunc('month', ordered_at + interval '8 hours')::date, count(*), sum(amount),
        count(*) FILTER (WHERE paid), coalesce(sum(amount) FILTER (WHERE paid), 0)
    FROM sales_order JOIN touched USING (customer_id) WHERE status <> 'cancelled' GROUP BY 1, 2;
    DELETE FROM customer_year y USING touched t WHERE y.customer_id = t.customer_id;
    INSERT INTO customer_year (customer_id, year, order_count, order_total, paid_count, paid_total, returned)
    SELECT *, coalesce(lag(year) OVER (PARTITION BY customer_id ORDER BY year) = year - 1, false) FROM (
        SELECT customer_id, coalesce(extract(year FROM month)::int, 0) AS year, sum(order_count), sum(order_total),
            sum(paid_count), sum(paid_total)
        FROM customer_month JOIN touched USING (customer_id)
        GROUP BY GROUPING SETS ((customer_id, extract(year FROM month)), (customer_id))
    ) years;
    UPDATE churn_case k SET status = 'recovered', resolved_at = now(), version = version + 1
    FROM sales_order o JOIN feed f ON f.order_no = o.external_id
    WHERE o.customer_id = k.customer_id AND k.status IN ('warning', 'deferred') AND o.ordered_at > k.opened_at
        AND o.status <> 'cancelled';
"""
SCAN = """
    WITH recovered AS (
        UPDATE churn_case k SET status = 'recovered', resolved_at = %(as_of)s, version = version + 1, changed_at = now()
        WHERE status IN ('warning', 'deferred') AND opened_at <= %(as_of)s AND EXISTS (
            SELECT 1 FROM sales_order o WHERE o.customer_id = k.customer_id AND o.status <> 'cancelled'
                AND o.ordered_at > k.opened_at AND o.ordered_at <= %(as_of)s)
        RETURNING id
    )
    INSERT INTO audit_entry (at, record_type, record_id, action, outcome, from_status, to_status)
    SELECT now(), 'churn_case', id, 'recover', 'done', 'warning', 'recovered' FROM recovered;
    WITH opened AS (
        INSERT INTO churn_case (customer_id, owner_id, owner_name, opened_at, last_order_at, last_order_no, rule_months,
                                rule_cutoff, status, version, created_at, changed_at)
        SELECT c.id, c.owner_id, u.last_name || u.first_name, %(as_of)s, l.ordered_at, l.external_id, 6, %(cutoff)s,
               'warning', 1, now(), now()
        FROM customer c LEFT JOIN ab_user u ON u.id = c.owner_id
        LEFT JOIN LATERAL (SELECT ordered_at, external_id FROM sales_order o WHERE o.customer_id = c.id
            AND o.status <> 'cancelled' AND o.ordered_at <= %(as_of)s ORDER BY ordered_at DESC, id DESC LIMIT 1
        ) l ON true
        WHERE c.status = 'active' AND c.registered_on <= %(as_of)s::date
            AND NOT EXISTS (SELECT 1 FROM churn_case k WHERE k.customer_id = c.id
                AND k.status IN ('warning', 'deferred'))
            AND NOT EXISTS (SELECT 1 FROM sales_order o WHERE o.customer_id = c.id AND o.status <> 'cancelled'
                AND o.ordered_at >= %(cutoff)s AND o.ordered_at <= %(as_of)s)
            AND coalesce(l.ordered_at, c.registered_on) < %(cutoff)s
        RETURNING id
    )
    INSERT INTO audit_entry (at, record_type, record_id, action, outcome, to_status)
    SELECT now(), 'churn_case', id, 'warn', 'done', 'warning' FROM opened;
"""


class Batch:
    """Both jobs over the loaded database."""

    def __init__(self, place: Place, *, repeats: int, say: Any, only: list[str]) -> None:
        self.place, self.repeats, self.say, self.only = place, repeats, say, only
        self.results: list[Result] = []
        self.connection = place.connect()

    def wanted(self, name: str) -> bool:
        """Whether this line was asked for."""
        return not self.only or any(word in name for word in self.only)

    def _sql(self, statement: str, values: Any = None) -> Any:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchone()[0] if cursor.description else None

    def _in_turn(
        self, calls: dict[str, Callable[[], int]], reset: Callable[[], None]
    ) -> tuple[dict[str, float], dict[str, int]]:
        """Each in turn from the same start, as often as asked; medians in milliseconds, and what each did."""
        took: dict[str, list[float]] = {name: [] for name in calls}
        did: dict[str, int] = {}
        for _repeat in range(self.repeats):
            for name, call in calls.items():
                reset()
                began = time.perf_counter()
                did[name] = call()
                took[name].append((time.perf_counter() - began) * 1000)
        reset()
        return {name: median(times) for name, times in took.items()}, did

    def warned(self) -> bool:
        """Whether a scan of an earlier comparison is in the database."""
        return bool(self._sql("SELECT count(*) FROM churn_case"))

    # -- the scan -------------------------------------------------------------------------------------------

    def scan(self, *, as_of: datetime, name: str) -> None:
        """One scan as of an instant, nobody warned since then kept."""
        from bench.django_admin.crm.jobs import scan as django_scan

        cutoff = self._cutoff(as_of)
        cases = self._sql("SELECT coalesce(max(id), 0) FROM churn_case")
        logs = {log: self._sql(f"SELECT coalesce(max(id), 0) FROM {log}") for log in ("audit_entry", "field_change")}
        before = "SELECT count(*) FROM churn_case"
        had = self._sql(before)
        naive = {"as_of": as_of.replace(tzinfo=None), "cutoff": cutoff.replace(tzinfo=None)}

        def reset() -> None:
            self._sql("DELETE FROM churn_case WHERE id > %s", (cases,))
            for log, last in logs.items():
                self._sql("SET session_replication_role = replica")  # the logs let nobody take anything away
                self._sql(f"DELETE FROM {log} WHERE id > %s", (last,))
                self._sql("RESET session_replication_role")
                self._sql(f"VACUUM ANALYZE {log}")
            self._sql(
                "UPDATE churn_case SET status = 'warning', resolved_at = NULL WHERE resolved_at = %(as_of)s", naive
            )
            self._sql("VACUUM ANALYZE churn_case")

        def bare() -> int:
            connection = self.place.connect(autocommit=False)
            with connection, connection.cursor() as cursor:
                cursor.execute(SCAN, naive)
            connection.close()
            return int(self._sql(before)) - had

        calls = {"sql": bare, "ours": lambda: ours.scan(as_of), "django": lambda: django_scan(**naive)}
        if self.wanted(name):
            self.say(name)
            took, did = self._in_turn(calls, reset)
            if len(set(did.values())) != 1:
                raise SystemExit(f"The scans differ: {did}")
            self.results.append(Result(f"{name}, {did['ours']:,} warned", took["sql"], took["ours"], took["django"]))

    @staticmethod
    def _cutoff(as_of: datetime) -> datetime:
        from app.core.clock import months_before

        with ours.context():
            return months_before(as_of, 6)

    # -- the sync -------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """A feed of changed orders."""
        if not self.wanted("sync"):
            return
        from bench.django_admin.crm.jobs import sync as django_sync

        name = f"sync, {CHANGED:,} changed orders"
        self.say(name)
        folder = self.place.folder / "feed"
        number = 0

        def feed() -> None:
            nonlocal number
            number += 1
            self._write(folder, number)

        def bare() -> int:
            connection = self.place.connect(autocommit=False)
            with connection, connection.cursor() as cursor, (folder / "orders.csv").open(encoding="utf-8") as file:
                cursor.execute(MERGE)
                cursor.copy_expert("COPY feed FROM STDIN (FORMAT csv, HEADER)", file)
                taken = cursor.rowcount
                cursor.execute(TAKE)
            connection.close()
            return taken

        calls = {
            "sql": bare,
            "ours": lambda: ours.sync(folder),
            "django": lambda: django_sync(folder),
            "import": lambda: django_import(folder),
        }
        took, did = self._in_turn(calls, feed)
        if set(did.values()) != {CHANGED}:
            raise SystemExit(f"The syncs differ: {did}")
        self.results.append(Result(name, took["sql"], took["ours"], took["django"]))
        self.results.append(Result("the same through django-import-export", took["sql"], took["ours"], took["import"]))

    def _write(self, folder: Path, number: int) -> None:
        """A feed of orders spread over all that came in the last two years, each with another amount than it has."""
        folder.mkdir(exist_ok=True)
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT o.external_id, c.number, to_char(o.ordered_at, 'YYYY-MM-DD\"T\"HH24:MI:SS+00:00'), o.status,"
                " o.amount + 1, CASE WHEN o.paid THEN 1 ELSE 0 END, o.delivery_address"
                " FROM sales_order o JOIN customer c ON c.id = o.customer_id"
                " WHERE o.id IN (SELECT m - k * (m / 2 / %s) - %s FROM (SELECT max(id) AS m FROM sales_order) x,"
                " generate_series(0, %s - 1) k) ORDER BY o.id",
                (CHANGED, number, CHANGED),
            )
            with (folder / "orders.csv").open("w", newline="", encoding="utf-8") as file:
                out = csv.writer(file)
                out.writerow(HEADER)
                out.writerows(cursor)

    def close(self) -> None:
        """Let go of the database."""
        self.connection.close()


def django_import(folder: Path) -> int:
    """What the admin's import button does with the file, in bulk; it leaves the totals and the cases as they are."""
    import tablib

    from bench.django_admin.crm.resources import OrderResource

    text = (folder / "orders.csv").read_text(encoding="utf-8").replace("+00:00", "")
    result = OrderResource().import_data(tablib.Dataset().load(text, format="csv"), raise_errors=True)
    return int(result.totals["update"])


def last_saturday(weeks: int = 0) -> datetime:
    """Saturday 02:00 company time, this many weeks before the last one; UTC."""
    now = datetime.now(UTC)
    day = now - timedelta(days=(now.weekday() - 4) % 7 + 7 * weeks)  # Friday 18:00 in UTC
    moment = day.replace(hour=18, minute=0, second=0, microsecond=0)
    return moment if moment <= now else moment - timedelta(days=7)
