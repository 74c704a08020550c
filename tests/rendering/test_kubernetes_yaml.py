"""Texts and numbers are the same to PyYAML, to kubectl and to readers of YAML 1.2."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rehearsal.plan import kubernetes_yaml
from rendering.assembly import assemble
from rendering.kubernetes_yaml import Dumper, Loader, document
from tests.rehearsal.test_plan import planned
from tests.releases import RELEASES
from tests.rendering.beijing import rendered
from tests.rendering.conftest import TinyProject

# As kubectl 1.36.1 printed a plain scalar with `annotate --local -o json`.
READ: dict[str, Any] = {
    "012345678901": 12345678901,
    "1e3": 1000,
    "1e+06": 1000000,
    "1e-3": 0.001,
    "089": 89,
    "0o17": 15,
    "-0o7": -7,
    "0b1": 1,
    "0x1F": 31,
    "017": 15,
    "1_000": 1000,
    "1__0": 10,
    "+1": 1,
    ".5": 0.5,
    "y": True,
    "n": False,
    "on": True,
    "1:30": "1:30",
    "12:30:45.5": "12:30:45.5",
    "2024-01-01": "2024-01-01",
    "1.2.3": "1.2.3",
    "0o8": "0o8",
    "a": "a",
}
MORE = [
    "=",
    "~",
    "null",
    "NULL",
    "off",
    "Y",
    "N",
    "1.5e3",
    ".5e3",
    "-08",
    "5.",
    "1e",
    "",
    "1.0",
    "<<",
]
TEXTS = st.text() | st.text(" \t\n:#-?'\"\\\x85\u2028ay0", max_size=40)
KEYS = TEXTS | st.text("a \n", min_size=120, max_size=140)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
# The plain forms of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#1032-tag-resolution).
CORE = re.compile(
    r"null|Null|NULL|~||true|True|TRUE|false|False|FALSE|[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|"
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?(\.inf|\.Inf|\.INF)|\.(nan|NaN|NAN)"
)


def read(text: str) -> Any:
    (document,) = yaml.load_all(text, Loader=Loader)
    return document


@pytest.mark.parametrize("plain", READ)
def test_a_plain_scalar_is_what_kubectl_reads(plain: str) -> None:
    assert json.dumps(read(f"a: {plain}\n")) == json.dumps({"a": READ[plain]})


@pytest.mark.parametrize("text", [*READ, *MORE])
def test_a_text_is_a_text_to_every_reader(text: str) -> None:
    written = yaml.dump({text: text}, Dumper=Dumper)
    assert read(written) == {text: text}
    assert yaml.safe_load(written) == {text: text}
    plain = not re.search("['\"]", written)
    assert not (plain and (CORE.fullmatch(text) or not isinstance(READ.get(text, ""), str)))


@pytest.mark.parametrize("value", [1, -1, 0, 1.5, 1e22, 1e-7, True, False, None, "x: y", [1], {}])
def test_other_values_are_written_as_before(value: Any) -> None:
    assert yaml.dump({"a": value}, Dumper=Dumper) == yaml.dump(
        {"a": value}, Dumper=yaml.CSafeDumper
    )


def as_pyyaml_writes_it(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=Dumper, allow_unicode=True, width=2**20)
    return f"---\n{text}"


@given(st.dictionaries(KEYS, VALUES, max_size=4))
@settings(deadline=None)
@example({"on": 1, "a": [True, 1, 1.0, "1", "1.0", None, "true", 0, False]})
@example({"a": {"b": [[], {}, [[1, [2]], [{"c": {}, "d": [{}]}]], {"e": "1\n\n2\n3\n"}]}})
@example({"a": 1, "b" * 200: {"c": "d"}})
@example({"a": {"b": "\u2028"}, "c": {"d": "\x85"}, "e": {"f": "\r"}})
def test_a_document_has_the_bytes_that_pyyaml_writes(value: dict[str, Any]) -> None:
    assert document(value) == as_pyyaml_writes_it(value)


@pytest.mark.parametrize("release", RELEASES)
def test_crds_have_the_bytes_that_pyyaml_writes(release: str) -> None:
    for crd in itertools.islice(rendered(release).crds, 0, None, 9):
        assert document(crd) == as_pyyaml_writes_it(crd)


def test_what_a_value_has_twice_is_written_twice() -> None:
    port = {"port": 80}
    assert document({"a": port, "b": [port]}) == "---\na:\n  port: 80\nb:\n- port: 80\n"


def test_the_plan_has_an_account_of_a_leading_zero_as_text() -> None:
    data = {"account": "012345678909", "commit": "12345e6"}
    found = planned(
        "kubernetes:core/v1:ConfigMap", "a", apiVersion="v1", kind="ConfigMap", data=data
    )
    assert read(kubernetes_yaml([found], lambda _: ""))["data"] == data


def test_what_upstream_writes_plainly_is_read_as_kubectl_reads_it(tiny: TinyProject) -> None:
    file = tiny.release / "plain.yaml"
    file.write_text(
        "apiVersion: example.org/v1\nkind: Gadget\nmetadata: {name: plain}\n"
        "spec: {at: 1:30, op: =, most: 1e3, mode: 0o17}\n"
    )
    kustomization = tiny.release / "kustomization.yaml"
    text = kustomization.read_text()
    assert "resources:\n" in text
    kustomization.write_text(text.replace("resources:\n", "resources:\n- plain.yaml\n"))
    assembly = assemble(tiny.release)
    (spec,) = (obj["spec"] for obj in assembly.build(assembly.own) if obj["kind"] == "Gadget")
    assert spec == {"at": "1:30", "op": "=", "most": 1000, "mode": 15}
