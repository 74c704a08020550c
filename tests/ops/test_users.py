"""./kf users: who uses a platform, by the stack file, and by a cluster that answers."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from ops import targets
from ops.live_cluster import LiveCluster
from ops.users import Live, rows_of
from settings import from_mapping
from tests.ops.api_of_lists import ApiOfLists, Lists, kubeconfig, serving
from tests.ops.command import kf

PROFILES = "/apis/kubeflow.org/v1/profiles"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/rolebindings"
QUOTAS = "/api/v1/resourcequotas"
HASHES = "/api/v1/namespaces/auth/secrets/dex-passwords"
HASH = "$2b$12$abcdefghijklmnopqrstuv"

STACK = """
config:
  kubeflow:region: us-west-2
  kubeflow:accountId: "111122223333"
  kubeflow:cluster:
    admins: ["arn:aws:iam::111122223333:role/a"]
    publicAccessCidrs: [203.0.113.9/32]
  kubeflow:deletableNamespaces: [team-b]
  kubeflow:users:
    - {email: li.na@example.com, namespace: team-a, contributors: [wang.fang@example.com],
       buckets: [{bucket: datasets, prefixes: [cifar], write: true}, {bucket: models}],
       quota: {cpus: 8, memoryGib: 32, gpus: 2}, rotation: 3}
    - {email: wang.fang@example.com, namespace: team-b}
"""


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack of this page in a project of its own, and no kubeconfig."""
    (tmp_path / "Pulumi.team.yaml").write_text(STACK)
    monkeypatch.setattr(targets, "PROJECT", tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))


def profile(namespace: str, owner: str) -> dict[str, Any]:
    return {"metadata": {"name": namespace}, "spec": {"owner": {"name": owner}}}


def binding(namespace: str, user: str, role: str) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "annotations": {"user": user, "role": role}}}


@pytest.fixture
def cluster(stack: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[ApiOfLists]:
    """The stack's cluster, which KUBECONFIG names."""
    hard = {"requests.cpu": "8", "requests.memory": "32Gi", "requests.nvidia.com/gpu": "2"}
    used = {"requests.cpu": "2500m", "requests.memory": "10Gi", "requests.nvidia.com/gpu": "1"}
    quota = {
        "metadata": {"namespace": "team-a", "name": "profile-quota"},
        "spec": {"hard": hard},
        "status": {"hard": hard, "used": used},
    }
    written = [{"time": "2026-11-02T08:00:00Z"}, {"time": "2026-11-20T09:30:00Z"}, {}]
    lists: Lists = {
        PROFILES: [profile("team-a", "li.na@example.com"), profile("old", "zhang.wei@example.com")],
        QUOTAS: [quota],
        BINDINGS: [
            binding("team-a", "li.na@example.com", "admin"),
            binding("team-a", "zhao.min@example.com", "edit"),
            binding("team-a", "wang.fang@example.com", "edit"),
            {"metadata": {"namespace": "team-a"}},
        ],
    }
    secret = {"metadata": {"creationTimestamp": "2026-10-01T00:00:00Z", "managedFields": written}}
    api = ApiOfLists(lists, objects={HASHES: {**secret, "data": {"DEX_USER_PASSWORD_A": HASH}}})
    with serving(api):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, api.url)))
        yield api


USERS = ("users", "--stack", "team", "--format")


def test_the_stack_file_alone_is_told_with_a_notice(stack: None) -> None:
    done = kf(*USERS, "json")
    assert done.exit_code == 0, done.output
    assert done.stderr.startswith("By the stack file alone, without what is used: there is no")
    first, second = json.loads(done.stdout)
    assert first == {
        "user": "li.na@example.com",
        "namespace": "team-a",
        "profile": "protected",
        "exists": None,
        "quota": {
            "requests.cpu": {"set": "8", "used": None},
            "requests.memory": {"set": "32Gi", "used": None},
            "requests.nvidia.com/gpu": {"set": "2", "used": None},
            "requests.nvidia.com/gpu.shared": {"set": "2", "used": None},
        },
        "contributors": ["wang.fang@example.com"],
        "buckets": ["datasets/cifar (write)", "models (read)"],
        "rotation": 3,
        "passwords_changed": None,
    }
    assert (second["profile"], second["quota"], second["rotation"]) == ("deletable", {}, 1)


def test_a_cluster_adds_what_is_used_and_who_was_let_in(cluster: ApiOfLists) -> None:
    done = kf(*USERS, "json")
    assert done.exit_code == 0, done.output
    first, second = json.loads(done.stdout)
    assert first["quota"]["requests.cpu"] == {"set": "8", "used": "2500m"}
    assert first["contributors"] == ["wang.fang@example.com", "zhao.min@example.com"]
    assert (first["exists"], second["exists"]) == (True, False)
    assert first["passwords_changed"] == "2026-11-20T09:30:00Z"
    assert done.stderr.splitlines() == [
        "The profile old of zhang.wei@example.com is in the cluster and not in kubeflow:users.",
        "There is no profile team-b in the cluster: run `pulumi up`.",
    ]


def test_neither_password_nor_hash_is_read_or_printed(cluster: ApiOfLists) -> None:
    shown = [kf(*USERS, format_).output for format_ in ("json", "text", "table")]
    assert HASH not in "".join(shown)
    accepted = [accept for path, accept in cluster.accepted if path == HASHES]
    assert accepted == ["application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"] * 3
    assert all("v1/secrets" not in path for path, _ in cluster.asked)


def test_text_has_a_line_per_user(cluster: ApiOfLists) -> None:
    first, second = kf(*USERS, "text").stdout.splitlines()
    assert first.split("\t") == [
        "li.na@example.com",
        "team-a",
        "protected",
        "True",
        "cpu 2500m/8; memory 10Gi/32Gi; gpu 1/2; gpu.shared -/2",
        "wang.fang@example.com; zhao.min@example.com",
        "datasets/cifar (write); models (read)",
        "3",
        "2026-11-20T09:30:00Z",
    ]
    assert second.startswith("wang.fang@example.com\tteam-b\tdeletable\tFalse\t")


def test_a_person_reads_a_table(cluster: ApiOfLists) -> None:
    done = kf(*USERS, "table")
    assert "cpu 2500m/8" in done.stdout
    assert "absent" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("refused", [QUOTAS, BINDINGS, PROFILES, HASHES])
def test_a_cluster_that_refuses_leaves_the_stack_file(cluster: ApiOfLists, refused: str) -> None:
    cluster.refusals[refused] = 403
    done = kf(*USERS, "json")
    assert done.exit_code == 0
    assert f"does not let you use {refused} (403" in done.stderr
    assert json.loads(done.stdout)[0]["passwords_changed"] is None


def test_a_secret_that_is_not_there_has_no_time(cluster: ApiOfLists) -> None:
    cluster.objects.clear()
    assert Live.of(LiveCluster()).passwords_changed is None


def test_without_protection_every_profile_is_unprotected() -> None:
    raw = {"region": "us-west-2", "deletionProtection": False}
    (row,) = rows_of(from_mapping(raw), None)
    assert row["profile"] == "unprotected"
