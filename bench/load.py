"""`python -m bench.load`: twenty people at work for ten minutes, or fifty thousand requests in a row.

    python -m bench.load --folder var/load                   # 20 people, 10 minutes, 100,000 customers
    python -m bench.load --folder var/load --requests 50000  # a soak: no pauses, what must stay flat is printed

PostgreSQL, Redis, gunicorn with two processes and deploy/gunicorn.conf.py, a worker and a scheduler, on the loopback.
The people list, search, filter, open customers, edit them, note what was talked about, add opportunities, plan steps
and execute them; between two pages they read for one to five seconds. The web processes are never replaced here, so
that what leaks shows. Fails when a page failed, when p95 is half a second or more (not in a soak), when memory grows by
5 % or more after the first fifth, or when connections, open files or keys in Redis grow.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlencode

from bench import data, ours, sizes
from bench.place import ROOT, Place, machine
from bench.web import HOST, WORKERS, fields_of

PAUSE = (1.0, 5.0)  # seconds somebody reads a page
SOAKING = 4  # people without pauses
SAMPLES = 10
WORST_P95, MOST_GROWTH = 500.0, 5.0  # milliseconds, percent
PATIENCE = 60.0


def main() -> int:
    """Load what is missing, work, print. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="keep the data here and use it again next time")
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--requests", type=int, help="a soak of so many requests instead")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a stopped run stops what it started
    place = Place(given.folder)
    stack = None
    try:
        data.load(place, customers=given.customers, orders=given.orders, say=sizes.say)
        data.more(place, sizes.say)
        stack = Stack(place)
        soak = given.requests is not None
        crowd = Crowd(stack, SOAKING if soak else given.people, () if soak else PAUSE)
        samples = crowd.work(given.requests, given.minutes * 60)
        return report(place, crowd, samples, soak=soak)
    finally:
        if stack is not None:
            stack.stop()
        place.close()


class Stack:
    """What runs on a server, in processes of its own."""

    def __init__(self, place: Place) -> None:
        from jobs.supervisor import redis_binary

        with socket.socket() as one, socket.socket() as two:
            one.bind((HOST, 0))
            two.bind((HOST, 0))
            self.port, redis = int(one.getsockname()[1]), int(two.getsockname()[1])
        os.environ["REDIS_URL"] = f"redis://{HOST}:{redis}/0"
        os.environ.pop("LIUKE_LIMITER_URI", None)  # the limits are in Redis, as on a server
        self.place, self.processes = place, []
        self._files = tempfile.TemporaryDirectory(prefix="liuke-load-")
        self._start(redis_binary(), "--port", str(redis), "--bind", HOST, "--save", "", "--dir", self._files.name)
        python = sys.executable
        self.web = self._start(
            python, "-m", "gunicorn", "--config", "deploy/gunicorn.conf.py", "--workers", str(WORKERS),
            "--max-requests", "0", "--bind", f"{HOST}:{self.port}", "--log-level", "warning", "run:app",
        )  # fmt: skip
        self._start(python, "-m", "jobs.worker")
        self._start(python, "-m", "jobs.schedule")
        until = time.monotonic() + PATIENCE
        while self._healthy() != 200:
            if time.monotonic() > until:
                raise SystemExit(f"The web processes do not answer; see {place.folder}/load.log")
            time.sleep(0.3)

    def _start(self, *argv: str) -> subprocess.Popen[bytes]:
        with (self.place.folder / "load.log").open("ab") as out:
            started = subprocess.Popen(argv, cwd=ROOT, env=dict(os.environ), stdout=out, stderr=subprocess.STDOUT)
        self.processes.append(started)
        return started

    def _healthy(self) -> int:
        try:
            with closing(http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)) as connection:
                connection.request("GET", "/healthz")
                return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0

    def stop(self) -> None:
        """End all, the last one first."""
        for process in reversed(self.processes):
            process.terminate()
            process.wait(PATIENCE)
        self._files.cleanup()

    def sample(self) -> dict[str, int]:
        """Processor time, memory, open files of the web processes, connections to PostgreSQL, keys in Redis."""
        import redis

        pids = Path(f"/proc/{self.web.pid}/task/{self.web.pid}/children").read_text().split()
        memory = (re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()) for pid in pids)
        with self.place.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
            connections = cursor.fetchone()[0]
        keys = redis.Redis.from_url(os.environ["REDIS_URL"])
        return {
            "processes": len(pids),
            "ms of processor": sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) // 10**6,
            "KB of memory": sum(int(found[1]) for found in memory if found),
            "open files": sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids),
            "connections": connections,
            "keys in Redis": keys.dbsize(),
            "keys of the queue": sum(1 for _key in keys.scan_iter("rq:*")),
        }


