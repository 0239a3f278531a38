"""`python -m tests.outside.sign_in ROLE LANGUAGE`: the cookie of a new session of an account with this role."""

from __future__ import annotations

import hashlib
import os
import sys

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import Role, User

from app import create_app
from app.extensions import db
from app.security import sessions
from app.security.models import RoleProfile


def main(code: str, language: str) -> None:
    """Print it. The demo's passwords would do as well; this needs no form."""
    app = create_app()
    with app.test_request_context():
        roles = sa.select(RoleProfile.role_id).where(RoleProfile.code == code)
        asked = sa.select(User.id).where(User.active, User.roles.any(Role.id.in_(roles))).order_by(User.id)
        token = sessions.start(
            db.session.execute(asked.limit(1)).scalar_one(), remember=False, ip="127.0.0.1", user_agent="scan"
        )
        kept = {
            "_user_id": token,
            "_fresh": True,
            "locale": language,
            "csrf_token": hashlib.sha1(os.urandom(64)).hexdigest(),
        }
        signed = app.session_interface.get_signing_serializer(app).dumps(kept)
        sys.stdout.write(f"{app.config['SESSION_COOKIE_NAME']}={signed}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
