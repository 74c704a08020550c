"""How grave the rights are that a change adds, by name of the rule in ``dangers.yaml``.

Each new grant has one name, the gravest that fits. What nothing marks as grave is still more than
before, so a document that exists has a name for the rest too.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from review.access import POD_IDENTITY, Access, Widening
from review.changes import ABSENT, Change
from review.grants import Grant, covers, held_conditions, is_admin, is_public
from review.resources import Resource

# Managed policies of AWS that are a service, or everything: .../policy/AmazonS3FullAccess.
_BROAD_POLICY = re.compile(
    r":iam::aws:policy/(.*/)?"
    r"(AdministratorAccess[\w-]*|PowerUserAccess|\w*FullAccess\w*|SystemAdministrator|DatabaseAdministrator)$"
)
# With these somebody gives himself, or others, rights that no document of the change names.
# AWS Service Authorization Reference: access levels "Permissions management" and, of iam, "Write".
_ESCALATIONS = re.compile(
    r"(iam:(?!(get|list|simulate|generate)).*"
    r"|sts:(\*|assume.*)"
    r"|[\w-]+:(put|set|attach|delete|create|update|add|\*)\w*(policy|policies|permission|acl)\*?"
    r"|kms:(creategrant|schedulekeydeletion|disablekey)"
    r"|eks:(createaccessentry|updateaccessentry|associateaccesspolicy)"
    r"|lambda:(updatefunctioncode|addpermission)|ssm:(sendcommand|startsession)"
    r"|secretsmanager:getsecretvalue"
    r")$",
    re.IGNORECASE,
)
_ANYTHING = re.compile(r"\*|arn:[^:]*:[^:]*:[^:]*:[^:]*:([\w-]+[/:])?\*(/\*)?$")
_ACCOUNT = re.compile(r"(?:arn:[\w-]+:\w+::|^)(\d{12})(?::|$)")
_ACCOUNT_IN_TEXT = re.compile(r"arn:[\w-]+:(?:iam|sts):[^:]*:(\d{12}):")
_ATTACHED_ELSEWHERE = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
"""Has a rule of its own."""


def graded(
    access: Access, resources: Iterable[Resource]
) -> Iterator[tuple[str, Resource, str, Change]]:
    """Name of the rule, owner, property, and what is given, of everything that widens."""
    own = _own_account(resources)
    for widening in access.widenings:
        for name, change in _of_document(widening, own):
            yield name, widening.owner, widening.place, change
    for each in access.attachments:
        if each.new and each.owner.type != _ATTACHED_ELSEWHERE:
            name = "admin" if _BROAD_POLICY.search(each.policy) else "attached"
            name, what = (
                ("identity", "role") if each.owner.type == POD_IDENTITY else (name, "policy")
            )
            if name == "admin" or not each.created:
                yield (
                    name,
                    each.owner,
                    f"{what}Arn",
                    Change(f"{what} of {each.holder}", ABSENT, each.policy),
                )


def _own_account(resources: Iterable[Resource]) -> str:
    """The account that most ARNs of the stack name; empty where none does."""
    found: Counter[str] = Counter()
    for each in resources:
        if each.type.startswith("aws:"):
            text = json.dumps(each.before or each.after, default=str)
            found.update(_ACCOUNT_IN_TEXT.findall(text))
    return min(found, key=lambda each: (-found[each], each), default="")


def _of_document(widening: Widening, own: str) -> Iterator[tuple[str, Change]]:
    held = [*widening.before]
    groups: dict[str, list[str]] = {}
    for grant in widening.allowed:
        name = _grade(grant, held, own, created=widening.created)
        if name == "condition":
            yield name, _conditions_apart(widening.place, grant, held)
        elif name:
            groups.setdefault(name, []).append(said(grant))
    for name, grants in groups.items():
        yield name, Change(widening.place, list[str](), grants)
    if widening.undenied:
        yield "undenied", Change(widening.place, [said(each) for each in widening.undenied], [])
    if widening.by_hand:
        yield "by_hand", Change(widening.place, list[str](), list(widening.by_hand))


def _grade(grant: Grant, held: Iterable[Grant], own: str, *, created: bool) -> str:
    """The gravest name that fits; empty for an ordinary right of one who is new himself."""
    if is_public(grant) or _is_any_identity(grant):
        return "public"
    if is_admin(grant) or _is_service_wide(grant):
        return "admin"
    if _is_foreign(grant.principal, own):
        return "foreign"
    everything = _ANYTHING.fullmatch(grant.resource) is not None
    # In a policy of a resource, "*" is that resource alone.
    unbound = everything and not grant.condition and grant.principal == "-"
    grave = _ESCALATIONS.match(grant.action) and _is_identity_or_key(grant)
    if grave and (unbound or not created):
        return "escalation"
    if created:
        return ""
    return "condition" if under_another_condition(grant, held) else "wider"


def _is_identity_or_key(grant: Grant) -> bool:
    # That a role may be assumed at all is what its trust policy is for.
    return not grant.action.lower().startswith("sts:assume") or grant.principal == "-"


def _is_service_wide(grant: Grant) -> bool:
    """Every action of a service on everything that a pattern over its resources matches."""
    wide = grant.action == "*" or grant.action.endswith(":*")
    return wide and grant.principal == "-" and _ANYTHING.fullmatch(grant.resource) is not None


def _is_any_identity(grant: Grant) -> bool:
    """Whether a trust policy lets every identity, or a pattern of them, of a provider in."""
    if not grant.principal.startswith("Federated: "):
        return False
    subjects = [
        (operator, values)
        for (operator, key), values in held_conditions(grant.condition).items()
        if key.endswith((":sub", ":amr"))
    ]
    narrow = [
        values
        for operator, values in subjects
        if not operator.startswith(("StringNot", "Null"))
        and not operator.endswith("IfExists")
        and not (operator.startswith("StringLike") and any("*" in value for value in values))
    ]
    return not narrow


def _is_foreign(principal: str, own: str) -> bool:
    """Whether a principal is of an account that is not the stack's."""
    found = _ACCOUNT.search(principal.removeprefix("AWS: "))
    return bool(own and found and principal.startswith("AWS: ") and found[1] != own)


