"""先例: among hundreds of archived tickets, near ones among them, the one that helps is named first or nearly so."""

from __future__ import annotations

import csv
from contextlib import contextmanager

import pytest
from flask import g

from app.masterdata.models import DictionaryType
from app.tickets import precedents
from app.tickets.models import Ticket, TicketStatus, TicketWord
from app.tickets.precedents import index_missing, index_ticket, precedents_of, words_of
from tests import builders
from tests.support import rows, statements
from tests.world import ROOT

FOLDER = ROOT / "tests" / "tickets" / "precedents"


def labelled(name):
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="|"))


PAIRS, HARD, OTHERS = labelled("pairs.csv"), labelled("hard_negatives.csv"), labelled("others.csv")


def kind(code):
    return builders.dictionary(DictionaryType.ticket_type, code)


@contextmanager
def reading(app, person):
    """As that person, in a request of his."""
    with app.test_request_context():
        g.user = person
        yield


def archived(title, request="。", *, code="inquiry", **given):
    """An archived ticket whose words are written down."""
    made = builders.ticket(title=title, request=request, type=kind(code), status=TicketStatus.archived, **given)
    index_ticket(made)
    return made


def asking(title, request="。", *, code="inquiry", **given):
    """A ticket that is not handled yet."""
    return builders.ticket(title=title, request=request, type=kind(code), **given)


@pytest.fixture
def archive(db, wang):
    """The labelled archive: the right precedents by their keys."""
    types = {code: kind(code) for code in ("inquiry", "suggestion", "complaint")}
    customer, found = builders.customer(), {}
    for number, row in enumerate([*OTHERS, *HARD, *PAIRS]):
        ticket = Ticket(
            number=f"FW{number:09d}", type=types[row["type"]], customer=customer, title=row["title"],
            request=row["request"], status=TicketStatus.archived, assignee_id=wang.id, assigned_at=customer.created_at,
            handling=row["handling"], handled_at=customer.created_at, archived_at=customer.created_at,
            result=row.get("result") or "客户确认", satisfaction=4,
        )  # fmt: skip
        db.session.add(ticket)
        found[row.get("key")] = ticket
    db.session.flush()
    index_missing()
    db.session.commit()
    return found


def test_the_labelled_set_is_as_large_and_as_hard_as_it_says():
    assert len(PAIRS) == 30
    assert len(HARD) >= len(PAIRS)
    assert {row["near"] for row in HARD} == {row["key"] for row in PAIRS}
    assert len(HARD) + len(OTHERS) >= 300


def test_the_right_precedent_is_among_the_first_three(app, archive, wang):
    missed, first = [], 0
    for row in PAIRS:
        with reading(app, wang):
            found = precedents_of(asking(row["asked_title"], row["asked_request"], code=row["type"]))
        right = archive[row["key"]]
        assert len(found) <= 3
        first += found[0].ticket.id == right.id
        if right.id not in [one.ticket.id for one in found]:
            missed.append((row["key"], [str(one.ticket.title) for one in found]))
    assert missed == []
    assert first >= 25


def test_a_precedent_says_what_worked_and_why_it_was_found(app, archive, wang):
    row = PAIRS[0]
    with reading(app, wang):
        found = precedents_of(asking(row["asked_title"], row["asked_request"], code=row["type"]))
    [right] = [one for one in found if one.ticket.id == archive["p01"].id]

    assert (right.handling, right.result) == (row["handling"], row["result"])
    assert {"lx4200", "离心", "8000"} <= set(right.words)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_two_statements_whatever_the_size_of_the_archive(app, archive, wang):
    row = PAIRS[0]
    ticket = asking(row["asked_title"], row["asked_request"], code=row["type"])
    with reading(app, wang):
        assert precedents_of(ticket)  # what is kept in memory is kept now
        with statements(app) as seen:
            precedents_of(ticket)
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("LX-4200 和 ＬＸ４２００ and lx4200", ["lx4200", "4200"]),
        ("升级到 V5.2", ["升级", "级到", "v5.2", "5.2"]),
        ("8,000 转", ["8000", "转"]),
        ("It leaks, leaked and keeps leaking", ["leak", "keep"]),
        ("dripping batteries", ["drip", "battery"]),
        ("charged twice; charges", ["charg", "twic"]),
        ("the customer's boxes don't fit", ["customer", "box", "don", "fit"]),
        ("请问我们的泵怎么漏水？", ["请问", "问我"]),
        ("漏", ["漏"]),
        ("？！ -- /", []),
        ("", []),
    ],
)
def test_words(text, expected):
    found = words_of(text)
    if text.startswith("请问"):
        assert "漏水" in found
        assert not {"请问", "我们", "怎么"} & set(found)
    else:
        assert found == expected


