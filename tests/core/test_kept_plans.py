"""Statements that every page asks: PostgreSQL plans them once per connection, and they answer like any other."""

from __future__ import annotations

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User

from app.core.database import KEEPS_PLAN


def names(db, low, high, *, called, like="%"):
    """The account names from one id to another; the ids are the values, the pattern is a part of the plan."""
    ids = [sa.bindparam(name, type_=sa.Integer()) for name in ("low", "high")]
    found = sa.select(User.username.label(called)).where(User.id.between(*ids), User.username.like(like))
    kept = found.execution_options(**{KEEPS_PLAN: ("high", "low")})
    return db.session.execute(kept, {"low": low, "high": high}).scalars().all()


def plans(db, called):
    """How many plans this connection keeps of that statement; SQLite keeps none."""
    if db.engine.dialect.name != "postgresql":
        return None
    kept = sa.text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE :name")
    return db.session.execute(kept, {"name": f"%AS {called} %"}).scalar_one()


def test_a_kept_plan_answers_each_value_for_itself(db, wang, zhao):
    for person in (wang, zhao, wang):
        assert names(db, person.id, person.id, called="each") == [person.username]
    assert names(db, zhao.id, zhao.id - 1, called="each") == []
    assert plans(db, "each") in (None, 1)


def test_what_is_no_value_is_a_part_of_the_plan(db, wang):
    for like, found in ((f"{wang.username[0]}%", [wang.username]), ("'; --%", []), ("%", [wang.username])):
        assert names(db, wang.id, wang.id, called="part", like=like) == found
    assert plans(db, "part") in (None, 3)


def test_a_plan_outlives_what_is_rolled_back(db, wang):
    for _n in range(2):
        assert names(db, wang.id, wang.id, called="undone") == [wang.username]
        db.session.rollback()
    assert plans(db, "undone") in (None, 1)
