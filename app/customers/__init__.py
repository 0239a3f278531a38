"""客户: customers, contacts, interactions."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

from app.core import bulk, nav, recycle
from app.core.history import tell


def register(appbuilder: Any) -> None:
    """Add this domain's screens, choices and words."""
    from app.attachments.owners import attachable
    from app.core.choosing import CHOICES
    from app.customers import personal
    from app.customers.access import also_deleted, contacts_to_choose, customers_to_choose, was_editable
    from app.customers.models import Contact, Customer, CustomerEstimate, CustomerStats, Interaction
    from app.customers.operations import bring_back
    from app.customers.views import ContactView, CustomerView, InteractionView

    CHOICES["customer"] = customers_to_choose
    CHOICES["contact"] = contacts_to_choose
    nav.add(appbuilder, CustomerView, group="customers", icon="building", label=_l("Customers"))
    nav.add(appbuilder, ContactView, group="customers", icon="address-book", label=_l("Contacts"))
    nav.add(appbuilder, InteractionView, group="customers", icon="messages", label=_l("Interactions"))
    recycle.KINDS["customer"] = recycle.Kind(_l("Customer"), Customer, ("can_delete", "Customer"), also_deleted)
    recycle.KINDS["contact"] = recycle.Kind(
        _l("Contact"), Contact, ("can_delete", "Contact"),
        lambda: was_editable("Contact", Contact.customer_id), after=bring_back,
    )  # fmt: skip
    recycle.KINDS["interaction"] = recycle.Kind(
        _l("Interaction"), Interaction, ("can_delete", "Interaction"),
        lambda: was_editable("Interaction", Interaction.customer_id),
    )  # fmt: skip
    for model in (Contact, Interaction, CustomerStats, CustomerEstimate):
        recycle.hangs(model, "customer", model.customer_id)
    personal.install()
    bulk.KINDS["customer", "assign"] = bulk.Kind(_l("Assign owner"), "can_assign", "Customer", owner="owner_id")
    attachable("customer")
    attachable("interaction")
    tell("contact", "erase", _l("erased the personal data"), "trash", attempt=_l("Erase personal data"))
    tell("contact", "export_personal", _l("exported the personal data"), "download", attempt=_l("Export"))
    tell("customer", "sync", _l("took it from the sales system"), "refresh")
    tell("customer", "assign", _l("assigned the owner"), "user-share")
