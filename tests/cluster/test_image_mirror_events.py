"""Events of pods whose images were changed or refused, as the API server stores them.

The webhook is called by the server, and its reporter calls the server back: in a pod with the token
of its own service account, behind an API Gateway in another function with that of a role. Both have
the rights of ``manifests/addons/image-mirror``. Pods are created as their controllers do it.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from components.mirror.events import GROUP, rights
from rendering import Object
from tests.cluster.client import Refused
from tests.cluster.conftest import CURRENT, NewCluster
from tests.cluster.event_function import CLUSTER, ROLE, Invocation, functions, token_reviews
from tests.cluster.mirrored import OWN, TEAM, Judge, Mirrored, images_of, in_effect, namespace, pod
from tests.rendering.beijing import rendered
from webhook import lambda_handler
from webhook.admission import Copy, Policy, Presence, review
from webhook.cluster_api import CallRefused, ClusterApi
from webhook.event_notices import Limits, Notice
from webhook.events import Api, Reporter
from webhook.outcomes import ANNOTATION, Finding, Outcome, Report
from webhook.rules import Action, Rule, WhenAbsent
from webhook.service import Decide

pytestmark = pytest.mark.parametrize("version", CURRENT, indirect=True, scope="session")
ACCOUNT = "/api/v1/namespaces/image-mirror/serviceaccounts/image-mirror"
PYTHON = f"{OWN}/docker.io/library/python:3.9"


@dataclass
class World:
    """The webhook with its reporter, behind a real API server.

    Attributes:
        mirrored: the webhook.
        api: the server, as the reporter calls it.
        caller: as the server knows the reporter: a user, and its groups.
        decided: from the decision that gets a ``tell`` to the one that answers.
    """

    mirrored: Mirrored
    api: Api
    caller: dict[str, Any]
    decided: Callable[[Callable[[Callable[[Report], None]], Decide]], Decide]

    def judged(self, copy: Copy, **policy: Any) -> None:
        """From now on, every image has this state."""
        judge = Judge(copy=copy)
        stack = Policy(registry=OWN, **policy)
        self.mirrored.decide = self.decided(
            lambda tell: lambda body, deadline: review(body, stack, judge, deadline, tell)
        )

    def events(self, name: str, kind: str = "Pod", *, least: int = 1) -> list[Any]:
        """What ``kubectl get events --field-selector`` shows of an object, once there are some."""

        def listed() -> list[Any]:
            selector = f"involvedObject.name={name},involvedObject.kind={kind}"
            path = f"/api/v1/namespaces/{TEAM}/events?fieldSelector={selector}"
            return self.mirrored.cluster.get(path)["items"]

        several = Retrying(
            retry=retry_if_result(lambda found: len(found) < least),
            stop=stop_after_delay(300),
            wait=wait_fixed(0.2),
        )
        return several(listed)

    def owner(self, kind: str, version: str, name: str, **spec: Any) -> Object:
        """A controller's object, and the reference to it that its pods have."""
        labels = {"app": name}
        template: Object = {"metadata": {"labels": labels}, "spec": pod(name, "python:3.9")["spec"]}
        if kind != "Job":
            spec = {"selector": {"matchLabels": labels}, **spec}
        else:
            template["spec"]["restartPolicy"] = "Never"
        made = self.mirrored.cluster.create(
            {
                "apiVersion": version,
                "kind": kind,
                "metadata": {"name": name, "namespace": TEAM},
                "spec": {**spec, "template": template},
            }
        ).body
        reference = {"apiVersion": version, "kind": kind, "controller": True}
        return {**reference, "name": name, "uid": made["metadata"]["uid"]}


def of(owner: Object, image: str = "python:3.9", **spec: Any) -> Object:
    """A pod as the controller asks for it: without a name."""
    metadata = {
        "generateName": f"{owner['name']}-",
        "labels": {"app": owner["name"]},
        "ownerReferences": [owner],
    }
    made = pod("", image, metadata=metadata, **spec)
    del made["metadata"]["name"]
    return made


LIMITS = Limits(a_minute=30, look_seconds=(1.0, 3.0, 9.0))


