"""先例: the archived tickets most like a given one, with what worked.

When a ticket is archived, the words of its title and request are written down; a ticket that is being handled is
compared by the words it shares with archived tickets of its type, rare words counting more. Chinese is cut into pairs
of characters, English words are stemmed lightly, model numbers stay whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import log
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import joinedload

from app.core.text import fold
from app.extensions import db
from app.tickets.access import VisibleTickets
from app.tickets.models import Ticket, TicketStatus, TicketWord

ASKED = 200  # words of the asking ticket that are looked at, the title's first
COMMON = 2_000  # a word that so many tickets of a type hold finds none; it is not even counted further
BUDGET = 20_000  # rows of the word table one search reads at most: the rarest words that fit
ARCHIVE = 10_000  # archived tickets that are counted: how rare a word is needs no more
CLOSEST = 50  # tickets that are compared word by word
SATURATION = 0.25  # how much longer texts have to share more words: 0 not at all, 1 in proportion to their length
LEAST = 0.05  # share of the asked words' weight below which two tickets have nothing in common worth showing
READ = ""  # the word of every ticket whose words are written down
WORD = 40  # characters of a word that are kept

ENGLISH = frozenset(
    "a an and any are as at be been but by can could did do does for from get had has have he her his how i if in into "
    "is it its may me my no not of on or our out she should so than that the their them then there these they this to "
    "too up us was we were what when where which who why will with would you your please thank thanks hello hi dear "
    "ask asks need needs want wants".split()
)
PARTICLES = "的了吗呢吧啊呀么是在和与及或把被让给就都也还很又"  # Chinese words of one character that tell nothing
CHINESE = frozenset(
    "我们 你们 他们 我司 贵司 请问 请您 您好 你好 谢谢 可以 能否 是否 怎么 怎样 如何 什么 多少 需要 希望 建议 "
    "现在 目前 已经 没有 这个 那个 这些 一个 一下 一直 以后 以前 时候 因为 所以 但是 还有 麻烦 尽快 帮忙".split()
)

TOKEN = re.compile(r"[a-z0-9]+(?:[-./,'’_+][a-z0-9]+)*|[\u3400-\u9fff]+")


@dataclass(frozen=True)
class Precedent:
    """An archived ticket that is like the one asked about: `handling` and `result` say what worked."""

    ticket: Ticket
    score: float  # the higher the more alike; comparable within one search only
    words: list[str]  # what both hold, the most telling first

    @property
    def handling(self) -> str:
        """What was done about it."""
        return self.ticket.handling or ""

    @property
    def result(self) -> str:
        """What the customer said."""
        return self.ticket.result or ""


# -- words --------------------------------------------------------------------------------------------------------


def words_of(*texts: str | None) -> list[str]:
    """The words of some texts by which tickets are compared, each once, in their order."""
    found: dict[str, None] = {}
    for text in texts:
        for token in TOKEN.findall(fold(text)):
            found.update(dict.fromkeys(_latin(token) if token.isascii() or "’" in token else _pairs(token)))
    return [word[:WORD] for word in found]


def _latin(token: str) -> Iterable[str]:
    """An English word's stem; a number or model number whole, and without the letters before it (LX-4200: 4200)."""
    if any(c.isdigit() for c in token):
        whole = re.sub(r"[-,_/+'’]", "", token)
        yield whole
        bare = whole.lstrip("abcdefghijklmnopqrstuvwxyz")
        if bare != whole and len(bare) > 1:
            yield bare
        return
    for word in re.split(r"[-./,_+]", re.sub(r"['’](s|t|re|ve|ll|d|m)$", "", token)):
        if len(word) > 1 and word not in ENGLISH:
            yield _stem(word)


def _stem(word: str) -> str:
    """An English word without its most frequent endings, so that leaks, leaking and leaked are one."""
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-1]
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) > 2 and re.search("[aeiouy]", stem):
            doubled = len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "lsz"
            word = stem[:-1] if doubled else stem
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def _pairs(run: str) -> Iterable[str]:
    """Two neighbouring characters each; a character that stands alone is a word."""
    for part in re.split(f"[{PARTICLES}]", run):
        if len(part) == 1:
            yield part
        for start in range(len(part) - 1):
            pair = part[start : start + 2]
            if pair not in CHINESE:
                yield pair


# -- writing ------------------------------------------------------------------------------------------------------


def index_ticket(ticket: Ticket) -> None:
    """Write down the words of a ticket that is being archived, so that it is found as a precedent. One statement.

    Harmless when repeated. The caller commits.
    """
    _write([ticket])


def index_anew(ticket: Ticket) -> None:
    """Forget the words of a ticket whose text was changed, and write down what an archived one says now. Flushes."""
    db.session.execute(sa.delete(TicketWord).where(TicketWord.ticket_id == ticket.id))
    if ticket.status == TicketStatus.archived:
        _write([ticket])


def index_missing(*, batch: int = 500) -> int:
    """Write down the words of archived tickets that have none yet; returns how many tickets. Commits nothing.

    For archives from before there were precedents, run by `flask crm init`.
    """
    known = sa.select(TicketWord.ticket_id).where(
        TicketWord.type_id == Ticket.type_id, TicketWord.word == READ, TicketWord.ticket_id == Ticket.id
    )
    written, last = 0, 0
    while True:
        some = list(
            db.session.execute(
                sa.select(Ticket.id, Ticket.type_id, Ticket.title, Ticket.request)
                .where(Ticket.status == TicketStatus.archived, Ticket.id > last, ~known.exists())
                .order_by(Ticket.id)
                .limit(batch)
            )
        )
        if not some:
            return written
        _write(some)
        written, last = written + len(some), some[-1].id