def under_another_condition(grant: Grant, held: Iterable[Grant]) -> Grant | None:
    """The grant of the base that is the same, or more, but for its condition; None without one."""
    bare = Grant(grant.action, grant.resource, grant.principal, "")
    return next(
        (
            each
            for each in held
            if each.condition
            and covers(Grant(each.action, each.resource, each.principal, ""), bare)
        ),
        None,
    )


def _conditions_apart(place: str, grant: Grant, held: Iterable[Grant]) -> Change:
    before = under_another_condition(grant, held)
    what = said(replace(grant, condition=""))
    return Change(
        f"{place}: {what}",
        said_condition(before.condition if before else ""),
        said_condition(grant.condition) or "without a condition",
    )


def said(grant: Grant) -> str:
    """``s3:GetObject on arn:... for AWS: ... if StringEquals ...``."""
    text = grant.action
    text += f" on {grant.resource}" if grant.resource != "-" else ""
    text += f" for {said_principal(grant.principal)}" if grant.principal != "-" else ""
    return text + (f" if {said_condition(grant.condition)}" if grant.condition else "")


def said_condition(condition: str) -> str:
    """``StringEquals aws:sourcevpc vpc-1``, one after the other."""
    tests: Mapping[tuple[str, str], Any] = held_conditions(condition)
    return " and ".join(
        f"{operator} {said_key(key)} {', '.join(sorted(values))}"
        for (operator, key), values in sorted(tests.items())
    )


def said_key(key: str) -> str:
    """``sub`` of ``oidc.eks.us-west-2.amazonaws.com/id/0123:sub``, which its principal names."""
    return key.rpartition(":")[2] if "/id/" in key else key


def said_principal(principal: str) -> str:
    """The principal; of the provider of a cluster its host, since its ID says nothing."""
    return re.sub(r"arn:[\w-]+:iam::\d+:oidc-provider/([^/]+)/id/\w+$", r"\1", principal)
