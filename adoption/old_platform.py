"""Reads what another Kubeflow on RDS and S3 is, from answers of ``kubectl`` and ``aws``.

Its names are those of awslabs/kubeflow-manifests v1.5.1-aws-b1.0.0 and v1.7.0-aws-b1.0.3
(deployments/rds-s3, awsconfigs/apps/pipeline) and of Kubeflow itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

MOST_BYTES = 64 << 20
INSTALL_CONFIG = "pipeline-install-config"
"""The ConfigMap of Pipelines that names the bucket, as ``bucketName``."""

CONFIG_COMMAND = f"kubectl --namespace kubeflow get configmap {INSTALL_CONFIG} --output json"
_WAY_OUT = "docs/from-awslabs.md names the commands that write such files"


class FactsInvalid(ValueError):
    """A file has no facts of a platform; the message is one sentence that names it."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A user's namespace.

    Attributes:
        namespace: its name.
        owner: an e-mail address; empty: the owner is no user.
        contributors: addresses of others who may work in it.
        hard: of its quota, as Kubernetes writes quantities.
        plugins: kinds of the profile's plugins.
    """

    namespace: str
    owner: str
    contributors: tuple[str, ...] = ()
    hard: Mapping[str, str]
    plugins: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A snapshot of the database, as RDS describes it.

    Attributes:
        name: its identifier.
        arn: its ARN.
        database: the instance that it was taken of; empty: unknown.
        engine: of that instance, such as mysql.
        version: of the engine in full.
        storage_gib: what is allocated.
        key_arn: of the KMS key; empty: it is not encrypted.
        taken: when its data was taken, in ISO 8601; of a copy, the original's.
    """

    name: str
    arn: str
    database: str
    engine: str
    version: str
    storage_gib: int
    key_arn: str
    taken: str

    @property
    def automated(self) -> bool:
        """Whether RDS or AWS Backup has taken it (their user guides, names with a colon)."""
        return ":" in self.name

    @property
    def region(self) -> str:
        """Where it is."""
        return self.arn.split(":")[3]

    @property
    def account(self) -> str:
        """Whose it is."""
        return self.arn.split(":")[4]


@dataclass(frozen=True, kw_only=True)
class OldPlatform:
    """All that the files tell.

    Attributes:
        profiles: by namespace.
        snapshots: those that are complete: the newest data first.
        coming: names of encrypted snapshots that RDS is still making.
        bucket: of pipeline artifacts; empty: no file names it.
        objects: kind, namespace and name of everything else in the cluster.
    """

    profiles: tuple[Profile, ...]
    snapshots: tuple[Snapshot, ...]
    coming: tuple[str, ...]
    bucket: str
    objects: tuple[tuple[str, str, str], ...]


def read(files: Iterable[Path]) -> OldPlatform:
    """The platform that the files describe together, in any order.

    Raises:
        FactsInvalid: a file is no JSON of ``kubectl`` or of ``aws rds describe-db-snapshots``.
    """
    items: list[dict[str, Any]] = []
    snapshots: list[Snapshot] = []
    coming: list[str] = []
    for file in files:
        content = _content(file)
        if "DBSnapshots" in content or "DBSnapshot" in content:
            described: Any = content.get("DBSnapshots", [content.get("DBSnapshot")])
            if not isinstance(described, list):
                raise FactsInvalid(f"{file} has no list of snapshots: {_WAY_OUT}.")
            every = cast(list[Any], described)
            snapshots += [_read(file, each) for each in every if _is_complete(each)]
            coming += [name for each in every if (name := _coming(each))]
        elif content.get("kind") == "List" or "apiVersion" in content:
            items += content["items"] if isinstance(content.get("items"), list) else [content]
        else:
            raise FactsInvalid(f"{file} is no answer of kubectl or RDS: {_WAY_OUT}.")
        if not all(isinstance(_part(each, "metadata").get("name"), str) for each in items):
            raise FactsInvalid(f"{file} has an object without a name: {_WAY_OUT}.")
    items = list({_identity(each): each for each in items}.values())
    snapshots.sort(key=lambda each: (each.taken, each.name), reverse=True)
    bindings = [each for each in items if each.get("kind") == "RoleBinding"]
    profiles = [_profile(each, bindings) for each in items if each.get("kind") == "Profile"]
    return OldPlatform(
        profiles=tuple(sorted(profiles, key=lambda each: each.namespace)),
        snapshots=tuple(snapshots),
        coming=tuple(sorted(coming)),
        bucket=_bucket(items),
        objects=tuple(sorted(_others(items, {each.namespace for each in profiles}))),
    )


