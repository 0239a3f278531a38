"""Column types that migrations name; a migration never imports the models."""

import sqlalchemy as sa


def money() -> sa.types.TypeEngine:
    """NUMERIC(14,2); integer cents on SQLite, whose NUMERIC is a float."""
    return sa.Numeric(14, 2).with_variant(sa.BigInteger(), "sqlite")
