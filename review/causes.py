"""Which changed setting or file leads to a change of a resource, from the values of both.

A setting is the cause where its old and new value are what a property of the resource had and has,
or where putting the new value in the old one's place makes the property's new value. Where neither
holds, the changed settings and files are candidates, those first that belong to the component.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from review.changes import ABSENT, Change, leaves
from review.resources import Resource

_MOST_FILES = 4
_KUBERNETES = "pulumi:providers:kubernetes"
_APART = frozenset(
    {"docs", "tests", "examples", "benchmarks", "rehearsal", "review", "costs", "policies", "ops"}
    | {"adoption", "toolchain"}
)
"""Folders of which nothing is deployed."""
_NAMES = ("name", "bucket", "identifier", "metadata.name", "spec.owner.name")
"""What of a thing that is made or goes away tells it apart from others."""
_OWN_NAMES = ("name", "identifier", "description")
_WORDS = frozenset({"acceptedAdvisories", "bundles", "upgradeConfirmed"})
"""Settings of which nothing is deployed: they let a plan pass, or say where sources are."""
_SHORTEST = 3
"""Characters of a setting's value that may stand inside a property by intent, not by chance."""


@dataclass(frozen=True)
class Cause:
    """Why something happens.

    Args:
        settings: the settings whose change leads to it, or may.
        files: the changed files that may.
        certain: whether values prove it; candidates otherwise.
        through: the replaced resource that takes this one along, or None.
    """

    settings: tuple[Change, ...] = ()
    files: tuple[str, ...] = ()
    certain: bool = False
    through: Resource | None = None


