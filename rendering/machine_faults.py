"""Faults of the machine as sentences: a full disk, a folder that is read-only or no folder."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rendering.cache import CACHE, CacheUnusable, cache_root
from rendering.objects import RenderError

_SPACE, _RIGHTS = "free some space there", "make it writable"
_WAYS_OUT = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "raise the limit of a file's size (`ulimit -f`)",
    errno.EROFS: _RIGHTS,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.ENOTDIR: "move the file away that lies where a folder must be",
}
_ANYWHERE = "the disk of the project, of the cache or of temporary files"


class MachineFault(RenderError):
    """A folder of this machine cannot be used; the message is one sentence with the way out."""


def sentence_of(error: OSError) -> str | None:
    """Place, reason and way out of a fault of the machine; None for any other error."""
    if isinstance(error, CacheUnusable):
        return str(error)
    if isinstance(error, shutil.Error):
        return _of_copies(error)
    if error.errno not in _WAYS_OUT:
        return None
    place, way_out = error.filename or _ANYWHERE, _WAYS_OUT[error.errno]
    if error.filename and Path(os.fsdecode(error.filename)).is_relative_to(cache_root()):
        way_out += f", or name another folder by its absolute path in {CACHE}"
    return f"{place} cannot be used ({os.strerror(error.errno)}): {way_out}."


def full(folder: Path) -> MachineFault:
    """The fault of a folder on a full disk, which another program has met there."""
    return MachineFault(
        sentence_of(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))) or ""
    )


@contextmanager
def machine_faults_reported() -> Generator[None]:
    """Raises a fault of the machine inside the block as ``MachineFault``; other errors pass."""
    try:
        yield
    except OSError as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        raise MachineFault(sentence) from None


def _of_copies(error: shutil.Error) -> str | None:
    """``shutil.copytree`` collects errors as (source, copy, text of the OSError)."""
    for _, copy, text in error.args[0]:
        number = re.match(r"\[Errno (\d+)\]", text)
        if number and (sentence := sentence_of(OSError(int(number[1]), "", copy))):
            return sentence
    return None
