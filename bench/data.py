"""Invented companies, people and orders, the same for the same sizes: loaded by COPY and generate_series.

Everything that a page or a job reads is there in full; order lines only for every twentieth order.
"""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bench.place import ROOT, Place

MANAGERS = 40
MARK = "bench"  # the source of the made-up sync; shows whose database this is

PLACES = (
    "北京 上海 广州 深圳 天津 重庆 成都 杭州 南京 武汉 西安 苏州 青岛 "
    "大连 宁波 厦门 长沙 郑州 沈阳 济南 合肥 福州 无锡 佛山 昆明"
).split()
FIRST = "瑞恒嘉鼎华盛泰宏信达联创新天成永兴东方中金银海川江山云龙鹏宇博文德仁和安康顺利通远光明晨星启航锦"
SECOND = "丰祥源茂隆昌盈富荣庆吉福禄元亨贞睿智诚毅力强健雅洁美佳优良品质精工匠心科维特斯克邦域际程驰腾飞翔"
TRADES = "机械 电子 食品 医药 化工 物流 商贸 建材 科技 仪器 纺织 能源 印刷 包装 五金 农业 环保 汽配 家具 软件".split()
SUFFIXES = "有限公司 有限责任公司 股份有限公司 集团有限公司".split()
FAMILY = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
GIVEN = (
    "伟 芳 娜 敏 静 丽 强 磊 军 洋 勇 艳 杰 娟 涛 明 超 秀英 霞 平 刚 桂英 建国 晓雯 志远 子涵 雨桐 浩然 欣怡"
).split()

CUSTOMER = (
    "id number name name_key search_key region_id owner_id registered_on level_id satisfaction credit nature_id "
    "company_type_id standing_id industry_id province city address postcode phone fax website licence_no "
    "social_credit_code legal_representative registered_capital annual_turnover bank_id bank_account status memo "
    "version created_at changed_at"
).split()


def load(place: Place, *, customers: int, orders: int, say: Any) -> None:
    """Make the tables and fill them, or do nothing when this database already holds data of these sizes.

    Raises `SystemExit` for a database that holds anything else.
    """
    with place.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        if cursor.fetchone()[0]:
            _expect(cursor, customers, orders)
            say("The data is there from an earlier comparison.")
            return
    say("Making the tables with the product's migrations.")
    make_tables()
    from bench import ours

    connection = place.connect(autocommit=False)
    connection.cursor().execute("SET synchronous_commit = off")
    connection.cursor().execute("SET session_replication_role = replica")  # the rows are right: no foreign key checks
    with ours.context():
        people = ours.people(MANAGERS)
    with connection, connection.cursor() as cursor:
        say(f"Loading {customers:,} customers.")
        _customers(cursor, customers, people)
        say(f"Loading {orders:,} orders.")
        _orders(cursor, customers, orders)
        _rest(cursor, customers, people)
        cursor.execute(
            "INSERT INTO sync_run (source, status, started_at, finished_at, rows_in, rows_created, rows_updated,"
            " rows_unchanged, rows_rejected) VALUES (%s, 'done', now(), now(), %s, %s, 0, %s, 0)",
            (MARK, customers + orders, orders, customers),
        )
    with ours.context():
        ours.totals()
    say("VACUUM ANALYZE.")
    connection.autocommit = True
    connection.cursor().execute("VACUUM ANALYZE")
    connection.close()


def make_tables() -> None:
    """The product's migrations and `crm init`, in an empty database."""
    for command in (["db", "upgrade"], ["crm", "init"]):
        subprocess.run(
            [sys.executable, "-m", "flask", "--app", "run", *command],
            cwd=ROOT, env=dict(os.environ), check=True, capture_output=True,
        )  # fmt: skip


