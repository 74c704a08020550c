"""./kf verify: what a person is told of the cluster their kubeconfig names, over HTTP."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Generator
from pathlib import Path
from threading import Barrier
from typing import Any
from xml.etree import ElementTree

import pytest

from ops.cli_errors import Refused
from ops.live_cluster import LiveCluster
from ops.verification.checks import running
from tests.ops import waiting_pods as these
from tests.ops.api_of_lists import ApiOfLists, Lists, kubeconfig, serving
from tests.ops.command import kf

PODS, EVENTS = "/api/v1/pods", "/api/v1/events"
NEW_PODS = "/api/v1/namespaces/kube-system/pods"
NODE_POOLS = "/apis/karpenter.sh/v1/nodepools"
NODE_CLAIMS = "/apis/karpenter.sh/v1/nodeclaims"
NAMED = ("verify", "--stack", "cn-north-1", "--only")
VERIFY = (*NAMED, "running", "--format")
"""The checks of one module, ``ops/verification/checks/running.py``."""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[ApiOfLists]:
    """A cluster with the stack's pool and nothing that waits, which KUBECONFIG names."""
    lists: Lists = {PODS: [], EVENTS: [], NODE_POOLS: [these.pool()], NODE_CLAIMS: []}
    with serving(ApiOfLists(lists, adds=[these.TOLERATION])) as api:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, api.url)))
        yield api


@pytest.mark.check("cluster", broken=False)
@pytest.mark.check("gpu-tolerations", broken=False)
@pytest.mark.check("gpu-pods", broken=False)
@pytest.mark.check("pods", broken=False)
def test_a_cluster_where_nothing_waits_is_good(cluster: ApiOfLists) -> None:
    done = kf(*VERIFY, "text")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        f"good\tcluster\t{cluster.url} answers as v1.35.2-eks-1234567",
        "good\tGPU tolerations\tNodePool gpu takes any pod that asks for nvidia.com/gpu",
        "good\tGPU pods\tnone waits for a node",
        "good\tGPU holders\tno pod holds nvidia.com/gpu",
        "good\tpods\tall are ready",
        "good\tmodels\tnone is served",
    ]


@pytest.mark.check("gpu-tolerations", broken=True)
def test_an_api_server_that_adds_no_toleration_is_worth_a_note(cluster: ApiOfLists) -> None:
    cluster.adds.clear()
    done = kf(*VERIFY, "text")
    assert done.exit_code == 0
    assert "NodePool gpu takes only pods that tolerate nvidia.com/gpu themselves" in done.stdout


def test_the_question_stores_nothing_and_no_webhook_of_ours_sees_it(cluster: ApiOfLists) -> None:
    kf(*VERIFY, "text")
    assert (NEW_PODS, {"dryRun": "All"}) in cluster.asked
    assert cluster.lists[PODS] == []


def test_who_may_only_read_is_told_the_rest_all_the_same(cluster: ApiOfLists) -> None:
    cluster.refusals[NEW_PODS] = 403
    done = kf(*VERIFY, "text")
    assert done.exit_code == 0
    assert "note\tGPU tolerations\tnot checked" in done.stdout
    assert "good\tGPU pods" in done.stdout


