"""Whose messages: the log shows all of them to whoever may open it, without what they say."""

from app.core.scope import scope_for
from app.notices.models import Delivery

AllDeliveries = scope_for(Delivery)
