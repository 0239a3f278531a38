"""Accounts beyond FAB's: profiles, teams, sign-in sessions, roles' public face, and who signed in when."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import Role, User
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Mapped, backref, mapped_column, relationship

from app.core.choices import Choice
from app.core.clock import utcnow
from app.core.language import chinese
from app.core.models import Stamped, partial_index, row_key, user_fk
from app.core.types import UtcDateTime


class Team(Stamped, Model):
    """团队: one level of teams; a user is in at most one."""

    __tablename__ = "team"
    __table_args__ = (
        sa.UniqueConstraint("name", name="uq_team_name"),
        sa.CheckConstraint("parent_id IS NULL OR parent_id <> id", name="not_its_own_parent"),
    )

    id: Mapped[int] = row_key()
    name: Mapped[str] = mapped_column(sa.String(60), comment="what the company calls it")
    lead_id: Mapped[int | None] = user_fk("who leads the team", index=True)
    parent_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("team.id", ondelete="RESTRICT"), index=True, comment="the team it belongs to; null: none"
    )

    lead: Mapped[User | None] = relationship(User, foreign_keys=[lead_id])
    parent: Mapped[Team | None] = relationship(remote_side=[id])

    def __repr__(self) -> str:
        return self.name


class UserProfile(Model):
    """What a person sets or is given beside FAB's account: phone, team, language, theme."""

    history_as: ClassVar[str] = "ab_user"

    __tablename__ = "user_profile"
    __table_args__ = (
        sa.CheckConstraint("language IN ('zh', 'en')", name="language_known"),
        sa.CheckConstraint("theme IN ('light', 'dark')", name="theme_known"),
    )

    user_id: Mapped[int] = user_fk("whose profile", primary_key=True)
    phone: Mapped[str | None] = mapped_column(
        sa.String(50), comment="where colleagues reach the person, as typed", info={"phone": True}
    )
    team_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("team.id", ondelete="RESTRICT"), index=True, comment="null: in no team"
    )
    language: Mapped[str | None] = mapped_column(sa.String(2), comment="null: the company's default")
    theme: Mapped[str | None] = mapped_column(sa.String(5), comment="null: light")
    password_due: Mapped[bool] = mapped_column(
        default=False, comment="somebody else chose the password: it is changed before anything else"
    )

    user: Mapped[User] = relationship(
        User, foreign_keys=[user_id], backref=backref("profile", uselist=False, passive_deletes="all")
    )
    team: Mapped[Team | None] = relationship()


class RoleProfile(Model):
    """角色: the readable face of a FAB role; a code marks the seeded five whatever they are renamed to."""

    history_as: ClassVar[str] = "ab_role"

    __tablename__ = "role_profile"
    __table_args__ = (sa.UniqueConstraint("code", name="uq_role_profile_code"),)

    role_id: Mapped[int] = mapped_column(
        sa.ForeignKey("ab_role.id", ondelete="RESTRICT"), primary_key=True, comment="the role whose face this is"
    )
    code: Mapped[str | None] = mapped_column(sa.String(40), comment="stable, for the seeded five; else null")
    active: Mapped[bool] = mapped_column(default=True, comment="an inactive role grants nothing")
    label_zh: Mapped[str] = mapped_column(sa.String(64), comment="as Chinese readers see it")
    label_en: Mapped[str] = mapped_column(sa.String(64), comment="as English readers see it")

    role: Mapped[Role] = relationship(Role, backref=backref("profile", uselist=False, passive_deletes="all"))

    @property
    def label(self) -> str:
        """The role's name in the reader's language."""
        return self.label_zh if chinese() else self.label_en


def role_label(role: Role) -> str:
    """What people read for a role: its label; FAB's name for a role that never got one."""
    profile = role.profile
    return profile.label if profile is not None else role.name


# FAB prints the name; one assignment gives every list, choice and message the label.
Role.__str__ = role_label


class GrantOffer(Model):
    """A right that was once offered to a seeded role; what an administrator took away is not offered again."""

    without_history: ClassVar[str] = "remembers what was offered"

    __tablename__ = "grant_offer"

    role_code: Mapped[str] = mapped_column(
        sa.String(40), primary_key=True, comment="code of the seeded role it was offered to"
    )
    view: Mapped[str] = mapped_column(sa.String(100), primary_key=True, comment="the screen the right is on")
    permission: Mapped[str] = mapped_column(
        sa.String(100), primary_key=True, comment="the right itself: can_list, can_assign"
    )
    offered_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")


