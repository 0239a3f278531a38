"""How fast the product is, beside a Django admin over the same tables and the bare SQL: `python -m bench`."""