def _expect(cursor: Any, customers: int, orders: int) -> None:
    cursor.execute("SELECT to_regclass('sync_run') IS NOT NULL")
    found = None
    if cursor.fetchone()[0]:
        cursor.execute("SELECT rows_created, rows_unchanged FROM sync_run WHERE source = %s", (MARK,))
        found = cursor.fetchone()
    if found != (orders, customers):
        raise SystemExit(
            f"The database is neither empty nor a comparison's with {customers:,} customers and {orders:,} orders."
            " Name an empty one."
        )


def _customers(cursor: Any, count: int, people: list[int]) -> None:
    cursor.execute("SELECT type, id FROM dictionary_item ORDER BY type, sort_order, id")
    items: dict[str, list[int]] = {}
    for kind, pk in cursor.fetchall():
        items.setdefault(kind, []).append(pk)
    cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_customer_search_slices'")
    search = cursor.fetchone()[0]
    cursor.execute("DROP INDEX ix_customer_search_slices")  # cheaper made at once than row by row
    rows = _Lines(_customer_rows(count, people, items))
    cursor.copy_expert(f"COPY customer ({', '.join(CUSTOMER)}) FROM STDIN", rows)
    cursor.execute(search)
    cursor.execute("SELECT setval('customer_id_seq', %s)", (count,))


