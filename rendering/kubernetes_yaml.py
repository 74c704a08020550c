"""YAML as kubectl and the API server read it, and as every other reader reads the same.

PyYAML has the types of YAML 1.1, and the readers of Kubernetes (sigs.k8s.io/yaml v1.6.0,
goyaml.v2/resolve.go) have others: to them ``1e3`` and ``089`` are numbers and ``y`` is a boolean,
which PyYAML writes without quotes where they are texts; ``1:30``, ``2024-01-01`` and ``=`` are
texts. Pulumi's reader of stack files takes the same texts for numbers.
"""

from __future__ import annotations

import re
from typing import ClassVar

import yaml

_TAG = "tag:yaml.org,2002:"
_NUMBER = "!number"
_FORMS = (
    (f"{_TAG}int", r"[-+]?0o[0-7_]+", "-+0"),
    (_NUMBER, r"[-+]?(\.[0-9_]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    (f"{_TAG}bool", r"[yYnN]", "yYnN"),
)
"""Tag, form and first characters of what has a type to Kubernetes' readers, and none to PyYAML."""
_TEXTS = {f"{_TAG}timestamp", f"{_TAG}value"}
_BASE_60 = r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"


class Loader(yaml.CSafeLoader):
    """Reads a plain scalar as ``kubectl`` does."""

    bool_values: ClassVar = {**yaml.CSafeLoader.bool_values, "y": True, "n": False}
    yaml_implicit_resolvers: ClassVar = {
        first: [
            (tag, re.compile(rf"(?!{_BASE_60}$)(?:{form.pattern})", form.flags))
            for tag, form in forms
            if tag not in _TEXTS
        ]
        for first, forms in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


class Dumper(yaml.CSafeDumper):
    """Quotes every text that some reader would take for another type."""


def _number(loader: Loader, node: yaml.ScalarNode) -> int | float:
    """A number with an exponent or leading zeros; without a dot a whole one is an integer."""
    text = str(loader.construct_scalar(node)).replace("_", "")
    value = float(text)
    return int(value) if "." not in text and value.is_integer() else value


for _kind in (Loader, Dumper):
    for _tag, _form, _first in _FORMS:
        _kind.add_implicit_resolver(_tag, re.compile(rf"(?:{_form})$"), list(_first))
Loader.add_constructor(_NUMBER, _number)
