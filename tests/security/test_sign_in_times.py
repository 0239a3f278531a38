"""Names cannot be timed: neither by signing in, with the real hash (a third of a second of processor time a try, so
every night), nor by asking for a link."""

from __future__ import annotations

import random
import secrets
import time
from statistics import median, quantiles

import pytest
from werkzeug.security import generate_password_hash

from app.notices.models import Delivery
from app.security import once
from app.security.models import OneTimeToken
from tests.support import rows

TRIES = 40
ASKED = 100  # times per name; a request for a link takes milliseconds, so there are more of them
REAL = "scrypt:32768:8:3"  # config.py's default; the other tests use a cheap one


@pytest.mark.nightly
@pytest.mark.once
def test_known_unknown_and_disabled_accounts_take_the_same_time(app, db, client, wang, zhao):
    app.config["FAB_PASSWORD_HASH_METHOD"] = REAL
    app.config["AUTH_DB_FAKE_PASSWORD_HASH_CHECK"] = generate_password_hash(secrets.token_hex(16), method=REAL)
    app.config["LIUKE_LOGIN_LIMIT"] = app.config["LIUKE_LOGIN_LIMIT_PER_ADDRESS"] = "1000 per minute"
    for person in (wang, zhao):
        person.password = generate_password_hash("three blue umbrellas", method=REAL)
    zhao.active = False
    db.session.commit()
    took: dict[str, list[float]] = {"wang": [], "zhao": [], "gnaw": []}

    for _try in range(TRIES):
        for name, times in took.items():  # in turn, so that whatever else the machine does hits all alike
            began = time.process_time()
            answer = client.login_page(name, "wrong password")
            times.append(time.process_time() - began)
            assert answer.status_code == 422

    medians = {name: median(times) for name, times in took.items()}
    assert min(medians.values()) > 0.05, "this was not the real hash"
    assert max(medians.values()) / min(medians.values()) < 1.3, medians


@pytest.mark.nightly
def test_asking_for_a_link_takes_the_same_time_for_known_unknown_and_disabled_accounts(
    app, db, client, wang, zhao, monkeypatch
):
    """By the clock on the wall, for some of this time is the database's; and whoever is known gets a mail each time."""
    app.config["LIUKE_LINK_LIMIT"] = app.config["LIUKE_LOGIN_LIMIT_PER_ADDRESS"] = "10000 per minute"
    monkeypatch.setattr(once, "LINKS_AN_HOUR", 10_000)
    zhao.active = False
    db.session.commit()
    sent, order = {"csrf_token": client.csrf_token()}, random.Random(5)

    def fastest() -> dict[str, float]:
        """What else the machine does makes some slower and none faster: the fastest tenth tells names apart first."""
        took: dict[str, list[float]] = {"wang": [], wang.email: [], "zhao": [], "gnaw": []}
        for _try in range(ASKED):
            for name in order.sample(list(took), len(took)):
                began = time.perf_counter()
                answer = client.post("/login/forgotten", {**sent, "username": name})
                took[name].append(time.perf_counter() - began)
                assert answer.location == "/login/"
                with client.session() as kept:
                    kept.pop("_flashes")  # else the cookie grows with every answer
        return {name: quantiles(times, n=10)[0] for name, times in took.items()}

    told = []
    while len(told) < 3 and (not told or max(told[-1].values()) / min(told[-1].values()) >= 1.2):
        told.append(fastest())  # again when it differs: a name that can be timed differs every time
    assert len(rows(OneTimeToken)) == len(told) * 4 * ASKED
    assert len(rows(Delivery)) == len(told) * 2 * ASKED
    assert max(told[-1].values()) / min(told[-1].values()) < 1.2, told