def test_a_pod_with_a_wrong_toleration_is_a_problem_with_the_way_out(cluster: ApiOfLists) -> None:
    wrong = {"key": "nvidia.com/gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}
    cluster.lists[PODS] = [these.pod(tolerations=[wrong])]
    done = kf(*VERIFY, "json")
    assert done.exit_code == 1
    (found,) = [row for row in json.loads(done.stdout) if row["about"] == "alice/train"]
    assert found["level"] == "problem"
    assert "the taint nvidia.com/gpu=true:NoSchedule of NodePool gpu" in found["sentence"]
    assert "operator: Exists" in found["sentence"]


def test_a_person_reads_a_table(cluster: ApiOfLists) -> None:
    cluster.lists[PODS] = [these.pod(16)]
    done = kf(*VERIFY, "table")
    assert done.exit_code == 1
    assert re.search("^  problem  alice/train: ", done.stdout, re.MULTILINE)
    (first, *_) = done.stdout.splitlines()
    assert first.startswith("good       cluster: the version that the API server answers (0.")


def test_a_machine_on_its_way_is_worth_a_note_and_no_failure(cluster: ApiOfLists) -> None:
    cluster.lists[PODS] = [these.pod()]
    cluster.lists[NODE_CLAIMS] = [these.node_claim(Launched="True")]
    done = kf(*VERIFY, "text")
    assert done.exit_code == 0, done.output
    assert "note\talice/train\ta machine is starting: NodeClaim gpu-x7k2p" in done.stdout


@pytest.mark.check("gpu-pods", broken=True)
def test_an_event_of_karpenters_explains_the_wait(cluster: ApiOfLists) -> None:
    cluster.lists[PODS] = [these.pod()]
    other = these.event("Scheduled", "assigned", kind="Pod", name="web")
    cluster.lists[EVENTS] = [other, these.no_capacity("VcpuLimitExceeded"), other]
    assert "the account's quota is used up" in kf(*VERIFY, "text").stdout


def test_every_pending_pod_is_reported(cluster: ApiOfLists) -> None:
    cluster.lists[PODS] = [these.pod(16, name=f"train-{number}") for number in range(5)]
    done = kf(*VERIFY, "json")
    pods = [row["about"] for row in json.loads(done.stdout) if row["level"] == "problem"]
    assert pods == [f"alice/train-{number}" for number in range(5)]


def test_pods_that_succeeded_are_not_even_fetched(cluster: ApiOfLists) -> None:
    kf(*VERIFY, "text")
    queries = [query for path, query in cluster.asked if path == PODS]
    assert [query["fieldSelector"] for query in queries] == ["status.phase!=Succeeded"]


NODES, SYSTEM_PODS = "/api/v1/nodes", "/api/v1/namespaces/kube-system/pods"
LOADS = """# HELP DCGM_FI_DEV_GPU_UTIL GPU utilization (in %).
DCGM_FI_DEV_GPU_UTIL{gpu="0",container="main",namespace="alice",pod="train"} 0
DCGM_FI_DEV_GPU_UTIL{gpu="1",container="main",namespace="alice",pod="train"} BUSY
DCGM_FI_DEV_FB_USED{gpu="1",container="main",namespace="alice",pod="train"} 99
"""


def hold_a_gpu(cluster: ApiOfLists, **exporter: str) -> None:
    """A running notebook with two GPUs; a DCGM exporter on the node named in ``exporter``."""
    pod = these.pod(2, nodeName="ip-10-64-0-7")
    pod["metadata"]["labels"] = {"notebook-name": "mine"}
    pod["status"] = {"phase": "Running", "containerStatuses": [{"name": "main", "ready": True}]}
    cluster.lists[PODS] = [pod]
    labels = {"node.kubernetes.io/instance-type": "g4dn.12xlarge"}
    cluster.lists[NODES] = [{"metadata": {"name": "ip-10-64-0-7", "labels": labels}}]
    cluster.lists[SYSTEM_PODS] = [
        {"metadata": {"name": name}, "spec": {"nodeName": node}} for name, node in exporter.items()
    ]


HELD = (
    "alice/train\tnotebook mine holds 2 nvidia.com/gpu on ip-10-64-0-7 (g4dn.12xlarge) since "
    "2026-11-27T10:00:00Z"
)


@pytest.mark.check("gpu-holders", broken=False)
def test_who_holds_gpus_is_listed_without_dcgm_too(cluster: ApiOfLists) -> None:
    hold_a_gpu(cluster)
    done = kf(*VERIFY, "text")
    assert done.exit_code == 0, done.output
    assert f"good\t{HELD}\n" in done.stdout


@pytest.mark.check("gpu-holders", broken=True)
@pytest.mark.parametrize(("busy", "level"), [("0", "note"), ("37.5", "good")])
def test_the_load_of_the_busiest_gpu_is_told_where_dcgm_is_on(
    cluster: ApiOfLists, busy: str, level: str
) -> None:
    hold_a_gpu(cluster, here="ip-10-64-0-7", elsewhere="ip-10-64-0-8")
    cluster.texts[f"{SYSTEM_PODS}/here:9400/proxy/metrics"] = LOADS.replace("BUSY", busy)
    done = kf(*VERIFY, "text")
    assert f"{level}\t{HELD}; DCGM measures {busy} % load\n" in done.stdout
    assert f"{SYSTEM_PODS}/elsewhere:9400/proxy/metrics" not in dict(cluster.asked)
    assert (SYSTEM_PODS, {"labelSelector": "app.kubernetes.io/name=dcgm-exporter"}) in cluster.asked


@pytest.mark.parametrize("status", [403, 404, 503])
def test_an_exporter_that_does_not_answer_hides_no_holder(cluster: ApiOfLists, status: int) -> None:
    hold_a_gpu(cluster, here="ip-10-64-0-7")
    cluster.refusals[f"{SYSTEM_PODS}/here:9400/proxy/metrics"] = status
    assert f"good\t{HELD}\n" in kf(*VERIFY, "text").stdout


class DeadNodes(LiveCluster):
    """Three exporters, of which none answers before two are asked."""

    def __init__(self) -> None:
        self.together = Barrier(2, timeout=120)

    def all(self, path: str, **selected: str) -> list[Any]:
        assert (path, *selected) == (SYSTEM_PODS, "labelSelector")
        names = ("one", "two", "three")
        return [{"metadata": {"name": name}, "spec": {"nodeName": name}} for name in names]

    def text(self, path: str) -> str:
        self.together.wait()
        raise Refused(f"{path} is not answered.")


def test_exporters_of_nodes_that_are_dead_are_asked_at_the_same_time() -> None:
    asked = running._exported  # pyright: ignore[reportPrivateUsage]
    assert list(asked(DeadNodes(), {"one", "two"})) == []


def waiting(reason: str, message: str) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [{"name": "main", "state": state}]}


