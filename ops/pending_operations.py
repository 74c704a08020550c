"""What an interrupted run of Pulumi had begun, and what becomes of each of its operations.

Where a provider ends and the engine does not, operations are lost: the engine drops a creation that
failed (pulumi/pulumi, pkg/backend/snapshot.go, ``createSnapshotMutation.End``), although AWS may
have done it. Therefore what the next ``up`` would create is looked up too.
"""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from ops.account_calls import CallFailed
from ops.aws_lookups import HARMLESS, LOOK_UPS, things
from ops.aws_lookups.account import Account
from ops.aws_lookups.look_up import Thing, Undescribed, tags_of
from ops.cli_errors import Refused
from settings.errors import listed

Json = dict[str, Any]

_RELEASE = "kubernetes:helm.sh/v3:Release"
_CREATED_AGAIN = ("kubernetes:", "pulumi-python:dynamic", "pulumi:providers:")
"""Server-side apply and every dynamic provider of this project make what is absent; a provider is
nothing in a cloud.

(pulumi.com/registry/packages/kubernetes, "Managing Resources with Server-Side Apply": "upsert")
"""


PLANNED = "planned"
"""The kind of an operation that the next ``up`` begins."""
_NOT_INPUTS = ("[secret]", "04da6b54-80e4-46f7-96ec-b56ff0331ba9")
"""What a plan has in place of a secret, and of what is not known before
(pulumi/pulumi, sdk/go/common/resource/plugin/rpc.go, ``UnknownStringValue``)."""


class Outcome(StrEnum):
    """What becomes of an operation."""

    TAKEN = "taken into the state"
    CLEARED = "cleared"
    READ = "cleared, and read again"
    OPEN = "left"


@dataclass(frozen=True)
class Operation:
    """One pending operation of a stack's state, or one that is planned."""

    kind: str
    resource: Json

    @classmethod
    def planned(cls, resource: Json) -> Operation:
        """The creation of a resource in a plan, with those of its inputs that the plan has."""
        inputs = {
            name: value
            for name, value in (resource.get("inputs") or {}).items()
            if not any(text in json.dumps(value) for text in _NOT_INPUTS)
        }
        return cls(PLANNED, {**resource, "inputs": inputs})

    @property
    def urn(self) -> str:
        """The resource's URN."""
        return str(self.resource["urn"])

    @property
    def type(self) -> str:
        """``aws:ec2/vpc:Vpc``."""
        return str(self.resource["type"])

    @property
    def inputs(self) -> Json:
        """The resource's inputs, as they are encrypted in the state."""
        return self.resource.get("inputs") or {}

    @property
    def label(self) -> str:
        """Type and name, without any input."""
        return f"{self.type} {self.urn.rsplit('::', 1)[-1]}"


@dataclass(frozen=True)
class Decision:
    """An operation with its outcome, the reason, and the id of what was created."""

    operation: Operation
    outcome: Outcome
    reason: str
    id: str = ""


