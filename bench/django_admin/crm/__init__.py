"""The product's tables as a Django application."""
