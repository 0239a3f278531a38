"""The extensions, bound to an application in create_app(); nothing else."""

from flask_appbuilder import Model
from flask_appbuilder.models.sqla.base import SQLA
from flask_migrate import Migrate
from flask_wtf.csrf import CSRFProtect

# FAB's metadata: with an empty one of its own, Flask-Migrate would drop every FAB table.
# Objects stay readable after a commit: a page is rendered from what was just written.
db = SQLA(metadata=Model.metadata, session_options={"expire_on_commit": False})
migrate = Migrate(compare_type=True, render_as_batch=True)
csrf = CSRFProtect()
