"""Files of data, as a parser of YAML reads them."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator

import yaml

from settings import MANIFESTS

PROJECT = MANIFESTS.parent


def keys_twice(node: yaml.Node | None) -> Iterator[str]:
    """Keys that occur twice in one mapping, of which PyYAML takes the last without a word."""
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        keys = Counter(str(key.value) for key, _ in node.value)
        yield from (f"{key} (line {node.start_mark.line + 1})" for key, n in keys.items() if n > 1)
        children = [value for _, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    for each in children:
        yield from keys_twice(each)


def test_no_key_of_a_file_of_data_occurs_twice() -> None:
    command = ["git", "ls-files", "*.yaml", "*.yml"]
    listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    names = listed.stdout.split()
    assert "manifests/26.03.1/advisories.yaml" in names
    twice = [
        f"{name}: {key}"
        for name in names
        for node in yaml.compose_all((PROJECT / name).read_bytes(), Loader=yaml.CSafeLoader)
        for key in keys_twice(node)
    ]
    assert twice == []


def test_a_key_that_occurs_twice_is_found() -> None:
    node = yaml.compose("a:\n- b: 1\n  c: 2\n  b: 3\n", Loader=yaml.CSafeLoader)
    assert list(keys_twice(node)) == ["b (line 2)"]