def _write(tickets: Iterable[Any]) -> None:
    postgres = db.engine.dialect.name == "postgresql"
    dialect: Any = postgresql if postgres else sqlite
    given = sa.bindparam("words", type_=sa.Text)  # as JSON: one statement that is compiled once
    words = (
        sa.func.json_array_elements_text(sa.cast(given, postgresql.JSON)).table_valued("value")
        if postgres
        else sa.func.json_each(given).table_valued("value")
    )
    rows = sa.select(
        sa.bindparam("type", type_=sa.Integer), sa.cast(words.c.value, sa.String), sa.bindparam("id", type_=sa.Integer)
    ).where(sa.true())  # without a WHERE, SQLite reads ON CONFLICT as a join's ON
    table = TicketWord.__table__
    insert = dialect.insert(table).from_select(["type_id", "word", "ticket_id"], rows).on_conflict_do_nothing()
    for ticket in tickets:
        held = [READ, *words_of(ticket.title, ticket.request)]
        db.session.execute(insert, {"type": ticket.type_id, "id": ticket.id, "words": json.dumps(held)})


# -- searching ----------------------------------------------------------------------------------------------------


def precedents_of(ticket: Ticket, *, limit: int = 3) -> list[Precedent]:
    """The archived tickets of the same type most like this one that the reader may see, the most alike first.

    At most `limit`; none when nothing but common words is shared. Two statements, whatever the archive's size.
    """
    asked = words_of(ticket.title, ticket.request)[:ASKED]
    if not asked:
        return []
    weights = _weights(ticket.type_id, asked)
    rare = _affordable(weights)
    if not rare:
        return []
    least = LEAST * sum(weight for weight, _held in weights.values())
    compared = (_compare(asked, weights, found) for found in _closest(ticket, rare))
    alike = [one for one in compared if sum(weights[word][0] for word in one.words) >= least]
    return sorted(alike, key=lambda one: (-one.score, -one.ticket.id))[:limit]


def _weights(type_id: int, asked: list[str]) -> dict[str, tuple[float, int]]:
    """Per word how telling it is and how many tickets hold it. One statement.

    Both the archive and the tickets of a word are counted up to a bound only.
    """
    given = sa.values(sa.column("word", sa.String), name="given").data([(word,) for word in asked]).cte("asked")
    holding = (
        sa.select(TicketWord.ticket_id)
        .where(TicketWord.type_id == type_id, TicketWord.word == given.c.word)
        .limit(COMMON)
        .correlate(given)
        .subquery()
    )
    held = sa.select(sa.func.count()).select_from(holding).correlate(given).scalar_subquery()
    archived = sa.select(Ticket.id).where(Ticket.status == TicketStatus.archived).limit(ARCHIVE).subquery()
    size = sa.select(sa.func.count()).select_from(archived).scalar_subquery()
    rows = db.session.execute(sa.select(given.c.word, held.label("held"), size.label("size")))
    return {row.word: (_telling(row.held, row.size), row.held) for row in rows}


def _telling(held: int, size: int) -> float:
    """The weight of a word that `held` of `size` tickets hold; one counted up to the bound is taken for frequent."""
    held = held if held < COMMON else 4 * COMMON
    return log(1 + (max(size - held, 0) + 0.5) / (held + 0.5))


def _affordable(weights: dict[str, tuple[float, int]]) -> dict[str, float]:
    """The rarest words that some ticket holds, as many as a search may read rows for."""
    chosen, rows = {}, 0
    for word, (weight, held) in sorted(weights.items(), key=lambda item: (item[1][1], item[0])):
        if 0 < held < COMMON and rows + held <= BUDGET:
            chosen[word] = weight
            rows += held
    return chosen


def _closest(ticket: Ticket, rare: dict[str, float]) -> list[Ticket]:
    """The visible archived tickets that share most of these words' weight. One statement."""
    columns = (sa.column("word", sa.String), sa.column("weight", sa.Float))
    given = sa.values(*columns, name="given").data(list(rare.items())).cte("asked")
    shared = (
        sa.select(TicketWord.ticket_id, sa.func.sum(given.c.weight).label("score"))
        .join(given, given.c.word == TicketWord.word)
        .where(TicketWord.type_id == ticket.type_id, TicketWord.word.in_(rare))  # else SQLite reads the type's words
        .group_by(TicketWord.ticket_id)
        .subquery()
    )
    closest = (
        sa.select(Ticket.id)
        .join(shared, shared.c.ticket_id == Ticket.id)
        .where(Ticket.id != (ticket.id or 0), Ticket.status == TicketStatus.archived, VisibleTickets.criterion())
        .order_by(shared.c.score.desc(), Ticket.id.desc())
        .limit(CLOSEST)
    )
    found = sa.select(Ticket).where(Ticket.id.in_(closest)).options(joinedload(Ticket.customer))
    return list(db.session.execute(found).scalars())


def _compare(asked: list[str], weights: dict[str, tuple[float, int]], found: Ticket) -> Precedent:
    """How alike a found ticket is: the weight of all shared words, less for a long text that shares much by chance."""
    theirs = set(words_of(found.title, found.request))
    shared = sorted((word for word in asked if word in theirs), key=lambda word: -weights[word][0])
    score = sum(weights[word][0] for word in shared) / max(len(theirs), 1) ** SATURATION
    return Precedent(found, score, shared)
