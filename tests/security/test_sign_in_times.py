"""With the real hash, names cannot be timed. Every night: a try costs a third of a second of processor time."""

from __future__ import annotations

import secrets
import time
from statistics import median

import pytest
from werkzeug.security import generate_password_hash

TRIES = 40
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
