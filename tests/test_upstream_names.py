"""Programs name no Deployment or StatefulSet of Kubeflow: its releases' folders do (``parts``)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.releases import RELEASES
from tests.rendering.beijing import kubeflow
from tests.test_rooms import files

WORDS = {"activator", "autoscaler", "controller", "dashboard", "webhook"}
"""Names that are words as well: only with their namespace, or as kubectl takes them."""
OTHER_THINGS = {
    # A component of the database, after which its secret in Secrets Manager is named.
    ("components/backend/kubeflow_rds_s3_backend.py", "ml-pipeline"),
    ("ops/verification/checks/pipelines.py", "ml-pipeline"),
    # Labels of a picture, and words in sentences.
    ("rehearsal/pictures/facts.py", "dex"),
    ("rehearsal/pictures/facts.py", "oauth2-proxy"),
    ("rehearsal/pictures/facts.py", "cert-manager"),
    ("ops/verification/checks/authorities.py", "cert-manager"),
    # A pod of 26.03 that is admitted over and over.
    ("benchmarks/admissions.py", "ml-pipeline"),
}


def texts(path: Path) -> Iterator[str]:
    """Every string of a module that is no docstring."""
    tree = ast.parse(path.read_bytes())
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node.value


@pytest.fixture(scope="module")
def pattern() -> re.Pattern[str]:
    """A workload of any release, where nothing follows that makes it a domain or another name."""
    named: set[str] = set()
    for release in RELEASES:
        for obj in kubeflow(release).rendered.objects:
            if obj["kind"] in ("Deployment", "StatefulSet"):
                name, namespace = obj["metadata"]["name"], obj["metadata"].get("namespace")
                ways = [f"{namespace}/{name}", f"(?:deploy|deployment|deployments)/{name}"]
                named.update(ways if name in WORDS else (re.escape(name), *ways))
    return re.compile(rf"(?<![\w.-])(?:{'|'.join(sorted(named, key=len, reverse=True))})(?![\w.-])")


def test_the_pattern_finds_names_and_no_words(pattern: re.Pattern[str]) -> None:
    found = ("kubeflow/dashboard", "centraldashboard", "logs deploy/webhook", "a dex b")
    other = ("the dashboard", "cert-manager.io/name", "ml-pipeline-ui-artifact", "my-dex")
    assert all(pattern.search(text) for text in found)
    assert not any(pattern.search(text) for text in other)


def test_no_program_names_a_workload_of_kubeflow(pattern: re.Pattern[str]) -> None:
    root = Path(__file__).resolve().parents[1]
    found = {
        (str(path.relative_to(root)), match[0])
        for _, path in files()
        for text in texts(path)
        for match in pattern.finditer(text)
    }
    assert found == OTHER_THINGS