def test_words_of_any_length_fit_into_their_column():
    assert words_of("x" * 3000) == ["x" * 40]
    assert len(words_of("阀" * 3000)) == 1


def test_other_types_are_no_precedents(app, db, wang):
    archived("离心机异响 LX-4200", code="complaint")
    archived("称重模块量程")
    with reading(app, wang):
        assert precedents_of(asking("离心机异响 LX-4200")) == []


def test_only_the_archive_is_searched_and_never_the_ticket_itself(app, db, wang):
    asking("离心机异响 LX-4200", given_to=wang, status=TicketStatus.handled)
    done = archived("离心机异响 LX-4200", "九月")
    archived("称重模块量程")
    with reading(app, wang):
        assert [one.ticket.id for one in precedents_of(asking("离心机异响 LX-4200"))] == [done.id]
        assert precedents_of(done) == []


def test_a_deleted_ticket_is_no_precedent(app, db, wang):
    archived("称重模块量程")
    archived("离心机异响 LX-4200", deleted_at=builders.utcnow())
    with reading(app, wang):
        assert precedents_of(asking("离心机异响 LX-4200")) == []


def test_a_ticket_without_words_has_none(app, db, wang):
    archived("离心机异响")
    with reading(app, wang):
        assert precedents_of(asking("？", "。。。")) == []
        assert precedents_of(asking("unheard of", "nothing alike")) == []


def test_whoever_may_not_search_the_archive_finds_his_own(app, db, zhao):
    reader = builders.user(roles=[builders.role(rights=[("can_list", "Ticket"), ("can_show", "Ticket")])])
    foreign, own = archived("离心机异响 LX-4200"), archived("离心机异响 LX-4100", given_to=reader)
    archived("称重模块量程")
    ticket = asking("离心机异响")
    with reading(app, reader):
        assert [one.ticket.id for one in precedents_of(ticket)] == [own.id]
    with reading(app, zhao):
        assert {one.ticket.id for one in precedents_of(ticket)} == {own.id, foreign.id}


def test_customers_a_reader_may_not_see_keep_their_tickets_to_themselves(app, db, zhao, wang):
    archived("离心机异响 LX-4200", customer=builders.customer(owner=wang))
    own = archived("离心机异响 LX-4100", customer=builders.customer(owner=zhao))
    archived("称重模块量程", customer=builders.customer(owner=zhao))
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"
    with reading(app, zhao):
        assert [one.ticket.id for one in precedents_of(asking("离心机异响"))] == [own.id]


def test_a_word_that_nearly_all_hold_neither_finds_nor_costs(app, db, wang, monkeypatch):
    monkeypatch.setattr(precedents, "COMMON", 5)
    for number in range(8):
        archived(f"设备故障 {number}")
    rare = archived("设备电缆烧焦")
    with reading(app, wang):
        assert precedents_of(asking("设备故障", "设备")) == []
        assert [one.ticket.id for one in precedents_of(asking("设备电缆", "设备"))] == [rare.id]


def test_the_rarest_words_come_first_when_not_all_can_be_afforded(app, db, wang, monkeypatch):
    monkeypatch.setattr(precedents, "BUDGET", 3)
    for number in range(3):
        archived(f"水泵漏水 {number}")
    rare = archived("电缆烧焦")
    with reading(app, wang):
        assert [one.ticket.id for one in precedents_of(asking("水泵漏水，电缆", "详见附件"))] == [rare.id]


def test_indexing_again_changes_nothing_and_fills_what_is_missing(db):
    first = archived("离心机异响 LX-4200")
    builders.ticket(title="称重模块量程", request="如题", status=TicketStatus.archived)
    builders.ticket(title="还没有归档", request="如题")
    before = len(rows(TicketWord))

    index_ticket(first)
    assert len(rows(TicketWord)) == before
    assert index_missing(batch=1) == 1
    assert index_missing() == 0
    assert {"称重", "模块", "量程"} <= {row.word for row in rows(TicketWord)}
    assert "还没" not in {row.word for row in rows(TicketWord)}


def test_a_word_in_passing_makes_no_precedent(app, db, wang):
    for title in ("发票税率", "称重模块量程", "退货流程", "样机试用", "开机报缺相"):
        archived(title, "详见附件")
    long = "水泵轴封漏水，车间地面积水，密封圈已经换过两次，电机温度正常，电流也没有波动，振动值合格，出口压力偏低"
    with reading(app, wang):
        assert precedents_of(asking(long, "附件")) == []


def test_a_ticket_without_words_is_read_once(db):
    builders.ticket(title="？", request="。", status=TicketStatus.archived)
    assert [index_missing(), index_missing()] == [1, 0]
