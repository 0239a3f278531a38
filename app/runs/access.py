"""Whose runs: the right on the screen decides, there are no narrower rows."""

from app.core.scope import scope_for
from app.runs.models import JobRun

AllRuns = scope_for(JobRun)
