"""What every connection to SQLite gets."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from app.core.database import tune
from app.core.files import open_private

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """What a shell gives `flask db upgrade`: everybody may read what it makes."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path):
    return path.stat().st_mode & 0o777


def test_a_new_database_and_its_log_are_their_owners_alone(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'liuke.db'}")
    tune(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
        assert {path.name: mode(path) for path in tmp_path.iterdir()} == {
            "liuke.db": 0o600, "liuke.db-wal": 0o600, "liuke.db-shm": 0o600,
        }  # fmt: skip
    engine.dispose()


def test_a_database_that_is_there_is_opened_as_it_is(tmp_path):
    file = tmp_path / "liuke.db"
    file.touch(mode=0o640)
    engine = sa.create_engine(f"sqlite:///{file}")
    tune(engine)
    with engine.connect() as one, engine.connect() as two:
        assert one.exec_driver_sql("SELECT 1").scalar() == two.exec_driver_sql("SELECT 1").scalar() == 1
    assert mode(file) == 0o640
    engine.dispose()


@pytest.mark.parametrize("place", ["", "nowhere/liuke.db"])
def test_a_database_without_a_place_for_a_file_makes_none(tmp_path, place):
    engine = sa.create_engine(f"sqlite:///{tmp_path / place}" if place else "sqlite://")
    tune(engine)
    if place:
        with pytest.raises(sa.exc.OperationalError, match="unable to open database file"):
            engine.connect()
    else:
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    assert list(tmp_path.iterdir()) == []
    engine.dispose()


def test_files_of_the_installation_are_their_owners_alone(tmp_path):
    with open_private(tmp_path / "rejected.csv", encoding="utf-8") as file:
        file.write("C1")
    assert mode(tmp_path / "rejected.csv") == 0o600
    assert (tmp_path / "rejected.csv").read_text() == "C1"
