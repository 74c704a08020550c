"""The stack file of a new stack that takes the data of an old platform, and what does not move."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal, InvalidOperation
from math import ceil
from pathlib import Path
from typing import Any, Literal

import yaml

from adoption.old_platform import CONFIG_COMMAND, OldPlatform, Profile, Snapshot
from rendering.kubernetes_yaml import Dumper
from settings import SettingsError, from_mapping
from settings.errors import full_key, shown
from settings.sections import DatabaseSettings

Moves = Literal["settings", "data", "hand", "no"]
"""settings: the stack file makes it. data: it is in the database or the bucket. hand: somebody has
to apply it. no: it stays behind."""

KINDS: Mapping[str, Mapping[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("kinds.yaml").read_text("utf-8")
)
"""Kind -> how its objects move, and what to do."""

_BUCKET = "files stay where they are; runs of before show no previews of them"
_UNKNOWN = {"moves": "hand", "what": "nothing is known of this kind: read its YAML"}
_SECTIONS = {
    "database": (
        "Restored from the copy, on its own line of MySQL: 8.4 comes afterwards, with\n"
        "applyImmediately (docs/upgrade.md#the-database)."
    ),
    "artifacts": "The key of the copy.",
    "users": "The same namespaces: rows of runs name them. Passwords are new.",
}
_EXISTING = (
    "The bucket is used as it is and never deleted, but gets this platform's policy:\n"
    "HTTPS alone, which awslabs' 1.5.1 does not speak. Stop that one first."
)
_MOST_GIB = 65536
"""Of RDS for MySQL."""
_UNITS = {"": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "m": -3}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50}
_QUOTA: Mapping[str, tuple[tuple[str, ...], int]] = {
    "cpus": (("requests.cpu", "cpu"), 1),
    "memoryGib": (("requests.memory", "memory"), 1 << 30),
    "gpus": (("requests.nvidia.com/gpu", "nvidia.com/gpu"), 1),
    "storageGib": (("requests.storage",), 1 << 30),
    "pods": (("pods", "count/pods"), 1),
}
"""Key of a user's quota -> the resources of a ResourceQuota that say the same, and the unit."""


class NothingToRestore(ValueError):
    """No snapshot can become the new database; the message is one sentence with the way out."""


@dataclass(frozen=True)
class Moved:
    """One thing of the old platform, and what becomes of it."""

    kind: str
    namespace: str
    name: str
    moves: Moves
    what: str


_ROWS_BY_HAND = (
    Moved("Pipeline", "", "without a namespace", "hand", "in no list until a line of SQL (step 4)"),
    Moved("Run", "", "archived", "hand", "among the active ones until a line of SQL (step 4)"),
    Moved("Event", "", "of ML Metadata, twice", "no", "the newest moves alone"),
)
"""What nobody finds again, or not as it was, although the database moves (docs/from-awslabs.md)."""


@dataclass(frozen=True)
class Adoption:
    """What the new stack gets.

    Attributes:
        values: the ``config`` of its stack file.
        moved: everything that the files name.
    """

    values: Mapping[str, Any]
    moved: tuple[Moved, ...]


def adopt(old: OldPlatform) -> Adoption:
    """The new stack's settings, and the list of what moves.

    Raises:
        NothingToRestore: there is no encrypted snapshot, or none of a line that the platform runs.
    """
    snapshot = _chosen(old.snapshots, old.coming)
    database: dict[str, Any] = {
        "snapshot": snapshot.name,
        "engineVersion": ".".join(snapshot.version.split(".")[:2]),
    }
    if snapshot.storage_gib > DatabaseSettings().storage_gib:
        database["storageGib"] = snapshot.storage_gib
    if (limit := _limit(snapshot.storage_gib)) is not None:
        database["maxStorageGib"] = limit
    artifacts: dict[str, Any] = {"kmsKeyArn": snapshot.key_arn}
    values = {"region": snapshot.region, "database": database, "artifacts": artifacts}
    bucket = _bucket(old.bucket, values) if old.bucket else None
    if bucket and bucket.moves == "data":
        artifacts |= _existing(old.bucket)
    users, of_profiles = _accepted_users(old.profiles, values)
    moved = [
        Moved("DBSnapshot", "", snapshot.name, "data", f"data of {snapshot.taken}"),
        *_ROWS_BY_HAND,
        *([bucket] if bucket else []),
        *of_profiles,
    ]
    for kind, namespace, name in old.objects:
        row = KINDS.get(kind, _UNKNOWN)
        moved.append(Moved(kind, namespace, name, row["moves"], row["what"]))
    values |= {"users": users} if users else {}
    return Adoption({full_key(key): value for key, value in values.items()}, tuple(moved))


