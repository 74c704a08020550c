"""The team's own files of models, as Hub's catalog reads them: checked before it does.

The catalog refuses a file as a whole for one unknown key, and says so in its log alone
(kubeflow/hub v0.3.8 catalog/internal/catalog/modelcatalog/yaml_catalog.go, UnmarshalStrict;
catalog/pkg/openapi/model_catalog_model.go; catalog/internal/catalog/basecatalog/validation.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, cast
from urllib.parse import urlsplit

import yaml

from settings.files import read_text
from settings.section import PROJECT

MOST_BYTES = 900 * 1024
"""Of all files: a ConfigMap has at most 1 MiB (k8s.io/api core/v1, MaxSecretSize likewise)."""
_FILE = frozenset({"source", "models"})
_MODEL = frozenset(
    {"name", "description", "readme", "maturity", "language", "tasks", "provider", "logo"}
    | {"license", "licenseLink", "libraryName", "customProperties", "externalId", "artifacts"}
    | {"createTimeSinceEpoch", "lastUpdateTimeSinceEpoch"}
)
_SCHEMES = ("oci", "http", "https", "s3", "gs", "az", "file")
_METRICS = "metrics-artifact"


def read(path: str) -> str:
    """The text of a file; ``path`` is relative to the project, or absolute.

    Raises:
        ValueError: there is no such file, or the catalog would not read it; with the way out.
    """
    try:
        text = read_text(PROJECT / path, MOST_BYTES)
        loaded: object = yaml.load(text, Loader=yaml.CSafeLoader)
    except FileNotFoundError:
        reason = "there is no such file: write its path from the project's folder"
        raise ValueError(reason) from None
    except (OSError, UnicodeDecodeError):
        reason = f"it cannot be read as a text file of at most {MOST_BYTES // 1024} KiB"
        raise ValueError(f"{reason}: name a YAML file of models") from None
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        raise ValueError(f"line {line} is no YAML: correct it") from None
    for problem in _problems(loaded):
        raise ValueError(problem)
    return text


def _problems(loaded: object) -> Iterator[str]:
    """What the catalog would refuse, each with the way out."""
    content = cast(Mapping[Any, Any], loaded) if isinstance(loaded, Mapping) else {}
    models = content.get("models")
    if not isinstance(models, list) or not models:
        yield "it has no list `models` with a `name` for each: write one"
        return
    yield from _unknown("the file", content, _FILE)
    names = set[str]()
    for number, each in enumerate(cast(list[object], models)):
        model = cast(Mapping[Any, Any], each) if isinstance(each, Mapping) else {}
        name = model.get("name")
        if not isinstance(name, str) or not name.strip():
            yield f"models[{number}] has no name: add one"
        elif name in names:
            yield f"model {name} is in it twice: remove one"
        else:
            names.add(name)
            yield from _unknown(f"model {name}", model, _MODEL)
            yield from _artifacts(name, model.get("artifacts"))


def _unknown(subject: str, content: Mapping[Any, Any], known: frozenset[str]) -> Iterator[str]:
    for key in content:
        if key not in known:
            alike = get_close_matches(str(key), known, 1)
            way_out = f"use {alike[0]}" if alike else "remove it"
            yield f"{subject} has the key {key}, which the catalog does not know: {way_out}"


def _artifacts(model: str, artifacts: object) -> Iterator[str]:
    for each in cast(list[object], artifacts) if isinstance(artifacts, list) else []:
        artifact = cast(Mapping[Any, Any], each) if isinstance(each, Mapping) else {}
        if artifact.get("artifactType") == _METRICS:
            continue
        uri = artifact.get("uri")
        if urlsplit(uri if isinstance(uri, str) else "").scheme not in _SCHEMES:
            reason = f"an artifact of model {model} has no uri that begins with one of"
            yield f"{reason} {', '.join(f'{scheme}:' for scheme in _SCHEMES)}: write one"
