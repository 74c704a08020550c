"""docs/provisioner-to-node-pool.md: true to Karpenter's CRDs and to what the program registers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest
import yaml

from tests.rendering.beijing import rendered
from tests.test_program import stack

PAGE = (Path(__file__).parents[1] / "docs/provisioner-to-node-pool.md").read_text()
PROVISIONER, SETTINGS, MADE = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
OLD: dict[str, Any] = yaml.safe_load(PROVISIONER)
SECTIONS: dict[str, Any] = yaml.safe_load(SETTINGS)
NEW: dict[str, dict[str, Any]] = {obj["kind"]: obj for obj in yaml.safe_load_all(MADE)}
NAMED_LATER = {
    "instanceProfile": ("made-by-the-stack",),
    "id": ("subnet-0123456789abcdef0", "subnet-0123456789abcdef1", "sg-0123456789abcdef0"),
}
ROWS = dict(re.findall(r"^\| `(spec[^`]+)` \| ([^|]*) \|", PAGE, re.MULTILINE))
CRDS = {"NodePool": "nodepools.karpenter.sh", "EC2NodeClass": "ec2nodeclasses.karpenter.k8s.aws"}


def schema(kind: str) -> dict[str, Any]:
    """The schema of the version we write, which admits no field that it does not name."""
    crd = next(
        each
        for each in rendered("addons/karpenter-1.14.1").crds
        if each["metadata"]["name"] == CRDS[kind]
    )
    (version,) = [each for each in crd["spec"]["versions"] if each["name"] == "v1"]
    strict: Any = closed(version["schema"]["openAPIV3Schema"])
    strict["properties"]["metadata"].pop("additionalProperties", None)
    return strict


def closed(node: Any) -> Any:
    """As the API server takes a strict request: an object has only the properties it is given."""
    if isinstance(node, list):
        return [closed(each) for each in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    made = {key: closed(value) for key, value in cast("dict[str, Any]", node).items()}
    if isinstance(made.get("properties"), dict) and "type" in made:
        made.setdefault("additionalProperties", False)
    return made


def fields(spec: Mapping[str, Any], below: str = "spec") -> Iterator[str]:
    """The fields of a Provisioner; ``provider`` and ``limits`` are looked into."""
    for key, value in spec.items():
        path = f"{below}.{key}"
        if path in ("spec.provider", "spec.limits"):
            yield from fields(value, path)
        else:
            yield path


def missing(shown: Any, real: Any, path: str = "") -> list[str]:
    """Where a value of the page is not in what the program registers."""
    if shown in NAMED_LATER.get(path.rpartition(".")[2], ()) and real:
        return []
    if isinstance(shown, dict):
        has = cast("dict[str, Any]", real if isinstance(real, dict) else {})
        return [
            found
            for key, value in cast("dict[str, Any]", shown).items()
            for found in missing(value, has.get(key), f"{path}.{key}")
        ]
    if isinstance(shown, list):
        among = cast("list[Any]", real if isinstance(real, list) else [])
        return [
            f"{path}: {json.dumps(each)}"
            for each in cast("list[Any]", shown)
            if not any(missing(each, one) == [] for one in among)
        ]
    return [] if shown == real else [f"{path}: {shown} is {real}"]


@pytest.fixture(scope="module")
def registered() -> dict[str, dict[str, Any]]:
    """NodePool and EC2NodeClass of Beijing's stack with the settings of the page."""
    sections = {key.removeprefix("kubeflow:"): value for key, value in SECTIONS.items()}
    made = stack("cn-north-1", **sections)
    return {
        "NodePool": made.only("kubernetes:karpenter.sh/v1:NodePool").inputs,
        "EC2NodeClass": made.only("kubernetes:karpenter.k8s.aws/v1:EC2NodeClass").inputs,
    }


def test_every_field_of_the_example_is_in_the_table() -> None:
    assert set(fields(OLD["spec"])) <= set(ROWS)


@pytest.mark.parametrize("old", ROWS)
def test_what_a_field_became_is_a_field_of_todays_crd(old: str) -> None:
    new = ROWS[old].strip()
    if not new:
        assert old == "spec.provider.launchTemplate"
        return
    kind, path = re.fullmatch(r"(\w+) `([\w.]+)`", new).groups()  # pyright: ignore[reportOptionalMemberAccess]
    node = schema(kind)
    for part in path.split("."):
        assert part in node["properties"], f"{kind} has no {path}"
        node = node["properties"][part]


@pytest.mark.parametrize("kind", NEW)
def test_what_the_page_shows_is_valid_by_todays_crds(kind: str) -> None:
    jsonschema.validate(NEW[kind], schema(kind))


@pytest.mark.parametrize("kind", NEW)
def test_a_field_that_no_crd_has_would_be_found(kind: str) -> None:
    wrong = {**NEW[kind], "spec": {**NEW[kind]["spec"], "ttlSecondsAfterEmpty": 30}}
    with pytest.raises(jsonschema.ValidationError, match="ttlSecondsAfterEmpty"):
        jsonschema.validate(wrong, schema(kind))


@pytest.mark.parametrize("kind", NEW)
def test_the_settings_of_the_page_make_what_it_shows(
    kind: str, registered: dict[str, dict[str, Any]]
) -> None:
    assert missing(NEW[kind], registered[kind]) == []


def test_the_profile_is_one_that_the_stack_made(registered: dict[str, dict[str, Any]]) -> None:
    assert re.search(r"-[0-9a-f]{7}$", registered["EC2NodeClass"]["spec"]["instanceProfile"])
    assert "role" not in NEW["EC2NodeClass"]["spec"]


def test_the_example_says_the_same_in_both_languages() -> None:
    old, pool = OLD["spec"], NEW["NodePool"]["spec"]
    requirements = {each["key"]: each["values"] for each in old["requirements"]}
    now = {each["key"]: each["values"] for each in pool["template"]["spec"]["requirements"]}
    assert now["karpenter.sh/capacity-type"] == requirements["karpenter.sh/capacity-type"]
    types = requirements["node.kubernetes.io/instance-type"]
    assert {name.split(".")[0] for name in types} == {*now["karpenter.k8s.aws/instance-family"]}
    assert pool["template"]["metadata"]["labels"] == old["labels"]
    assert pool["template"]["spec"]["taints"] == old["taints"]
    assert pool["limits"] == old["limits"]["resources"]
    assert pool["disruption"]["consolidateAfter"] == f"{old['ttlSecondsAfterEmpty']}s"
    node_class = NEW["EC2NodeClass"]["spec"]
    for selector, kind in (("subnetSelector", "subnet"), ("securityGroupSelector", "sg")):
        # By ID: clusters may share a subnet, whose tag has one value.
        assert selector in old["provider"]
        assert all(term["id"].startswith(f"{kind}-") for term in node_class[f"{selector}Terms"])
    assert node_class["tags"] == old["provider"]["tags"]
