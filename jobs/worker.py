"""The worker: `python -m jobs.worker`. Start as many as you like, on as many machines as you like.

It is `rq worker -S json --with-scheduler --worker-ttl 60 --maintenance-interval 30 --job-monitoring-interval 10`
with our application built once before the first job (each job runs in a fork of it), with signs of life for the
health page, and with patience: without Redis it waits instead of ending.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from sqlalchemy.exc import DBAPIError

from app.core.clock import utcnow
from app.core.redis import QUEUE, JsonJob, JsonQueue
from app.core.unit import unit_of_work
from app.extensions import db
from app.runs.operations import beat
from jobs.context import app_context, job_context, leave, speak, the_app
from jobs.supervisor import die_with_parent

log = logging.getLogger("jobs")

WORKER_TTL = 60  # seconds; an idle worker looks around every 45 of them, so a killed one's job is back in about 100
MAINTENANCE = 30
MONITORING = 10
BEAT = 20  # seconds between two signs of life at least
PATIENCE = 5  # seconds before a worker without Redis tries again


class LiukeWorker(Worker):
    """RQ's worker with signs of life."""

    job_class = JsonJob
    queue_class = JsonQueue
    last_beat = 0.0

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Tell Redis, and now and then the database, that this worker lives."""
        super().heartbeat(timeout, pipeline)
        if not self.is_horse and time.monotonic() - self.last_beat >= BEAT:
            self.last_beat = time.monotonic()
            sign_of_life()

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """In the fork: die with the worker, so that no orphan runs beside the job's next attempt."""
        die_with_parent(force=True)
        with app_context():
            db.engine.dispose(close=False)  # the worker's connections are not ours
        super().main_work_horse(job, queue)

    @property
    def was_stopped(self) -> bool:
        """Whether somebody asked it to end."""
        return self._shutdown_requested_date is not None


def sign_of_life() -> None:
    """Tell the health page that a worker runs; holds no connection afterwards. Commits."""
    try:
        with job_context():
            with unit_of_work():
                beat("worker", utcnow())
            db.session.remove()
            db.engine.dispose()
    except DBAPIError as away:
        log.warning("no sign of life written: %s", str(away).splitlines()[0])


def main() -> int:
    """Work until told to stop. Without Redis it waits and tries again."""
    speak()
    url = the_app().config["REDIS_URL"]
    try:
        while not work(url):
            time.sleep(PATIENCE)
    except StopRequested:
        pass  # told while it waited
    log.info("stopped")
    return 0


def work(url: str) -> bool:
    """Work until told to stop (true) or until Redis goes away for long (false)."""
    worker = None
    try:
        worker = LiukeWorker(
            [QUEUE],
            connection=Redis.from_url(url),
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL,
            maintenance_interval=MAINTENANCE,
            job_monitoring_interval=MONITORING,
        )
        log.info("working")
        worker.work(with_scheduler=True, logging_level="WARNING")
    except RedisError as away:
        log.warning("%s; trying again in %d s", str(away).splitlines()[0], PATIENCE)
    return worker is not None and worker.was_stopped


if __name__ == "__main__":
    leave(main())
