"""A file that names images for ``./kf images mirror`` and ``check``: one a line.

A line is ``source -> target``, as in ``build/<stack>/images.txt``, or a source alone, as in the
lists that other mirrors publish; its copy then gets the name that the stack gives it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from images.reference import InvalidReference, Reference, parse
from ops.cli_errors import Refused
from ops.mirror.plan import Copy, copy_of

_ARROW = "->"
_FORM = "write an image reference, or `source -> target`"
_COMMENT = re.compile(r"(?:^|\s)#.*")
_OTHER_FORMS = (
    (re.compile(r"[-*+]\s.*"), "is an item of a list"),
    (re.compile(r"[\"'\[{(,\]})].*"), "has quotes or brackets"),
    (re.compile(r"[A-Za-z_][\w.-]*:(?:\s.*)?"), "is YAML"),
    (
        re.compile(
            r"(?:\$ |sudo\s)*(?:docker|podman|nerdctl|crictl|ctr|crane|skopeo|oras|from)\s.*",
            re.IGNORECASE,
        ),
        "is a command",
    ),
    (re.compile(r"\S+://.*"), "is a URL"),
    (re.compile(r".*[\s,;].*"), "has more than one word"),
)
_LONGEST = 80


@dataclass(frozen=True)
class Line:
    """One image of a list.

    Attributes:
        number: of its line, from 1.
        source: as the line names it.
        target: None: the stack's own name for the copy.
    """

    number: int
    source: Reference
    target: Reference | None


def text_of(file: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 where it begins with its mark, as of PowerShell.

    Raises:
        Refused: it cannot be read, or is not text.
    """
    try:
        content = file.read_bytes()
        marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return content.decode("utf-16" if marked else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Refused(f"{file} cannot be read: {reason}.") from None


def read(text: str, name: str) -> list[Line]:
    """The images in a list, each once; empty lines and comments after ``#`` name none.

    Args:
        text: of the file.
        name: of the file, for sentences.

    Raises:
        Refused: a line has another form, or the list names no image.
    """
    lines: dict[tuple[Reference, Reference | None], Line] = {}
    for number, written in enumerate(text.splitlines(), 1):
        stripped = _COMMENT.sub("", written).strip()
        if stripped:
            try:
                line = _line(number, stripped)
            except InvalidReference as invalid:
                raise Refused(f"{name}, line {number}: {invalid}.") from None
            lines.setdefault((line.source, line.target), line)
    if not lines:
        raise Refused(f"{name} names no image: {_FORM}, one image a line.")
    return list(lines.values())


def copies(
    lines: list[Line],
    registry: str | None,
    locked: Mapping[str, str],
    platform: str | None,
    name: str,
) -> list[Copy]:
    """The copies of a list, without images of ECR that a line names alone: they need none.

    Args:
        lines: of ``read``.
        registry: ``<host>/<prefix>`` of copies whose line has no target; None: every line has one.
        locked: source -> digest, from the locks.
        platform: the only one that is copied; None: all.
        name: of the file, for sentences.

    Raises:
        Refused: two lines have one target for two images, or a target's digest is another one.
    """
    made: dict[Reference, Copy] = {}
    for line in lines:
        target = line.target
        if target is None:
            assert registry is not None  # noqa: S101 - the caller has one where a line has none
            if line.source.ecr_region or line.source.belongs_to(registry):
                continue
            target = parse(line.source.mirrored(registry))
        try:
            copy = copy_of(line.source, target, locked.get(str(line.source)), platform)
        except InvalidReference as invalid:
            raise Refused(f"{name}, line {line.number}: {invalid}.") from None
        other = made.setdefault(copy.target, copy)
        if other.source != copy.source:
            raise Refused(
                f"{name}, line {line.number}: {copy.target} is also the target of {other}: give "
                "each image its own."
            )
    return list(made.values())


def _line(number: int, text: str) -> Line:
    source, arrow, target = (part.strip() for part in text.partition(_ARROW))
    if arrow:
        if not (source and target):
            raise InvalidReference(f"{_quoted(text)} has only one side: {_FORM}", "it has one side")
        return Line(number, _reference(source), _reference(target))
    return Line(number, _reference(text), None)


def _reference(text: str) -> Reference:
    """The reference that is one side of a line.

    Raises:
        InvalidReference: the text is something else; the message quotes the image inside it.
    """
    for form, what in _OTHER_FORMS:
        if form.fullmatch(text):
            image = _image_in(text)
            instead = f"write the reference alone, `{image}`" if image else _FORM
            raise InvalidReference(f"{_quoted(text)} {what}: {instead}", f"it {what}")
    return parse(text)


def _image_in(text: str) -> str:
    """The only part of a text that is an image with a path or a tag; empty: none, or several."""
    words = (word.strip("\"',;[]{}()") for word in text.split())
    images = [word for word in words if re.search(r"[^:]/|\w:\w", word) and _is_image(word)]
    return images[0] if len(images) == 1 else ""


def _is_image(word: str) -> bool:
    try:
        return bool(parse(word))
    except InvalidReference:
        return False


def _quoted(text: str) -> str:
    return f"`{text if len(text) <= _LONGEST else f'{text[:_LONGEST]}...'}`"
