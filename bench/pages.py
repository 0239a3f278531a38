"""What a person does all day: each page as the product, the rival and the bare SQL give it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import Any

from bench import ours, rival, web
from bench.data import FIRST, SECOND
from bench.place import Place
from bench.web import Server

ROWS = """
    SELECT c.id, c.name, c.number, c.status, l.label_zh, r.label_zh, u.last_name || u.first_name, s.last_order_at,
           s.order_total
    FROM ({found}) f JOIN customer c ON c.id = f.id
    LEFT JOIN dictionary_item l ON l.id = c.level_id LEFT JOIN dictionary_item r ON r.id = c.region_id
    LEFT JOIN ab_user u ON u.id = c.owner_id LEFT JOIN customer_stats s ON s.customer_id = c.id
    ORDER BY {order}
"""
LIVE = "status <> 'deleted'"
LATEST = "c.registered_on DESC, c.id DESC"
CUSTOMER = (
    "SELECT * FROM customer WHERE id = %s",
    "SELECT * FROM customer_stats WHERE customer_id = %s",
    "SELECT * FROM contact WHERE customer_id = %s AND deleted_at IS NULL",
    "SELECT * FROM interaction WHERE customer_id = %s AND deleted_at IS NULL ORDER BY occurred_at DESC LIMIT 5",
    "SELECT * FROM sales_order WHERE customer_id = %s ORDER BY ordered_at DESC LIMIT 25",
    "SELECT * FROM audit_entry WHERE record_type = 'customer' AND record_id = %s ORDER BY id DESC LIMIT 8",
)
NEW = """
    WITH k AS (
        INSERT INTO counter (name, last) VALUES ('BARE', 1) ON CONFLICT (name) DO UPDATE SET last = counter.last + 1
        RETURNING '裸插入客户' || last AS name, 'B' || last AS number
    )
    INSERT INTO customer (number, name, name_key, search_key, registered_on, level_id, region_id, owner_id,
                          satisfaction, credit, status, address, postcode, phone, version, created_at, changed_at)
    SELECT k.number, k.name, k.name, k.name || ' ' || lower(k.number), current_date, level_id, region_id, owner_id,
           3, 3, 'active', '工业大道1号', '100000', '010-1', 1, now(), now()
    FROM k, (SELECT level_id, region_id, owner_id FROM customer WHERE id = 1) x RETURNING id
