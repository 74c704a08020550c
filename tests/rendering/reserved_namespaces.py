"""What ``settings/reserved_namespaces.yaml`` must be, from the renders; as a program it writes it.

A user with a namespace that an object of the platform names would have what the object grants or
admits there: a role of a service account, a call of a webhook.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from rendering import Object
from rendering.release import stand_alone
from tests.rendering.beijing import MANIFESTS, rendered

TABLE = Path(__file__).parents[2] / "settings" / "reserved_namespaces.yaml"
OF_KUBERNETES = {"default", "kube-node-lease", "kube-public", "kube-system"}
"""https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/, "Initial
namespaces"."""
_KEYS = ("namespace", "kubernetes.io/metadata.name")
_PRINCIPAL = re.compile(r"/ns/([a-z0-9-]+)/sa/")
_HEADER = "# Namespaces no user may have. By `python -m tests.rendering.reserved_namespaces`.\n"


def named_in(value: Any) -> Iterator[str]:
    """Every namespace that an object is in, or that its fields name."""
    if isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            if key in _KEYS and isinstance(item, str):
                yield item
            yield from named_in(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from named_in(item)
    elif isinstance(value, str):
        yield from _PRINCIPAL.findall(value)


def of_object(obj: Object) -> Iterator[str]:
    """The namespaces of an object, a Namespace itself included."""
    if obj["kind"] == "Namespace":
        yield obj["metadata"]["name"]
    yield from named_in(obj)


def text() -> str:
    """The table: of every release, every add-on and Kubernetes itself."""
    renders = [rendered(folder) for folder in stand_alone(MANIFESTS)]
    found = {name for each in renders for obj in each.objects for name in of_object(obj)}
    names = sorted(found | OF_KUBERNETES)
    return _HEADER + "".join(f"- {name}\n" for name in names)


if __name__ == "__main__":
    TABLE.write_text(text(), "utf-8")