class Deployment:
    """The deployment of ``pulumi stack export``, without secrets in clear text."""

    def __init__(self, exported: Json) -> None:
        self.exported = exported
        body: Json = exported.get("deployment") or {}
        self.resources: list[Json] = body.get("resources") or []
        self.operations = [
            Operation(operation["type"], operation["resource"])
            for operation in body.get("pending_operations") or []
        ]

    @property
    def destroying(self) -> bool:
        """Whether the run was a ``destroy``, as far as what it left shows."""
        kinds = {each.kind for each in self.operations}
        return kinds == {"deleting"}

    @cached_property
    def ids(self) -> Mapping[str, set[str]]:
        """URN -> the ids that the state has for it."""
        ids: dict[str, set[str]] = defaultdict(set)
        for resource in self.resources:
            ids[resource["urn"]].add(resource.get("id", ""))
        return ids

    @property
    def unread(self) -> list[str]:
        """URNs that an earlier ``./kf resume`` took in, and ended before it read them."""
        return [
            resource["urn"]
            for resource in self.resources
            if resource.get("id")
            and not resource.get("outputs")
            and resource["type"].startswith("aws:")
        ]

    def provider(self, resource: Json) -> Json:
        """The provider of a resource; empty where the state has none of that URN."""
        urn = str(resource.get("provider", "")).rsplit("::", 1)[0]
        return next((each for each in self.resources if each["urn"] == urn), {})

    def accounts(self, provider: str) -> set[str]:
        """The accounts in the ARNs of what a provider made."""
        arns = (
            str((resource.get("outputs") or {}).get("arn")).split(":")
            for resource in self.resources
            if str(resource.get("provider", "")).rpartition("::")[0] == provider
        )
        return {arn[4] for arn in arns if len(arn) > 5 and arn[4].isdigit()}

    def settled(self, decisions: list[Decision]) -> Json:
        """The deployment after the decisions: no pending operation, and what was created."""
        added = [
            self._created(decision) for decision in decisions if decision.outcome is Outcome.TAKEN
        ]
        body = {**self.exported["deployment"], "resources": [*self.resources, *added]}
        body.pop("pending_operations", None)
        return {**self.exported, "deployment": body}

    def _created(self, decision: Decision) -> Json:
        """The resource of a creation, for ``pulumi refresh`` to read.

        Without outputs, because the AWS provider imports by id what has none
        (pulumi/pulumi-terraform-bridge, pkg/tfbridge/provider.go, Read). An old entry may name a
        parent, a provider or dependencies that the state no longer has.
        """
        resource = dict(decision.operation.resource)
        resource.pop("outputs", None)
        provider = self.provider(resource)
        if provider:
            resource["provider"] = f"{provider['urn']}::{provider['id']}"
        if resource.get("parent") not in self.ids:
            resource.pop("parent", None)
        if "dependencies" in resource:
            resource["dependencies"] = self._in_state(resource["dependencies"])
        if "propertyDependencies" in resource:
            resource["propertyDependencies"] = {
                name: self._in_state(urns)
                for name, urns in resource["propertyDependencies"].items()
            }
        return resource | {"id": decision.id}

    def _in_state(self, urns: list[str] | None) -> list[str]:
        return [urn for urn in urns or [] if urn in self.ids]


class Settlement:
    """Decides what becomes of the pending operations of one deployment.

    Args:
        deployment: as exported.
        stack: its name, for the commands in sentences.
        exists: URN -> id, by the person's own word.
        absent: URNs of what the person found absent.
        planned: the resources that the next ``up`` would create.
    """

    def __init__(
        self,
        deployment: Deployment,
        stack: str,
        exists: Mapping[str, str],
        absent: set[str],
        planned: Iterable[Json] = (),
    ) -> None:
        pending = {each.urn for each in deployment.operations}
        self._operations = [
            *deployment.operations,
            *(
                Operation.planned(each)
                for each in planned
                if each["type"] in LOOK_UPS.keys() - HARMLESS.keys()
                if each["urn"] not in pending and deployment.provider(each)
            ),
        ]
        self._deployment = deployment
        self._stack = stack
        self._exists = exists
        self._absent = absent
        self._accounts: dict[str, Account] = {}
        unknown = ({*exists} | absent) - {each.urn for each in self._operations}
        if unknown:
            raise Refused(
                f"{listed(sorted(unknown), 'and')}: no operation of that URN is pending or "
                "planned; `./kf resume --dry-run` lists them."
            )

    def decisions(self) -> list[Decision]:
        """One decision per resource and kind of operation: each kill leaves an entry of its own.

        Planned creations of what AWS does not have are left out.
        """
        entries: dict[tuple[str, str], list[Operation]] = defaultdict(list)
        for operation in self._operations:
            entries[operation.kind, operation.urn].append(operation)
        decisions = [self._decision(operations) for operations in entries.values()]
        return [
            each
            for each in decisions
            if each.operation.kind != PLANNED or each.outcome is not Outcome.CLEARED
        ]

    def _decision(self, operations: list[Operation]) -> Decision:
        operation = operations[-1]
        if operation.kind not in ("creating", PLANNED):
            return _ended(operation)
        if decision := self._by_word(operation) or self._by_type(operation):
            return decision
        try:
            return self._by_look_up(operations)
        except Undescribed as missing:
            if operation.kind == PLANNED:
                return Decision(operation, Outcome.CLEARED, f"{missing} is not known before")
            return self._open(operation, f"its input {missing} is missing or encrypted")
        except CallFailed as failure:
            return Decision(operation, Outcome.OPEN, f"not looked up: {failure}")

    def _by_word(self, operation: Operation) -> Decision | None:
        if operation.urn in self._absent:
            return Decision(operation, Outcome.CLEARED, "absent, as --absent says")
        if id_ := self._exists.get(operation.urn):
            return Decision(operation, Outcome.TAKEN, f"{id_}, as --exists says", id_)
        return None

    def _by_type(self, operation: Operation) -> Decision | None:
        if not operation.resource.get("custom", True):
            return Decision(operation, Outcome.CLEARED, "a component is nothing in a cloud")
        if reason := HARMLESS.get(operation.type):
            return Decision(operation, Outcome.CLEARED, reason)
        if operation.type.startswith(_CREATED_AGAIN) and operation.type != _RELEASE:
            return Decision(operation, Outcome.CLEARED, "creating it again changes nothing")
        if operation.type not in LOOK_UPS:
            return self._open(operation, "there is no look-up for this type", _hint(operation))
        if not self._deployment.provider(operation.resource):
            return self._open(operation, "its provider is no longer in the state")
        return None

    def _by_look_up(self, operations: list[Operation]) -> Decision:
        of_things = {thing.id: (thing, each) for each in operations for thing in self._things(each)}
        operation = operations[-1]
        if not of_things:
            return Decision(operation, Outcome.CLEARED, "AWS has none: the next `up` creates it")
        if len(of_things) > 1:
            ids = listed([*of_things], "and")
            return self._open(operation, f"AWS has {len(of_things)}: {ids}")
        ((thing, operation),) = of_things.values()
        if obstacle := _obstacle(thing):
            return Decision(operation, Outcome.OPEN, obstacle)
        if thing.tags is not None and not tags_of(operation.inputs).items() <= thing.tags.items():
            return self._open(operation, f"{thing.id} exists without the tags of this stack")
        if self._deployment.ids.get(operation.urn):
            reason = f"{thing.id} exists beside the one in the state: delete it"
            return self._open(operation, reason, exists=False)
        return Decision(operation, Outcome.TAKEN, thing.id, thing.id)

    def _things(self, operation: Operation) -> list[Thing]:
        """What exists and belongs to no resource of the state."""
        provider = self._deployment.provider(operation.resource)
        urn = str(provider["urn"])
        if urn not in self._accounts:
            account = Account(provider["inputs"])
            _same_account(account.id, self._deployment.accounts(urn))
            self._accounts[urn] = account
        owned = {
            resource.get("id")
            for resource in self._deployment.resources
            if resource["type"] == operation.type
        }
        return [
            thing
            for thing in things(self._accounts[urn], operation.type, operation.inputs)
            if not {thing.id, thing.state_id} & owned
        ]

    def _open(
        self, operation: Operation, reason: str, hint: str = "", *, exists: bool = True
    ) -> Decision:
        """An operation that a person decides, with the commands for it."""
        command = ["./kf", "resume", "--stack", self._stack]
        absent = shlex.join([*command, "--absent", operation.urn])
        present = shlex.join([*command, "--exists", f"{operation.urn}=ID"])
        ways = [f"`{present}` if it exists", f"`{absent}` if not"] if exists else [f"`{absent}`"]
        look = hint or "look in the console"
        return Decision(operation, Outcome.OPEN, f"{reason}; {look}, then {', '.join(ways)}")