def absent(old: OldPlatform) -> Iterator[str]:
    """What the files do not have although the stack needs it, and what it gets in its place."""
    if not old.profiles:
        yield (
            "No file has a profile: the stack gets the default user alone, and finds no runs of "
            "others. Add `kubectl get profiles.kubeflow.org,rolebindings --all-namespaces --output "
            "json`."
        )
    if not old.bucket:
        yield (
            "No file names the bucket: the stack makes an empty one, and finds no files of earlier "
            f"runs. Add `{CONFIG_COMMAND}`."
        )


def _limit(storage_gib: int) -> int | None:
    """The limit of the storage; None: the default leaves room.

    RDS asks for 10 % more than there is (its user guide, "Managing capacity automatically with
    Amazon RDS storage autoscaling").
    """
    least = ceil(storage_gib * 1.1)
    if least <= DatabaseSettings().max_storage_gib:
        return None
    return min(2 * storage_gib, _MOST_GIB) if least <= _MOST_GIB else 0


def _names(snapshots: Iterable[Snapshot]) -> list[str]:
    """The databases of which these are; with region and account where the name is not enough."""
    every = {(each.database, each.region, each.account) for each in snapshots}
    alone = len({name for name, _, _ in every}) == len(every)
    return sorted(name if alone else f"{name} in {at} of {whose}" for name, at, whose in every)


def _chosen(snapshots: Iterable[Snapshot], coming: Iterable[str]) -> Snapshot:
    # RDS takes one by itself every day, also of a database that nobody writes to any more.
    described = list(snapshots)
    every = [each for each in described if each.engine == "mysql"]
    if described and not every:
        raise NothingToRestore(
            f"the snapshot {described[0].name} is of {described[0].engine}, and the platform runs "
            "on MySQL: load the databases into an RDS for MySQL (mysqldump), and describe a "
            "snapshot of that."
        )
    databases = _names(every)
    if len(databases) > 1:
        raise NothingToRestore(
            f"the files have snapshots of {len(databases)} databases ({', '.join(databases)}): "
            "describe those of one alone (`aws rds describe-db-snapshots "
            "--db-instance-identifier <name> --output json`)."
        )
    by_hand = [each for each in every if each.key_arn or not each.automated]
    known = by_hand or every
    chosen = next((each for each in known if each.key_arn), None)
    late = chosen is None or chosen.taken < known[0].taken
    for name in coming if late else ():
        raise NothingToRestore(
            f"the snapshot {name} is creating: wait for it (`aws rds wait db-snapshot-available "
            f"--db-snapshot-identifier {name}`), and describe the snapshots again."
        )
    if not known:
        raise NothingToRestore(
            "no file has a complete snapshot of a MySQL database: write one with "
            "`aws rds describe-db-snapshots --output json`."
        )
    if chosen is None or late:
        newest = known[0].name
        copy = newest.rpartition(":")[2]
        raise NothingToRestore(
            f"the snapshot {newest} is not encrypted, and so would its database be: copy it with a "
            f"key (`aws rds copy-db-snapshot --source-db-snapshot-identifier {newest} "
            f"--target-db-snapshot-identifier {copy}-encrypted --kms-key-id <ARN of your own "
            "key>`), and describe the snapshots again."
        )
    if not re.match(r"8\.[04]\.", chosen.version):
        raise NothingToRestore(
            f"the snapshot {chosen.name} is of MySQL {chosen.version}, and the platform runs on "
            "8.4 or 8.0: upgrade it (`aws rds modify-db-snapshot --db-snapshot-identifier "
            f"{chosen.name} --engine-version <8.0...>`), and describe the snapshots again."
        )
    return chosen


def _existing(bucket: str) -> dict[str, Any]:
    return {"bucket": bucket, "existing": True}


def _bucket(name: str, values: Mapping[str, Any]) -> Moved:
    """What becomes of the bucket: the settings refuse some names, such as one with dots."""
    tried = {**values, "artifacts": {**values["artifacts"], **_existing(name)}}
    key = full_key(("artifacts", "bucket"))
    try:
        from_mapping(tried)
    except SettingsError as error:
        for problem in error.problems:
            if problem.startswith(f"{key} "):
                reason = problem.removeprefix(f"{key} is {shown(name, key)}: ").rpartition(":")[0]
                what = f"{reason}: the stack makes another; copy the files (`aws s3 sync`)"
                return Moved("Bucket", "", name, "hand", what)
    return Moved("Bucket", "", name, "data", _BUCKET)


