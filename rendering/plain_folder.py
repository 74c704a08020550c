"""A kustomization that lists files and names a namespace, read without kustomize.

For whoever has neither kustomize nor kubectl where a program runs. Such a folder is rendered by
kustomize too, and ``tests/rendering/test_plain_folder.py`` compares the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import yaml

from rendering.kubernetes_yaml import Loader
from rendering.objects import Object, RenderError

_READ = frozenset({"apiVersion", "kind", "namespace", "resources"})


def objects_of(folder: Path) -> list[Object]:
    """The objects of a folder's kustomization.

    Objects of the whole cluster have its namespace too, until ``rendered`` takes it from them.

    Raises:
        RenderError: the kustomization does more than that.
    """
    file = folder / "kustomization.yaml"
    kustomization: dict[str, Any] = _documents(file)[0]
    if more := sorted(kustomization.keys() - _READ):
        raise RenderError(f"{file} has {', '.join(more)}, for which it takes kustomize")
    objects: list[Object] = []
    for name in cast("list[str]", kustomization["resources"]):
        if not (folder / name).is_file():
            raise RenderError(f"{file} builds on {name}, for which it takes kustomize")
        objects += _documents(folder / name)
    namespace = kustomization.get("namespace")
    if namespace:
        for obj in objects:
            obj["metadata"]["namespace"] = namespace
    return objects


def _documents(file: Path) -> list[Object]:
    documents = yaml.load_all(file.read_bytes(), Loader=Loader)
    return [cast("Object", document) for document in documents if document]
