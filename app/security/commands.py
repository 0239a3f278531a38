"""`crm user`: accounts from the command line, for the first day and for the day nobody can sign in."""

from __future__ import annotations

import click
import sqlalchemy as sa
from flask.cli import AppGroup
from flask_appbuilder.security.sqla.models import Role, User
from flask_babel import gettext as _
from sqlalchemy.orm import selectinload

from app.core.command import refusals_as_messages
from app.core.unit import only_reading, unit_of_work
from app.extensions import db
from app.security import operations, people
from app.security.models import RoleProfile
from app.security.passwords import generate_password
from app.security.roles import ROLES

users = AppGroup(
    "user",
    help="""Make accounts, give new passwords, list and disable accounts.

\b
The first administrator:  crm user add admin --family Zhou --given Yi --role super_admin
Somebody forgot:          crm user password wang
Somebody left:            crm user disable wang
Phone and codes lost:     crm user second-step-off wang
""",
)


def tell(password: str) -> None:
    """Print a password that nobody chose."""
    click.echo(_("The password, shown only now: %(password)s", password=password))


def ask_password(generate: bool) -> str:
    """A password typed twice, or one that nobody chose."""
    if generate:
        return generate_password()
    password: str = click.prompt(
        _("Password (at least 10 characters)"), hide_input=True, confirmation_prompt=_("The same again")
    )
    return password


@users.command("add")
@click.argument("account")
@click.option("--family", required=True, help="Family name.")
@click.option("--given", required=True, help="Given name.")
@click.option("--email", help="E-mail address; without one the account gets an address that goes nowhere.")
@click.option(
    "--role", "roles", multiple=True, required=True,
    help=f"Code of a seeded role: {', '.join(role.code for role in ROLES)}. Repeat it for several roles.",
)  # fmt: skip
@click.option("--generate", is_flag=True, help="Make a password and print it once, instead of asking for one.")
def add(account: str, family: str, given: str, email: str | None, roles: tuple[str, ...], generate: bool) -> None:
    """Make an account that may sign in.

    \b
    crm user add wang --family 王 --given 强 --role account_manager --generate
    """
    with refusals_as_messages(), only_reading():  # whoever types a password may take his time
        people.check_new(account, email=email, roles=roles)
    password = ask_password(generate)
    with refusals_as_messages(), unit_of_work():
        user = people.create_user(
            account, last_name=family, first_name=given, email=email, roles=roles, password=password
        )
        name = user.username
    click.echo(_("%(name)s may sign in now, and chooses a password of their own then.", name=name))
    if generate:
        tell(password)


@users.command("password")
@click.argument("account")
@click.option("--generate", is_flag=True, help="Make a password and print it once, instead of asking for one.")
def password(account: str, generate: bool) -> None:
    """Give an account a new password. Every session of it ends at once.

    \b
    crm user password wang --generate
    """
    with refusals_as_messages(), only_reading():
        people.find_user(account)
    new = ask_password(generate)
    with refusals_as_messages(), unit_of_work():
        operations.reset_password(people.find_user(account), new, actor=None)
    click.echo(_("%(name)s has a new password; every session of the account has ended.", name=account))
    click.echo(_("At the next sign-in it is changed for one of their own."))
    if generate:
        tell(new)


@users.command("list")
def list_users() -> None:
    """List the accounts: name, roles by code (a role of your own by its English name), active or disabled."""
    found = sa.select(User).options(selectinload(User.roles).joinedload(Role.profile)).order_by(User.username)
    for user in db.session.execute(found).scalars():
        roles = ", ".join(_code(role) for role in user.roles) or _("no role")
        state = _("active") if user.active else _("disabled")
        click.echo(f"{user.username:<20} {state:<9} {roles:<30} {user.get_full_name()}")


def _code(role: Role) -> str:
    profile: RoleProfile | None = role.profile
    return (profile.code or profile.label_en) if profile is not None else role.name


@users.command("disable")
@click.argument("account")
def disable(account: str) -> None:
    """Shut an account: it cannot sign in, and its sessions end at once. Nothing of its work is deleted.

    \b
    crm user disable wang
    """
    with refusals_as_messages(), unit_of_work():
        operations.disable(people.find_user(account), actor=None)
    click.echo(_("%(name)s is disabled; every session of the account has ended.", name=account))


@users.command("second-step-off")
@click.argument("account")
def second_step_off(account: str) -> None:
    """Let somebody who lost his phone and his recovery codes sign in with the password alone.

    \b
    crm user second-step-off wang
    """
    with refusals_as_messages(), unit_of_work():
        operations.reset_second_factor(people.find_user(account), actor=None)
    click.echo(_("%(name)s signs in with the password alone.", name=account))


def register(crm: AppGroup) -> None:
    """Add the group to `crm`."""
    crm.add_command(users)
