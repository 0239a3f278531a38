"""Every report: each figure is its rows, shares add up, a file holds what the page shows, and who may see what."""

from __future__ import annotations
