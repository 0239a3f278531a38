"""Files on the page of a record: a part that a screen is mixed with, as with the steps it takes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from flask import Response, abort, current_app, flash, g, redirect, render_template, request, send_file, url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy.exc import IntegrityError
from werkzeug.datastructures import FileStorage

from app.attachments import kinds, operations, storage
from app.attachments.models import Attachment
from app.attachments.names import clean_name
from app.attachments.queries import file_of, files_of
from app.core.errors import BusinessError
from app.core.lifecycle import FASTER, note_refusal
from app.core.scope import reader_id
from app.core.unit import unit_of_work

log = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])

MOST_SAID = 5  # refusals that are told one by one


def takes_files(view: View) -> View:
    """Mark a view function that may be sent more than a form holds."""
    view.takes_files = True  # type: ignore[attr-defined]
    return view


def most_bytes() -> int:
    """How large a file, and all files of one upload together, may be (setting LIUKE_UPLOAD_MB)."""
    return int(current_app.config["LIUKE_UPLOAD_MB"]) * 10**6


def most_sent() -> int:
    """How large a request may be that carries files: as many binary megabytes, so that their names have room."""
    return int(current_app.config["LIUKE_UPLOAD_MB"]) * 2**20


@dataclass(frozen=True)
class Chip:
    """One file as the page shows it."""

    file: Attachment
    icon: str
    size: str
    url: str | None
    remove_url: str | None


class CarriesFiles:
    """The part of a screen that shows, takes, hands out and removes the files of its records.

    Its table is declared with `attachable`. Rights: can_attach, can_download, can_detach on the screen, and can_show;
    the record is loaded in the reader's scope every time.
    """

    # what the screen it is mixed into brings
    load: Any
    allows: Any
    may_edit: Any
    show_url: Any
    frame: Any
    endpoint: Any
    files_template: ClassVar[str] = "attachments/_files.html"

    def files(self, record: Any) -> dict[str, Any] | None:
        """What the block of files shows; None if the reader has nothing to see or do there. One statement."""
        if not (self.allows("file") or self.allows("attach")):
            return None
        found, closed = files_of(record), operations.why_closed(record)
        may_attach = self.allows("attach") and closed is None
        if not found and not may_attach:
            return None
        edits = self.allows("edit") and self.may_edit(record)
        return {
            "chips": [self._chip(record, file, closed is None, edits) for file in found],
            "closed": closed if self.allows("attach") else None,
            "attach_url": url_for(f"{self.endpoint}.attach", pk=record.id) if may_attach else None,
            "accept": ",".join(kinds.ENDINGS),
            "most": most_bytes(),
            "too_large": _too_large(),
        }

    def _chip(self, record: Any, file: Attachment, open_: bool, edits: bool) -> Chip:
        kind = kinds.BY_MIME.get(file.mime)
        own = {"pk": record.id, "file_id": file.id}
        removes = open_ and self.allows("detach") and (edits or file.created_by_id == reader_id())
        return Chip(
            file,
            kind.icon if kind is not None else "file-text",
            size_text(file.size),
            url_for(f"{self.endpoint}.file", **own) if self.allows("file") else None,
            url_for(f"{self.endpoint}.detach", **own) if removes else None,
        )

    def _load_shown(self, pk: Any) -> Any:
        """The record, of whose page the reader has the right and which he may see."""
        if not self.allows("show"):
            abort(403)
        return self.load(pk)

    @expose("/<pk>/files", methods=["GET", "POST"])
    @has_access
    @takes_files
    def attach(self, pk: Any) -> Any:
        """Take files, each by itself: one that is refused keeps no other away. Opened by GET it is the record."""
        record = self._load_shown(pk)
        back = f"{self.show_url(record)}#files"
        if request.method == "GET":
            return redirect(back)
        given = [file for file in request.files.getlist("files") if file.filename]
        lines = [(name, self._take(record, name, file)) for file in given for name in [clean_name(file.filename)]]
        said = _what_became_of(lines)
        if "HX-Request" in request.headers:
            return render_template(self.files_template, record=self.load(pk), said=said, **self.frame())
        for tone, sentence in said:
            flash(sentence, tone)
        return redirect(back)

    def _take(self, record: Any, name: str, given: FileStorage) -> str | None:
        """Keep one file; why it was not taken, None if it was. Commits, the refusal too."""
        actor, key, status = g.user._get_current_object(), record.id, getattr(record, "status", None)
        try:
            with storage.receive(given.stream, most=most_bytes()) as incoming:
                kind = kinds.check(name, incoming.path)
                with unit_of_work():
                    operations.attach(record, incoming, name=name, mime=kind.mime, actor=actor)
        except BusinessError as refusal:
            why = str(refusal)
        except IntegrityError:  # the same content, sent twice at the same moment
            why = str(FASTER)
        except OSError:
            log.exception("an attachment could not be stored")
            why = _("It could not be stored. Try again; tell your admin if it stays.")
        else:
            return None
        note_refusal(record.__tablename__, key, "attach_file", actor_id=actor.id, before=status, why=f"{name}: {why}")
        return why

    @expose("/<pk>/files/<file_id>")
    @has_access
    @permission_name("download")
    def file(self, pk: Any, file_id: Any) -> Any:
        """Hand out one file under its own name, to be saved: never shown by the browser as part of this site."""
        record = self._load_shown(pk)
        found = file_of(record, file_id)
        if found is None:
            abort(404)
        try:
            answer: Response = send_file(
                storage.path_of(found.key),
                mimetype="application/octet-stream",
                as_attachment=True,
                download_name=found.name,
                etag=found.sha256,
                last_modified=found.created_at,
            )
        except FileNotFoundError:
            log.exception("the file of attachment %d is not where it was put", found.id)
            flash(_("%(name)s is missing in the store. Tell your admin.", name=found.name), "danger")
            return redirect(f"{self.show_url(record)}#files")
        answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'; frame-ancestors 'none'"
        return answer

    @expose("/<pk>/files/<file_id>/delete", methods=["POST"])
    @has_access
    def detach(self, pk: Any, file_id: Any) -> Any:
        """Take a file off the record."""
        record = self._load_shown(pk)
        found = file_of(record, file_id)
        if found is None:
            abort(404)
        actor, key, status = g.user._get_current_object(), record.id, getattr(record, "status", None)
        back, name = f"{self.show_url(record)}#files", found.name
        may_edit = self.allows("edit") and self.may_edit(record)
        try:
            with unit_of_work():
                operations.detach(record, found, actor=actor, may_edit=may_edit)
        except BusinessError as refusal:
            why = f"{name}: {refusal}"
            note_refusal(record.__tablename__, key, "remove_file", actor_id=actor.id, before=status, why=why)
            flash(str(refusal), "warning")
        else:
            flash(_("Removed: %(name)s", name=name), "success")
        return redirect(back)


def _what_became_of(lines: list[tuple[str, str | None]]) -> list[tuple[str, str]]:
    """One sentence for what was taken and one for each file that was not; of many the first few.

    Short enough for a cookie, which is where a page keeps what the next one says.
    """
    if not lines:
        return [("warning", _("Choose at least one file first."))]
    refused = [(_short(name), why) for name, why in lines if why is not None]
    said = [
        ("danger", _("%(name)s was not attached. %(why)s", name=name, why=why)) for name, why in refused[:MOST_SAID]
    ]
    if done := len(lines) - len(refused):
        said.insert(0, ("success", ngettext("%(num)d file attached", "%(num)d files attached", done)))
    if (more := len(refused) - MOST_SAID) > 0:
        sentence = ngettext("%(num)d more file was not attached.", "%(num)d more files were not attached.", more)
        said.append(("danger", sentence))
    return said


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:40]}…{name[-19:]}"


def size_text(size: int) -> str:
    """Bytes as people read them: 640 KB, 1.2 MB."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1000:.0f} KB" if size < 999_500 else f"{size / 1_000_000:.1f} MB"


def _too_large() -> str:
    return _("The files of one upload may have %(mb)d MB together.", mb=current_app.config["LIUKE_UPLOAD_MB"])
