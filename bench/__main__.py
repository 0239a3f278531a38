"""`python -m bench`: the product, a Django admin over the same tables, and the bare SQL, in one run."""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bench import reports
from bench.pages import Pages, Result
from bench.place import Place, machine


def main() -> int:
    """Load, measure, print. Returns the exit code."""
    given = arguments()
    place = Place(given.folder)
    try:
        results, lines = measure(place, given)
        text = report(place, given, results, lines)
    finally:
        place.close()
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")
    return 0


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--customers", type=int, default=200_000)
    parser.add_argument("--orders", type=int, default=2_000_000)
    parser.add_argument("--requests", type=int, default=50, help="of each page to each of the two (default 50)")
    parser.add_argument("--repeats", type=int, default=3, help="of sync and scan (default 3)")
    parser.add_argument("--clients", type=int, default=8, help="at once, for the throughput (default 8)")
    parser.add_argument("--folder", type=Path, help="keep the database here and use it again next time")
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="only lines that hold WORD")
    parser.add_argument("--out", type=Path, help="write the table to this file, too")
    given = parser.parse_args()
    if not 1 <= given.clients <= 32 or not 1 <= given.requests <= 1000:
        parser.error("clients are 1 to 32, requests 1 to 1000")
    return given


def say(text: str) -> None:
    """What happens now, for whoever waits."""
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def measure(place: Place, given: argparse.Namespace) -> tuple[list[Result], list[reports.Line]]:
    """Everything, in an order in which nothing disturbs what follows."""
    from bench import batch, data, ours, rival

    began = time.monotonic()
    data.load(place, customers=given.customers, orders=given.orders, say=say)
    say(f"Ready after {time.monotonic() - began:.0f} s.")
    rival.prepare()
    jobs = batch.Batch(place, repeats=given.repeats, say=say, only=given.only)
    first, week = batch.last_saturday(weeks=1), batch.last_saturday()
    if not jobs.warned():
        jobs.scan(as_of=first, name="churn scan, first run")
        ours.scan(first)  # this one stays: the lists have something to show
    jobs.scan(as_of=week, name="churn scan, a week later")
    data.more(place, say)
    with Pages(place, given.customers, given.requests, say, given.only) as pages:
        pages.measure()
        pages.throughput(clients=given.clients)
        lines = reports.measure(pages)
    jobs.sync()
    jobs.close()
    return [*pages.results, *jobs.results], lines


def report(place: Place, given: argparse.Namespace, results: list[Result], more: list[reports.Line]) -> str:
    """The table as Markdown."""
    load = os.getloadavg()
    lines = [
        f"# {given.customers:,} customers, {given.orders:,} orders, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "",
        *(f"- {line}" for line in machine(place)),
        f"- {given.requests} requests of each page in turn by one client, p50; gunicorn with 2 sync workers for both;"
        f" the median of {given.repeats} repeats of each job",
        f"- load of the machine at the end: {load[0]:.1f} (1 min), {load[2]:.1f} (15 min): read ratios, not times",
        "",
        "Pairs are ours / Django admin. CPU is the web process's, without the database's.",
        "",
    ]
    if results:
        lines += [
            "| operation | bare SQL ms | ours ms | Django admin ms | Django : ours | CPU ms | statements | KB |",
            "|---|--:|--:|--:|--:|--:|--:|--:|",
        ]
    for r in results:
        sql = f"{r.sql:.1f}" if r.unit == "ms" else ""
        unit = "" if r.unit == "ms" else f" {r.unit}"
        lines.append(
            f"| {r.name} | {sql} | {r.ours:,.1f}{unit} | {r.django:,.1f}{unit} | **{r.ratio:.1f}** |"
            f" {_pair(r.cpu)} | {_pair(r.statements)} | {_pair(r.kb)} |"
        )
    if more:
        lines += [*([""] if results else []), *reports.table(more)]
    return "\n".join([*lines, ""])


def _pair(both: tuple[object, object]) -> str:
    return " / ".join(str(one) for one in both) if both[0] != "" else ""


if __name__ == "__main__":
    sys.exit(main())
