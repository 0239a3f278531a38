"""What the conformance tests look at: source files, screens, steps, routes."""

from __future__ import annotations

import ast
import inspect
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flask import Flask

from app import DOMAINS
from app.core.lifecycle import Step
from app.core.views import CrmView
from tests.world import ROOT

PAGES_FOR_ALL = {
    "static": "the style sheet is needed to sign in",
    "appbuilder.static": "the framework's files",
    "CrmAuthView.login": "the way in",
    "CrmAuthView.code": "the second step of the way in, for who typed his password",
    "CrmAuthView.forgotten": "asks for a link by mail",
    "CrmAuthView.by_link": "opens with a mailed token only",
    "CrmAuthView.logout": "the way out",
    "HomeView.index": "leads to the first page the reader may open, or to the login",
    "calendar_feed": "calendars cannot sign in: the address is the secret",
    "healthz": "says that the parts work, without a name or a number",
}
"""Endpoints that need no right, with the reason."""

SIGNED_IN_IS_ENOUGH = ("Preferences", "Profile", "Password", "Me", "Notices")
"""Views (by the beginning of their name) that show or change nothing but the reader's own account."""


@cache
def source(folder: str) -> dict[Path, ast.Module]:
    """The parsed Python files below a folder of the project, by path."""
    return {
        path.relative_to(ROOT): ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


def screens(app: Flask) -> list[CrmView]:
    """Every registered generated screen."""
    return [view for view in app.appbuilder.baseviews if isinstance(view, CrmView)]


def optional_module(name: str) -> Any:
    """The module, None where a domain has no such file."""
    return import_module(name) if find_spec(name) else None


@dataclass(frozen=True)
class Arrow:
    """One step, with the model it moves (its first argument)."""

    domain: str
    step: Step
    model: type

    def __str__(self) -> str:
        return f"{self.domain}.{self.step.name}"


@cache
def arrows() -> tuple[Arrow, ...]:
    """Every step of every domain's operations."""
    found = []
    for domain in DOMAINS:
        operations = optional_module(f"app.{domain}.operations")
        for step in {id(s): s for s in vars(operations).values() if isinstance(s, Step)}.values() if operations else ():
            record = next(iter(inspect.signature(step.work).parameters))
            hint = typing.get_type_hints(step.work)[record]
            found += [Arrow(domain, step, model) for model in typing.get_args(hint) or (hint,)]
    return tuple(found)


def declared_steps() -> set[int]:
    """The ids of the steps that some list of an operations module (STEPS, ..._STEPS) offers to people."""
    return {
        id(step)
        for domain in DOMAINS
        if (operations := optional_module(f"app.{domain}.operations"))
        for name, steps in vars(operations).items()
        if name.endswith("STEPS")
        for step in steps
    }


@dataclass(frozen=True)
class Route:
    """One address: how it is asked for and which right it needs."""

    url: str
    methods: tuple[str, ...]
    endpoint: str
    view: Any
    right: tuple[str, str] | None

    @property
    def name(self) -> str:
        """permission on view, as the ledger writes it."""
        return f"{self.right[0]} on {self.right[1]}" if self.right else "-"


def routes(app: Flask) -> list[Route]:
    """Every address the application answers, in a stable order."""
    views = {view.endpoint: view for view in app.appbuilder.baseviews}
    found = []
    for rule in app.url_map.iter_rules():
        view_name, _, method = rule.endpoint.partition(".")
        view = views.get(view_name)
        right = right_of(view, method) if view is not None else None
        methods = tuple(sorted(rule.methods - {"HEAD", "OPTIONS"}))
        found.append(Route(str(rule), methods, rule.endpoint, view, right))
    return sorted(found, key=lambda route: (route.url, route.methods, route.endpoint))


def right_of(view: Any, method: str) -> tuple[str, str] | None:
    """The (permission, view) that FAB's `has_access` asks for before this method; None if nothing asks."""
    function: Any = getattr(view, method, None)
    if not any("security/decorators" in f.__code__.co_filename.replace("\\", "/") for f in wrapped(function)):
        return None
    return f"can_{view.get_method_permission(method)}", view.class_permission_name


def wrapped(function: Any) -> Iterator[Any]:
    """The function of a method and everything it is wrapped around."""
    function = getattr(function, "__func__", function)
    while function is not None:
        yield function
        function = getattr(function, "__wrapped__", None)


def is_public(route: Route) -> bool:
    """Whether the address is on the short list of those that need no right."""
    if route.endpoint in PAGES_FOR_ALL:
        return True
    return route.endpoint.startswith(SIGNED_IN_IS_ENOUGH)