NOWHERE = {
    "phase": "Pending",
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/4 nodes are available: 4 Insufficient cpu.",
        }
    ],
}


@pytest.mark.check("pods", broken=True)
@pytest.mark.parametrize(
    ("status", "level", "sentence"),
    [
        (NOWHERE, "problem", "no node takes it: 0/4 nodes are available: 4 Insufficient cpu."),
        (waiting("ImagePullBackOff", "not found"), "problem", "ImagePullBackOff: not found"),
        (waiting("CrashLoopBackOff", "back-off"), "problem", "CrashLoopBackOff: back-off"),
        (waiting("ContainerCreating", ""), "note", "container main pulls its image or waits"),
        ({"phase": "Failed", "reason": "Evicted"}, "note", "it failed: Evicted"),
    ],
)
def test_every_pod_that_is_not_ready_is_reported_with_its_reason(
    cluster: ApiOfLists, status: dict[str, Any], level: str, sentence: str
) -> None:
    cluster.lists[PODS] = [{**these.pod(0, name="web"), "status": status}]
    done = kf(*VERIFY, "json")
    (found,) = [row for row in json.loads(done.stdout) if row["about"] == "alice/web"]
    assert found["level"] == level
    assert sentence in found["sentence"]
    assert done.exit_code == (level == "problem")
    assert "all are ready" not in done.stdout


@pytest.mark.parametrize(
    ("namespace", "image", "level"),
    [
        ("kubeflow-user-example-com", "docker.io/me/trian:1", "note"),
        ("kubeflow-user-example-com", "docker.io/alpine/k8s:1.36.2", "problem"),
        ("kubeflow", "docker.io/me/trian:1", "problem"),
    ],
)
def test_a_users_own_image_is_no_problem_of_the_platform(
    cluster: ApiOfLists, namespace: str, image: str, level: str
) -> None:
    pod = {**these.pod(0, name="web"), "status": waiting("ImagePullBackOff", "not found")}
    pod["metadata"]["namespace"] = namespace
    pod["spec"]["containers"][0]["image"] = image
    cluster.lists[PODS] = [pod]
    found = [row for row in json.loads(kf(*VERIFY, "json").stdout) if row["about"].endswith("/web")]
    assert [row["level"] for row in found] == [level]


