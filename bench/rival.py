"""The rival's side: Django in this process, a signed-in browser, and how many statements a page takes."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from typing import Any


def prepare() -> None:
    """Start Django in this process and make its own tables (sessions, users, log) beside the product's."""
    os.environ.setdefault("BENCH_DJANGO_KEY", secrets.token_hex(32))
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def sign_in() -> dict[str, str]:
    """A new session of somebody at work, as on our side no superuser; the cookies a browser would send."""
    return {name: morsel.value for name, morsel in _client().cookies.items()}


def _client() -> Any:
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Group, Permission
    from django.test import Client

    users = get_user_model().objects
    user = users.filter(username="bench.lead").first()
    if user is None:
        user = users.create_user("bench.lead", "lead@example.com", secrets.token_hex(), is_staff=True)
        leads = Group.objects.create(name="sales lead")
        leads.permissions.set(Permission.objects.filter(content_type__app_label="crm"))
        user.groups.add(leads)
    client = Client()
    client.force_login(user)
    return client


def statements() -> Callable[[str], tuple[int, list[str]]]:
    """A function that opens an address in this process and tells the status and the SQL statements it took."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client = _client()

    def open_(address: str) -> tuple[int, list[str]]:
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(address)
        seen = [query["sql"] for query in captured.captured_queries]
        ends = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
        return answer.status_code, [sql for sql in seen if not sql.startswith(ends)]

    return open_
