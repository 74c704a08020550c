"""Texts and numbers are the same to PyYAML, to kubectl and to readers of YAML 1.2."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from rehearsal.plan import kubernetes_yaml
from rendering.assembly import assemble
from rendering.kubernetes_yaml import Dumper, Loader
from tests.rehearsal.test_plan import planned
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


def test_the_plan_has_an_account_of_a_leading_zero_as_text() -> None:
    data = {"account": "012345678909", "commit": "12345e6"}
    found = planned(
        "kubernetes:core/v1:ConfigMap", "a", apiVersion="v1", kind="ConfigMap", data=data
    )
    assert read(kubernetes_yaml([found], lambda _: []))["data"] == data


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
