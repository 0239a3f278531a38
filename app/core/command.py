"""What the commands say: in the company's language, refusals and their prefix too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click
from flask_babel import gettext as _

from app.core.errors import BusinessError


class Refused(click.ClickException):
    """The end of a command that did not do what it was asked to."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.line = _("Error: %(reason)s", reason=reason)  # now: when it is shown no language is known any more

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it as the framework does, but in one language."""
        click.echo(self.line, file=file, err=True)


class Mistyped(Refused):
    """A command that was called with a value that is none; its exit code is the framework's for that."""

    exit_code = 2


@contextmanager
def refusals_as_messages() -> Iterator[None]:
    """A rule that says no ends the command with its sentence, not with a traceback."""
    try:
        yield
    except BusinessError as refusal:
        raise Refused(str(refusal)) from refusal
