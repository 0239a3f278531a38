"""customer search on PostgreSQL: an index over the two-character slices of the search key

Two Chinese characters are a usual query; a trigram index cannot answer it. No extension is needed.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade():
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(
        """
        CREATE FUNCTION liuke_slices(t text) RETURNS text[]
        LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
        AS $$ SELECT coalesce(array_agg(DISTINCT substr(t, i, 2)), '{}') FROM generate_series(1, length(t) - 1) i $$
        """
    )
    op.execute("CREATE INDEX ix_customer_search_slices ON customer USING gin (liuke_slices(search_key))")


def downgrade():
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("DROP INDEX ix_customer_search_slices")
    op.execute("DROP FUNCTION liuke_slices(text)")
