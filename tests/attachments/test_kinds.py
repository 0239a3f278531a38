"""What is taken is told by the content, and the name has to say the same."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from app.attachments import kinds
from app.attachments.kinds import NotTaken
from tests.attachments import files


@pytest.fixture
def check(db, app, tmp_path):
    def ask(name, content):
        path = tmp_path / "file"
        path.write_bytes(content)
        with app.test_request_context():
            return kinds.check(name, path)

    return ask


@pytest.mark.parametrize("name", files.TAKEN)
def test_what_a_company_sends_each_other_is_taken(check, name):
    assert kinds.ending_of(name) in check(name, files.TAKEN[name]).endings


def test_every_kind_on_the_list_is_tried_here():
    assert [len(tried) for tried in (files.TAKEN, files.NOT_TAKEN, files.DISGUISED, files.MACROS)] == [29, 13, 44, 7]
    assert {kinds.ending_of(name) for name in files.TAKEN} | {"log"} == set(kinds.BY_ENDING)


@pytest.mark.parametrize("name", files.NOT_TAKEN)
def test_a_name_that_is_not_on_the_list_is_refused_whatever_is_in_the_file(check, name):
    with pytest.raises(NotTaken, match="Files of this kind are not taken"):
        check(name, files.NOT_TAKEN[name])


@pytest.mark.parametrize("name", files.DISGUISED)
def test_a_content_that_is_not_what_the_name_says_is_refused(check, name):
    with pytest.raises(NotTaken, match="not what its name says"):
        check(name, files.DISGUISED[name])


@pytest.mark.parametrize("name", files.MACROS)
def test_macros_are_refused_in_old_and_new_documents_under_whatever_name(check, name):
    with pytest.raises(NotTaken, match="contains macros"):
        check(name, files.MACROS[name])


def test_an_empty_file_is_refused(check):
    with pytest.raises(NotTaken, match="empty"):
        check("空.pdf", b"")


def test_one_byte_is_looked_at_without_falling_over(check):
    assert check("a.txt", b"a") is kinds.TXT
    for byte in range(256):
        with pytest.raises(NotTaken):
            check("a.pdf", bytes([byte]))


@pytest.mark.parametrize("name", sorted(name for name in files.TAKEN if not name.endswith((".txt", ".csv"))))
def test_a_file_cut_anywhere_is_refused_or_taken_but_never_an_error(check, name):
    content = files.TAKEN[name]
    for length in range(1, min(len(content), 700), 7):
        try:
            check(name, content[:length])
        except NotTaken:
            continue


def test_a_zip_bomb_is_not_opened(check):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("zeros.txt", bytes(50 * 2**20))
    assert check("bomb.zip", out.getvalue()) is kinds.ZIP


def test_an_office_document_whose_first_part_is_a_bomb_is_refused_after_a_megabyte(check):
    says = files.TYPES.format(part=files.WORD[0], type=files.WORD[1])
    with pytest.raises(NotTaken, match="not what its name says"):
        check("bomb.docx", files.archive(**{"[Content_Types].xml": says + " " * 50 * 2**20}))


@pytest.mark.parametrize(
    ("offset", "form", "value"), [(10, "<H", 20_001), (12, "<I", 4 * 2**20 + 1), (10, "<H", 0xFFFF)]
)
def test_a_directory_out_of_bounds_is_not_read(check, offset, form, value):
    content = bytearray(files.archive(a="b"))
    struct.pack_into(form, content, len(content) - 22 + offset, value)
    with pytest.raises(NotTaken, match="too many files"):
        check("a.zip", bytes(content))


def test_as_many_files_as_allowed_are(check):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for number in range(20_000):
            made.writestr(str(number), b"")
    assert check("a.zip", out.getvalue()) is kinds.ZIP


def test_the_words_for_the_file_dialogue_are_all_endings():
    assert ".pdf" in kinds.ENDINGS
    assert ".html" not in kinds.ENDINGS
