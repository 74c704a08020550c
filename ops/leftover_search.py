"""What exists of a stack in AWS: by its own tags, by tags that others write, and by name.

The calls, all read-only, and the commands that delete what they find are in ``leftovers.yaml``.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatch
from functools import cache, cached_property, partial, reduce
from operator import getitem
from pathlib import Path
from typing import Any

import yaml

from ops.account_calls import CallFailed
from ops.aws_lookups.account import Account
from ops.aws_lookups.look_up import Tags, plain_tags
from ops.cli_errors import Refused
from ops.mirror.target import tags as tags_of_stack
from ops.parallel import in_order
from settings import Settings, model_catalog
from settings.context import StackContext
from settings.errors import full_key
from settings.existing_backend import instance_name
from settings.mirror_context import BUILDS_TAG
from settings.sections import TAGS_OF_EVERYTHING
from webhook.copy_job import marks_of

Json = dict[str, Any]
_PARALLEL = 16
_CLAIM = "kubernetes.io/created-for/pvc"


class Status(StrEnum):
    """Why something is there, in the order in which it is listed."""

    FORGOTTEN = "forgotten"
    KEPT = "kept"
    IN_USE = "in use"
    SHARED = "shared"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class Leftover:
    """Something that exists, or a place that could not be searched.

    Args:
        status: why it is there.
        what: its kind.
        id: its name or number.
        where: account and region, or the cluster.
        why: one sentence.
        command: deletes it; empty unless it is forgotten.
    """

    status: Status
    what: str
    id: str
    where: str
    why: str
    command: str = ""


@dataclass(frozen=True)
class Place:
    """A region of an account.

    Args:
        side: own, or build where images are copied by another account or region.
        account: the client.
        aws: the start of a command of the AWS CLI.
        role: ARN of the role with which it was searched, which that command has not; empty: none.
        values: for the templates of the table.
    """

    side: str
    account: Account
    aws: str
    role: str
    values: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.values['account']} {self.values['region']}"


@dataclass(frozen=True)
class Candidate:
    """Something that AWS lists, and may have deleted already."""

    place: Place
    arn: str
    tags: Tags = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Search:
    """The search for one stack.

    Args:
        settings: of the stack.
        stack: its name.
    """

    settings: Settings
    stack: str

    def everything(self, places: Sequence[Place], *, in_use: bool) -> list[Leftover]:
        """What exists, and one row for each call that fails.

        Args:
            places: to search, the stack's own first.
            in_use: whether the cluster exists, and with it the stack.
        """
        lists = [(place, each) for place in places for each in self._lists(place)]
        answers = in_order(lists, lambda one: _or_failure(*one), _PARALLEL, "")
        listed = [each for answer in answers if isinstance(answer, list) for each in answer]
        if any(self._is_used_elsewhere(each.tags) for each in listed):
            # The others also pull what users brought, which has no mark of theirs.
            copies = f":repository/{places[0].values['prefix']}/"
            listed = [each for each in listed if copies not in each.arn]
        # Of one that several calls list, the last: the one with the most tags.
        candidates = {each.arn: each for each in sorted(listed, key=lambda one: len(one.tags))}
        ordered = sorted(candidates.values(), key=_turn)
        judged = in_order(ordered, partial(self._judged, in_use=in_use), _PARALLEL, "")
        failures = [answer for answer in answers if isinstance(answer, Leftover)]
        found = [each for rows in judged for each in rows]
        return [*dict.fromkeys([*found, *self._shared(places[0], candidates), *failures])]

    def _lists(self, place: Place) -> Iterator[Mapping[str, Any]]:
        """The calls that list candidates of a place, with the tags that they must have."""
        table, tags_of_all = _table(), tags_of_stack(self.settings, self.stack)
        own = {key: tags_of_all[key] for key in TAGS_OF_EVERYTHING}
        if place.side == "build":
            # Stacks of several accounts may have the same three, and one account for their copies.
            own[BUILDS_TAG] = place.values["builds"]
        marks = [own]
        if place.side == "own":
            marks += [{key: value} for key, value in _filled(table["marks"], place.values).items()]
        for tags in marks:
            filters = [{"Key": key, "Values": [value]} for key, value in tags.items()]
            yield {**TAGGED, "by": {"TagFilters": filters}}
        for each in table["lists"]:
            if each.get("side", "own") in (place.side, "both"):
                yield {**each, "by": _filled(each["by"], place.values), "own": own}
        if place.side == "own" or place.values["partition"] != self._partition:
            for each in table["iam"]:
                yield {**each, "by": each.get("by", {}), "own": own}

    @cached_property
    def _values(self) -> Json:
        return self.settings.model_dump(by_alias=True)

    @property
    def _partition(self) -> str:
        return StackContext.of(self.settings, "", {}).region.partition

    def _is_used_elsewhere(self, tags: Tags) -> bool:
        """Whether another stack has marked a repository (``EcrRepositories``)."""
        return bool(marks_of(tags).keys() - {self.settings.cluster.name})

    def _judged(self, candidate: Candidate, *, in_use: bool) -> list[Leftover]:
        """The candidate, if it exists; also the call that would have shown whether it does."""
        place, named = candidate.place, _names(candidate)
        kind = _kind(named)
        what = kind.get("what", named["service"])
        if claim := candidate.tags.get(f"{_CLAIM}/name"):
            what = f"{what} of the claim {candidate.tags.get(f'{_CLAIM}/namespace')}/{claim}"
        leftover = partial(Leftover, what=what, id=named["id"], where=str(place))
        kept = self._kept(kind, candidate, named["id"])
        if in_use:
            stays = f"; `pulumi destroy` keeps it, because {kept}" if kept else ""
            return [leftover(Status.IN_USE, why=f"the cluster exists{stays}")]
        if not kind:
            why = f"no setting keeps it; delete it in the console of {named['service']}"
            return [leftover(Status.FORGOTTEN, why=why)]
        failures: list[Leftover] = []
        item, command = dict[str, Any](), ""
        try:
            existing = _existing(place, kind, named)
            if existing is None:
                return []
            item = existing
            kept = kept or _held(place, kind, candidate.arn)
            # By name, it would delete something else in the account of an assumed role's caller.
            command = "" if place.role else _command(place, kind, {**named, **item})
        except CallFailed as failure:
            failures.append(_failure(place, failure))
        ends = kind.get("ends", {})
        if item.get(ends.get("field")):
            kept = f"AWS deletes it: {ends['why'].format(**item)}"
        if kept:
            return [leftover(Status.KEPT, why=kept), *failures]
        why = "no setting keeps it" + (f"; delete it as {place.role}" if place.role else "")
        forgotten = leftover(Status.FORGOTTEN, why=why, command=command)
        return [forgotten, *failures]

    def _kept(self, kind: Mapping[str, Any], candidate: Candidate, id_: str) -> str:
        """The setting by which a destroy keeps something; empty where none does."""
        only = kind.get("only", "*").format(**candidate.place.values)
        if not any(fnmatch(name, only) for name in (id_, candidate.tags.get("Name", ""))):
            return ""
        kept = _filled(kind.get("kept", {}), {"id": id_, "arn": candidate.arn})
        for path, value in kept.items():
            given = reduce(getitem, path.split("."), self._values)
            if value is None or given == value:
                return f"{full_key(path)} is {json.dumps(given)}"
        return ""

    def _shared(self, place: Place, candidates: Mapping[str, Candidate]) -> list[Leftover]:
        """Repositories below the stack's prefix that other stacks or people made."""
        prefix = f"{place.values['prefix']}/"
        try:
            names = [
                each["repositoryName"]
                for each in place.account.all("ecr", "describe_repositories", "repositories")
                if each["repositoryName"].startswith(prefix)
                and each["repositoryArn"] not in candidates
            ]
        except CallFailed as failure:
            return [_failure(place, failure)]
        if not names:
            return []
        why = "other stacks made them or may pull them, or they were made by hand"
        what = f"{len(names)} repositories"
        return [Leftover(Status.SHARED, what, f"{prefix}*", str(place), why)]