@pytest.fixture(scope="module", params=["pods", "function"])
def world(
    request: pytest.FixtureRequest,
    new_cluster: NewCluster,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[World]:
    folder = tmp_path_factory.mktemp(f"image-mirror-events-by-{request.param}")
    with ExitStack() as until_end:
        begin = in_pods if request.param == "pods" else in_a_function
        yield begin(new_cluster, folder, until_end)


def in_pods(new_cluster: NewCluster, folder: Path, until_end: ExitStack) -> World:
    """The reporter of a pod."""
    made = until_end.enter_context(in_effect(new_cluster, "image-mirror-events", folder))
    cluster = made.cluster
    cluster.apply(namespace("image-mirror"))
    account: Object = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "image-mirror", "namespace": "image-mirror"},
    }
    cluster.apply(account)
    for obj in rendered("addons/image-mirror").objects:
        if obj["kind"] in ("ClusterRole", "ClusterRoleBinding"):
            cluster.apply(obj)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = cluster.post(f"{ACCOUNT}/token", request)["status"]["token"]
    (folder / "token").write_text(token)
    server = cluster.kubeconfig["clusters"][0]["cluster"]
    authority = base64.b64decode(server["certificate-authority-data"])
    (folder / "ca.crt").write_bytes(authority)
    address = urlsplit(server["server"])
    variables = {
        "KUBERNETES_SERVICE_HOST": str(address.hostname),
        "KUBERNETES_SERVICE_PORT": str(address.port),
    }
    api = ClusterApi.of_pod(variables, folder)
    assert api is not None
    reporter = Reporter(api, "image-mirror-0", LIMITS)
    reporter.start()
    caller = {"user": "system:serviceaccount:image-mirror:image-mirror"}
    return World(made, api, caller, lambda decision: decision(reporter.offer))


def in_a_function(new_cluster: NewCluster, folder: Path, until_end: ExitStack) -> World:
    """The reporter of the function that posts Events."""
    reviews = until_end.enter_context(token_reviews(folder))
    own = folder / "webhook"
    own.mkdir()
    more = partial(new_cluster, more=reviews.arguments)
    made = until_end.enter_context(in_effect(more, "image-mirror-event-function", own))
    for obj in rights():
        made.cluster.apply(obj)
    server = made.cluster.kubeconfig["clusters"][0]["cluster"]
    both = until_end.enter_context(functions(server, LIMITS))

    def decided(decision: Callable[[Callable[[Report], None]], Decide]) -> Decide:
        both.decision = decision
        return both.admit

    api = lambda_handler._reporter().api  # pyright: ignore[reportPrivateUsage]
    return World(made, api, {"user": ROLE, "groups": [GROUP]}, decided)


def test_the_pod_of_a_deployment_says_where_its_images_come_from(world: World) -> None:
    world.judged(Copy(Presence.PRESENT))
    owner = world.owner("ReplicaSet", "apps/v1", "web")
    made = world.mirrored.cluster.create(of(owner)).body
    (event,) = world.events(made["metadata"]["name"])
    assert (event["type"], event["reason"]) == ("Normal", "ImageMirrored")
    assert event["message"] == f"python:3.9 is pulled from {PYTHON}"
    assert event["involvedObject"]["uid"] == made["metadata"]["uid"]
    assert event["source"] == {"component": "image-mirror"}
    assert '"outcome":"ImageMirrored"' in made["metadata"]["annotations"][ANNOTATION]


def test_the_pod_of_a_job_says_that_its_image_is_being_copied(world: World) -> None:
    world.judged(Copy(Presence.COPYING))
    owner = world.owner("Job", "batch/v1", "train")
    made = world.mirrored.cluster.create(of(owner, restartPolicy="Never")).body
    (event,) = world.events(made["metadata"]["name"])
    assert (event["type"], event["reason"]) == ("Normal", "ImageCopying")
    assert "docker.io/library/python:3.9 is being copied" in event["message"]


def test_a_pod_with_the_pull_secrets_of_its_service_account_keeps_its_source(world: World) -> None:
    """The account's secrets are in the pod that the webhook gets."""
    world.judged(Copy(Presence.ABSENT))
    cluster = world.mirrored.cluster
    account = {"name": "default", "namespace": TEAM}
    secrets = [{"name": "registry"}]
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": account,
            "imagePullSecrets": secrets,
        }
    )
    private = pod("private", "harbor.company.cn/team/app:1")

    def judged_with_secrets() -> list[str]:
        return images_of(cluster.create(private, dry_run=True).body)

    # The API server reads accounts from a copy of its own, which follows what is applied.
    Retrying(
        retry=retry_if_result(lambda images: images != images_of(private)),
        stop=stop_after_delay(300),
        wait=wait_fixed(0.1),
    )(judged_with_secrets)
    try:
        made = cluster.create(private).body
    finally:
        cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    assert made["spec"]["imagePullSecrets"] == secrets
    assert images_of(made) == ["harbor.company.cn/team/app:1"]
    (event,) = world.events("private")
    assert (event["type"], event["reason"]) == ("Warning", "ImageKept")
    assert "no build has a login to harbor.company.cn" in event["message"]


def test_a_refused_statefulset_reads_why_once_however_often_it_tries(world: World) -> None:
    world.judged(Copy(Presence.FAILED, "why"), when_absent=WhenAbsent.DENY)
    owner = world.owner("StatefulSet", "apps/v1", "base", serviceName="base")
    for _ in range(20):
        with pytest.raises(Refused, match="could not be copied"):
            world.mirrored.cluster.create(of(owner))
    (event,) = world.events("base", "StatefulSet")
    assert (event["type"], event["reason"]) == ("Warning", "ImageRefused")
    assert event["involvedObject"]["uid"] == owner["uid"]
    assert event["message"].endswith("could not be copied to this account's registry: why")


