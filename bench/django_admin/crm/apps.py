"""The application's name in Django."""

from django.apps import AppConfig


class CrmConfig(AppConfig):
    """The product's tables."""

    name = "bench.django_admin.crm"
    label = "crm"
