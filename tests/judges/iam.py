"""What is wrong with the IAM documents of a plan, by policy_sentry's definitions of all actions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from policy_sentry.analysis.expand import expand
from policy_sentry.querying.actions import get_action_data
from policy_sentry.util.arns import ARN
from policy_sentry.util.conditions import is_condition_key_match

from regions.region import Region
from rehearsal.clouds import ACCOUNT
from tests.judges.findings import Finding
from tests.judges.plans import Planned

TABLE: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
_ACCOUNTS = {"", "*", "aws", ACCOUNT}
_GLOBAL: list[str] = TABLE["global keys"]
_SUBJECT = {"role": "role", "user": "user"}
Statement = Mapping[str, Any]


def findings(resources: Iterable[Planned]) -> Iterator[Finding]:
    """What is no action, resource or condition key, or too long, in the documents of one plan."""
    inline: dict[str, int] = {}
    for resource in resources:
        for kind, text in documents(resource):
            document = json.loads(text)
            size = len(json.dumps(document, separators=(",", ":")))
            if subject := _SUBJECT.get(kind):
                owner = f"{kind} {resource.inputs[subject]}"
                size = inline[owner] = inline.get(owner, 0) + size
            for rule, sentence in _document(kind, document, size, Region.of(resource.region)):
                yield Finding(rule, f"{resource.type} {resource.name}", sentence)


def documents(resource: Planned) -> Iterator[tuple[str, str]]:
    """The kind and the text of each policy document among the inputs of a resource.

    Raises:
        LookupError: a document at a property that iam.yaml does not name.
    """
    for key, value in resource.inputs.items():
        if isinstance(value, str) and value.startswith("{") and '"Statement"' in value:
            yield TABLE["documents"][f"{resource.type}.{key}"], value


def _document(
    kind: str, document: Mapping[str, Any], size: int, region: Region
) -> Iterator[tuple[str, str]]:
    if size > TABLE["sizes"][kind]:
        yield "size", f"{size} characters, and {kind} documents have {TABLE['sizes'][kind]}"
    for arn in _strings(document):
        if arn.startswith("arn:"):
            partition, account = arn.split(":")[1], arn.split(":", 5)[4]
            if partition != region.partition:
                yield "partition", f"{arn} is of another partition"
            if account not in _ACCOUNTS:
                yield "account", f"{arn} is of another account"
    for statement in document["Statement"]:
        yield from _statement(kind, statement)
        principal = statement.get("Principal", {})
        for service in _listed(principal.get("Service")) if principal != "*" else ():
            if not service.endswith((".amazonaws.com", f".{region.dns_suffix}")):
                yield "principal", f"{service} is no service of {region.partition}"


def _statement(kind: str, statement: Statement) -> Iterator[tuple[str, str]]:
    entries: list[Mapping[str, Any]] = []
    resources = _listed(statement.get("Resource", "*"))
    unused = {arn for arn in resources if arn != "*"}
    for action in _listed(statement.get("Action", statement.get("NotAction"))):
        found = [entry for each in expand(action) for entry in _entries(each)]
        if not found:
            yield "action", f"{action} is no action"
        entries += found
        forms = {entry["resource_arn_format"] for entry in found}
        fitting = {arn for arn in resources if any(_fits(arn, form) for form in forms)}
        unused -= fitting
        if found and not fitting and "*" not in resources and kind != "trust":
            yield "resource", f"{action} has no resource of its types {sorted(forms)}"
    for arn in sorted(unused):
        yield "resource", f"no action is of the resource {arn}"
    keys = {key for entry in entries for key in entry["condition_keys"]}
    for condition in statement.get("Condition", {}).values():
        for key in condition:
            known = any(is_condition_key_match(each, key) for each in keys)
            if not known and not _general(key, statement):
                yield "condition", f"{key} is no condition key of {statement.get('Action')}"


def _general(key: str, statement: Statement) -> bool:
    """Whether every request has the key, or the tokens of the identity provider have."""
    issuer, _, claim = key.rpartition(":")
    if claim in ("aud", "sub"):
        federated = statement.get("Principal", {}).get("Federated", "")
        return federated.endswith(f":oidc-provider/{issuer}")
    return any(key == each or (each[-1] == "/" and key.startswith(each)) for each in _GLOBAL)


def _entries(action: str) -> list[dict[str, Any]]:
    service, _, name = action.partition(":")
    return get_action_data(service, name).get(service, []) if name and "*" not in name else []


def _fits(arn: str, form: str) -> bool:
    return arn.startswith("arn:") and ARN(arn).same_resource_type(form)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (Mapping, list)):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(each)