@pytest.mark.parametrize(
    ("end", "more", "told"),
    [
        ("2026-11-01T10:00:00Z", {}, "its node ip-10-64-0-7 does not end it: look at the node"),
        ("2026-11-01T10:00:00Z", {"finalizers": ["a/b"]}, "its finalizers a/b keep it"),
        ("2999-01-01T00:00:00Z", {}, ""),
    ],
)
def test_a_pod_that_does_not_end_for_an_hour_is_a_problem(
    cluster: ApiOfLists, end: str, more: dict[str, Any], told: str
) -> None:
    pod = these.pod(0, name="web", nodeName="ip-10-64-0-7")
    pod["metadata"] |= {"deletionTimestamp": end, **more}
    cluster.lists[PODS] = [pod]
    found = [row for row in json.loads(kf(*VERIFY, "json").stdout) if row["about"] == "alice/web"]
    assert len(found) == bool(told)
    assert all(row["level"] == "problem" and told in row["sentence"] for row in found)


def test_many_pods_with_the_same_trouble_are_one_finding(cluster: ApiOfLists) -> None:
    pods = [{**these.pod(0, name=f"web-{number}"), "status": NOWHERE} for number in range(300)]
    cluster.lists[PODS] = [*pods, {**these.pod(0, name="big"), "status": waiting("Error", "")}]
    found = [row for row in json.loads(kf(*VERIFY, "json").stdout) if "alice/" in row["about"]]
    assert sorted(row["sentence"].partition(":")[0] for row in found) == [
        "300 pods, each",
        "container main waits",
    ]


def test_a_gpu_pod_has_one_reason_only(cluster: ApiOfLists) -> None:
    cluster.lists[PODS] = [{**these.pod(16), "status": NOWHERE}]
    found = json.loads(kf(*VERIFY, "json").stdout)
    assert [row["about"] for row in found if row["about"] == "alice/train"] == ["alice/train"]
    assert "all others are ready" in [row["sentence"] for row in found]


def test_a_warning_explains_a_pod_whose_status_has_no_reason(cluster: ApiOfLists) -> None:
    pod = {**these.pod(0, name="web"), "status": waiting("ContainerCreating", "")}
    pod["metadata"] = {**pod["metadata"], "uid": "1"}
    mount = {"reason": "FailedMount", "message": 'secret "db" not found', "type": "Warning"}
    cluster.lists[PODS] = [pod]
    cluster.lists[EVENTS] = [{**mount, "involvedObject": {"uid": "1"}}]
    assert 'problem\talice/web\tFailedMount: secret "db" not found' in kf(*VERIFY, "text").stdout


def test_without_karpenter_the_setting_that_brings_it_is_named(cluster: ApiOfLists) -> None:
    del cluster.lists[NODE_POOLS], cluster.lists[NODE_CLAIMS]
    cluster.lists[PODS] = [these.pod()]
    done = kf(*VERIFY, "text")
    assert done.exit_code == 1
    assert "kubeflow:gpuPool.enabled" in done.stdout


@pytest.mark.parametrize("status", [401, 403])
def test_who_may_not_read_is_told_what_and_where_to_be_admitted(
    cluster: ApiOfLists, status: int
) -> None:
    cluster.refusals[NODE_POOLS] = status
    done = kf(*VERIFY, "json")
    assert done.exit_code == 3
    missing = {
        row["about"]: row for row in json.loads(done.stdout) if row["level"] == "not checked"
    }
    assert list(missing) == ["gpu-tolerations", "gpu-pods"]
    assert f"{NODE_POOLS} ({status} " in missing["gpu-pods"]["sentence"]
    assert "kubeflow:cluster.admins" in missing["gpu-pods"]["sentence"]
    assert "Not everything was checked: gpu-tolerations, gpu-pods." in done.stderr


def test_a_server_in_trouble_is_told_by_its_status(cluster: ApiOfLists) -> None:
    cluster.refusals[PODS] = 503
    done = kf(*VERIFY, "text")
    assert done.exit_code == 3
    assert (
        f"not checked\tpods\t{cluster.url} answers 503 Service Unavailable to {PODS}" in done.stdout
    )
    assert "good\tcluster\t" in done.stdout


@pytest.mark.check("cluster", broken=True)
def test_what_is_no_kubernetes_is_told_so(cluster: ApiOfLists) -> None:
    cluster.refusals["/version"] = 404
    done = kf(*VERIFY, "text")
    assert done.exit_code == 2
    assert "serves no /version: name a Kubernetes API server" in done.stderr


