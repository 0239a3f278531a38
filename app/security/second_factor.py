"""两步验证: codes of six digits that a phone makes (RFC 6238), and codes on paper for the day it is lost.

Everybody may switch it on for his own account. The secret is kept encrypted, the codes on paper only as hashes; no
code is good twice. Operations flush, the caller commits.
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from datetime import UTC, datetime
from typing import Any

import pyotp
import segno
import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import current_app
from flask_appbuilder.security.sqla.models import User
from pyotp.utils import strings_equal

from app.core.errors import BusinessError
from app.core.lifecycle import note_move
from app.core.sentences import gettext as _
from app.extensions import db
from app.security.models import RecoveryCode, SecondFactor
from app.security.passwords import generate_password

ISSUER = "Liuke"
DRIFT = 1  # steps of 30 seconds that the clock of a phone may be early or late
CODES = 10  # recovery codes


def is_on(user_id: int) -> bool:
    """Whether this account is asked for a code after its password."""
    found = sa.select(SecondFactor.user_id).where(SecondFactor.user_id == user_id, SecondFactor.since.is_not(None))
    return db.session.execute(found).first() is not None


def of(user_id: int) -> SecondFactor | None:
    """The account's second factor, also one that is only being set up."""
    return db.session.get(SecondFactor, user_id, populate_existing=True)


def codes_left(user_id: int) -> int:
    """How many recovery codes are still good."""
    left = sa.select(sa.func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return int(db.session.execute(left).scalar_one())


# -- switching it on and off --------------------------------------------------------------------------------------


def begin(user: User) -> None:
    """Make a secret for the person's phone; nothing is asked for until `switch_on`. Begun again, it is another one.

    Raises `BusinessError` when it is on already. Flushes.
    """
    row = of(user.id)
    if row is not None and row.since is not None:
        raise BusinessError(_("The second step is switched on already."))
    if row is None:
        row = SecondFactor(user_id=user.id, last_step=0)
        db.session.add(row)
    row.secret = _seal().encrypt(pyotp.random_base32().encode()).decode()
    db.session.flush()


def switch_on(user: User, code: str, *, at: datetime) -> list[str]:
    """Ask for a code from the next sign-in on, now that the phone makes the right ones. Returns the recovery codes.

    They are shown once and kept nowhere. Raises `BusinessError` for a wrong code, or without a secret to try. Flushes.
    """
    row = of(user.id)
    if row is None or row.since is not None:
        raise BusinessError(_("Begin again: scan the picture, then type the code."))
    if not _take(row, _tidy(code), at):
        raise BusinessError(_("This code is wrong or too old. Type the one your phone shows now."))
    row.since = at
    db.session.flush()
    note_move(user, "second_factor_on", actor=user)
    return _put_codes(user.id)


def renew_codes(user: User) -> list[str]:
    """Other recovery codes; those of before are worth nothing. Raises `BusinessError` when it is off. Flushes."""
    if not is_on(user.id):
        raise BusinessError(_("The second step is switched off."))
    note_move(user, "recovery_codes", actor=user)
    return _put_codes(user.id)


def switch_off(user: User, *, actor: User | None) -> bool:
    """Ask for the password alone again: by the person, or by an administrator for somebody who lost his phone.

    Returns whether it was on. Flushes.
    """
    row = of(user.id)
    if row is None:
        return False
    was_on = row.since is not None
    forget(row)
    if was_on:
        note_move(user, "second_factor_off", actor=actor)
    return was_on


def forget(row: SecondFactor) -> None:
    """Delete a phone's secret and its recovery codes. Flushes."""
    db.session.execute(sa.delete(RecoveryCode).where(RecoveryCode.user_id == row.user_id))
    db.session.delete(row)
    db.session.flush()


def _put_codes(user_id: int) -> list[str]:
    made = [generate_password(groups=3) for _code in range(CODES)]
    db.session.execute(sa.delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    db.session.add_all(RecoveryCode(user_id=user_id, code_hash=_hash(_tidy(code))) for code in made)
    db.session.flush()
    return made


# -- signing in ---------------------------------------------------------------------------------------------------


def accept(user_id: int, given: str, *, at: datetime) -> bool:
    """Whether this is a code of the person's phone or one of his recovery codes; it is used up. Flushes.

    Two requests with the same code: the database lets one of them have it.
    """
    row, code = of(user_id), _tidy(given)
    if row is None or row.since is None:
        return False
    if re.fullmatch(r"[0-9]{6}", code):
        return _take(row, code, at)
    return _changes_one(
        sa.update(RecoveryCode)
        .where(RecoveryCode.user_id == user_id, RecoveryCode.code_hash == _hash(code), RecoveryCode.used_at.is_(None))
        .values(used_at=at)
    )


def _take(row: SecondFactor, code: str, at: datetime) -> bool:
    secret = secret_of(row)
    if secret is None:
        return False
    codes = pyotp.TOTP(secret)
    now = codes.timecode(at.astimezone(UTC))
    for step in range(now - DRIFT, now + DRIFT + 1):
        if strings_equal(code, codes.generate_otp(step)):
            later = sa.update(SecondFactor).where(SecondFactor.user_id == row.user_id, SecondFactor.last_step < step)
            return _changes_one(later.values(last_step=step))
    return False


def _changes_one(statement: Any) -> bool:
    done: Any = db.session.execute(statement.execution_options(synchronize_session=False))
    return bool(done.rowcount == 1)


# -- what the phone gets ------------------------------------------------------------------------------------------


def secret_of(row: SecondFactor) -> str | None:
    """The secret in the clear; None when it was kept under another SECRET_KEY."""
    try:
        return _seal().decrypt(row.secret.encode()).decode()
    except InvalidToken:
        current_app.logger.warning("the second factor of account %s was kept under another key", row.user_id)
        return None


def picture(secret: str, account: str) -> str:
    """The QR code that a phone scans, as an address of the picture itself: nothing is stored, and the CSP allows it."""
    uri = pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=ISSUER)
    # Dark on light in both themes: many phones read no inverted code.
    return str(segno.make(uri, error="m").svg_data_uri(scale=5, border=4, dark="#000", light="#fff"))


def _seal() -> Fernet:
    """A key of its own made from the application's: what leaks of one says nothing of the other."""
    made = HKDF(SHA256(), 32, salt=None, info=b"liuke second factor").derive(str(current_app.secret_key).encode())
    return Fernet(base64.urlsafe_b64encode(made))


def _tidy(code: str) -> str:
    """A code as people type it: in groups, in full width, in capitals."""
    return re.sub(r"[\s\-‐–—]", "", unicodedata.normalize("NFKC", code or "").lower())[:100]


def _hash(code: str) -> str:
    """74 random bits need no slow hash."""
    return hashlib.sha256(code.encode()).hexdigest()
