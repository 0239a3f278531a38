"""Sentences of Flask-AppBuilder that its own Chinese catalogue lacks, so that ours has them. Never imported.

tests/conformance/test_translations.py names what an upgrade of Flask-AppBuilder adds.
"""

from flask_babel import gettext as _

SENTENCES = (
    _("Add"),
    _("Add Group"),
    _("Are you sure you want to delete this item?"),
    _("Contains (insensitive)"),
    _("Database Error"),
    _("Delete"),
    _("Edit"),
    _("Edit Group"),
    _("Edit User Information"),
    _("Either select a role or a group"),
    _("Groups"),
    _("In"),
    _("It's not a good policy to remove a user, just make it inactive"),
    _("List Groups"),
    _(
        "Must have at least two capital letters, one special character, two digits, three lower case letters"
        " and a minimal length of 10."
    ),
    _("Not In"),
    _("Not a valid choice"),
    _("Show"),
    _("Show Group"),
    _("Sign In with "),
    _("Start with"),
    _("The user's password for authentication"),
    _("User information changed"),
    _("User(s) exists in the group, cannot delete"),
    _("User(s) exists in the role, cannot delete"),
)
