"""``./kf rights``: the IAM policies of whoever runs ``pulumi up`` and ``destroy``, by the plan."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ops import targets
from ops.cli_errors import Refused, errors_reported
from regions.region import Region
from settings import Settings
from settings.context import StackContext
from terminal.output import say

LONGEST = 6144
"""Characters of a managed policy, without white space
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)."""
_BUILD = "aws-build"
_ROLE = "aws:iam/role:Role"
_IDENTITIES = {
    "aws:iam/instanceProfile:InstanceProfile": "instance-profile",
    "aws:iam/policy:Policy": "policy",
    _ROLE: "role",
    "aws:iam/user:User": "user",
}
# https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html, "Delegating
# responsibility to others using permissions boundaries".
_BOUNDED = re.compile(
    "iam:(Create(Role|User)|Put(Role|User)(Policy|PermissionsBoundary)|AttachRolePolicy)"
)
_UNBOUNDING = re.compile("iam:Delete(Role|User)PermissionsBoundary")
Json = dict[str, Any]
Document = dict[str, Any]


def rights(stack: targets.Stack = targets.DEFAULT) -> None:
    """Writes the IAM policies that the deployer of a stack needs, from its plan.

    One file per managed policy into build/<stack>/rights, by account: own and, where images are
    copied from another partition, build.

    Example: `./kf rights --stack cn-north-1`
    """
    with errors_reported():
        settings = targets.settings_of(stack)
        folder = targets.PROJECT / "build" / stack
        documents = policies_of(settings, with_old(plan_of(stack)))
        out = folder / "rights"
        out.mkdir(exist_ok=True)
        for old in out.glob("*.json"):
            old.unlink()
        for name, policy in documents.items():
            file = out / f"{name}.json"
            file.write_text(json.dumps(policy, indent=2) + "\n", "utf-8")
            say(file.relative_to(targets.PROJECT))


def plan_of(stack: str) -> list[Json]:
    """The rows of the plan.json that the last `make preview` of a stack wrote.

    Raises:
        Refused: there is none.
    """
    file = targets.PROJECT / "build" / stack / "plan.json"
    try:
        return json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        way_out = f"run `make preview STACK={stack}` first"
    except (OSError, ValueError):
        way_out = f"run `make preview STACK={stack}` again"
    raise Refused(f"build/{stack}/plan.json has no plan: {way_out}.")


def with_old(rows: Sequence[Json]) -> list[Json]:
    """The rows, and before them what they replace or delete: who deploys deletes it too."""
    old = [row for row in rows if row.get("operation") in ("replace", "delete")]
    kept = [row for row in rows if row.get("operation") != "delete"]
    return [*({**row, "inputs": row["before"]} for row in old), *kept]


@cache
def rights_table() -> Json:
    """``deployer_rights.yaml``."""
    return yaml.safe_load(Path(__file__).with_name("deployer_rights.yaml").read_text("utf-8"))


def key_of(type_: str) -> str | None:
    """The row of a type in the table; None: the type calls nothing of AWS."""
    if type_.startswith("aws:"):
        return type_.split(":")[1]
    own = type_.removeprefix("pulumi-python:")
    return own if own in rights_table()["types"] else None


def policies_of(settings: Settings, plan: Iterable[Mapping[str, Any]]) -> dict[str, Document]:
    """Name -> policy document, each within the limit of a managed policy.

    Args:
        settings: of the stack.
        plan: the rows of its plan.json.

    Raises:
        Refused: the plan has a type of AWS without a row in the table.
    """
    context = StackContext.of(settings, settings.account_id or "*", {})
    sides: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in plan:
        built = context.mirror.crosses_partitions and row["provider"].endswith(f"::{_BUILD}")
        sides["build" if built else "own"].append(row)
    documents: dict[str, Document] = {}
    for side, rows in sorted(sides.items(), reverse=True):
        region = context.mirror.build_region if side == "build" else context.region
        account = "*" if side == "build" else context.account_id
        regions = {region.name}
        looked_up = [right for rights in rights_table()["lookups"].values() for right in rights]
        extra = list(rights_table()["build"]) if side == "build" else looked_up
        if context.mirror.copies_inside_the_partition:
            regions.add(context.mirror.build_region.name)
            extra += rights_table()["build"]
        identity = context.build_identity if side == "build" else context.identity
        boundary = identity["permissions_boundary"]
        statements = _statements(
            rows, region, account, regions=regions, extra=extra, boundary=boundary
        )
        for number, policy in enumerate(_packed(statements), start=1):
            documents[f"{side}-{number}"] = policy
    return documents


def _statements(
    rows: Sequence[Mapping[str, Any]],
    region: Region,
    account: str,
    *,
    regions: Iterable[str],
    extra: Sequence[str],
    boundary: str | None,
) -> Iterator[Json]:
    keys = sorted({key for row in rows if (key := key_of(row["type"]))})
    types = rights_table()["types"]
    if unknown := [key for key in keys if key not in types]:
        raise Refused(f"{', '.join(unknown)}: add the type to ops/deployer_rights.yaml.")
    actions = sorted({action for key in keys for action in types[key]} | set(extra))
    yield {
        "Effect": "Allow",
        "Action": [action for action in actions if not action.startswith("iam:")],
        "Resource": ["*"],
        "Condition": {"StringEquals": {"aws:RequestedRegion": sorted(regions)}},
    }
    arns = sorted(_identities(rows, region, account))
    of_iam = [action for action in actions if action.startswith("iam:")]
    bounded = [action for action in of_iam if _BOUNDED.fullmatch(action)] if boundary else []
    if bounded:
        of_iam = [each for each in of_iam if each not in bounded and not _UNBOUNDING.search(each)]
        yield {
            "Effect": "Allow",
            "Action": bounded,
            "Resource": arns,
            "Condition": {"StringEquals": {"iam:PermissionsBoundary": boundary}},
        }
    yield {"Effect": "Allow", "Action": of_iam, "Resource": arns}
    passed = [(row, services) for row in rows if (services := _services(row))]
    # EKS checks the right to pass an add-on's role, though pods assume it (CloudFormation's schema
    # of AWS::EKS::Addon, handlers).
    by_urn = {row["urn"]: row for row in rows if row["type"] == _ROLE}
    add_ons = (row for row in rows if row["inputs"].get("serviceAccountRoleArn"))
    needed = (by_urn[urn] for row in add_ons for urn in row["dependencies"] if urn in by_urn)
    passed += [(role, [region.service_principal("eks")]) for role in needed]
    if passed:
        yield {
            "Effect": "Allow",
            "Action": ["iam:PassRole"],
            "Resource": sorted({_identity(row, region, account) for row, _ in passed}),
            "Condition": {
                "StringEquals": {
                    "iam:PassedToService": sorted({each for _, own in passed for each in own})
                }
            },
        }
    linked = sorted(
        {name for key in keys for name in rights_table()["service_linked"].get(key, ())}
    )
    if linked:
        names = [region.service_principal(name) for name in linked]
        path = "role/aws-service-role/*"
        yield {
            "Effect": "Allow",
            "Action": ["iam:CreateServiceLinkedRole"],
            "Resource": [region.arn("iam", path, account=account, region="")],
            "Condition": {"StringEquals": {"iam:AWSServiceName": names}},
        }


def _identities(rows: Iterable[Mapping[str, Any]], region: Region, account: str) -> Iterator[str]:
    for row in rows:
        if row["type"] in _IDENTITIES:
            yield _identity(row, region, account)
        elif row["type"] == "aws:iam/openIdConnectProvider:OpenIdConnectProvider":
            issuer = f"oidc-provider/oidc.eks.{region.name}.{region.dns_suffix}/id/*"
            yield region.arn("iam", issuer, account=account, region="")


def _identity(row: Mapping[str, Any], region: Region, account: str) -> str:
    """The ARN of a role, user, policy or profile; ``*`` for what Pulumi or AWS adds to its name."""
    inputs = row["inputs"]
    name = inputs.get("name") or f"{inputs.get('namePrefix') or row['name'] + '-'}*"
    path = f"{_IDENTITIES[row['type']]}{inputs.get('path') or '/'}{name}"
    return region.arn("iam", path, account=account, region="")


def _services(row: Mapping[str, Any]) -> list[str]:
    """The services that a role trusts."""
    if row["type"] != _ROLE:
        return []
    services: list[str] = []
    for statement in json.loads(row["inputs"]["assumeRolePolicy"])["Statement"]:
        named = statement["Principal"].get("Service", [])
        services += [named] if isinstance(named, str) else named
    return services


def _packed(statements: Iterable[Json]) -> list[Document]:
    """The statements in as few documents as they fit into in their order, divided where needed."""
    documents: list[list[Json]] = [[]]
    for statement in (part for each in statements for part in _divided(each)):
        if _length([*documents[-1], statement]) > LONGEST:
            documents.append([])
        documents[-1].append(statement)
    return [_document(each) for each in documents]


def _divided(statement: Json) -> Iterator[Json]:
    """The statement, or its halves by the longer of its two lists."""
    if _length([statement]) <= LONGEST:
        yield statement
        return
    key = max(("Action", "Resource"), key=lambda each: len(json.dumps(statement[each])))
    values = statement[key]
    middle = len(values) // 2
    for half in (values[:middle], values[middle:]):
        yield from _divided({**statement, key: half})


def _document(statements: Sequence[Json]) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _length(statements: Sequence[Json]) -> int:
    return len(json.dumps(_document(statements), separators=(",", ":")))
