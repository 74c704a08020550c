"""Admission reviews as nobody should send them: real ones with parts taken out, changed or grown.

A draft only describes its body, so that a failure prints a few changes instead of a whole review,
and so that it can hold what Python cannot write as JSON: very deep lists and very long numbers.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from hypothesis import strategies as st

from tests.webhook.reviews import OWN, SHA, review_of

POD: dict[str, Any] = {
    "metadata": {"name": "p", "annotations": {"a": "b"}, "managedFields": [{"f:spec": {}}]},
    "spec": {
        "initContainers": [{"name": "i", "image": f"{OWN}/quay.io/a/init:1"}],
        "containers": [
            {"name": "main", "image": "python:3.9", "args": ["--x"]},
            {"name": "side", "image": f"reg.io:5000/a/b:1@{SHA}"},
            {"name": "again", "image": "python:3.9"},
        ],
        "ephemeralContainers": [{"name": "debug", "image": "busybox"}],
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "m", "image": {"reference": "q.io/m"}}],
    },
}
OLD: dict[str, Any] = {"metadata": {}, "spec": {"containers": [{"name": "main", "image": "a:1"}]}}
_STEP: dict[str, Any] = {"name": "t", "container": {"name": "c", "image": "python:3.9"}}
WORKFLOW: dict[str, Any] = {
    "metadata": {"name": "w"},
    "spec": {
        "templates": [
            {**_STEP, "sidecars": [{"name": "s", "image": "redis:7"}]},
            {"containerSet": {"containers": [{"name": "x", "image": "b:1"}]}},
            {"steps": [[{"inline": _STEP}]], "dag": {"tasks": [{"inline": _STEP}]}},
        ],
        "templateDefaults": {"script": {"image": "bash"}},
    },
}
KINDS = (
    {"group": "argoproj.io", "version": "v1alpha1", "kind": "Workflow"},
    {"group": "serving.knative.dev", "version": "v1", "kind": "Service"},
)
REAL = (
    review_of(POD, namespace="team"),
    review_of(POD, namespace="team", dryRun=True),
    review_of(POD, namespace="team", operation="UPDATE", oldObject=OLD),
    review_of(POD, operation="UPDATE", oldObject=POD, subResource="ephemeralcontainers"),
    review_of(WORKFLOW, namespace="team", kind=KINDS[0]),
    review_of({"spec": {"template": POD}}, namespace="team", kind=KINDS[1]),
)
FIELDS = (
    *("apiVersion", "request", "uid", "operation", "object", "oldObject", "dryRun"),
    *("metadata", "annotations", "image-mirror/skip", "spec"),
    *("containers", "initContainers", "ephemeralContainers", "volumes"),
    *("name", "image", "reference", "kind", "group"),
    *("template", "templates", "container", "containerSet", "steps", "dag", "tasks", "inline"),
)
ODD = (
    "",
    "\0",
    "\ud800",
    "\udfff\ud800",
    "\u2028\n\r",
    "true",
    "a" * 5000,
    "a/" * 2500,
    "a-" * 2500 + ".io/x",
    f"{'x.' * 2500}io/x:{'t' * 128}",
    "localhost:000001" + "0" * 5000 + "/x",
    "[" + "f:" * 2500 + "]/x",
    f"[::1]:80/x:1@{SHA}",
    "<<image.prefix>>/x",
    "q.io/" + "a" * 255,
    f"{OWN}/{OWN}/x",
)

texts = st.one_of(
    st.sampled_from(ODD), st.text(st.characters()), st.text("aA0.-_:/@[]\0\ud800", max_size=12)
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
arbitrary = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(FIELDS), texts), inner, max_size=5),
    ),
    max_leaves=12,
)


def nested(depth: int) -> list[Any]:
    """Lists in lists: with some thousands Python refuses to print or to serialise them."""
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


_UNWRITABLE = "<what Python would not write>"


@dataclass(frozen=True)
class Change:
    """One change: ``where`` counts the review's places, round and round; 0 is the whole body."""

    where: int
    how: Literal["remove", "replace", "unwritable", "repeat", "wrap"]
    value: Any


@dataclass(frozen=True)
class Draft:
    """A review to be, and what its unwritable places hold: ``depth`` lists, or that many digits."""

    start: Any
    changes: tuple[Change, ...]
    depth: int
    digits: bool
    cut: int
    """Characters missing at the end of its text."""

    def body(self) -> Any:
        return self._changed(10**self.depth if self.digits else nested(self.depth))

    def text(self) -> str:
        unwritable = "1" * self.depth if self.digits else "[" * self.depth + "]" * self.depth
        whole = json.dumps(self._changed(_UNWRITABLE))
        whole = whole.replace(json.dumps(_UNWRITABLE), unwritable, 1)
        return whole[: len(whole) - self.cut]

    def _changed(self, unwritable: Any) -> Any:
        body = {"body": copy.deepcopy(self.start)}
        times = 500
        for change in self.changes:
            places = list(_places(body))
            holder, key = places[change.where % len(places)]
            match change.how:
                case "remove":
                    del holder[key]
                case "replace":
                    holder[key] = copy.deepcopy(change.value)
                case "unwritable":
                    holder[key] = unwritable
                case "repeat":
                    # Not twice: a list of lists of reviews would only test the patience of people.
                    holder[key], times = [holder[key]] * times, 1
                case "wrap":
                    holder[key] = {"image": holder[key]}
            if not body:
                break
        return body.get("body")


def _places(root: Any) -> Iterator[tuple[Any, Any]]:
    # No recursion, as what is walked may be deeper than Python's stack; and a part that is repeated
    # is walked once.
    waiting, seen = [root], {id(root)}
    while waiting:
        holder = waiting.pop()
        keys = range(len(holder)) if isinstance(holder, list) else list(holder)
        for key in keys:
            yield holder, key
            if isinstance(holder[key], list | dict) and id(holder[key]) not in seen:
                seen.add(id(holder[key]))
                waiting.append(holder[key])


changes = st.builds(
    Change,
    where=st.integers(0, 200),
    how=st.sampled_from(
        ("replace", "replace", "replace", "remove", "unwritable", "repeat", "wrap")
    ),
    value=arbitrary,
)
drafts = st.builds(
    Draft,
    start=st.sampled_from(REAL),
    changes=st.lists(changes, max_size=4).map(tuple),
    depth=st.one_of(st.integers(1, 1200), st.sampled_from([5000, 20_000])),
    digits=st.booleans(),
    cut=st.sampled_from([0, 0, 0, 0, 0, 0, 0, 1, 40]),
)