def _same_account(account: str, owners: set[str]) -> None:
    """Raises CallFailed: in another account nothing of the stack would exist."""
    if owners and account not in owners:
        raise CallFailed(
            f"the credentials are of account {account} and the stack is in "
            f"{listed(sorted(owners), 'and')}: choose another AWS_PROFILE"
        )


def _ended(operation: Operation) -> Decision:
    """An update, deletion, read or import: the state has the resource, AWS has what it is now."""
    if operation.kind in ("updating", "deleting") and operation.type.startswith("aws:"):
        return Decision(operation, Outcome.READ, f"{operation.kind} was interrupted")
    return Decision(operation, Outcome.CLEARED, f"{operation.kind} is repeated by the next run")


def _hint(operation: Operation) -> str:
    if operation.type != _RELEASE:
        return ""
    name, namespace = (str(operation.inputs.get(key, key.upper())) for key in ("name", "namespace"))
    return (
        f"`helm status {name} --namespace {namespace}` shows it (ID is {namespace}/{name}), and "
        "`helm uninstall` removes one that is not deployed"
    )


def _obstacle(thing: Thing) -> str:
    """Why something that exists cannot be taken in now, with the way out."""
    if thing.deletion:
        return (
            f"{thing.id} exists and its secret is lost: if nothing uses it, `{thing.deletion}`, "
            "then run this command again"
        )
    if not thing.status:
        return ""
    if thing.status.lower() in ("pending", "creating", "deleting"):
        return f"{thing.id} is {thing.status}: run this command again when AWS is done"
    return f"{thing.id} is {thing.status}: delete it, then run this command again"


def in_words(decisions: list[Decision]) -> Iterator[str]:
    """A line per decision."""
    for decision in decisions:
        operation = decision.operation
        yield f"{operation.kind} {operation.label}: {decision.outcome} ({decision.reason})"
