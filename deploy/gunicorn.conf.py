"""gunicorn's settings, the same for `python run.py` and for the systemd units; they add where to listen.

Processes, never threads: the framework's views keep state that two threads of one process would share.
"""

import os
from typing import Any

worker_class = "sync"
threads = 1
workers = int(os.environ.get("LIUKE_WEB_WORKERS") or 2)
timeout = 60  # seconds one request may take
graceful_timeout = 30
max_requests = 2000  # then a worker is replaced, at a moment of its own
max_requests_jitter = 200
control_socket_disable = True  # it would be made in a home directory that the units do not show


def worker_exit(_server: Any, worker: Any) -> None:
    """Leave at once: taking a loaded application apart takes a second, and the last response is sent."""
    if worker.booted and worker.pid == os.getpid():
        os._exit(0)