"""


@dataclass
class Result:
    """One line of the table; times are medians in milliseconds."""

    name: str
    sql: float
    ours: float
    django: float
    cpu: tuple[Any, ...] = ("", "")
    statements: tuple[Any, Any] = ("", "")
    kb: tuple[Any, Any] = ("", "")
    unit: str = "ms"

    @property
    def ratio(self) -> float:
        """How many times as fast as the rival the product is."""
        return self.ours / self.django if self.unit == "req/s" else self.django / self.ours


@dataclass
class Work:
    """One thing people do. `n` counts the repetitions, so that not one row alone is asked for."""

    name: str
    sql: Callable[[int], list[tuple[str, Any]]]
    ours: Callable[[int], str]
    django: Callable[[int], str]


@dataclass
class Pages:
    """Both servers over one database, and the person in front of them."""

    place: Place
    customers: int
    requests: int
    say: Any
    only: list[str] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)

    def __enter__(self) -> Pages:
        rival.prepare()
        self.connection = self.place.connect()
        mine, theirs = ours.sign_in(), rival.sign_in()
        self.mine = Server("The product", "run:app", mine, self.place.folder / "product.log")
        django = "bench.django_admin.wsgi:application"
        self.theirs = Server("Django admin", django, theirs, self.place.folder / "django.log")
        self.count_mine, self.count_theirs = ours.statements(mine), rival.statements()
        return self

    def __exit__(self, *_failure: object) -> None:
        self.mine.stop()
        self.theirs.stop()
        self.connection.close()

    # -- what is asked for ----------------------------------------------------------------------------------

    @cached_property
    def level(self) -> int:
        """The id of level 3, one customer in seven."""
        return int(self._one("SELECT id FROM dictionary_item WHERE type = 'level' AND code = '3'"))

    @cached_property
    def some(self) -> list[int]:
        """Customers with contacts and orders, drawn once."""
        return random.Random(7).choices(range(1, self.customers + 1), k=1000)

    @cached_property
    def terms(self) -> list[str]:
        """Two characters that few customers have in their name."""
        chance = random.Random(8)
        return [chance.choice(FIRST) + chance.choice(SECOND) for _n in range(50)]

    def _one(self, statement: str) -> Any:
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0]

    def address(self, table: str) -> str:
        """Where the product lists the rows of a table."""
        from app.core.views import CrmView

        views = [v for v in ours.app().appbuilder.baseviews if isinstance(v, CrmView)]
        view = next(v for v in views if v.datamodel.obj.__tablename__ == table)
        return f"{view.route_base}/list/"

    def work(self) -> list[Work]:
        """Everything that is looked at."""
        mine, theirs = "/customers/list/", "/admin/crm/customer/"
        deep = min(50_000, self.customers // 4) // 25
        latest = f"SELECT id FROM customer WHERE {LIVE} ORDER BY registered_on DESC, id DESC LIMIT 26"
        by_name = f"SELECT id FROM customer WHERE {LIVE} AND level_id = %s ORDER BY name, id LIMIT 26"
        search = (
            f"SELECT id FROM customer WHERE {LIVE} AND liuke_slices(search_key) @> ARRAY[%s]"
            " ORDER BY registered_on DESC, id DESC LIMIT 26"
        )
        return [
            Work(
                "customer list, 25 rows",
                lambda n: [(ROWS.format(found=latest, order=LATEST), ())],
                lambda n: mine,
                lambda n: theirs,
            ),
            Work(
                f"page at row {deep * 25:,}",
                lambda n: [(ROWS.format(found=f"{latest} OFFSET {(deep + n) * 25}", order=LATEST), ())],
                lambda n: f"{mine}?page_CustomerView={deep + n}",
                lambda n: f"{theirs}?p={deep + n + 1}",
            ),
            Work(
                "filter level, sort name",
                lambda n: [(ROWS.format(found=by_name, order="c.name, c.id"), (self.level,))],
                lambda n: f"{mine}?_flt_0_level={self.level}&_oc_CustomerView=name&_od_CustomerView=asc",
                lambda n: f"{theirs}?level__id__exact={self.level}&o=1",
            ),
            Work(
                f"search two characters, {self._hits(self.terms[0])} found",
                lambda n: [(ROWS.format(found=search, order=LATEST), (self.terms[n % 50],))],
                lambda n: f"{mine}?_flt_0_name={self.terms[n % 50]}",
                lambda n: f"{theirs}?q={self.terms[n % 50]}",
            ),
            Work(
                f"search two characters, {self._hits('科技')} found",
                lambda n: [(ROWS.format(found=search, order=LATEST), ("科技",))],
                lambda n: f"{mine}?_flt_0_name=科技",
                lambda n: f"{theirs}?q=科技",
            ),
            Work(
                "customer page with contacts and orders",
                lambda n: [(statement, (self.some[n],)) for statement in CUSTOMER],
                lambda n: f"/customers/show/{self.some[n]}",
                lambda n: f"/admin/crm/customer/{self.some[n]}/change/",
            ),
            *(
                Work(
                    f"{words} list, 25 rows",
                    lambda n, table=table, order=order: [(f"SELECT * FROM {table} ORDER BY {order} LIMIT 26", ())],
                    lambda n, table=table: self.address(table),
                    lambda n, model=model: f"/admin/crm/{model}/",
                )
                for words, table, model, order in (
                    ("contact", "contact", "contact", "name, id"),
                    ("interaction", "interaction", "interaction", "occurred_at DESC, id DESC"),
                    ("order", "sales_order", "order", "ordered_at DESC, id DESC"),
                    ("churn", "churn_case", "churncase", "opened_at DESC, id DESC"),
                )
            ),
        ]

    def _hits(self, term: str) -> str:
        found = self._one(f"SELECT count(*) FROM customer WHERE liuke_slices(search_key) @> ARRAY['{term}']")
        return f"{found:,}"

    # -- measuring ------------------------------------------------------------------------------------------

    def wanted(self, name: str) -> bool:
        """Whether this line was asked for."""
        return not self.only or any(word in name for word in self.only)

    def _bare(self, statements: list[tuple[str, Any]]) -> float:
        began = time.perf_counter()
        with self.connection.cursor() as cursor:
            for statement, values in statements:
                cursor.execute(statement, values or None)
                cursor.fetchall()
        return (time.perf_counter() - began) * 1000

    def measure(self) -> None:
        """Every page, then creating, then many at once."""
        for work in self.work():
            if self.wanted(work.name):
                self.say(work.name)
                self.results.append(self.read(work))
        if self.wanted("create"):
            self.say("create through the form")
            self._create()

    def _interleaved(
        self, calls: dict[str, Callable[[int], float]]
    ) -> tuple[dict[str, list[float]], tuple[float, float]]:
        """Each in turn; what each took, and the CPU per request of both web applications, all in milliseconds."""
        began: dict[str, float] = {}

        def note() -> None:
            began.update(ours=self.mine.cpu_ms(), django=self.theirs.cpu_ms())

        took = web.interleaved(calls, self.requests, warm=note)
        used = (self.mine.cpu_ms() - began["ours"], self.theirs.cpu_ms() - began["django"])
        return took, (used[0] / self.requests, used[1] / self.requests)

    def read(self, work: Work) -> Result:
        """One page, measured on all three sides."""
        took, cpu = self._interleaved(
            {
                "sql": lambda n: self._bare(work.sql(n)),
                "ours": lambda n: self.mine.page(work.ours(n)).ms,
                "django": lambda n: self.theirs.page(work.django(n)).ms,
            }
        )
        mine, theirs = self.mine.page(work.ours(0)), self.theirs.page(work.django(0))
        self.count_mine(work.ours(1)), self.count_theirs(work.django(1))  # what is asked once per process
        seen, seen_theirs = self.count_mine(work.ours(0))[1], self.count_theirs(work.django(0))[1]
        return Result(
            work.name,
            *(median(took[name]) for name in ("sql", "ours", "django")),
            cpu=tuple(f"{ms:.0f}" for ms in cpu),
            statements=(len(seen), len(seen_theirs)),
            kb=(f"{len(mine.body) / 1000:.0f}", f"{len(theirs.body) / 1000:.0f}"),
        )

    def _create(self) -> None:
        region = self._one("SELECT region_id FROM customer WHERE id = 1")
        owner = self._one("SELECT owner_id FROM customer WHERE id = 1")
        given = {
            "region": str(region), "owner": str(owner), "level": str(self.level), "satisfaction": "4", "credit": "4",
            "address": "工业大道1号", "postcode": "100000", "phone": "010-68348438", "fax": "010-68348438",
        }  # fmt: skip
        chance = random.Random()

        def send(server: Server, address: str, *more: tuple[str, str]) -> float:
            # Opened anew, which is not timed: the product takes a form once.
            fields = [*web.fields_of(server.page(address).body, marker='name="address"'), *more]
            name = f"新建{chance.choice(FIRST)}{chance.choice(SECOND)}{chance.randint(1, 10**6)}有限公司"
            typed = given | {"name": name}
            answer = server.post(address, [(name, typed.get(name, value)) for name, value in fields])
            if answer.status not in (302, 303):
                page = answer.body.decode()[-3000:]
                raise SystemExit(f"{server.name}: the form was not saved ({answer.status}).\n{page}")
            return answer.ms

        took, cpu = self._interleaved(
            {
                "sql": lambda n: self._bare([(NEW, ())]),
                "ours": lambda n: send(self.mine, "/customers/add"),
                "django": lambda n: send(self.theirs, "/admin/crm/customer/add/", ("_save", "1")),
            }
        )
        medians = (median(took[name]) for name in ("sql", "ours", "django"))
        used = tuple(f"{ms:.0f}" for ms in cpu)
        self.results.append(Result("create a customer through the form (CPU: with opening it)", *medians, cpu=used))

    def throughput(self, *, clients: int, rounds: int = 3) -> None:
        """The customer list with many people at once, in turns."""
        if not self.wanted("throughput"):
            return
        self.say(f"customer list, {clients} clients")
        mine, theirs = [], []
        for _round in range(rounds):
            mine.append(web.per_second(self.mine, "/customers/list/", clients=clients, requests=4 * self.requests))
            theirs.append(web.per_second(self.theirs, "/admin/crm/customer/", clients=clients, requests=self.requests))
        self.results.append(
            Result(f"customer list, throughput of {clients} clients", 0, median(mine), median(theirs), unit="req/s")
        )