def test_a_cluster_that_cannot_be_reached_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, url)))
        done = kf(*VERIFY, "text")
    assert done.exit_code == 2
    assert f"{url} does not answer (" in done.stderr
    assert "kubeflow:cluster.publicAccessCidrs" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.output


def test_without_a_kubeconfig_the_command_that_makes_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    done = kf(*VERIFY, "text")
    assert done.exit_code == 2
    assert "aws eks update-kubeconfig" in done.stderr


@pytest.mark.parametrize(
    "content",
    [
        *(b"[1, 2]", b"text", b"\xff\xfe", b"{clusters: 1}", b"a: [", b"current-context: a"),
        b"{current-context: a, contexts: [1], clusters: [], users: []}",
        b"{current-context: a, contexts: [{name: a, context: 1}], clusters: [], users: []}",
    ],
)
@pytest.mark.parametrize("command", ["verify", "users"])
def test_a_kubeconfig_that_is_none_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, command: str
) -> None:
    (tmp_path / "kubeconfig").write_bytes(content)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    done = kf(command)
    assert not done.exception or isinstance(done.exception, SystemExit), done.exception
    assert "there is no usable kubeconfig (" in done.stderr
    assert "aws eks update-kubeconfig" in done.stderr


def test_what_lets_one_in_is_never_printed(cluster: ApiOfLists) -> None:
    cluster.refusals[PODS] = 403
    done = kf(*VERIFY, "json")
    assert "of-the-test" not in done.output


def test_a_stack_that_does_not_exist_gets_one_sentence(cluster: ApiOfLists) -> None:
    done = kf("verify", "--stack", "cn-nort-1")
    assert done.exit_code == 2
    assert "did you mean Pulumi.cn-north-1.yaml?" in done.stderr
    assert cluster.asked == []


@pytest.mark.check("models", broken=True)
@pytest.mark.check("models", broken=False)
def test_a_model_without_a_revision_is_a_problem_beside_its_pod(cluster: ApiOfLists) -> None:
    condition = {"type": "Ready", "status": "False", "message": "No runtime found"}
    model = {
        "metadata": {"namespace": "alice", "name": "iris"},
        "status": {"conditions": [condition]},
    }
    cluster.lists["/apis/serving.kserve.io/v1beta1/inferenceservices"] = [model]
    done = kf(*VERIFY, "text")
    assert done.exit_code == 1
    assert "problem\talice/iris\tNo runtime found" in done.stdout
    condition["status"] = "True"
    done = kf(*VERIFY, "text")
    assert done.exit_code == 0
    assert "good\tmodels\tall are ready" in done.stdout


def test_a_pod_that_waits_for_an_image_is_told_what_helps(cluster: ApiOfLists) -> None:
    status = waiting("ImagePullBackOff", "Back-off pulling image: not found")
    cluster.lists[PODS] = [
        {
            "metadata": {"namespace": "alice", "name": "web"},
            "spec": {"containers": [{"name": "main", "image": "quay.io/a/b:9"}]},
            "status": status,
        }
    ]
    assert ": quay.io has no such tag: correct the image" in kf(*VERIFY, "text").stdout


# -- Options and exit codes -----------------------------------------------------------------------


def test_what_was_not_checked_fails_where_ci_is_true(
    cluster: ApiOfLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.refusals[NODE_POOLS] = 403
    monkeypatch.setenv("CI", "true")
    assert kf(*VERIFY, "text").exit_code == 1


def test_a_problem_counts_more_than_what_was_not_checked(cluster: ApiOfLists) -> None:
    cluster.refusals[NODE_POOLS] = 403
    cluster.lists[PODS] = [{**these.pod(0, name="web"), "status": NOWHERE}]
    assert kf(*VERIFY, "text").exit_code == 1


def test_one_check_runs_where_it_is_named_alone(cluster: ApiOfLists) -> None:
    begun = time.monotonic()
    done = kf(*NAMED, "pods", "--format", "json")
    spent = time.monotonic() - begun
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)
    assert (row["check"], row["about"], row["level"]) == ("pods", "pods", "good")
    assert row["looks_at"] == "every other pod that has not succeeded"
    assert 0 <= row["waited"] <= row["seconds"] <= spent + 1
    assert {path for path, _ in cluster.asked} == {"/version", PODS, EVENTS}


