"""What exists in a simulated AWS account, and what AWS refuses because of it.

Every change is a line of a file, so that the account outlives a process that is killed, as a cloud
does, and stacks can share it. A second creation of something that AWS names gets another identity;
where the caller names it, AWS refuses the name.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from regions.region import Region

Outputs = tuple[str, dict[str, Any]]
"""The id of a resource, and its properties."""

_UPSERTS = (
    "aws:cloudwatch/eventRule:EventRule",
    "aws:cloudwatch/eventTarget:EventTarget",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    "aws:ec2/tag:Tag",
    "aws:efs/backupPolicy:BackupPolicy",
    "aws:efs/fileSystemPolicy:FileSystemPolicy",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/userPolicy:UserPolicy",
    "aws:kms/keyPolicy:KeyPolicy",
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
    "aws:s3/bucket",
    "aws:secretsmanager/secretPolicy:SecretPolicy",
    "aws:sqs/queue:Queue",
    "aws:sqs/queuePolicy:QueuePolicy",
)
"""Types whose creation is a Put or an Attach in AWS, which a second call repeats without an error
(botocore service models: PutRule, PutTargets, CreateTags, PutRolePolicy, AttachRolePolicy,
PutBucket..., CreateQueue); a prefix stands for several."""
_MOST_ATTEMPTS = 9
BUCKET = "aws:s3/bucket:Bucket"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
_SECRET = "aws:secretsmanager/secret:Secret"  # noqa: S105 - a type
_RECOVERABLE = f"{_SECRET} scheduled for deletion"
DATABASE, SNAPSHOT = "aws:rds/instance:Instance", "aws:rds/snapshot:Snapshot"
_RECOVERY_DAYS = 30

_PROTECTED = {
    "aws:eks/cluster:Cluster": "InvalidRequestException: deletion protection is enabled",
    DATABASE: "InvalidParameterCombination: Cannot delete protected DB Instance, please disable"
    " deletion protection and try again.",
}
"""Type -> AWS's own error for a deletion while ``deletionProtection`` is on."""

_IN_USE = {
    BUCKET: ("forceDestroy", "BucketNotEmpty: The bucket you tried to delete is not empty"),
    "aws:ecr/repository:Repository": (
        "forceDelete",
        "RepositoryNotEmptyException: The repository cannot be deleted because it has images",
    ),
}
"""Type -> the property that deletes the content too, and AWS's own error without it."""

_TAKEN = {
    "aws:cloudwatch/logGroup:LogGroup": "ResourceAlreadyExistsException: The specified log group"
    " already exists",
    "aws:dynamodb/table:Table": "ResourceInUseException: Table already exists",
    "aws:ecr/repository:Repository": "RepositoryAlreadyExistsException",
    "aws:ec2/launchTemplate:LaunchTemplate": "InvalidLaunchTemplateName.AlreadyExistsException",
    "aws:ec2/securityGroup:SecurityGroup": "InvalidGroup.Duplicate: The security group already"
    " exists for the VPC",
    "aws:eks/cluster:Cluster": "ResourceInUseException: Cluster already exists",
    "aws:iam/": "EntityAlreadyExists",
    "aws:kms/alias:Alias": "AlreadyExistsException",
    "aws:lambda/": "ResourceConflictException: Function already exist",
    "aws:rds/instance:Instance": "DBInstanceAlreadyExists",
    BUCKET: "BucketAlreadyOwnedByYou",
    "aws:secretsmanager/": "ResourceExistsException",
}
"""Type or prefix of types -> AWS's own error for a name that is taken."""


_NAMES = {
    "aws:ec2/launchTemplate:LaunchTemplate": ("name",),
    "aws:ec2/securityGroup:SecurityGroup": ("vpcId", "name"),
    DATABASE: ("identifier",),
}
"""Type whose ids are AWS's own -> the properties that no two may share all the same."""

_CONTENT, _NAME = " with content", " named"
_WITHOUT_REGION = ("aws:iam/", "aws:s3/bucket:")


class RefusedByAws(Exception):
    """AWS refuses a call, in its own words."""