class Crowd:
    """People at work, each in a thread, with a browser and customers of his own."""

    def __init__(self, stack: Stack, people: int, pause: tuple[float, ...]) -> None:
        self.stack, self.pause = stack, pause
        self.took: dict[str, list[float]] = defaultdict(list)
        self.wrong: list[str] = []
        self.asked = 0
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._day, args=(Person(self, n),)) for n in range(people)]

    def work(self, requests: int | None, seconds: float) -> list[tuple[int, dict[str, int]]]:
        """Until so many requests were answered, else so long. Gives what was sampled, with how many were by then."""
        samples = []
        for thread in self.threads:
            thread.start()
        began = time.monotonic()
        try:
            for n in range(1, SAMPLES + 1):
                while not self.over.is_set():
                    done = self.asked / requests if requests else (time.monotonic() - began) / seconds
                    if done >= n / SAMPLES:
                        break
                    time.sleep(0.2)
                samples.append((self.asked, self.stack.sample()))
                sizes.say(f"{self.asked:,} requests, {len(self.wrong)} failed, {samples[-1][1]}")
        finally:
            self.over.set()
            for thread in self.threads:
                thread.join(PATIENCE)
        self.lasted = time.monotonic() - began
        return samples

    def note(self, what: str, ms: float, wrong: str) -> None:
        """One answer."""
        with self.lock:
            self.asked += 1
            self.took[what].append(ms)
            if wrong:
                self.wrong.append(f"{what}: {wrong}")

    def _day(self, person: Person) -> None:
        try:
            while not self.over.is_set():
                person.next()
                if self.pause:
                    self.over.wait(person.chance.uniform(*self.pause))
        except Exception as error:  # a thread that ends early would make the rest look good
            self.wrong.append(f"somebody stopped working: {error!r}")
            self.over.set()