def test_a_first_word_names_several_checks(cluster: ApiOfLists) -> None:
    rows = json.loads(kf(*NAMED, "gpu", "--format", "json").stdout)
    assert [row["check"] for row in rows] == ["gpu-tolerations", "gpu-pods", "gpu-holders"]


def test_a_name_that_no_check_has_gets_the_nearest(cluster: ApiOfLists) -> None:
    done = kf(*NAMED, "gpu-pod")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--only gpu-pod: there is no check of that name, did you mean gpu-pods?" in done.stderr
    assert cluster.asked == []


def test_the_last_line_counts_and_has_the_time(cluster: ApiOfLists) -> None:
    cluster.refusals[NODE_POOLS] = 403
    cluster.lists[PODS] = [{**these.pod(0, name="web"), "status": NOWHERE}]
    done = kf(*VERIFY, "text")
    assert re.search(
        r"^6 checks, 1 problem, 0 notes, 2 not checked; \d+\.\d s, 0\.0 of these waiting\.$",
        done.stderr,
        re.MULTILINE,
    )


def test_the_checks_are_listed_without_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    done = kf(*VERIFY, "json", "--list")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert {row["check"] for row in rows} >= {"cluster", "gpu-pods", "models"}
    assert all(row["looks_at"] for row in rows)


def test_a_report_for_ci_has_every_check_and_its_problem(
    cluster: ApiOfLists, tmp_path: Path
) -> None:
    cluster.refusals[NODE_POOLS] = 403
    cluster.lists[PODS] = [{**these.pod(0, name="web"), "status": waiting("Wrong", "a\x1b[1mb\0")}]
    done = kf(*VERIFY, "text", "--junit", str(tmp_path / "verify.xml"))
    assert done.exit_code == 1, done.output
    written = (tmp_path / "verify.xml").read_bytes()
    root = ElementTree.fromstring(written)  # noqa: S314
    (suite,) = root
    assert [each.get("name") for each in suite] == [
        *("cluster", "gpu-tolerations", "gpu-pods", "gpu-holders", "pods", "models")
    ]
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        **{"tests": "6", "failures": "1"},
        **{"errors": "0", "skipped": "2"},
    }
    by_name = {each.get("name"): each for each in suite}
    failure = by_name["pods"].find("failure")
    assert failure is not None
    assert "alice/web: container main waits: Wrong: a\ufffd[1mb" in failure.get("message", "")
    skipped = by_name["gpu-pods"].find("skipped")
    assert skipped is not None
    assert "kubeflow:cluster.admins" in skipped.get("message", "")
    assert all(float(each.get("time", "-1")) >= 0 for each in suite)
    assert b"of-the-test" not in written


def test_a_report_in_a_folder_that_is_not_there_is_refused_before_anything_runs(
    cluster: ApiOfLists, tmp_path: Path
) -> None:
    done = kf(*VERIFY, "text", "--junit", str(tmp_path / "none" / "verify.xml"))
    assert done.exit_code == 2
    assert "there is no folder" in done.stderr
    assert cluster.asked == []


def test_a_report_that_cannot_be_written_is_refused_before_anything_runs(
    cluster: ApiOfLists, tmp_path: Path
) -> None:
    done = kf(*VERIFY, "text", "--junit", str(tmp_path))
    assert done.exit_code == 2
    assert "which cannot be written: name another file" in done.stderr
    assert cluster.asked == []


def test_a_password_in_a_users_termination_message_is_not_printed(cluster: ApiOfLists) -> None:
    """Of terminationMessagePolicy FallbackToLogsOnError: the end of the program's own log."""
    words = "connecting to mysql://root:hunter2@db with password=hunter2"
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": words}}
    status = {"phase": "Running", "containerStatuses": [{"name": "main", "state": ended}]}
    cluster.lists[PODS] = [{**these.pod(0, name="web"), "status": status}]
    done = kf(*VERIFY, "json")
    assert "exit code 1, Error: connecting to mysql://***@db" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


def test_nothing_but_dry_runs_is_sent_without_deep(cluster: ApiOfLists) -> None:
    kf(*VERIFY, "text")
    assert cluster.methods - {"GET"} == {"POST"}
    assert all(query == {"dryRun": "All"} for path, query in cluster.asked if path == NEW_PODS)
