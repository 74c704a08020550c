"""Whether IAM's documents allow a request, as AWS decides inside one account.

Covered is what the project's documents use. Any other element, operator, variable, condition key or
principal is an ``UnknownConstruct``, so that no document is ever read as more generous than it is.
The rules:
IAM user guide, reference_policies_evaluation-logic.html and
reference_policies_elements_condition_operators.html; for keys, KMS developer guide,
key-policy-default.html ("Allows access to the AWS account and enables IAM policies").
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, cast

Document = Mapping[str, Any]
Context = Mapping[str, str | Sequence[str]]
"""Condition key -> its value, or values."""

_ELEMENTS = {
    *("Sid", "Effect", "Principal", "Condition"),
    *("Action", "NotAction", "Resource", "NotResource"),
}
_VERSION = "2012-10-17"
_LACKED: Mapping[str, frozenset[str]] = {
    "s3": frozenset(
        {
            *("s3:prefix", "s3:delimiter", "s3:x-amz-server-side-encryption"),
            "s3:x-amz-server-side-encryption-aws-kms-key-id",
        }
    ),
    "elasticfilesystem": frozenset(
        {
            *("elasticfilesystem:accesspointarn", "elasticfilesystem:createaction"),
            *("aws:requesttag/efs.csi.aws.com/cluster", "aws:resourcetag/efs.csi.aws.com/cluster"),
        }
    ),
}
"""Service -> the condition keys, in small letters, that ``Access.context`` holds whenever a request
has them. AWS adds many others to a request by itself, so such a key is never taken as absent."""
_PRINCIPALS = {
    "AWS": re.compile(r"\*|arn:[a-z-]+:iam::\d{12}:(root|role/[\w+=,.@/-]+)"),
    "Federated": re.compile(r"arn:[a-z-]+:iam::\d{12}:oidc-provider/[\w./-]+"),
    "Service": re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+"),
}
"""The forms in which a document may name somebody; an account's number, for instance, is another
name of its root."""


class UnknownConstruct(ValueError):
    """A document has something that is not covered here."""


@dataclass(frozen=True)
class Access:
    """What a request takes.

    Attributes:
        action: ``s3:GetObject``.
        resource: its ARN.
        context: condition keys of the request.
    """

    action: str
    resource: str
    context: Context = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        principals: ``AWS``, ``Federated`` -> the names by which a document can mean the caller.
        account_root: the ARN by which a document names the whole account; empty: no account's.
        documents: the caller's own policies.
    """

    principals: Mapping[str, frozenset[str]]
    account_root: str = ""
    documents: Sequence[Document] = ()


Decision = Literal["allowed", "denied"]


def decision(caller: Caller, access: Access, resource_policy: Document | None = None) -> Decision:
    """The decision about one access to something of the caller's own account.

    Args:
        caller: who asks.
        access: what for.
        resource_policy: of the resource: a bucket's, a key's, a role's trust policy.

    Raises:
        UnknownConstruct: a document is not covered.
    """
    own = [each for document in caller.documents for each in statements(document)]
    if any("Principal" in each for each in own):
        raise UnknownConstruct("a principal in a policy of the caller's own")
    effects = {each["Effect"] for each in own if matches(each, access)}
    assumption = access.action.startswith("sts:")
    of_resource: set[str] = set()
    for statement in statements(resource_policy) if resource_policy is not None else ():
        named = list(_named(statement, caller))
        # A trust policy is about its own role and names no resource.
        if named and matches(statement, access, with_resource=not assumption):
            of_resource |= {f"{statement['Effect']} {who}" for who in named}
    if "Deny" in effects or any(each.startswith("Deny") for each in of_resource):
        return "denied"
    by_itself = "Allow caller" in of_resource
    if assumption or access.action.startswith("kms:"):
        # IAM policies count only where the key's or role's own hands the decision to the account.
        return _decided(by_itself or ("Allow" in effects and "Allow account" in of_resource))
    return _decided(by_itself or "Allow" in effects)


def _decided(yes: bool) -> Decision:
    return "allowed" if yes else "denied"


def allowed(document: Document, action: str, resource: str, context: Context | None = None) -> bool:
    """Whether one document alone allows an access, whoever asks.

    Raises:
        UnknownConstruct: the document is not covered.
    """
    access = Access(action, resource, context or {})
    return {each["Effect"] for each in statements(document) if matches(each, access)} == {"Allow"}


def statements(document: Document) -> list[Mapping[str, Any]]:
    """The statements of a document, each checked.

    Raises:
        UnknownConstruct: the document is not covered.
    """
    version = document.get("Version")
    if version != _VERSION or {"Statement"} != set(document) - {"Version", "Id"}:
        raise UnknownConstruct(f"the document {sorted(document)} of version {version}")
    if "${" in (text := json.dumps(document)):
        raise UnknownConstruct(f"the policy variable in {text}")
    listed = _several(document["Statement"])
    for statement in listed:
        if unknown := set(statement) - _ELEMENTS:
            raise UnknownConstruct(f"the element {sorted(unknown)} of a statement")
        if statement.get("Effect") not in ("Allow", "Deny"):
            raise UnknownConstruct(f"the effect {statement.get('Effect')}")
        for operator in statement.get("Condition", {}):
            _operator(operator)
    return listed