def _content(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise FactsInvalid(f"{file} has more than {MOST_BYTES >> 20} MiB: write several files.")
        text = file.read_bytes()
        content: object = json.loads(text)
        if b"\\u" in text:  # Half a character by its number: no output could have it.
            json.dumps(content, ensure_ascii=False).encode()
    except OSError as error:
        raise FactsInvalid(f"{file} cannot be read ({error.strerror}): {_WAY_OUT}.") from None
    except (ValueError, RecursionError):
        raise FactsInvalid(f"{file} is no JSON: {_WAY_OUT}.") from None
    if not isinstance(content, dict):
        raise FactsInvalid(f"{file} is no answer of kubectl or RDS: {_WAY_OUT}.")
    return cast(dict[str, Any], content)


def _read(file: Path, described: Any) -> Snapshot:
    try:
        return _snapshot(described)
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError):
        reason = f"{file} has a snapshot that RDS did not describe"
        raise FactsInvalid(f"{reason}: {_WAY_OUT}.") from None


def _is_complete(described: Any) -> bool:
    return _part(described).get("Status", "available") == "available"


def _coming(described: Any) -> str:
    """The name of an encrypted snapshot that is being made; empty: it is none."""
    parts = _part(described)
    is_made = parts.get("Status") == "creating" and parts.get("Encrypted") is True
    return str(parts.get("DBSnapshotIdentifier") or "") if is_made else ""


def _snapshot(described: Mapping[str, Any]) -> Snapshot:
    taken = described.get("OriginalSnapshotCreateTime") or described.get("SnapshotCreateTime")
    made = Snapshot(
        name=str(described["DBSnapshotIdentifier"]),
        arn=str(described["DBSnapshotArn"]),
        version=str(described["EngineVersion"]),
        database=str(described.get("DBInstanceIdentifier") or ""),
        engine=str(described.get("Engine") or "mysql"),
        storage_gib=int(described["AllocatedStorage"]),
        key_arn=str(described.get("KmsKeyId") or "") if described["Encrypted"] is True else "",
        taken=str(taken or ""),
    )
    if len(made.arn.split(":")) < 7:
        raise ValueError(made.arn)
    return made


def _part(value: Any, *keys: str) -> dict[str, Any]:
    """A mapping, or one inside it; empty where there is none."""
    for key in keys:
        value = cast(dict[str, Any], value).get(key) if isinstance(value, dict) else None
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _identity(item: Mapping[str, Any]) -> tuple[str, str, str]:
    """What an object is known by; two files may have the same one, in another version too."""
    metadata = _part(item, "metadata")
    group = str(item.get("apiVersion")).rpartition("/")[0]
    kind = f"{item.get('kind')}.{group}"
    return kind, str(metadata.get("namespace")), str(metadata.get("name"))


def _profile(item: Mapping[str, Any], bindings: Iterable[Mapping[str, Any]]) -> Profile:
    namespace, owner = item["metadata"]["name"], _part(item, "spec", "owner")
    email = str(owner.get("name", "")).lower() if owner.get("kind") == "User" else ""
    # kubeflow/kubeflow components/access-management/kfam/bindings.go: annotations user and role.
    shared = {
        str(_part(each, "metadata", "annotations").get("user", "")).lower()
        for each in bindings
        if _part(each, "metadata").get("namespace") == namespace
        and _part(each, "metadata", "annotations").get("role") in ("edit", "admin")
    }
    found: Any = _part(item, "spec").get("plugins")
    plugins = cast(list[Any], found) if isinstance(found, list) else []
    return Profile(
        namespace=namespace,
        owner=email,
        contributors=tuple(sorted(shared - {email, ""})),
        hard={k: str(v) for k, v in _part(item, "spec", "resourceQuotaSpec", "hard").items()},
        plugins=tuple(str(_part(each).get("kind", "")) for each in plugins),
    )


def _bucket(items: Iterable[Mapping[str, Any]]) -> str:
    for each in items:
        if each.get("kind") == "ConfigMap" and each["metadata"]["name"] == INSTALL_CONFIG:
            return str(_part(each, "data").get("bucketName") or "")
    return ""


def _others(
    items: Iterable[Mapping[str, Any]], namespaces: set[str]
) -> Iterator[tuple[str, str, str]]:
    for each in items:
        metadata = _part(each, "metadata")
        kind, namespace = str(each.get("kind", "")), str(metadata.get("namespace", ""))
        if namespace in namespaces and kind not in ("RoleBinding", "ConfigMap"):
            yield kind, namespace, str(metadata["name"])