TAGGED = {
    "call": "resourcegroupstaggingapi.get_resources",
    "key": "ResourceTagMappingList",
    "arn": "{ResourceARN}",
    "tags": "Tags",
}


def own_place(settings: Settings) -> Place:
    """The stack's own region.

    Raises:
        CallFailed: AWS does not answer with these credentials.
        Refused: they are of an account that the stack file refuses.
    """
    endpoints = {"endpoints": json.dumps([settings.endpoints])}
    account = Account({"region": settings.region, **_credentials(settings), **endpoints})
    if refusal := settings.refusal_of(account.id):
        raise Refused(
            f"the credentials are of account {account.id} and {refusal}: choose another "
            "AWS_PROFILE, or aws:profile in the stack file."
        )
    return _place("own", settings, account, StackContext.of(settings, account.id, {}))


def build_place(settings: Settings, own: Place) -> Place | None:
    """Where images are copied for the stack; None where that is no other place.

    Raises:
        CallFailed: AWS does not answer with the profile's credentials.
    """
    context = StackContext.of(settings, own.values["account"], {})
    mirror = context.mirror
    if not mirror.enabled or mirror.cached is not None:
        return None
    region = mirror.build_region.name
    if mirror.crosses_partitions:
        account = Account({"region": region, "profile": mirror.settings.build_profile})
    else:
        account = Account({"region": region, **_credentials(settings)})
    return _place("build", settings, account, context)


def _credentials(settings: Settings) -> dict[str, str | None]:
    """Profile and roles of the stack file, as the inputs of its AWS provider are in a state."""
    given = settings.aws.credentials()
    roles = json.dumps(given.get("assumeRoles", []))
    return {"profile": given.get("profile"), "assumeRoles": roles}