class Person:
    """An account manager; the first one is the sales lead, who sees all."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self.crowd, self.chance = crowd, random.Random(number)
        owner = f"bench.{number}"
        self.cookies = ours.sign_in(owner if number else ours.ME)
        me = f"(SELECT id FROM ab_user WHERE username = '{owner}')"
        with crowd.stack.place.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT id, name FROM customer WHERE owner_id = {me} ORDER BY id LIMIT 500")
            self.customers = cursor.fetchall()
            cursor.execute(f"SELECT id FROM opportunity WHERE assignee_id = {me} AND status = 'assigned' LIMIT 500")
            self.opportunities = [pk for (pk,) in cursor.fetchall()]
        does: list[tuple[int, Callable[[], None]]] = [
            (22, self.lists), (16, self.searches), (10, self.filters), (22, self.opens), (8, self.works),
            (6, self.edits), (6, self.talks), (4, self.adds),
        ]  # fmt: skip
        if number and self.opportunities:  # only whoever it is assigned to plans it
            does.append((6, self.plans))
        self.does = [act for weight, act in does for _n in range(weight)]

    def next(self) -> None:
        """The next thing on this day."""
        self.chance.choice(self.does)()

    # -- what they do -----------------------------------------------------------------------------------------

    def lists(self) -> None:
        address = self.chance.choice(("customers", "opportunities", "tickets", "churn", "contacts", "orders"))
        self.ask("list", f"/{address}/list/")

    def searches(self) -> None:
        words = "".join(self.chance.choice(part) for part in (data.FIRST, data.SECOND))
        self.ask("search", f"/customers/list/?_flt_0_name={words}")

    def filters(self) -> None:
        way = self.chance.choice(("asc", "desc"))
        page = self.chance.randrange(20)
        self.ask("filter and order", "/customers/list/?_flt_0_status=active&_oc_CustomerView=name"
                 f"&_od_CustomerView={way}&page_CustomerView={page}")  # fmt: skip

    def opens(self) -> None:
        self.ask("customer", f"/customers/show/{self.chance.choice(self.customers)[0]}")

    def works(self) -> None:
        self.ask("my work", "/my-work/")

    def edits(self) -> None:
        self.fill("edit", f"/customers/edit/{self.chance.choice(self.customers)[0]}", 'name="website"', {
            "website": f"https://www.example.com/{self.chance.randrange(10**6)}"
        })  # fmt: skip

    def talks(self) -> None:
        pk, yesterday = self.chance.choice(self.customers)[0], datetime.now(UTC) - timedelta(days=1)
        self.fill("interaction", f"/interactions/add?customer={pk}", 'name="title"', {
            "title": "回访", "place": "电话", "customer": str(pk), "occurred_at": f"{yesterday:%Y-%m-%dT%H:%M}",
        })  # fmt: skip

    def adds(self) -> None:
        name = f"新客户{self.chance.randrange(10**9)}"
        self.fill("new opportunity", "/opportunities/add", 'name="title"', {
            "title": name, "customer_name": name, "description": name, "probability": "50"
        })  # fmt: skip

    def plans(self) -> None:
        """Executes the step that is due; plans one when there is none."""
        address = f"/opportunities/show/{self.chance.choice(self.opportunities)}"
        page = self.ask("opportunity", address)
        filled = {"result": "已完成"} if b'name="result"' in page else {
            "todo": "拜访", "planned_on": f"{datetime.now(UTC) + timedelta(days=9):%Y-%m-%d}"
        }  # fmt: skip
        marker = f'name="{next(iter(filled))}"'
        found = next(form for form in re.findall(r"<form\b.*?</form>", page.decode(), re.S) if marker in form)
        action = re.search(r'action="([^"]+)"', found)
        assert action
        self.post("plan step", action[1], page, marker, filled)

    # -- how --------------------------------------------------------------------------------------------------

    def fill(self, what: str, address: str, marker: str, filled: dict[str, str]) -> None:
        """Open a form, read it, send it."""
        page = self.ask(f"{what}: form", address)
        if self.crowd.pause:
            self.crowd.over.wait(self.chance.uniform(*self.crowd.pause))
        self.post(what, address, page, marker, filled)

    def post(self, what: str, address: str, page: bytes, marker: str, filled: dict[str, str]) -> None:
        """Send the form of a page with these inputs filled; it must be taken."""
        form = dict(fields_of(page, marker=marker)) | filled
        self.ask(what, address, urlencode(form), good=(302, 303))

    def ask(self, what: str, address: str, form: str | None = None, good: tuple[int, ...] = (200,)) -> bytes:
        """One request, timed; whatever else it answers is a failure."""
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        began, body, wrong = time.perf_counter(), b"", ""
        try:
            with closing(http.client.HTTPConnection(HOST, self.crowd.stack.port, timeout=PATIENCE)) as connection:
                connection.request("GET" if form is None else "POST", quote(address, safe="/?&=%"), form, headers)
                response = connection.getresponse()
                body = response.read()
                if response.status not in good:
                    said = re.findall(r"invalid-feedback[^>]*>([^<]+)", body.decode(errors="replace"))
                    wrong = f"{address} answers {response.status} {response.headers.get('Location', '')} {said}"
                for cookie in response.headers.get_all("Set-Cookie") or []:
                    name, _, value = cookie.split(";")[0].partition("=")
                    self.cookies[name.strip()] = value
        except (OSError, http.client.HTTPException) as error:
            wrong = f"{address}: {error!r}"
        self.crowd.note(what, (time.perf_counter() - began) * 1000, wrong)
        return body


def report(place: Place, crowd: Crowd, samples: list[tuple[int, dict[str, int]]], *, soak: bool) -> int:
    """Print the figures and what is wrong with them. Returns the exit code."""
    every = [ms for times in crowd.took.values() for ms in times]
    p50, p95 = (statistics.quantiles(every, n=100)[k - 1] for k in (50, 95))
    settled, last = samples[SAMPLES // 5 - 1][1], samples[-1][1]
    cost = (last["ms of processor"] - samples[0][1]["ms of processor"]) / max(1, samples[-1][0] - samples[0][0])
    growth = 100 * (last["KB of memory"] / settled["KB of memory"] - 1)
    print("\n".join(f"- {line}" for line in machine(place)))
    print(f"- load of the machine at the end: {os.getloadavg()[0]:.1f}")
    print(f"- {len(crowd.threads)} people, {crowd.lasted / 60:.1f} minutes, {len(every):,} requests,"
          f" {len(every) / crowd.lasted:.1f} per second, {len(crowd.wrong)} failed")  # fmt: skip
    print(f"- all pages: p50 {p50:.0f} ms, p95 {p95:.0f} ms, longest {max(every):.0f} ms; memory {growth:+.1f} %")
    print(f"- processor time of the web processes: {cost:.0f} ms per request\n")
    print("| page | times | p50 ms | p95 ms | longest ms |\n|---|--:|--:|--:|--:|")
    for what, times in sorted(crowd.took.items()):
        cuts = statistics.quantiles(times, n=100) if len(times) > 1 else times * 99
        print(f"| {what} | {len(times):,} | {cuts[49]:.0f} | {cuts[94]:.0f} | {max(times):.0f} |")
    names = list(last)
    print(f"\n| requests | {' | '.join(names)} |\n|--:|{'--:|' * len(names)}")
    for asked, sample in samples:
        print(f"| {asked:,} | {' | '.join(f'{sample[name]:,}' for name in names)} |")
    wrong = crowd.wrong[:20]
    if not soak and p95 >= WORST_P95:
        wrong.append(f"p95 is {p95:.0f} ms")
    if growth >= MOST_GROWTH:
        wrong.append(f"memory grew by {growth:.1f} %")
    for name, spare in (("open files", 4), ("connections", 4), ("keys in Redis", 200)):
        if last[name] > settled[name] + spare:
            wrong.append(f"{name}: {settled[name]:,} became {last[name]:,}")
    print("\n" + ("\n".join(wrong) if wrong else "Nothing failed and nothing grew."))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
