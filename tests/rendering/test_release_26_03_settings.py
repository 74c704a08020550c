"""Release 26.03: release.yaml says where every late value goes."""

from __future__ import annotations

import re
from collections import defaultdict

from rendering.objects import ObjectKey, spelled, strings
from rendering.release import load
from tests.rendering.beijing import MANIFESTS, kubeflow

MARKER = re.compile(r"<<([a-z][a-z0-9.-]*)>>")


def test_the_table_of_settings_is_what_the_render_carries() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for obj in kubeflow().rendered.objects:
        key = ObjectKey.of(obj)
        name = f"{key.namespace}/{key.name}" if key.namespace else key.name
        for path, text in strings(obj):
            for marker in sorted(set(MARKER.findall(text)) - {"registry.host"}):
                found[marker].append(f"{key.kind} {name}#{spelled(path)}")
    table = load(MANIFESTS / "26.03").settings
    assert {name: list(places) for name, places in table.items()} == {
        name: sorted(places) for name, places in found.items()
    }
