"""How a value of a plan or a stack file is shown: on one line, short, and without secrets.

Plan files have ``"[secret]"`` where the program marks a secret. What it does not mark is hidden
here by its name or its form, so that a value which somebody pasted into a setting, a ConfigMap or
an environment variable does not reach a comment on a pull request.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from review.sides import SECRET
from settings import secrecy

LONGEST = 96
"""Characters of a shown value; a longer one has its beginning, its length and a digest."""

_BEFORE = 24
"""Characters before the first difference of two long texts."""

ASSET = "4dabf18193072939515e22adb298388d"
"""The key by which the engine marks files and archives; pulumi sdk/go/common/resource/sig."""

# Names of settings and fields that sound like secrets and hold a word, a name or a reference.
_NO_SECRET = re.compile(
    r"(automountServiceAccountToken|credentials_?secret|artifacts\.credentials|"
    r"upstreamCredentials|sourceCredentials|imagePullSecrets?|cookieSecretRef)$",
    re.IGNORECASE,
)
_PART = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")
# Below secrets: what each is called, and where it is.
_BESIDE = re.compile(
    r"(name|namespace|kind|apiVersion|arn|ref|path|type|audience|optional|seconds|mode|user"
    r"|region|endpoint|url|host|port|email|bucket|annotation)s?$",
    re.IGNORECASE,
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{160,}={0,2}$")


def digest(value: Any) -> str:
    """Twelve hexadecimal digits of SHA-256."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@lru_cache(65536)
def is_secret_path(path: str) -> bool:
    """Whether the value at ``path`` is one of those that nobody may read, by its name."""
    if not path or _NO_SECRET.search(path):
        return False
    # Keys, and in brackets the names of a list's items and keys with a dot.
    found = list(_PART.finditer(path))
    names = [part[1] or part[2] or "" for part in found]
    named = names[-2:] if names[-1:] == ["value"] else names[-1:]
    if any(map(secrecy.is_secret_name, named)):
        return True
    # Such as `passwords.alice`, and nothing like `imagePullSecrets[0].name`.
    return not _BESIDE.search(path) and any(
        secrecy.is_secret_collection(part[2] or "") and not _NO_SECRET.search(path[: part.end()])
        for part in found[:-1]
    )


def _is_secret(value: Any, path: str) -> bool:
    switch = value is None or isinstance(value, bool) or value in ("", "true", "false")
    return not switch and is_secret_path(path)


@lru_cache(4096)
def without_secrets(text: str) -> str:
    """The text, with ``[secret]`` where it has the form of a key, a token or a login."""
    return secrecy.without_secrets(text, SECRET)


def is_generated(value: Any) -> bool:
    """Whether a text is code or data in an encoding, of which only a digest is readable."""
    return isinstance(value, str) and bool(_BASE64.match(value.replace("\n", "")))


def is_asset(value: Any) -> bool:
    """Whether the value is a file or an archive of the program."""
    return isinstance(value, Mapping) and ASSET in value


def shown(value: Any, path: str = "", longest: int = LONGEST) -> str:
    """The value on one line.

    Args:
        value: plain data.
        path: where it stands, which decides whether it is a secret.
        longest: characters of the result, about.
    """
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if not isinstance(value, (Mapping, list)) and _is_secret(value, path):
        return SECRET
    if is_asset(value):
        return f"code {digest(content_of(value))}"
    if is_generated(value):
        return f"data {digest(value)}, {len(value)} characters"
    text = without_secrets(value) if isinstance(value, str) else _json(value, path)
    text = visible(text) or '""'
    cut = f"{text[: longest - 30]}... ({len(text)} characters, {digest(text)})"
    return text if len(text) <= longest else cut


def shown_pair(old: Any, new: Any, path: str = "", longest: int = LONGEST) -> tuple[str, str]:
    """Both values on a line each; of long texts from a little before their first difference."""
    pair = shown(old, path, longest), shown(new, path, longest)
    if not (isinstance(old, str) and isinstance(new, str)) or SECRET in pair:
        return pair
    if is_generated(old) or is_generated(new) or max(len(old), len(new)) <= longest:
        return pair
    texts = without_beginning(*(visible(without_secrets(each)) for each in (old, new)))
    return shown(texts[0], path, longest), shown(texts[1], path, longest)


def without_beginning(old: str, new: str) -> tuple[str, str]:
    """Two texts without what both begin with, except for the last characters of that."""
    same = next(
        (place for place, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]),
        min(len(old), len(new)),
    )
    start = max(0, same - _BEFORE)
    return (f"...{old[start:]}", f"...{new[start:]}") if start else (old, new)


def _json(value: Any, path: str) -> str:
    return json.dumps(plain(value, path), ensure_ascii=False, sort_keys=True, default=str)


def plain(value: Any, path: str = "") -> Any:
    """The value as data, without secrets."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value)
        if is_asset(items):
            return f"code {digest(content_of(items))}"
        if isinstance(items.get("name"), str) and "value" in items:
            path = f"{path}[{items['name']}]"
        return {str(key): plain(each, f"{path}.{key}") for key, each in items.items()}
    if isinstance(value, list):
        return [plain(each, path) for each in hidden_arguments(cast("list[Any]", value))]
    if _is_secret(value, path):
        return SECRET
    return without_secrets(value) if isinstance(value, str) else value


def hidden_arguments(items: Sequence[Any]) -> list[Any]:
    """The items of a list; of a command, without what follows an option such as ``--password``."""
    named = (False, *map(secrecy.is_secret_option, items))
    return [
        SECRET if after and isinstance(each, str) and not secrecy.is_plain(each) else each
        for each, after in zip(items, named, strict=False)
    ]


def content_of(asset: Any) -> Any:
    """What of a file or an archive says whether it is the same: digests, or else paths."""
    if not isinstance(asset, Mapping):
        return asset
    items = cast("Mapping[str, Any]", asset)
    if ASSET in items and "hash" in items:
        return items["hash"]
    return {
        key: content_of(value)
        for key, value in sorted(items.items())
        if key not in (ASSET, "path" if "text" in items else "")
    }


def visible(text: str) -> str:
    """The text on one line: control characters, and those that reverse the order, as escapes."""
    if text.isprintable():
        return text
    escaped = text.replace("\n", "\\n").replace("\t", "\\t")
    return "".join(
        each if each.isprintable() or each == " " else f"\\u{ord(each):04x}" for each in escaped
    )
