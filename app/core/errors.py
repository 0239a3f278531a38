"""Refusals a person reads: whole translated sentences that tell what to do."""

from __future__ import annotations


class BusinessError(Exception):
    """A rule said no. The text is a whole sentence in the reader's language."""


class StepRefused(BusinessError):  # noqa: N818 - a refusal, not an error
    """The record is not in a state from which this step may be taken."""


class NotYours(BusinessError):  # noqa: N818
    """The step exists and you hold its right, but this record is somebody else's."""


class NotFound(BusinessError):  # noqa: N818
    """No such record in the reader's scope; says nothing about whether it exists."""
