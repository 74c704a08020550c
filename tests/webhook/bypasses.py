"""``bypasses.yaml``: ways around rules, for the handler and for the policy of an API server."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.webhook.reviews import OWN, SHA
from webhook.rules import Rule, read

AWS = "111122223333.dkr.ecr.us-east-1.amazonaws.com/kubeflow"
GOV = "111122223333.dkr.ecr.us-gov-west-1.amazonaws.com/kubeflow"
"""``$aws`` and ``$gov`` with prefix."""
_SHORT = {
    "$own": OWN,
    "$ecr": OWN.partition("/")[0],
    "$aws": AWS.partition("/")[0],
    "$gov": GOV.partition("/")[0],
    "$sha": SHA,
}
PLATFORM = frozenset({"gcr.io/platform/app:1"})


def _written(text: str) -> str:
    for short, long in _SHORT.items():
        text = text.replace(short, long)
    return re.sub(r"\$(\w)\*(\d+)", lambda found: found[1] * int(found[2]), text)


TABLE: dict[str, Any] = yaml.safe_load(
    _written(Path(__file__).with_name("bypasses.yaml").read_text(encoding="utf-8"))
)
RULES: dict[str, list[dict[str, Any]]] = TABLE["rules"]
REFUSED: list[str] = TABLE["refused"]
UNLISTED: list[str] = TABLE["unlisted"]
OTHERS: list[str] = TABLE["others"]
CACHES: list[tuple[str, str]] = [tuple(row) for row in TABLE["caches"]]
REPOSITORIES: list[tuple[str, str]] = [tuple(row) for row in TABLE["repositories"]]
ALLOWED: list[str] = TABLE["allowed"]
OURS: list[tuple[str, str]] = [tuple(row) for row in TABLE["ours"]]
PLACES: dict[str, dict[str, Any]] = TABLE["places"]


def account_of(image: str) -> str:
    """The registry with prefix in whose account an image is; that of ``$own`` where in none."""
    host = image.partition("/")[0]
    return next((each for each in (AWS, GOV) if each.startswith(f"{host}/")), OWN)


def rules(name: str) -> tuple[Rule, ...]:
    """A list of the table as the handler has it."""
    return read(json.dumps(RULES[name]))


def placed(place: str, image: str) -> dict[str, Any]:
    """Metadata and spec of a pod with the image in a place of the table."""
    body: dict[str, Any] = copy.deepcopy(PLACES[place])
    body = json.loads(json.dumps(body).replace("$evil", json.dumps(image)[1:-1]))
    spec = {"containers": [{"name": "c", "image": f"{OWN}/quay.io/ours/app:1"}], **body["spec"]}
    return {"metadata": body.get("metadata", {}), "spec": spec}
