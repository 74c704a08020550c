"""Errors in a stack file: one sentence each, with key, value and way out, and never a secret."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from typing import Any, cast

import yaml

from settings import secrecy

NAMESPACE = "kubeflow"
"""The Pulumi project's name, hence the namespace of its keys in a stack file."""
_BEFORE_KEYS = ContextVar("before_keys", default=f"{NAMESPACE}:")
AWS = "aws:"
"""The section of the keys of Pulumi's AWS provider, by their namespace in a stack file."""

_SECRET_WORDS = re.compile(secrecy.WORDS, re.IGNORECASE)
# Keys that look secret and have the name of a method as value, such as ``irsa``.
_NOT_SECRET = {"kubeflow:artifacts.credentials", "kubeflow:imageMirror.credentials"}
_LONGEST = 60
_FEW = 8
"""Of the names of a section, as many as a sentence has room for."""
_QUERY = re.compile(r"(://[^\s?#]*[?#])\S+")

_EXPIRED = re.compile(
    r"ExpiredToken|RequestExpired|UnauthorizedSSOToken|SSOTokenLoad|TokenRetrieval|"
    r"security token included in the request is expired"
)
"""Of AWS's errors, and of botocore's for the source of a session."""
CREDENTIALS_ENDED = (
    "the AWS credentials ended during the run: renew them (`aws sso login`, or a new session) and "
    "run `pulumi up` again, which goes on where this run ended; if it was killed, run `./kf "
    "resume` first."
)


def is_expired(error: object) -> bool:
    """Whether an error, by its type or text, is that of credentials that have ended."""
    return _EXPIRED.search(f"{type(error).__name__} {error}") is not None


Path = Sequence[str | int]
"""The keys from a section down to a setting, as in the stack file; a number: an entry of a list."""


class SettingsError(Exception):
    """A stack that cannot be built.

    Attributes:
        problems: one full sentence each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


def visible(text: str) -> str:
    """A text with the escape of each character that nobody sees."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def not_ascii(text: str) -> str:
    """Which character of a text is not ASCII, since it may look like one that is; or nothing."""
    for each in text:
        if not each.isascii():
            name = unicodedata.name(each, "unnamed")
            return f"{visible(each)} in it is {name} (U+{ord(each):04X}), not ASCII"
    return ""


def key_part(part: str) -> str:
    """A part of a key for a sentence: whoever mixed up key and value wrote a secret there."""
    return "[hidden]" if secrecy.FORM.search(part) else _short(visible(part))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def full_key(path: Path | str) -> str:
    """A setting's name as the stack file writes it: ``kubeflow:users[0].email``."""
    parts = path.split(".") if isinstance(path, str) else path
    text = ""
    for part in parts:
        separator = "." if text and not text.endswith(":") else ""
        text += f"[{part}]" if isinstance(part, int) else f"{separator}{key_part(part)}"
    return text if text.startswith(AWS) else f"{_BEFORE_KEYS.get()}{text}"


@contextmanager
def keys_begin_with(start: str) -> Generator[None]:
    """Within the block, keys are those of another program: ``start`` in place of our namespace."""
    token = _BEFORE_KEYS.set(start)
    try:
        yield
    finally:
        _BEFORE_KEYS.reset(token)


def looks_secret(key: str, value: object = "") -> bool:
    """Whether a value may be a secret, by the name of its key or by its own form."""
    if isinstance(value, Mapping) and "secure" in value:
        return True
    text = str(cast(object, value))
    nested = isinstance(value, (Mapping, list, tuple))
    return bool(
        _SECRET_WORDS.search(key)
        or secrecy.is_secret_name(re.split(r"[.:]", key)[-1])
        or secrecy.without_secrets(text, "") != text
        or (nested and _SECRET_WORDS.search(text))
        or (
            isinstance(value, (list, tuple))
            and any(map(secrecy.is_secret_option, cast(Sequence[object], value)))
        )
    )


def shown(value: object, key: str = "") -> str:
    """A value for a sentence: in YAML's form, short, secrets hidden.

    Of a mapping only the names: what stands in a place where no mapping belongs may be a secret.
    """
    if key not in _NOT_SECRET and looks_secret(key, value):
        return "[hidden]"
    if value is None or value == "":
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    text = visible(str(value))
    if isinstance(value, (Mapping, list)):
        names = _names(cast(object, value))
        text = yaml.safe_dump(names, default_flow_style=True, width=2**31, allow_unicode=True)
        text = text.strip().replace("'...'", "...")
    elif text != str(value).strip():
        text = f'"{text}"'
    # What follows a URL's ? or # may be a secret of any name.
    return _short(_QUERY.sub(r"\1...", text))