def test_a_refused_pod_of_nobody_is_told_in_its_namespace(world: World) -> None:
    world.judged(Copy(Presence.PRESENT), rules=(Rule(action=Action.DENY),))
    with pytest.raises(Refused, match="are not allowed in namespace team"):
        world.mirrored.create("alone", "python:3.9")
    (event,) = world.events("alone")
    assert event["reason"] == "ImageRefused"


def test_a_debug_container_is_told_on_the_pod_that_runs(world: World) -> None:
    world.judged(Copy(Presence.COPYING))
    made = world.mirrored.create("debugged", f"{OWN}/own:1")
    container = {"name": "d", "image": "busybox:1.36", "targetContainerName": "c0"}
    change = {"spec": {"ephemeralContainers": [container]}}
    world.mirrored.cluster.patch(made.body, change, subresource="ephemeralcontainers")
    (event,) = world.events("debugged")
    assert event["involvedObject"]["uid"] == made.body["metadata"]["uid"]
    assert "busybox:1.36" in event["message"]


def test_a_dry_run_has_no_event(world: World) -> None:
    """Of two pods one after the other, the second has its event, which comes in their turn."""
    world.judged(Copy(Presence.PRESENT), rules=(Rule(action=Action.DENY),))
    for name, dry_run in (("dry", True), ("not-dry", False)):
        with pytest.raises(Refused):
            world.mirrored.cluster.create(pod(name, "python:3.9"), dry_run=dry_run)
    world.events("not-dry")
    path = f"/api/v1/namespaces/{TEAM}/events?fieldSelector=involvedObject.name=dry"
    assert world.mirrored.cluster.get(path)["items"] == []


def test_a_flood_of_pods_has_few_events(world: World) -> None:
    world.judged(Copy(Presence.PRESENT))
    owner = world.owner("ReplicaSet", "apps/v1", "flood")
    begun = time.monotonic()
    for _ in range(100):
        world.mirrored.cluster.create(of(owner))

    def told() -> int:
        events = world.mirrored.cluster.get(f"/api/v1/namespaces/{TEAM}/events")["items"]
        return sum(each["involvedObject"]["name"].startswith("flood") for each in events)

    limit = time.monotonic() + 300
    while not told():
        assert time.monotonic() < limit
        time.sleep(0.2)
    time.sleep(12)
    minutes = 2 + int((time.monotonic() - begun) / 60)
    assert told() <= 30 * minutes, "another minute may have begun"


@pytest.mark.parametrize(
    ("verb", "resource", "may"),
    [
        ("list", "pods", True),
        ("create", "events", True),
        *((verb, "pods", False) for verb in ("get", "watch", "create", "update", "delete")),
        *((verb, "events", False) for verb in ("get", "list", "patch", "delete")),
        *(("list", resource, False) for resource in ("secrets", "configmaps", "namespaces")),
    ],
)
def test_the_account_may_look_for_pods_and_post_and_nothing_else(
    verb: str, resource: str, may: bool, world: World
) -> None:
    asked: Object = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            **world.caller,
            "resourceAttributes": {"namespace": TEAM, "verb": verb, "resource": resource},
        },
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert world.mirrored.cluster.post(path, asked)["status"]["allowed"] is may


def test_a_call_that_is_refused_shows_the_status_alone(world: World) -> None:
    with pytest.raises(CallRefused, match=r"^403$"):
        world.api.pods(TEAM, {"watch": "true"})


def test_another_clusters_token_posts_nothing(new_cluster: NewCluster, tmp_path: Path) -> None:
    """What the API server of EKS refuses, it refuses here; Lambda's queue hears of it."""
    with ExitStack() as until_end:
        reviews = until_end.enter_context(token_reviews(tmp_path))
        made = until_end.enter_context(new_cluster("other-cluster", more=reviews.arguments))
        for obj in rights():
            made.cluster.apply(obj)
        made.cluster.apply(namespace(TEAM))
        server = made.cluster.kubeconfig["clusters"][0]["cluster"]
        until_end.enter_context(functions(server, LIMITS))
        found = [Finding(Outcome.REFUSED, "python:3.9", "python:3.9", "python:3.9 is not allowed")]
        notice = Notice.of(Report("r", TEAM, {"name": "alone"}, found, created=True)).as_json()
        reviews.judge = replace(reviews.judge, cluster="another")
        with pytest.raises(lambda_handler.EventsNotPosted):
            lambda_handler.post_events(notice, Invocation())
        assert reviews.refused == ["SignatureDoesNotMatch"]
        path = f"/api/v1/namespaces/{TEAM}/events"
        assert made.cluster.get(path)["items"] == []
        reviews.judge = replace(reviews.judge, cluster=CLUSTER)
        for _ in range(2):  # Lambda's queue may hand on an event twice
            lambda_handler._reporter.cache_clear()  # pyright: ignore[reportPrivateUsage]
            lambda_handler.post_events(notice, Invocation())
        assert len(made.cluster.get(path)["items"]) == 1
