"""The same looks at history and rows as the tests of opportunities have."""

from tests.sales.conftest import moves, picture, refusals

__all__ = ["moves", "picture", "refusals"]