@dataclass(frozen=True)
class Circumstances:
    """What was changed by a person, and what is replaced as its consequence."""

    settings: tuple[Change, ...]
    files: tuple[str, ...]
    resources: Mapping[str, Resource]

    @cached_property
    def candidates(self) -> tuple[Change, ...]:
        """The changed settings that can be the cause of anything."""
        return tuple(
            each for each in self.settings if each.path.removeprefix("kubeflow:") not in _WORDS
        )

    def roots(self, resource: Resource, paths: Sequence[str] = ()) -> Resource:
        """The replaced resource at the beginning of the chain that ends at this one."""
        seen = {resource.urn}
        here = resource
        while (above := self._above(here, paths if here is resource else ())) is not None:
            if above.urn in seen:
                break
            seen.add(above.urn)
            here = above
        return here

    def _above(self, resource: Resource, paths: Sequence[str]) -> Resource | None:
        """The replaced or deleted resource that this one follows, if any."""
        if resource.operation not in ("replace", "delete") or paths:
            return None
        if resource.type == _KUBERNETES or resource.kubernetes:
            provider = self.resources.get(str(resource.row.get("provider", "")))
            gone = resource.operation == "delete" or "provider" in resource.replacing
            if resource.type == _KUBERNETES or gone:
                return (
                    self._cluster(resource.operation)
                    or (provider if _ends(provider) else None)
                    or self._namespace(resource)
                )
            return self._namespace(resource) if resource.operation == "delete" else None
        if resource.operation == "delete":
            return None
        names = {
            text
            for change in resource.changes
            if _at(change.path, resource.replacing) and change.path not in _OWN_NAMES
            for text in texts(change.old)
        }
        needs = [self.resources.get(urn) for urn in resource.row.get("dependencies") or ()]
        others = [need for need in needs if need and need.operation == "replace"]
        cluster = self._cluster("replace")
        for need in ([cluster] if cluster else []) + others:
            if need.urn != resource.urn and names & _identities(need):
                return need
        return None

    def _namespace(self, resource: Resource) -> Resource | None:
        """The deleted Namespace, or Profile that has it, of an object."""
        metadata: Mapping[str, Any] = resource.inputs.get("metadata") or {}
        return self._ending_namespaces.get(metadata.get("namespace", ""))

    @cached_property
    def _ending_namespaces(self) -> dict[str, Resource]:
        return {
            each.label: each
            for each in self.resources.values()
            if each.operation == "delete" and each.type.endswith((":Namespace", ":Profile"))
        }

    def _cluster(self, operation: str) -> Resource | None:
        """The cluster, where it is replaced or deleted."""
        return next(
            (
                each
                for each in self.resources.values()
                if each.type == "aws:eks/cluster:Cluster" and each.operation == operation
            ),
            None,
        )

    def of(self, resource: Resource, paths: Sequence[str] = (), hints: Sequence[str] = ()) -> Cause:
        """Why the resource changes at these paths; at those that replace it when none are given."""
        root = self.roots(resource, paths)
        through = root if root.urn != resource.urn else None
        wanted = list(paths) if root is resource and paths else list(root.replacing)
        found = [each for each in root.changes if not wanted or _at(each.path, wanted)]
        if not found and root.operation in ("create", "delete"):
            found = [
                Change(path, *((ABSENT, value) if root.after else (value, ABSENT)))
                for path, value in leaves(root.inputs)
                if (_at(path, paths) if paths else path in _NAMES)
            ]
        proven = self._proven(found, hints)
        if proven:
            return Cause(proven, (), True, through)
        if len(self.candidates) == 1 and not self.files:
            return Cause(self.candidates, (), True, through)
        settings = self.hinted(hints) or self.candidates
        return Cause(settings, self._files(root), False, through)

    def hinted(self, hints: Sequence[str]) -> tuple[Change, ...]:
        """The changed settings that are one of these keys, or part of one."""
        keys = [(each, each.path.removeprefix("kubeflow:")) for each in self.candidates]
        return tuple(
            each for each, key in keys if any(within(key, h) or within(h, key) for h in hints)
        )

    def _proven(self, found: Iterable[Change], hints: Sequence[str]) -> tuple[Change, ...]:
        """The settings of which the values are those of a change, the best fit only."""
        changes = list(found)
        hinted = self.hinted(hints)
        scores = {
            setting.path: max(
                (
                    max(
                        _fits(setting, change.old, change.new),
                        _fits_by_key(setting, change),
                        _fits_by_hint(setting, change) if setting in hinted else 0,
                    )
                    for change in changes
                    # `false` becomes `true` in many places at once.
                    if setting in hinted or _is_distinct(change)
                ),
                default=0,
            )
            for setting in self.candidates
        }
        best = max(scores.values(), default=0)
        fitting = [each for each in self.candidates if best and scores[each.path] == best]
        return tuple([each for each in fitting if each in hinted] or fitting)

    def _files(self, resource: Resource) -> tuple[str, ...]:
        """Changed files that lead to changes, those of the resource's own components first."""
        names = {snake_case(part) for part in resource.parts}
        rooms = {PurePosixPath(file).parent for file in self.files if _stem(file) in names}

        def order(file: str) -> tuple[int, str]:
            path = PurePosixPath(file)
            if _stem(file) in names:
                return 0, file
            if path.parent in rooms:
                return 1, file
            in_manifests = path.parts[:1] == ("manifests",)
            return (2 if in_manifests is resource.kubernetes else 3), file

        code = sorted((file for file in self.files if leads_to_changes(file)), key=order)
        return tuple(code[:_MOST_FILES])


def leads_to_changes(file: str) -> bool:
    """Whether a file of the project can change what is deployed; a document or a test cannot."""
    path = PurePosixPath(file)
    stack_file = re.fullmatch(r"Pulumi\.[\w-]+\.yaml", path.name) is not None
    no_part = path.suffix == ".md" or path.name in ("LICENSE", ".gitignore", "Makefile")
    return path.parts[0] not in _APART and path.parts[0][:1] != "." and not (stack_file or no_part)


def _stem(file: str) -> str:
    return PurePosixPath(file).stem