def _place(side: str, settings: Settings, account: Account, context: StackContext) -> Place:
    crosses = side == "build" and context.mirror.crosses_partitions
    region = context.mirror.build_region if side == "build" else context.region
    profile = f"aws --profile {context.mirror.settings.build_profile}"
    values = {
        "account": account.id,
        "region": region.name,
        "partition": region.partition,
        "cluster": context.cluster,
        "database": instance_name(context.cluster),
        "catalog": model_catalog.instance_name(context.cluster),
        "bucket": context.bucket(settings.artifacts),
        "prefix": context.repository_prefix,
        "builds": context.name_of_builds,
        "project": context.build_project,
    }
    aws = f"{profile if crosses else context.aws_cli} --region {region.name}"
    role = settings.aws.role.role_arn if settings.aws.role and not crosses else ""
    return Place(side, account, aws, role, values)


@cache
def _table() -> Json:
    return yaml.safe_load(Path(__file__).with_name("leftovers.yaml").read_text("utf-8"))


def _or_failure(place: Place, listed: Mapping[str, Any]) -> list[Candidate] | Leftover:
    try:
        return list(_candidates(place, listed))
    except CallFailed as failure:
        return _failure(place, failure)
    except KeyError as missing:
        why = f"{listed['call']} answers without {missing}: report this as a bug"
        return Leftover(Status.NOT_CHECKED, "", "", str(place), why)


def _failure(place: Place, failure: CallFailed) -> Leftover:
    return Leftover(Status.NOT_CHECKED, "", "", str(place), str(failure))


def _candidates(place: Place, listed: Mapping[str, Any]) -> Iterator[Candidate]:
    for item in _called(place, listed, listed["by"]):
        if "whole" in listed and item[listed["whole"]] not in listed["by"].values():
            continue
        tagged, by = [item], listed.get("tags_by", listed)
        if "tags_by" in listed:
            tagged = _called(place, by, _filled(by["by"], item))
        lists = [plain_tags(each.get(by["tags"]) or []) for each in tagged if "tags" in by]
        if not lists or listed.get("own", {}).items() <= lists[0].items():
            arn = listed["arn"].format(**{**place.values, **item})
            yield Candidate(place, arn.removesuffix(":*"), *lists[:1])


def _called(place: Place, call: Mapping[str, Any], by: Mapping[str, Any]) -> list[Json]:
    service, operation = call["call"].split(".")
    items: Iterable[Any] = place.account.all(service, operation, call.get("key", ""), **by)
    return [{"item": item} if isinstance(item, str) else item for item in items]


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    """A template, or all templates in a structure, with the values in them; keys too."""
    if isinstance(value, str):
        return _text(value, values)
    if isinstance(value, Mapping):
        return {_text(key, values): _filled(each, values) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    return value


def _text(template: str, values: Mapping[str, Any]) -> str:
    """The template with the values; empty where one is missing, as an attachment may be."""
    try:
        return template.format(**values)
    except (KeyError, IndexError):
        return ""


def _names(candidate: Candidate) -> dict[str, str]:
    """What the templates take from an ARN: service, type, id, the id's parts, the last of them."""
    service, resource = candidate.arn.split(":", 5)[2::3]
    type_, _, id_ = re.sub("[:/]", "\n", resource.lstrip("/"), count=1).partition("\n")
    if not id_:
        type_, id_ = "", resource
    parts = id_.split("/")
    numbered = {f"p{number}": part for number, part in enumerate(parts)}
    named = {"arn": candidate.arn, "service": service, "type": type_, "id": id_, "last": parts[-1]}
    return {**candidate.place.values, **named, **numbered}


def _kind(named: Mapping[str, str]) -> Mapping[str, Any]:
    kinds, name = _table()["kinds"], f"{named['service']}:{named['type']}".rstrip(":")
    narrower = f"{name}/{named['p0']}"
    return kinds.get(narrower) or kinds.get(name, {})


def _turn(candidate: Candidate) -> int:
    """The place of its kind in the order in which things can be deleted."""
    kinds, kind = [*_table()["kinds"].values()], _kind(_names(candidate))
    return next((at for at, each in enumerate(kinds) if each is kind), len(kinds))


def _existing(place: Place, kind: Mapping[str, Any], named: Mapping[str, str]) -> Json | None:
    """The item as AWS describes it; None where it is gone."""
    check = kind["check"]
    for item in _called(place, check, _filled(check["by"], named)):
        same = "match" not in kind or _text(kind["match"], item) == named["id"]
        if same and _text(kind.get("state", ""), item) not in kind.get("gone", ()):
            return item
    return None


def _held(place: Place, kind: Mapping[str, Any], arn: str) -> str:
    """What needs it under any settings; empty where nothing does."""
    if "held" not in kind:
        return ""
    held = kind["held"]
    holding = [each for each in _called(place, held, held["by"]) if each.get(held["field"]) == arn]
    return _text(held["why"], holding[0]) if holding else ""


def _command(place: Place, kind: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    steps: list[str] = []
    for each in kind.get("first", ()):
        for item in _called(place, each, _filled(each["by"], values)):
            steps.append(_text(each["removal"], _quoted({**values, **item})))
    steps.append(_text(kind["removal"], _quoted({**values, "aws": place.aws})))
    return " && ".join(f"{place.aws} {step}" for step in steps if step)


def _quoted(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: shlex.quote(value) if isinstance(value, str) and key != "aws" else value
        for key, value in values.items()
    }
