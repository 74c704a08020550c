"""What a secret looks like, by the name of its place and by its own form.

One notion for the sentences about a stack file, which hide a whole value, and for reviews of plans,
which hide the part of a text. Text alone decides, so that a value that nobody marked is hidden too.
"""

from __future__ import annotations

import re
from functools import lru_cache

WORDS = (
    r"pass(?:wor[dt]|wd|phrase)|kennwort|secret|token|credential|(?<![a-z])creds?(?![a-z])"
    r"|(?:private|api|access|client|signing|encryption|account|storage).?key"
    r"|(?<![a-z])(?:pg|db)?(?:pass|pw|pwd)(?![a-z])|pgpass|htpasswd|密码|口令"
)
"""Anywhere in a name: of a place where a secret may stand; for searches without regard to case."""

_NAME_PARTS = re.compile(r"[A-Z]+s?(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\dA-Za-z_]+")
# The end of the word that names a value; `tokenUrl` and `secretName` end with another one.
_NOUN = re.compile(
    r"(?:pass(?:wor[dt]|wd|phrase)|kennwort|secret|token|credential)s?"
    r"|(?:(?:private|api|access|client|signing|encryption|secret|account|storage)key)s?"
    r"|密码|口令"
)
_WHOLE_NOUN = re.compile(r"(?:pg|db|my|root|admin|user)?(?:pass|pw|pwd)|creds?")
_KEY_OF = {
    *("private", "api", "access", "client", "signing", "encryption", "secret", "account"),
    *("storage", "master", "session"),
}
# After the noun: still the value itself.
_CARRIERS = {
    *("value", "string", "key", "keys", "binary", "base", "b", "data", "hash", "text", "txt"),
    *("plain", "plaintext", "old", "new", "current", "previous", "raw", "encoded", "json"),
}
_ID = ("access", "key", "id")
# Before the noun: a limit of a language model, or IMDS's setting, whose value is `required`.
_COUNTED = {"max", "min", "num", "total", "http", "generated", "new", "prompt"}

FORM = re.compile(
    # Keys in PEM form, and the line that begins one.
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)|PRIVATE KEY"
    # Access key ids, and anything as long and as mixed as a secret access key.
    r"|(?:A3T|AKIA|ASIA)[A-Z0-9]{12,}"
    r"|(?<![\w/+])(?=[a-z0-9/+]*[A-Z])(?=[A-Z0-9/+]*[a-z])(?=[A-Za-z/+]*[0-9])"
    r"[A-Za-z0-9/+]{40}(?![\w/+])"
    # The first letters that services give their tokens.
    r"|\b(?:gh[pousr]_|github_pat_|gl[a-z]{2,4}-|xox[a-z]-|hf_|sk-|[sr]k_live_|dckr_pat_|npm_"
    r"|pypi-|AIza|eyJ)[\w.-]{16,}"
    # Hashes of passwords.
    r"|\$(?:2[abxy]?|argon2\w*|5|6|y)\$[^\s\"',]{20,}"
    # Logins in URLs, whose password may have a slash or an at sign, and in data source names.
    r"|(?<=://)(?:[^\s/\"'?#]+|[^\s/@:\"']+:(?!\d{1,5}[/?#])[^\s\"']{1,200})(?=@)"
    r"|(?<![\w/:.@%+-])(?!mailto:)[\w.%+-]+:[^\s/@]+(?=@(?!sha\d+:)[\w(\[])"
    # A query's value, and the header of a login.
    r"|(?i:(?<=[?&])(?P<query>[\w-]*(?:key|token|secret|sig|pass|auth)[\w-]*=)[^\s&#\"']+)"
    r"|(?i:(?P<header>\bauthorization[\"']?\s*[:=]\s*[\"']?(?:\w+[ \t]+)?)(?![$<{\[])[^\s\"',]{6,})"
    r"|(?P<scheme>\b(?:Bearer|Basic)[ \t]+)(?=[\w.~+/-]*[\d=])[\w.~+/=-]{8,}",
    re.DOTALL,
)
"""A secret, by its own form; the named groups are what stands before it."""

