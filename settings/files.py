"""Files whose paths a person wrote: only regular ones are opened, and only so much is read."""

from __future__ import annotations

from pathlib import Path


def read_text(path: Path, most: int) -> str:
    """The text of a file.

    Args:
        path: of the file. A device or a pipe has no end, and may never answer.
        most: bytes that it may have.

    Raises:
        FileNotFoundError: there is none.
        OSError: it is no regular file, or too large.
        UnicodeDecodeError: it is not UTF-8.
    """
    path.stat()  # the error names what is wrong with the path
    if not path.is_file():
        raise OSError("it is no regular file")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(f"it has more than {most // 1024} KiB")
    return content.decode("utf-8")