class UserSession(Model):
    """One sign-in. The browser holds a random token; here is only its hash."""

    without_history: ClassVar[str] = "is a sign-in, not a record"

    __tablename__ = "user_session"
    __table_args__ = (
        sa.UniqueConstraint("token_hash", name="uq_user_session_token_hash"),
        partial_index("uq_user_session_live", "user_id", where="ended_at IS NULL"),
        sa.Index("ix_user_session_user", "user_id", "id"),
    )

    id: Mapped[int] = row_key()
    token_hash: Mapped[str] = mapped_column(sa.String(64), comment="SHA-256 of the token")
    user_id: Mapped[int] = user_fk("who signed in", nullable=False)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC, to the minute")
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, comment="UTC, absolute")
    auth_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC; password last typed")
    idle_seconds: Mapped[int] = mapped_column(comment="longest pause between two requests")
    remember: Mapped[bool] = mapped_column(default=False, comment="signed in with 自动登录")
    ip: Mapped[str | None] = mapped_column(sa.String(45), comment="address of the sign-in; null: unknown or erased")
    user_agent: Mapped[str | None] = mapped_column(
        sa.String(300), comment="what the browser says it is, cut; null: nothing, or erased"
    )
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC")
    end_reason: Mapped[str | None] = mapped_column(sa.String(20), comment="superseded, logout, password ...")
    kept_at: Mapped[str | None] = mapped_column(sa.String(500), comment="address of the form's page")
    kept: Mapped[dict[str, Any] | None] = mapped_column(
        sa.JSON(none_as_null=True), deferred=True, comment="its fields, without secrets"
    )

    user: Mapped[User] = relationship(User, foreign_keys=[user_id])


class LoginResult(Choice):
    """How an attempt to sign in ended."""

    success = "success", _l("Signed in"), "ok"
    wrong = "wrong", _l("Wrong name or password"), "bad"
    code = "code", _l("Wrong code of the second step"), "bad"
    disabled = "disabled", _l("Account disabled"), "warn"
    no_role = "no_role", _l("No active role"), "warn"
    busy = "busy", _l("Already signed in elsewhere"), "warn"
    confirmed = "confirmed", _l("Password typed again"), "mute"
    link = "link", _l("Link for a new password asked for"), "warn"
    reset = "reset", _l("New password by link"), "ok"
    logout = "logout", _l("Signed out"), "mute"


class LoginEntry(Model):
    """登录日志: account, when, from where, with what result. Append-only."""

    without_history: ClassVar[str] = "is itself a history"

    __tablename__ = "login_entry"
    __table_args__ = (LoginResult.check("result"), sa.Index("ix_login_entry_at", "at", "id"))

    id: Mapped[int] = row_key()
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")
    account: Mapped[str] = mapped_column(sa.String(128), comment="as typed")
    user_id: Mapped[int | None] = user_fk("whose account it is, if any", index=True)
    ip: Mapped[str | None] = mapped_column(sa.String(45), comment="address it came from; null: unknown or erased")
    erased: Mapped[bool] = mapped_column(default=False, server_default=sa.false(), comment="account and ip were erased")
    result: Mapped[LoginResult] = mapped_column(LoginResult.column_type(), comment="how it ended")

    user: Mapped[User | None] = relationship(User, foreign_keys=[user_id])


class Purpose(Choice):
    """What a token that is good once opens."""

    reset = "reset", _l("A new password"), "mute"
    code = "code", _l("The second step of signing in"), "mute"


class OneTimeToken(Model):
    """Something that opens once and not for long: a link for a new password, the second step of signing in.

    The mail or the browser holds the token; here is only its hash. What an unknown account asked for is a row without
    a person, so that asking costs the same.
    """

    without_history: ClassVar[str] = "is a key, not a record"

    __tablename__ = "one_time_token"
    __table_args__ = (
        Purpose.check("purpose"),
        sa.UniqueConstraint("token_hash", name="uq_one_time_token_token_hash"),
        sa.Index("ix_one_time_token_user", "user_id", "purpose", "made_at"),
    )

    id: Mapped[int] = row_key()
    purpose: Mapped[Purpose] = mapped_column(Purpose.column_type(), comment="what it opens")
    user_id: Mapped[int | None] = user_fk("for whom it opens; null: unknown account, or asked too often")
    token_hash: Mapped[str | None] = mapped_column(sa.String(64), comment="SHA-256; null until the mail is made")
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, comment="UTC")
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC; used, or void")


class SecondFactor(Model):
    """两步验证: the secret that a person's phone makes codes from."""

    without_history: ClassVar[str] = "is a key, not a record"

    __tablename__ = "second_factor"

    user_id: Mapped[int] = user_fk("whose phone", primary_key=True)
    secret: Mapped[str] = mapped_column(sa.String(300), comment="encrypted with a key made from SECRET_KEY")
    since: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC; null: being set up, not asked for yet")
    last_step: Mapped[int] = mapped_column(
        sa.BigInteger, default=0, comment="half minutes since 1970 of the last code taken: no code is good twice"
    )


class RecoveryCode(Model):
    """A code for the day the phone is lost; good once."""

    without_history: ClassVar[str] = "is a key, not a record"

    __tablename__ = "recovery_code"
    __table_args__ = (sa.UniqueConstraint("user_id", "code_hash", name="uq_recovery_code_user"),)

    id: Mapped[int] = row_key()
    user_id: Mapped[int] = mapped_column(
        sa.ForeignKey("second_factor.user_id", ondelete="CASCADE"), comment="whose second step it stands in for"
    )
    code_hash: Mapped[str] = mapped_column(sa.String(64), comment="SHA-256")
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC")
