"""Refusals a person reads: whole translated sentences that tell what to do."""

from __future__ import annotations


class BusinessError(Exception):
    """A rule said no. The text is a whole sentence in the reader's language."""


class StepRefused(BusinessError):
    """The record is not in a state from which this step may be taken."""


class NotYours(BusinessError):
    """The step exists and you hold its right, but this record is somebody else's."""


class NotFound(BusinessError):
    """No such record in the reader's scope; says nothing about whether it exists."""
