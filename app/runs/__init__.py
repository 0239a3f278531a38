from typing import Any


def register(appbuilder: Any) -> None:
    """Nothing to show yet."""