# `password: x`, `TOKEN=x` and `--password x`, as files in a ConfigMap and commands have them.
_ASSIGNED = re.compile(
    r"(?P<line>^[ \t]*(?:-[ \t]+)?)?"
    rf"(?P<name>(?<![\w.-])[\w.-]*(?:{WORDS}|(?<![a-z])auth(?![a-z]))[\w.-]*)"
    r"(?P<sign>[\"']?\s*=\s*|[\"']\s*:\s*|\s*:\s+|[ \t]+)"
    r"(?P<value>[|>][+-]?[ \t]*(?:\n[ \t]+[^\n]*)+|\"(?:[^\"\\]|\\.)*\"|'[^']*'"
    r"|[^\s,{}\[\]][^\s,}]*)",
    re.IGNORECASE | re.MULTILINE,
)
_PLAIN = re.compile(
    r"(?:true|false|null|none|\d{1,5}|\$\{?[A-Z_][A-Z0-9_]*\}?|\$\d|\$\(.*|\{\{.*|%\w+%?|"
    r"(?:/[\w.-]+)+/?|\[secret\].*|.*:|--?[\w-]+)?",
    re.IGNORECASE | re.DOTALL,
)
"""A value that is no secret: a switch, a number, a variable, a path, or another key."""


@lru_cache(65536)
def is_secret_name(name: str) -> bool:
    """Whether the value of this name is a secret: its last noun is one, such as ``DB_PASS``."""
    words = [word.lower() for word in _NAME_PARTS.findall(name)]
    if tuple(words[-3:]) == _ID:
        return True
    while len(words) > 1 and (words[-1] in _CARRIERS or words[-1].isdigit()):
        if words[-1] in ("key", "keys") and words[-2] in _KEY_OF:
            return True
        words.pop()
    if not words or (len(words) > 1 and words[-2] in _COUNTED and words[-1].endswith("tokens")):
        return False
    last = words[-1]
    return words == ["auth"] or bool(_WHOLE_NOUN.fullmatch(last) or _ends_with_noun(last))


def is_secret_collection(name: str) -> bool:
    """Whether what stands below this name are secrets: ``passwords`` with a name for each."""
    return name.lower().endswith("s") and is_secret_name(name)


def _ends_with_noun(word: str) -> bool:
    return any(found.end() == len(word) for found in _NOUN.finditer(word))


def without_secrets(text: str, mark: str) -> str:
    """The text with ``mark`` in place of each part that has the form of a secret."""

    def by_form(found: re.Match[str]) -> str:
        before = found["query"] or found["header"] or found["scheme"] or ""
        return f"{before}{mark}"

    text = FORM.sub(by_form, text)
    pieces: list[str] = []
    place = 0
    while found := _ASSIGNED.search(text, place):
        start = found.start("value")
        pieces.append(text[place:start])
        place = start
        if _is_assignment(found):
            pieces.append(mark)
            place = _end_of(found, text)
    return "".join([*pieces, text[place:]])


def _is_assignment(found: re.Match[str]) -> bool:
    name, sign, value = found["name"], found["sign"], found["value"]
    if not (sign.strip() or name.startswith("--")) or is_plain(value):
        return False
    return is_secret_name(name)


def _end_of(found: re.Match[str], text: str) -> int:
    """Where a value ends; of a line of its own, which may have spaces, at the line's end."""
    sign, value = found["sign"], found["value"]
    is_line = found["line"] is not None and (":" in sign or sign != sign.strip()) and sign.strip()
    if not is_line or value[0] in "\"'|>":
        return found.end("value")
    end = text.find("\n", found.end("value"))
    return len(text) if end < 0 else end


def is_plain(value: str) -> bool:
    """Whether a value is a switch, a number, a variable, a path or another option."""
    return bool(_PLAIN.fullmatch(value.strip("\"'")))


def is_secret_option(item: object) -> bool:
    """Whether the argument after this one is a secret: ``--password``."""
    return isinstance(item, str) and item.startswith("-") and (item == "-p" or is_secret_name(item))