def snake_case(name: str) -> str:
    """``ControlPlane`` -> ``control_plane``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _ends(resource: Resource | None) -> bool:
    return resource is not None and resource.operation in ("replace", "delete")


def _identities(resource: Resource) -> set[str]:
    """Texts by which others refer to a resource: what its inputs call it."""
    own = (change.old for change in resource.changes if _at(change.path, resource.replacing))
    return {resource.physical, *(text for value in own for text in texts(value))}


def texts(value: Any) -> set[str]:
    """Every text inside the value that is long enough to be told apart."""
    return {
        leaf for _, leaf in leaves(value) if isinstance(leaf, str) and len(leaf) >= _SHORTEST
    } | {
        item
        for _, leaf in leaves(value)
        if isinstance(leaf, list)
        for item in leaf
        if isinstance(item, str) and len(item) >= _SHORTEST
    }


def _at(path: str, wanted: Sequence[str]) -> bool:
    """Whether a path is one of these, or inside one, or around one."""
    return any(within(path, each) or within(each, path) for each in wanted)


def within(path: str, place: str) -> bool:
    """Whether a path is this place, or inside of it."""
    return path == place or path.startswith((f"{place}.", f"{place}["))


def _is_distinct(change: Change) -> bool:
    """Whether a change has a text or a list in it that occurs by intent, not by chance."""
    return any(
        isinstance(value, list) or (isinstance(value, str) and len(value) > _SHORTEST)
        for value in (change.old, change.new)
    )


def _fits(setting: Change, old: Any, new: Any) -> int:
    """How well the change of a setting explains the change of a property; 0: not at all."""
    if same(setting.old, old) and same(setting.new, new) and (old, new) != (ABSENT, ABSENT):
        return 4
    if isinstance(old, str) and isinstance(new, str):
        # A list of settings loses the item with the old value, or gains the one with the new.
        gone = setting.new is ABSENT and old in texts(setting.old)
        come = setting.old is ABSENT and new in texts(setting.new)
        return 2 if gone or come else _fits_inside(setting, old, new)
    if isinstance(old, list) and isinstance(new, list):
        lost, won = ([item for item in a if item not in b] for a, b in ((old, new), (new, old)))
        before, after = (
            each if isinstance(each, list) else [] for each in (setting.old, setting.new)
        )
        of_setting = [i for i in before if i not in after], [i for i in after if i not in before]
        return 3 if (lost or won) and (lost, won) == of_setting else 0
    # Created and deleted: the value comes or goes with the setting.
    for value, of_setting, other in ((new, setting.new, old), (old, setting.old, new)):
        if other is ABSENT and isinstance(value, str):
            held = texts(of_setting) if of_setting is not ABSENT else set()
            if value in held:
                return 3 if len(value) > _SHORTEST else 0
    return 0


def _fits_by_key(setting: Change, change: Change) -> int:
    """The same of a thing that goes, or is renamed, with a key of the section of its name."""
    named = change.old in re.split(r"[.:]", setting.path)
    return 3 if named and setting.new is ABSENT else 0


def _fits_by_hint(setting: Change, change: Change) -> int:
    """The same of a setting that decides about such resources, where a short value says enough."""
    if setting.new is ABSENT or isinstance(setting.new, bool):
        return 0
    if same(setting.new, change.new) and ABSENT in (setting.old, change.old):
        # One side leaves a default out.
        return 2
    if not (isinstance(change.old, str) and isinstance(change.new, str)):
        return 0
    parts = [re.split("[/:]", text) for text in (change.old, change.new)]
    return 2 if str(setting.new) in parts[1] and str(setting.new) not in parts[0] else 0


def _fits_inside(setting: Change, old: str, new: str) -> int:
    before, after = (str(each) if each is not ABSENT else "" for each in (setting.old, setting.new))
    if len(before) >= _SHORTEST and before in old and old.replace(before, after) == new:
        return 3
    if len(before) >= _SHORTEST and len(after) >= _SHORTEST and before in old and after in new:
        return 2
    if setting.old is ABSENT and len(after) >= _SHORTEST and after in new and after not in old:
        return 2
    return 0


def same(one: Any, other: Any) -> bool:
    """Whether two values read the same, as ``"8.4"`` and ``8.4`` do; true and 1 do not."""
    if one is ABSENT or other is ABSENT:
        return one is other
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (Mapping, list)) or isinstance(other, (Mapping, list)):
        return one == other
    return str(one) == str(other)