def _accepted_users(
    profiles: Iterable[Profile], values: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], list[Moved]]:
    """As ``_users``, without those that the settings refuse; their reason is what becomes of them.

    Raises:
        SettingsError: another value is refused.
    """
    accepted, refused = list(profiles), list[Moved]()
    while True:
        users, moved = _users(accepted)
        try:
            from_mapping({**values, "users": users} if users else values)
        except SettingsError as error:
            # Without the place: the profile is not in the stack file.
            wrong = {
                user["namespace"]: problem.removeprefix(place)
                for index, user in enumerate(users)
                for problem in error.problems
                if problem.startswith(place := f"{full_key(('users', index))}.")
            }
            if not wrong:
                raise
            refused += [Moved("Profile", "", name, "hand", why) for name, why in wrong.items()]
            accepted = [each for each in accepted if each.namespace not in wrong]
        else:
            return users, sorted([*moved, *refused], key=lambda each: each.name)


def _users(profiles: Iterable[Profile]) -> tuple[list[dict[str, Any]], list[Moved]]:
    """Entries of ``users``, and what becomes of each profile."""
    known = list(profiles)
    owners: dict[str, Profile] = {}
    for each in known:
        if each.owner:
            owners.setdefault(each.owner, each)
    users: list[dict[str, Any]] = []
    moved: list[Moved] = []
    for each in known:
        if owners.get(each.owner) is not each:
            what = "its owner is no user, or has another namespace in the settings: name a user"
            moved.append(Moved("Profile", "", each.namespace, "hand", what))
            continue
        strangers = [email for email in each.contributors if email not in owners]
        contributors = [email for email in each.contributors if email in owners]
        quota, rest = _quota(each.hard)
        parts = {"contributors": contributors, "quota": quota}
        users.append(
            {"email": each.owner, "namespace": each.namespace}
            | {key: value for key, value in parts.items() if value}
        )
        notes = ["passwords are new"]
        notes += [f"{email} has no profile and cannot contribute" for email in strangers]
        notes += [f"no setting for {name} of its quota" for name in rest]
        notes += [f"plugin {kind}: its role is replaced by the stack's" for kind in each.plugins]
        moved.append(Moved("Profile", "", each.namespace, "settings", "; ".join(notes)))
    return users, moved


def _quota(hard: Mapping[str, str]) -> tuple[dict[str, int], list[str]]:
    """The settings that say the same, rounded up, and the resources without one."""
    settings: dict[str, int] = {}
    said: set[str] = set()
    for key, (resources, unit) in _QUOTA.items():
        for resource in resources:
            amount = _amount(hard.get(resource, ""))
            if amount is not None and key not in settings:
                settings[key] = int((amount / unit).to_integral_value(ROUND_UP))
                said.add(resource)
    return settings, sorted(set(hard) - said)


def _amount(quantity: str) -> Decimal | None:
    """A Kubernetes quantity (apimachinery pkg/api/resource/quantity.go); None: it is none."""
    # The API server accepts longer ones, but no node has as much.
    found = re.fullmatch(r"([0-9.]{1,20})([A-Za-z]*)", quantity)
    if found is None:
        return None
    number, unit = found.groups()
    try:
        if unit in _BINARY:
            return Decimal(number) * (1 << _BINARY[unit])
        return Decimal(number).scaleb(_UNITS[unit]) if unit in _UNITS else None
    except InvalidOperation:
        return None


def text(adoption: Adoption, sources: Iterable[str]) -> str:
    """A whole stack file, with the reasons as comments.

    Args:
        adoption: what it has.
        sources: names of the files that it was made from.
    """
    return "\n".join(_lines(adoption, sources)) + "\n"


def _lines(adoption: Adoption, sources: Iterable[str]) -> Iterator[str]:
    yield f"# Written by `./kf adopt` from {', '.join(sources)}. What else a stack needs, such as"
    yield "# cluster.admins, cluster.publicAccessCidrs and a cluster.name that the account does not"
    yield "# have: docs/settings.md."
    yield "config:"
    for key, value in adoption.values.items():
        section = key.partition(":")[2]
        comments = [_SECTIONS.get(section, ""), _EXISTING if "existing" in value else ""]
        for line in "\n".join(filter(None, comments)).splitlines():
            yield f"  # {line}"
        dumped = yaml.dump(
            {key: value}, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1000
        )
        yield from (f"  {line}" for line in dumped.splitlines())