def matches(statement: Mapping[str, Any], access: Access, *, with_resource: bool = True) -> bool:
    """Whether a statement is about an access.

    Args:
        statement: of ``statements``.
        access: what a request takes.
        with_resource: the statement names resources.

    Raises:
        UnknownConstruct: it has a condition of which the request does not say whether it holds.
    """
    if with_resource != any(each in statement for each in ("Resource", "NotResource")):
        raise UnknownConstruct(f"a statement with {sorted(statement)} about {access.action}")
    return (
        _element(statement, "Action", access.action, _like_ignoring_case)
        and (not with_resource or _element(statement, "Resource", access.resource, like))
        and _holds(statement.get("Condition", {}), access)
    )


def _element(
    statement: Mapping[str, Any], name: str, value: str, alike: Callable[[str, str], bool]
) -> bool:
    if (name in statement) == (f"Not{name}" in statement):
        raise UnknownConstruct(f"a statement with {sorted(statement)}")
    if f"Not{name}" in statement:
        return not any(alike(pattern, value) for pattern in _several(statement[f"Not{name}"]))
    return any(alike(pattern, value) for pattern in _several(statement[name]))


def _named(statement: Mapping[str, Any], caller: Caller) -> Iterable[str]:
    """``caller``: the statement names the caller itself; ``account``: only its whole account."""
    principal = statement.get("Principal")
    principals = {"AWS": "*"} if principal == "*" else principal
    if not isinstance(principals, Mapping):
        raise UnknownConstruct(f"the principal {principal}")
    for kind, names in cast("Mapping[str, Any]", principals).items():
        for name in _several(names):
            if kind not in _PRINCIPALS or not _PRINCIPALS[kind].fullmatch(name):
                raise UnknownConstruct(f"the principal {kind} {name}")
            if name == "*" or name in caller.principals.get(kind, ()):
                yield "caller"
            elif kind == "AWS" and name == caller.account_root:
                yield "account"


def _holds(condition: Mapping[str, Mapping[str, Any]], access: Access) -> bool:
    values = {
        key.lower(): [value] if isinstance(value, str) else [*value]
        for key, value in access.context.items()
    }
    known = values.keys() | _LACKED.get(access.action.partition(":")[0], frozenset())
    named = {key for keys in condition.values() for key in keys}
    if unknown := sorted(key for key in named if key.lower() not in known):
        raise UnknownConstruct(
            f"the condition keys {unknown}, of which {access.action} says nothing"
        )
    return all(
        _operator(operator)([_text(each) for each in _several(wanted)], values.get(key.lower()))
        for operator, keys in condition.items()
        for key, wanted in keys.items()
    )


def _text(value: Any) -> str:
    """A value of a condition; JSON's booleans are texts in small letters to IAM."""
    if not isinstance(value, (bool, str)):
        raise UnknownConstruct(f"the value {value} of a condition")
    return value if isinstance(value, str) else json.dumps(value)


_Test = Callable[[list[str], list[str] | None], bool]
"""Values of the document, values of the request (None: the request lacks the key) -> holds."""


def _any(alike: Callable[[str, str], bool]) -> _Test:
    return lambda wanted, given: (
        given is not None and any(alike(pattern, value) for pattern in wanted for value in given)
    )


def _none(alike: Callable[[str, str], bool]) -> _Test:
    """Negated operators are true of a key that the request lacks."""
    return lambda wanted, given: not _any(alike)(wanted, given)


def _absent(wanted: list[str], given: list[str] | None) -> bool:
    if not {*wanted} <= {"true", "false"}:
        raise UnknownConstruct(f"Null with {wanted}")
    return ("true" if given is None else "false") in wanted


def _same_text(pattern: str, value: str) -> bool:
    return pattern == value


def _same_truth(pattern: str, value: str) -> bool:
    return pattern.lower() == value.lower()


def like(pattern: str, value: str) -> bool:
    """Whether a value fits a pattern with ``*`` and ``?``."""
    return _pattern(pattern).fullmatch(value) is not None


def _like_ignoring_case(pattern: str, value: str) -> bool:
    return like(pattern.lower(), value.lower())


def _like_arn(pattern: str, value: str) -> bool:
    """Each of the six parts by itself, so that a ``*`` reaches over no colon."""
    patterns, parts = pattern.split(":", 5), value.split(":", 5)
    return len(patterns) == len(parts) and all(map(like, patterns, parts))


@cache
def _pattern(text: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(letter, re.escape(letter)) for letter in text), re.DOTALL)


_OPERATORS: dict[str, _Test] = {
    "ArnEquals": _any(_like_arn),
    "ArnLike": _any(_like_arn),
    "ArnNotEquals": _none(_like_arn),
    "ArnNotLike": _none(_like_arn),
    "Bool": _any(_same_truth),
    "Null": _absent,
    "StringEquals": _any(_same_text),
    "StringLike": _any(like),
    "StringNotEquals": _none(_same_text),
    "StringNotLike": _none(like),
}
_IF_EXISTS = "IfExists"
_ALL, _ANY = "ForAllValues", "ForAnyValue"


def _operator(name: str) -> _Test:
    """The test of a condition operator, with the qualifiers that AWS has for any of them.

    reference_policies_condition-single-vs-multi-valued-context-keys.html.
    """
    quantifier, _, rest = name.rpartition(":")
    plain = rest.removesuffix(_IF_EXISTS)
    if plain not in _OPERATORS or rest == f"Null{_IF_EXISTS}" or quantifier not in ("", _ALL, _ANY):
        raise UnknownConstruct(f"the condition operator {name}")
    one = _OPERATORS[plain]

    def test(wanted: list[str], given: list[str] | None) -> bool:
        if given is None and (rest != plain or quantifier == _ALL):
            return True
        if not quantifier:
            return one(wanted, given)
        of_each = [one(wanted, [value]) for value in given or []]
        return all(of_each) if quantifier == _ALL else any(of_each)

    return test


def _several(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]