def _customer_rows(count: int, people: list[int], items: dict[str, list[int]]) -> Iterator[str]:
    from app.core.text import name_key, search_key

    chance = random.Random(20261122)
    now = datetime.now(UTC).replace(tzinfo=None)
    first, span = now.date() - timedelta(days=8 * 365), 8 * 365 - 2
    for n in range(1, count + 1):
        registered = first + timedelta(days=n * span // count)  # the older a customer, the smaller its number
        name = chance.choice(PLACES) + chance.choice(FIRST) + chance.choice(SECOND) + chance.choice(TRADES)
        name += chance.choices(SUFFIXES, (70, 15, 10, 5))[0]
        number = f"KH{registered:%y%m%d}{n:07d}"
        phone = f"0{chance.randint(10, 999)}-{chance.randint(20000000, 89999999)}"
        stamp = datetime.combine(registered, datetime.min.time()).isoformat(" ")
        values = (
            n, number, name, name_key(name)[:100], search_key(name, number=number, phone=phone),
            chance.choice(items["region"]), chance.choice(people) if n % 50 else None, registered.isoformat(),
            chance.choices(items["level"][:5], (55, 20, 15, 7, 3))[0], chance.randint(1, 5), chance.randint(1, 5),
            chance.choice(items["nature"]), chance.choice(items["company_type"]), chance.choice(items["standing"]),
            chance.choice(items["industry"]), name[:2], name[:2], f"{name[:2]}市工业大道{n % 900 + 1}号",
            f"{chance.randint(100000, 899999)}", phone, phone, f"https://www.example.com/{n}", f"{n:015d}",
            f"91{n:016d}", chance.choice(FAMILY) + chance.choice(GIVEN), f"{chance.randint(10, 90000)}.00",
            f"{chance.randint(10, 90000)}.00", chance.choice(items["bank"]), f"62{n:017d}", "active", None, 1, stamp,
            stamp,
        )  # fmt: skip
        yield "\t".join("\\N" if value is None else str(value) for value in values) + "\n"


class _Lines(io.TextIOBase):
    """Rows for COPY, made while they are read."""

    def __init__(self, rows: Iterator[str]) -> None:
        self.rows, self.kept = rows, ""

    def read(self, size: int = -1) -> str:
        parts, length = [self.kept], len(self.kept)
        for row in self.rows:
            parts.append(row)
            length += len(row)
            if 0 <= size <= length:
                break
        text = "".join(parts)
        self.kept = text[size:] if size >= 0 else ""
        return text[:size] if size >= 0 else text


def _orders(cursor: Any, customers: int, orders: int) -> None:
    """Each customer about the same number, more of them lately; one customer in ten stopped 6 to 30 months ago.

    Stored in the order they came in, as a mirror is.
    """
    cursor.execute(
        f"""
        INSERT INTO product (external_id, name, model, batch, unit, list_price)
        SELECT 'P' || lpad(n::text, 5, '0'), '产品' || n, 'M-' || n % 97, 'B' || n % 31, '件', 10 + n % 700
        FROM generate_series(1, 500) n;
        INSERT INTO stock (product_id, warehouse, location, quantity)
        SELECT id, '一号仓', 'A-' || id, id % 900 FROM product;

        CREATE TEMP TABLE made AS
        SELECT n, 1 + {_hash("n", 1)} %% {customers} AS customer_id, {_unit("n", 2)} AS u
        FROM generate_series(1, {orders}) n;

        INSERT INTO sales_order (external_id, customer_id, ordered_at, delivery_address, amount, paid, status,
                                 source_status)
        SELECT 'SO' || lpad(row_number() OVER (ORDER BY at)::text, 8, '0'), customer_id, at,
               '工业大道' || n %% 900 + 1 || '号', 100 + {_hash("n", 3)} %% 4000000 / 100.0, {_hash("n", 4)} %% 10 > 1,
               kind, kind
        FROM (
            SELECT n, customer_id, date_trunc('second', ends - u * u * (ends - starts)) AS at,
                   (ARRAY['cancelled', 'new', 'confirmed', 'shipped', 'shipped', 'shipped', 'shipped', 'shipped'])
                       [1 + {_hash("n", 5)} %% 8] AS kind
            FROM (
                SELECT m.*, c.registered_on::timestamp AS starts,
                       CASE WHEN {_hash("m.customer_id", 6)} %% 10 = 0
                            THEN greatest(c.registered_on + 1, now()::timestamp - interval '180 days'
                                          - {_unit("m.customer_id", 7)} * interval '720 days')
                            ELSE now()::timestamp END AS ends
                FROM made m JOIN customer c ON c.id = m.customer_id
            ) spans
        ) dated ORDER BY at;
        DROP TABLE made;

        INSERT INTO order_line (order_id, line_no, product_id, quantity, unit, unit_price, amount)
        SELECT id, 1, 1 + id %% 500, 1, '件', amount, amount FROM sales_order WHERE id %% 20 = 0 ORDER BY id;
        """.replace("%%", "%")
    )


def _hash(what: str, salt: int) -> str:
    """SQL: a whole number from 0 that looks like chance and is the same every time."""
    return f"(hashint8extended({what}, {salt}) & 2147483647)"


def _unit(what: str, salt: int) -> str:
    """SQL: the same between 0 and 1."""
    return f"({_hash(what, salt)}::float8 / 2147483648)"


def _rest(cursor: Any, customers: int, people: list[int]) -> None:
    """Contacts (1.5 for each customer), interactions (two) and the history of who entered what."""
    family, given = list(FAMILY), GIVEN
    cursor.execute(
        f"""
        INSERT INTO contact (customer_id, name, gender, position, office_phone, mobile, is_primary, version,
                             created_at, changed_at)
        SELECT c.id, (%s::text[])[1 + {_hash("c.id + k", 11)} %% 20] || (%s::text[])[1 + {_hash("c.id + k", 12)} %% 29],
               CASE WHEN k = 1 THEN 'male' ELSE 'female' END, CASE WHEN k = 1 THEN '采购经理' ELSE '财务' END,
               c.phone, '138' || lpad(({_hash("c.id + k", 13)} %% 100000000)::text, 8, '0'), k = 1, 1,
               c.created_at, c.created_at
        FROM customer c JOIN generate_series(1, 2) k ON k = 1 OR c.id %% 2 = 0 ORDER BY c.id, k;

        INSERT INTO interaction (customer_id, contact_id, occurred_at, place, title, detail, next_follow_up_on,
                                 created_by_id, changed_by_id, version, created_at, changed_at)
        SELECT c.customer_id, c.id, at, '电话', '回访' || k || ': 询问到货与使用情况', '客户反映一切正常。',
               at::date + 30, x.owner_id, x.owner_id, 1, at, at
        FROM contact c JOIN customer x ON x.id = c.customer_id CROSS JOIN generate_series(1, 2) k
        CROSS JOIN LATERAL (
            SELECT date_trunc('minute', now()::timestamp - {_unit("c.id * 2 + k", 14)} * interval '900 days') AS at
        ) t
        WHERE c.is_primary ORDER BY at;

        INSERT INTO audit_entry (at, actor_id, record_type, record_id, action, outcome, to_status)
        SELECT created_at, owner_id, 'customer', id, 'create', 'done', 'active' FROM customer ORDER BY id;
        """,
        (family, given),
    )


def more(place: Place, say: Any) -> None:
    """What only reports read: tickets, opportunities with plans, ends of churn cases, the history of levels and plans.

    A table that has rows is left as it is, so a folder of an earlier comparison gets what it lacks. After the first
    churn scan, whose cases get measures; none of the added cases is open, so the scans after it find the same work.
    """
    connection = place.connect(autocommit=False)
    made = []
    with connection, connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table, statement in MORE.items():
            cursor.execute(f"SELECT 1 FROM {table} LIMIT 1")
            if cursor.fetchone() is None:
                say(f"Making rows of {table.split()[0]}.")
                cursor.execute(statement)
                made.append(table)
    connection.autocommit = True
    if made:
        connection.cursor().execute("VACUUM ANALYZE")
    connection.close()


def _lists(*kinds: str) -> str:
    """SQL: the ids of the account managers as m.ids and those of lists of the dictionary as `<kind>.ids`, one row."""
    items = "".join(
        f", (SELECT array_agg(id ORDER BY id) AS ids FROM dictionary_item WHERE type = '{kind}') {kind}"
        for kind in kinds
    )
    managers = "SELECT array_agg(id ORDER BY id) AS ids FROM ab_user WHERE username ~ '^bench.[0-9]+$'"
    return f"({managers}) m{items}"


def _one_of(kind: str, what: str, salt: int) -> str:
    """SQL: one of the ids of `_lists`."""
    return f"{kind}.ids[1 + {_hash(what, salt)} % cardinality({kind}.ids)]"


SIZE = "(SELECT count(*) FROM customer)"
NOW = "date_trunc('second', now()::timestamp)"
MORE = {
    "ticket": f"""
        INSERT INTO ticket (number, type_id, title, customer_id, request, status, assignee_id, assigned_by_id,
                            assigned_at, handling, handled_by_id, handled_at, result, satisfaction, archived_at,
                            times_returned, version, created_at, changed_at)
        SELECT 'FW' || lpad(n::text, 9, '0'), type_id, '设备咨询' || n, customer_id, '请协助处理。', status,
               CASE WHEN at > 0 THEN person END, CASE WHEN at > 0 THEN person END, CASE WHEN at > 0 THEN created END,
               CASE WHEN at > 1 THEN '已处理。' END, CASE WHEN at > 1 THEN person END,
               CASE WHEN at > 1 THEN least({NOW}, created + interval '1 day') END,
               CASE WHEN at > 2 THEN '客户满意。' END, CASE WHEN at > 2 THEN 3 + {_hash("n", 22)} % 3 END,
               CASE WHEN at > 2 THEN least({NOW}, created + interval '3 days') END,
               CASE WHEN {_hash("n", 23)} % 8 = 0 THEN 1 ELSE 0 END, 1, created, created
        FROM (
            SELECT n, 1 + {_hash("n", 24)} % {SIZE} AS customer_id, {_one_of("m", "n", 25)} AS person,
                   date_trunc('second', now()::timestamp - {_unit("n", 26)} * interval '900 days') AS created,
                   least(3, {_hash("n", 27)} % 20) AS at,
                   (ARRAY['created', 'assigned', 'handled', 'archived'])[1 + least(3, {_hash("n", 27)} % 20)] AS status,
                   {_one_of("ticket_type", "n", 21)} AS type_id
            FROM generate_series(1, {SIZE} / 4) n, {_lists("ticket_type")} ORDER BY created
        ) t;
        INSERT INTO ticket_step (ticket_id, step, actor_id, at, text, satisfaction)
        SELECT id, step, assigned_by_id, CASE step WHEN 'create' THEN created_at WHEN 'assign' THEN assigned_at
               WHEN 'handle' THEN handled_at ELSE archived_at END, '记录',
               CASE WHEN step = 'archive' THEN satisfaction END
        FROM ticket, unnest(ARRAY['create', 'assign', 'handle', 'archive']) WITH ORDINALITY s (step, place)
        WHERE place <= array_position(ARRAY['created', 'assigned', 'handled', 'archived'], status::text)
        ORDER BY id, place
    """,
    "opportunity": f"""
        INSERT INTO opportunity (customer_name, source_id, title, probability, description, expected_amount,
                                 expected_close_on, status, assignee_id, assigned_by_id, assigned_at, close_kind,
                                 close_reason, closed_by_id, closed_at, customer_id, created_customer, version,
                                 created_at, changed_at)
        SELECT '意向客户' || n, source_id, '采购意向' || n, {_hash("n", 31)} % 101, '有采购意向。',
               CASE WHEN {_hash("n", 32)} % 15 > 0 THEN 1000 + {_hash("n", 33)} % 90000000 / 100.0 END,
               CASE WHEN {_hash("n", 34)} % 20 > 0 THEN now()::date - 60 + ({_hash("n", 35)} % 460)::int END, status,
               CASE WHEN status <> 'unassigned' THEN person END, CASE WHEN status <> 'unassigned' THEN person END,
               CASE WHEN status <> 'unassigned' THEN created END,
               CASE status WHEN 'won' THEN 'won' WHEN 'lost' THEN 'failed' END,
               CASE WHEN status = 'lost' THEN '另选供应商' END, CASE WHEN status IN ('won', 'lost') THEN person END,
               CASE WHEN status IN ('won', 'lost')
                    THEN least({NOW}, created + interval '40 days' + {_unit("n", 36)} * interval '80 days') END,
               CASE WHEN status = 'won' THEN 1 + {_hash("n", 37)} % {SIZE} END, false, 1, created, created
        FROM (
            SELECT n, {_one_of("source", "n", 38)} AS source_id, {_one_of("m", "n", 39)} AS person,
                   date_trunc('second', now()::timestamp - {_unit("n", 40)} * interval '900 days') AS created,
                   (ARRAY['unassigned', 'assigned', 'assigned', 'won', 'won', 'won', 'lost', 'lost', 'lost', 'lost'])
                       [1 + {_hash("n", 41)} % 10] AS status
            FROM generate_series(1, {SIZE} / 4) n, {_lists("source")} ORDER BY created
        ) t;
        INSERT INTO plan_step (opportunity_id, planned_on, todo, result, executed_by_id, executed_at, version,
                               created_at, changed_at)
        SELECT id, planned, '拜访' || k, CASE WHEN executed THEN '已完成' END, CASE WHEN executed THEN assignee_id END,
               CASE WHEN executed THEN least(coalesce(closed_at, {NOW}), planned + late * interval '1 day') END, 1,
               created_at, created_at
        FROM (
            SELECT o.*, k, (o.assigned_at + k * interval '10 days')::date AS planned,
                   {_hash("o.id * 3 + k", 42)} % 6 - 1 AS late,
                   o.assigned_at + k * interval '10 days' < {NOW} - interval '5 days'
                       AND (k = 1 OR o.closed_at IS NOT NULL) AS executed
            FROM opportunity o, generate_series(1, 3) k WHERE o.status <> 'unassigned'
        ) s ORDER BY id, k
    """,
    "retention_measure": f"""
        INSERT INTO churn_case (customer_id, owner_id, owner_name, opened_at, rule_months, rule_cutoff, status,
                                reason_type_id, reason, lost_at, resolved_at, version, created_at, changed_at)
        SELECT customer_id, owner_id, name, opened, 6, opened - interval '6 months',
               CASE WHEN lost THEN 'won_back' ELSE 'recovered' END, CASE WHEN lost THEN why END,
               CASE WHEN lost THEN '改用他家' END, CASE WHEN lost THEN opened + interval '20 days' END,
               least({NOW}, opened + interval '30 days' + {_unit("n", 51)} * interval '100 days'), 1, opened, opened
        FROM (
            SELECT n, c.id AS customer_id, c.owner_id, u.last_name || u.first_name AS name, n % 3 = 0 AS lost,
                   date_trunc('second', now()::timestamp - interval '40 days' - {_unit("n", 52)} * interval '700 days')
                       AS opened, {_one_of("churn_reason", "n", 53)} AS why
            FROM generate_series(1, {SIZE} / 10) n
            JOIN customer c ON c.id = 1 + {_hash("n", 54)} % {SIZE} LEFT JOIN ab_user u ON u.id = c.owner_id,
            {_lists("churn_reason")}
        ) k ORDER BY opened;
        UPDATE churn_case k SET status = 'lost', lost_at = {NOW}, reason = '改用他家',
               reason_type_id = (SELECT min(id) FROM dictionary_item WHERE type = 'churn_reason')
        WHERE status = 'warning' AND id % 10 = 0;
        UPDATE customer c SET status = 'lost' FROM churn_case k WHERE k.customer_id = c.id AND k.status = 'lost';
        INSERT INTO retention_measure (case_id, type_id, text, cost, by_id, at)
        SELECT k.id, {_one_of("measure", "k.id", 55)}, '电话回访', {_hash("k.id", 56)} % 5000, k.owner_id,
               least({NOW}, k.opened_at + {_unit("k.id", 57)} * interval '15 days')
        FROM churn_case k, {_lists("measure")} WHERE k.id % 3 = 0 ORDER BY k.id;
        UPDATE churn_case SET status = 'deferred'
        WHERE status = 'warning' AND EXISTS (SELECT 1 FROM retention_measure r WHERE r.case_id = churn_case.id)
    """,
    "field_change WHERE record_type = 'customer' AND field = 'level_id'": f"""
        INSERT INTO field_change (at, actor_id, record_type, record_id, field, before, after, move, erased)
        SELECT {NOW} - {_unit("id", 61)} * interval '500 days' AS at, owner_id, 'customer', id, 'level_id',
               {_one_of("level", "id", 62)}::text, level_id::text, 'customer.edit', false
        FROM customer c, {_lists("level")} WHERE id % 40 = 0 ORDER BY at
    """,
    "field_change WHERE record_type = 'opportunity'": f"""
        INSERT INTO field_change (at, actor_id, record_type, record_id, field, before, after, move, erased)
        SELECT created_at + {_unit("id", 63)} * (coalesce(closed_at, {NOW}) - created_at) AS at, assignee_id,
               'opportunity', id, field, CASE field WHEN 'probability' THEN '10' WHEN 'expected_amount' THEN '5000.00'
               ELSE (created_at::date + 90)::text END, CASE field WHEN 'probability' THEN probability::text
               WHEN 'expected_amount' THEN expected_amount::text ELSE expected_close_on::text END,
               'opportunity.edit', false
        FROM opportunity, unnest(ARRAY['probability', 'expected_amount', 'expected_close_on']) field ORDER BY at
    """,
}


def today() -> date:
    """The day of the data."""
    return datetime.now(UTC).date()
