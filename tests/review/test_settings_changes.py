"""What counts as a changed setting."""

from __future__ import annotations

from typing import Any

import pytest

from tests.review.plans import reviewed

PLAIN: dict[str, Any] = {
    "kubeflow:deletionProtection": True,
    "kubeflow:release": "26.03",
    "kubeflow:gpuPool": {"enabled": True, "maxGpus": 8, "gpuCounts": [1, 4]},
    "kubeflow:users": [{"email": "ann@example.com", "rotation": 1}],
}
# As `pulumi stack init` and `pulumi config set` write a stack file, and as YAML reads 26.03.
REWRITTEN: dict[str, Any] = {
    "kubeflow:deletionProtection": "true",
    "kubeflow:release": 26.03,
    "kubeflow:gpuPool": {"enabled": "true", "maxGpus": "8", "gpuCounts": ["1", 4]},
    "kubeflow:users": [{"email": "ann@example.com", "rotation": "1"}],
}


@pytest.mark.parametrize(("base", "head"), [(PLAIN, REWRITTEN), (REWRITTEN, PLAIN)])
def test_a_value_in_other_quotes_is_no_change(base: dict[str, Any], head: dict[str, Any]) -> None:
    assert reviewed([], settings=(base, head)).settings == ()


@pytest.mark.parametrize(
    ("key", "value", "paths"),
    [
        ("kubeflow:deletionProtection", "false", ["kubeflow:deletionProtection"]),
        ("kubeflow:release", 26.3, ["kubeflow:release"]),
        ("kubeflow:gpuPool", {"enabled": "true", "maxGpus": "16"}, 2),
        ("kubeflow:users", [*REWRITTEN["kubeflow:users"], {"email": "bob@example.com"}], 1),
        ("kubeflow:gpuPool", "true", ["kubeflow:gpuPool"]),
    ],
)
def test_another_value_is_one(key: str, value: object, paths: list[str] | int) -> None:
    found = [
        each.path for each in reviewed([], settings=(PLAIN, {**REWRITTEN, key: value})).settings
    ]
    assert found == paths if isinstance(paths, list) else len(found) == paths