def _names(value: object) -> object:
    if isinstance(value, Mapping):
        return dict.fromkeys(cast(Mapping[str, object], value), "...")
    if isinstance(value, list):
        return [_names(inner) for inner in cast(list[object], value)]
    return value if isinstance(value, (str, int, float, bool, type(None))) else "..."


def listed(names: Iterable[str], last: str = "or") -> str:
    """``a, b or c``."""
    items = list(names)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def suggestion(name: str, names: Iterable[str]) -> str:
    """``did you mean x?`` if one of the names is similar, else ``use`` and all of them."""
    by_lower = {each.lower(): each for each in names}
    similar = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    if similar:
        return f"did you mean {by_lower[similar[0]]}?"
    return f"use {listed(by_lower.values())}."


def refusal(path: Path | str, value: object, reason: str) -> str:
    """The sentence ``<key> is <value>: <reason>.``; a reason ends with the way out."""
    key = full_key(path)
    text = f"{key} is {shown(value, key)}: {reason}"
    return text if text.endswith(("?", ".")) else f"{text}."


def encrypted(key: str) -> str:
    """The sentence about a setting that is stored as a secret."""
    if key in _REMOVED:
        return f"{key} is not a setting: {_REMOVED[key]}"
    return (
        f"{key} is encrypted: no setting is a secret, so store it as plain text "
        f"(`pulumi config set --plaintext {key} ...`)."
    )


_TYPES = {
    "int": "it must be a whole number",
    "bool": "it must be true or false",
    "string": "it must be text: write it in quotes",
    "list": "it must be a list, with one `- item` per line",
    "dict": "it must be a mapping of names to values",
    "model": "it must be a mapping of settings",
}
"""The first word of a pydantic error's type -> the reason."""

_KEY_WAY_OUT = (
    "remove the line, write the key into a profile (`aws configure --profile NAME`), and its name "
    "into aws:profile; deactivate a key that was ever committed as plain text."
)
_IN_A_PROFILE = (
    "`aws eks get-token`, from which the cluster's logins come, has no such option: write "
    "role_arn, source_profile and this into a profile of your AWS configuration, and its name into "
    "aws:profile."
)
# Of former settings: a similar name would be that of an unrelated one. Of Pulumi's AWS provider:
# what has another place here.
_REMOVED = {
    "aws:accessKey": _KEY_WAY_OUT,
    "aws:secretKey": _KEY_WAY_OUT,
    "aws:token": _KEY_WAY_OUT,
    "aws:endpoints": "write kubeflow:endpoints, which the other clients use too.",
    "aws:assumeRole.externalId": _IN_A_PROFILE,
    "aws:assumeRoles.externalId": _IN_A_PROFILE,
    "kubeflow:aws": "Pulumi's AWS provider has a namespace of its own: write aws:profile.",
    "kubeflow:imageMirror.credentials": "remove the line; each side always stores an access key of "
    "the other (imageMirror.rotation replaces both).",
    "kubeflow:network.publicSubnetIds": "remove the line; it had no effect (load balancers find "
    "subnets by the tag kubernetes.io/role/elb, which the VPC's owner sets).",
    "kubeflow:cluster.controlPlaneEgress": "remove the line; only the former imageMirror.transport "
    "private-api needed it.",
}


def _instead(path: Path, names: Sequence[str]) -> str:
    name = str(path[-1])
    section, _, inner = name.partition(".")
    if inner and section in names:  # the spelling of sentences and of documents
        return f"write {key_part(inner)} below {full_key((*path[:-1], section))}."
    return suggestion(name, names)


def from_pydantic(error: Mapping[str, Any], names: Sequence[str]) -> str:
    """The sentence of one pydantic error.

    Args:
        error: one of ``ValidationError.errors()``.
        names: of the settings that are possible in that place; of a mapping that is none, in it.
    """
    kind, path, value = str(error["type"]), cast(Path, error["loc"]), error["input"]
    key = full_key(path)
    if kind == "missing":
        return f"{key} is missing: add it (an entry has {listed(names, 'and')})."
    if kind == "extra_forbidden":
        way_out = _REMOVED.get(re.sub(r"\[\d+\]", "", key)) or _instead(path, names)
        return f"{key} is not a setting: {way_out}"
    if kind == "literal_error":
        # Pydantic's list: 'a', 'b' or 'c'; numbers stand in it without quotes.
        expected = str(error["ctx"]["expected"]).replace(" or ", ", ")
        choices = [choice.strip("'") for choice in expected.split(", ")]
        return refusal(path, value, suggestion(str(value), choices))
    if kind == "value_error":
        return refusal(path, value, str(error["ctx"]["error"]))
    if kind.startswith("model") and len(names) <= _FEW:
        return refusal(path, value, f"it must be a mapping of {listed(names, 'and')}")
    return refusal(path, value, _TYPES.get(kind.partition("_")[0], str(error["msg"])))
