"""Redis, where jobs queue. What must not be forgotten is in the database: Redis may be away or be emptied.

Jobs are JSON: whoever can write to Redis must not be able to run code of his own here (pickle would let him).
"""

from __future__ import annotations

import re
from typing import Any

from flask import current_app
from redis import Redis
from rq import Queue, Retry
from rq.job import Job
from rq.serializers import JSONSerializer

QUEUE = "default"
TIMEOUT = 3600  # seconds a job may run
KEEP_DONE = 86_400  # seconds a finished job stays in Redis; the ledger keeps it for good
KEEP_FAILED = 7 * 86_400
RETRIES = [60, 300, 900, 3600, 3600]  # seconds between attempts; the ledger makes a repeated one harmless


class JsonJob(Job):
    """A job whose arguments and result are JSON, whatever the caller forgets to say."""

    def __init__(self, id: str | None = None, connection: Redis | None = None, serializer: Any = None) -> None:
        super().__init__(id, connection, serializer or JSONSerializer)


class JsonQueue(Queue):
    """A queue of `JsonJob`s."""

    job_class = JsonJob

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["serializer"] = kwargs.get("serializer") or JSONSerializer
        super().__init__(*args, **kwargs)


def connect(*, patience: float = 5.0) -> Redis:
    """A connection to the configured Redis; it gives up after `patience` seconds instead of hanging a page."""
    return Redis.from_url(
        current_app.config["REDIS_URL"],
        socket_connect_timeout=patience,
        socket_timeout=patience,
        health_check_interval=30,
    )


def job_id(*parts: str) -> str:
    """An id made of these parts that RQ accepts: letters, digits, _ and -."""
    return re.sub(r"[^A-Za-z0-9_-]", "", "-".join(parts))


def enqueue(connection: Redis, path: str, *, id: str, **given: Any) -> bool:
    """Queue the function at `path` with JSON arguments; False if it already waits under this id.

    Queued twice it would be harmless (the ledger decides), but without a worker the queue must not grow.
    Raises `redis.exceptions.RedisError` when Redis is away.
    """
    queue = JsonQueue(QUEUE, connection=connection)
    if queue.get_job_position(id) is not None:
        return False
    queue.enqueue(
        path,
        kwargs=given,
        job_id=id,
        job_timeout=TIMEOUT,
        result_ttl=KEEP_DONE,
        failure_ttl=KEEP_FAILED,
        retry=Retry(max=len(RETRIES), interval=RETRIES),
    )
    return True
