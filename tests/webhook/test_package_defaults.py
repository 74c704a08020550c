"""What pods of profiles get for their package sources: first of all sources, on every container."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.webhook.odd_reviews import Draft, drafts
from tests.webhook.reviews import review_of
from webhook.package_defaults import ADDED, MOUNT_PATH, OPT_OUT, Additions, review

VARIABLES = ("HTTPS_PROXY", "NO_PROXY", "PIP_INDEX_URL", "https_proxy", "no_proxy")
ADDITIONS = Additions(variables=VARIABLES)
SOURCE = {"configMapRef": {"name": "package-defaults", "optional": True}}
MOUNT = {"name": "package-authorities", "mountPath": MOUNT_PATH, "readOnly": True}
VOLUME = {
    "name": "package-authorities",
    "configMap": {"name": "package-authorities", "optional": True},
}


def pod(*containers: dict[str, Any], metadata: Any = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", **(metadata or {})},
        "spec": {"containers": list(containers), **spec},
    }


def container(name: str = "main", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "python:3.12", **more}


def admitted(obj: dict[str, Any], additions: Additions = ADDITIONS, **request: Any) -> Any:
    """The pod as the API server would store it."""
    response = review(review_of(obj, **request), additions)["response"]
    assert (response["uid"], response["allowed"]) == ("u-1", True)
    result = copy.deepcopy(obj)
    for step in json.loads(base64.b64decode(response.get("patch", "W10="))):
        assert (step["op"], response["patchType"]) == ("add", "JSONPatch")
        *parents, last = step["path"].strip("/").split("/")
        node: Any = result
        for part in parents:
            node = node[int(part) if part.isdigit() else part]
        if isinstance(node, list):
            node.insert(len(node) if last == "-" else int(last), step["value"])  # type: ignore[reportUnknownMemberType]
        else:
            node[last.replace("~1", "/")] = step["value"]
    return result


def test_every_container_reads_the_defaults_before_the_pods_own_sources() -> None:
    own = {"secretRef": {"name": "mine"}}
    first = [container("first")]
    obj = pod(container(envFrom=[own]), container("second"), initContainers=first)
    spec = admitted(obj)["spec"]
    assert [each["envFrom"] for each in spec["containers"]] == [[SOURCE, own], [SOURCE]]
    assert [each["envFrom"] for each in spec["initContainers"]] == [[SOURCE]]


def test_the_pod_says_what_was_added_beside_its_own_annotations() -> None:
    annotations = {"mine": "1"}
    made = admitted(pod(container(), metadata={"annotations": annotations}))
    assert made["metadata"]["annotations"] == {"mine": "1", ADDED: " ".join(VARIABLES)}


def test_a_bundle_of_authorities_is_mounted_beside_the_pods_own_files() -> None:
    """Optional, and in every stack: the profile has it or not, together with its variables."""
    data = {"name": "data", "emptyDir": {}}
    mine = {"name": "data", "mountPath": "/data"}
    obj = pod(container(volumeMounts=[mine]), volumes=[data], initContainers=[container("first")])
    spec = admitted(obj)["spec"]
    assert spec["volumes"] == [data, VOLUME]
    assert spec["containers"][0]["volumeMounts"] == [mine, MOUNT]
    assert spec["initContainers"][0]["volumeMounts"] == [MOUNT]


def test_what_the_pod_mounts_there_itself_stays() -> None:
    mine = {"name": "package-authorities", "mountPath": MOUNT_PATH}
    volume = {"name": "package-authorities", "emptyDir": {}}
    obj = pod(container(volumeMounts=[mine]), volumes=[volume])
    spec = admitted(obj)["spec"]
    assert (spec["containers"][0]["volumeMounts"], spec["volumes"]) == ([mine], [volume])


@pytest.mark.parametrize(
    ("set_by_user", "added"),
    [
        ("no_proxy", "NO_PROXY"),
        ("NO_PROXY", "no_proxy"),
        ("https_proxy", "HTTPS_PROXY"),
    ],
)
def test_a_users_value_counts_in_the_other_spelling_too(set_by_user: str, added: str) -> None:
    own = {"name": set_by_user, "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    (made,) = admitted(pod(container(env=[own])))["spec"]["containers"]
    assert made["env"] == [own, {"name": added, "value": f"$({set_by_user})"}]


@pytest.mark.parametrize(
    "own",
    [
        ["PIP_INDEX_URL"],
        ["no_proxy", "NO_PROXY"],
        # The stack sets no registry of npm: a user's own lines are all there is.
        ["npm_config_registry"],
    ],
)
def test_other_variables_of_the_user_are_left_as_they_are(own: list[str]) -> None:
    env = [{"name": name, "value": "mine"} for name in own]
    (made,) = admitted(pod(container(env=env)))["spec"]["containers"]
    assert made["env"] == env


def test_a_pod_that_comes_again_gets_only_what_is_new() -> None:
    once = admitted(pod(container(env=[{"name": "no_proxy", "value": "a"}])))
    assert admitted(once) == once
    once["spec"]["initContainers"] = [container("storage-initializer")]
    again = admitted(once)
    assert again["spec"]["containers"] == once["spec"]["containers"]
    assert again["spec"]["volumes"] == [VOLUME]
    assert again["spec"]["initContainers"][0]["envFrom"] == [SOURCE]


@pytest.mark.parametrize("name", ["istio-proxy", "istio-init", "istio-validation", "queue-proxy"])
def test_containers_of_mesh_and_knative_are_left_out(name: str) -> None:
    obj = pod(container(name))
    assert admitted(obj) == obj


def test_a_pod_can_stay_as_it_is() -> None:
    obj = pod(container(), metadata={"annotations": {OPT_OUT: "true"}})
    assert admitted(obj) == obj
    other = pod(container(), metadata={"annotations": {OPT_OUT: "false"}})
    assert admitted(other) != other


def test_only_new_pods_are_changed() -> None:
    assert admitted(pod(container()), operation="UPDATE") == pod(container())


@given(drafts)
@settings(
    max_examples=80, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
def test_no_body_raises_and_no_pod_is_refused(draft: Draft) -> None:
    response = review(draft.body(), ADDITIONS)["response"]
    json.dumps(response)
    assert response["allowed"] is (response.get("status") is None)
    if not response["allowed"]:
        # The API server applies the failurePolicy (webhook.service.reply: HTTP 400).
        assert response["status"]["code"] == 400


def test_the_handlers_own_variable_is_needed() -> None:
    assert Additions.read({"PACKAGE_VARIABLES": "A b"}) == Additions(variables=["A", "b"])
    with pytest.raises(KeyError, match="PACKAGE_VARIABLES"):
        Additions.read({})