class Account:
    """Everything that exists in one account.

    Args:
        journal: the file of the account; None: nothing outlives this object.
    """

    def __init__(self, journal: Path | None = None) -> None:
        self._journal = journal
        self._read_bytes = 0
        self._lock = threading.Lock()
        self._existing: set[tuple[str, str, str]] = set()
        self._trusts: dict[str, str] = {}
        self._drawn: Counter[str] = Counter()
        self._crds: dict[tuple[str, str], str] = {}
        self._inputs: dict[tuple[str, str, str], dict[str, Any]] = {}

    @property
    def existing(self) -> frozenset[tuple[str, str, str]]:
        """Type, region and id of everything, content left out."""
        with self._lock:
            self._read()
            own = (_CONTENT, _NAME)
            return frozenset(each for each in self._existing if not each[0].endswith(own))

    def ids(self, type_: str, region: str) -> list[str]:
        """The ids of everything of a type, sorted."""
        scope = _scope(type_, region)
        return sorted(each[2] for each in self.existing if each[:2] == (type_, scope))

    def has(self, type_: str, region: str, identifier: str) -> bool:
        """Whether a resource exists."""
        with self._lock:
            self._read()
            return (type_, _scope(type_, region), identifier) in self._existing

    def _read(self) -> None:
        """Takes in what this and other processes have written since the last call."""
        if not (self._journal and self._journal.exists()):
            return
        with self._journal.open(encoding="utf-8") as journal:
            journal.seek(self._read_bytes)
            for line in journal.readlines():
                change = json.loads(line)
                if "drawn" in change:
                    self._drawn[change["drawn"]] += 1
                    continue
                if "crds" in change:
                    self._crds[change["server"], change["name"]] = change["crds"]
                    continue
                if "trust" in change:
                    self._trusts[change["id"]] = change["trust"]
                    continue
                thing = (change["type"], change["region"], change["id"])
                if "inputs" in change:
                    self._inputs[thing] = change["inputs"]
                    continue
                getattr(self._existing, "add" if change["exists"] else "discard")(thing)
            self._read_bytes = journal.tell()

    def create(self, type_: str, region: str, outputs: Callable[[int], Outputs]) -> Outputs:
        """Creates a resource.

        Args:
            type_: its token.
            region: where.
            outputs: the id and the properties of the n-th resource of this name, from 0.

        Raises:
            RefusedByAws: its id is a name of the caller's choice, and exists.
        """
        region = _scope(type_, region)
        with self._lock:
            self._read()
            attempt = 0
            while self._taken(type_, region, _name(type_, (made := outputs(attempt))[0])):
                attempt += 1
                name = _name(type_, made[0])
                if name == _name(type_, outputs(attempt)[0]):
                    if type_ != BUCKET and type_.startswith(_UPSERTS):
                        return made
                    if (_RECOVERABLE, region, name) in self._existing:
                        raise RefusedByAws(
                            "InvalidRequestException: You can't create this secret because a secret"
                            f" with this name is already scheduled for deletion: {name}"
                        )
                    raise RefusedByAws(f"{_error(type_)}: {name}")
            if name := _given_name(type_, made[1]):
                if (type_ + _NAME, region, name) in self._existing:
                    raise RefusedByAws(f"{_error(type_)}: {name}")
                self._record(type_ + _NAME, region, name, exists=True)
            self._record(type_, region, made[0], exists=True)
            return made

    def taken(self, type_: str, region: str, name: str) -> bool:
        """Whether something has the name, or the id where AWS names it."""
        with self._lock:
            self._read()
            return self._taken(type_, _scope(type_, region), name)

    def _taken(self, type_: str, region: str, name: str) -> bool:
        if type_ != _SECRET:
            return (type_, region, name) in self._existing
        secrets = (each[2] for each in self._existing if each[:2] == (_SECRET, region))
        recoverable = (_RECOVERABLE, region, name) in self._existing
        return recoverable or any(_name(_SECRET, each) == name for each in secrets)

    def fill(self) -> None:
        """Puts an object into every bucket and an image into every repository, as use does."""
        with self._lock:
            self._read()
            for type_, region, identifier in [*self._existing]:
                if type_ in _IN_USE:
                    self._record(_content(type_), region, identifier, exists=True)

    def draw(self, name: str, outputs: Callable[[int], Outputs]) -> Outputs:
        """A random value: another one each time that it is created, unlike what AWS names."""
        with self._lock:
            self._read()
            drawn = self._drawn[name]
            self._write({"drawn": name})
            if self._journal is None:
                self._drawn[name] += 1
            return outputs(drawn)

    def trust(self, role_arn: str, policy: str) -> None:
        """Stores the trust policy of a role, a JSON text."""
        with self._lock:
            self._trusts[role_arn] = policy
            self._write({"id": role_arn, "trust": policy})

    def apply_crds(self, server: str, name: str, bundle: str) -> None:
        """Stores the bundle of CRDs that a resource has applied to an API server; empty: none."""
        with self._lock:
            self._crds[server, name] = bundle
            self._write({"server": server, "name": name, "crds": bundle})

    def crds_of(self, server: str) -> list[str]:
        """The bundles of CRDs that an API server has."""
        with self._lock:
            self._read()
            return [crds for (where, _), crds in self._crds.items() if where == server and crds]

    def remember(self, type_: str, region: str, identifier: str, inputs: Mapping[str, Any]) -> None:
        """Stores the inputs of something that exists."""
        with self._lock:
            self._store(type_, _scope(type_, region), identifier, inputs)

    def _store(self, type_: str, scope: str, identifier: str, inputs: Mapping[str, Any]) -> None:
        self._inputs[type_, scope, identifier] = dict(inputs)
        self._write({"type": type_, "region": scope, "id": identifier, "inputs": dict(inputs)})

    def inputs_of(self, type_: str, region: str) -> dict[str, dict[str, Any]]:
        """Id -> the inputs that were stored, of everything of a type that exists."""
        with self._lock:
            self._read()
            return {
                thing[2]: inputs
                for thing, inputs in self._inputs.items()
                if thing in self._existing and thing[:2] == (type_, _scope(type_, region))
            }

    def check_node_role(self, role_arn: str, region: Region) -> None:
        """Checks the role of an EKS node group as EKS in China did (aws/aws-cdk #24696).

        Raises:
            RefusedByAws: the role's trust policy lacks EC2's principal of the partition.
        """
        principal = f"ec2.{region.dns_suffix}"
        with self._lock:
            self._read()
            policy = self._trusts.get(role_arn)
        if policy is not None and f'"{principal}"' not in policy:
            raise RefusedByAws(
                f"InvalidParameterException: Following required service principals [{principal}] "
                "were not found in the trust relationships of nodeRole"
            )

    @staticmethod
    def properties_of(identifier: str, outputs: Callable[[int], Outputs]) -> Outputs:
        """The properties of an existing resource, whichever attempt made it."""
        attempts = map(outputs, range(_MOST_ATTEMPTS))
        return next((each for each in attempts if each[0] == identifier), outputs(0))

    def delete(
        self, type_: str, region: str, identifier: str, properties: Mapping[str, Any] | None = None
    ) -> None:
        """Deletes a resource; one that does not exist is no error, as for AWS's providers.

        Args:
            type_: its token.
            region: where.
            identifier: its id.
            properties: of its state.

        Raises:
            RefusedByAws: it is protected or not empty, or its final snapshot has a name that
                exists.
        """
        state, region = properties or {}, _scope(type_, region)
        with self._lock:
            self._read()
            force, not_empty = _IN_USE.get(type_, ("", ""))
            filled = (_content(type_), region, identifier)
            if filled in self._existing:
                if not state.get(force):
                    raise RefusedByAws(f"{not_empty}: {identifier}")
                self._record(*filled, exists=False)
            if state.get("deletionProtection") is True and type_ in _PROTECTED:
                raise RefusedByAws(_PROTECTED[type_])
            if type_ == DATABASE and not state.get("skipFinalSnapshot"):
                self._keep_snapshot(region, identifier, state.get("finalSnapshotIdentifier"))
            self._record(type_, region, identifier, exists=False)
            if name := _given_name(type_, state):
                self._record(type_ + _NAME, region, name, exists=False)
            if type_ == LOG_GROUP and identifier.startswith("/aws/eks/"):
                # EKS writes on when the cluster is gone, and makes the group again
                # (terraform-aws-modules/terraform-aws-eks #2763).
                self._record(type_, region, identifier, exists=True)
                self._store(type_, region, identifier, {"name": identifier})
            if type_ == _SECRET and state.get("recoveryWindowInDays", _RECOVERY_DAYS):
                self._record(_RECOVERABLE, region, _name(type_, identifier), exists=True)

    def _keep_snapshot(self, region: str, identifier: str, name: str | None) -> None:
        if not name:
            raise RefusedByAws(
                "final_snapshot_identifier is required when skip_final_snapshot is false"
            )
        if (SNAPSHOT, region, name) in self._existing:
            raise RefusedByAws(f"DBSnapshotAlreadyExists: {name}")
        self._record(SNAPSHOT, region, name, exists=True)
        made = self._inputs.get((DATABASE, region, identifier), {})
        self._store(SNAPSHOT, region, name, made)

    def _record(self, type_: str, region: str, identifier: str, *, exists: bool) -> None:
        thing = (type_, region, identifier)
        (self._existing.add if exists else self._existing.discard)(thing)
        self._write({"type": type_, "region": region, "id": identifier, "exists": exists})

    def _write(self, change: dict[str, Any]) -> None:
        if self._journal:
            with self._journal.open("a", encoding="utf-8") as journal:
                journal.write(f"{json.dumps(change)}\n")


def _scope(type_: str, region: str) -> str:
    """The region in which a name is unique, or the partition."""
    return Region.of(region).partition if type_.startswith(_WITHOUT_REGION) else region


def _given_name(type_: str, properties: Mapping[str, Any]) -> str:
    """The name of something in ``_NAMES``; empty: it has none."""
    return "/".join(filter(None, (properties.get(each) for each in _NAMES.get(type_, ()))))


def _content(type_: str) -> str:
    return f"{type_}{_CONTENT}"


def _name(type_: str, identifier: str) -> str:
    """What AWS compares: of a secret its name, whose ARN ends with six random characters."""
    is_arn = type_ == _SECRET and identifier.startswith("arn:")
    return identifier.rpartition(":")[2][:-7] if is_arn else identifier


def _error(type_: str) -> str:
    return next(
        (error for prefix, error in _TAKEN.items() if type_.startswith(prefix)),
        "AlreadyExistsException",
    )
