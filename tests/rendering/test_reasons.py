"""A difference has the first reason that names it; what names nothing is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rendering.differences import compare
from rendering.reasons import Reason, explain, load_reasons, places
from rendering.release import ReleaseInvalid


def reason(id_: str, **patterns: tuple[str, ...]) -> Reason:
    return Reason.model_validate({"id": id_, "because": "b", "source": "s", **patterns})


def config(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


def test_the_first_reason_that_covers_a_difference_is_its_reason() -> None:
    found = places(compare([config(a="1", b="1")], [config(a="2", b="2")]))
    reasons = [
        reason("first", changed=("ConfigMap c#data.a",)),
        reason("rest", changed=("ConfigMap *#data.*",)),
        reason("shadowed", changed=("ConfigMap c#data.b",)),
    ]
    explained, unused = explain(found, reasons)
    assert explained == {
        "changed ConfigMap c#data.a": "first",
        "changed ConfigMap c#data.b": "rest",
    }
    assert unused == ["shadowed: changed ConfigMap c#data.b"]


@pytest.mark.parametrize(
    "patterns",
    [
        {"added": ("ConfigMap c",)},
        {"changed": ("ConfigMap c*",)},
        {"removed": ("ConfigMap",)},
        {"removed": ("configmap c",)},
        {"removed": ("ConfigMap [abc]",)},
    ],
)
def test_a_reason_covers_only_what_it_names(patterns: dict[str, tuple[str, ...]]) -> None:
    found = list(places(compare([config()], [])))
    assert found == ["removed ConfigMap c"]
    assert explain(found, [reason("r", **patterns)])[0] == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- {id: a}", "because: Field required"),
        ("- {id: a, because: b, source: s, deleted: [x]}", "deleted: Extra inputs"),
        ("- {id: a, because: b, source: s}\n" * 2, "the id a stands for more than one reason"),
        ("- [", "is not readable as YAML"),
    ],
)
def test_unusable_reasons_are_refused_with_the_key(
    tmp_path: Path, text: str, complaint: str
) -> None:
    (tmp_path / "reasons.yaml").write_text(text)
    with pytest.raises(ReleaseInvalid, match=complaint):
        load_reasons(tmp_path)
