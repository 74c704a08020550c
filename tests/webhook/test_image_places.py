"""What Knative and Argo ask a registry for themselves: the images of their own objects."""

from __future__ import annotations

from typing import Any

import pytest

from tests.webhook.reviews import OWN, SHA, FixedMirror, patched, review_of
from webhook.admission import Policy, Presence, review
from webhook.image_places import OPT_OUT
from webhook.rules import Action, Rule, WhenAbsent

HUB = f"{OWN}/docker.io/library"
SKIP = {"annotations": {OPT_OUT: "true"}}
PARTS: dict[str, Any] = {
    "initContainers": [{"name": "i", "image": "alpine:3"}],
    "containers": [{"image": "python:3.9"}, {"name": "b", "image": f"quay.io/a/b@{SHA}"}],
    "volumes": [{"name": "m", "image": {"reference": "ghcr.io/m/model:2"}}],
}


def knative(kind: str, **metadata: Any) -> dict[str, Any]:
    revision = {"metadata": metadata, "spec": PARTS}
    return revision if kind == "Revision" else {"metadata": {}, "spec": {"template": revision}}


PATCH = '{"containers": [{"name": "main", "command": ["a"]}]}'
RESOURCES = '{"containers":[{"name":"main","imagePullPolicy":"Always","resources":{}}]}'


def workflow(*templates: Any, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"generateName": "w-"}, "spec": {"templates": list(templates), **spec}}


def step(image: str = "python:3.9", **container: Any) -> dict[str, Any]:
    return {"name": "main", "container": {"image": image, **container}}


def answer(
    kind: str,
    obj: Any,
    mirror: FixedMirror | None = None,
    policy: Policy = Policy(registry=OWN),  # noqa: B008 - frozen
    **more: Any,
) -> dict[str, Any]:
    knatives = kind in ("Service", "Configuration", "Revision")
    group, version = ("serving.knative.dev", "v1") if knatives else ("argoproj.io", "v1alpha1")
    body = review_of(
        obj, kind={"group": group, "version": version, "kind": kind}, namespace="team", **more
    )
    return review(body, policy, mirror or FixedMirror())["response"]


@pytest.mark.parametrize("kind", ["Service", "Configuration", "Revision"])
def test_what_knative_resolves_is_rewritten_before_it_asks(kind: str) -> None:
    at = "/spec" if kind == "Revision" else "/spec/template/spec"
    assert patched(answer(kind, knative(kind))) == {
        f"{at}/initContainers/0/image": f"{HUB}/alpine:3",
        f"{at}/containers/0/image": f"{HUB}/python:3.9",
        f"{at}/containers/1/image": f"{OWN}/quay.io/a/b@{SHA}",
        f"{at}/volumes/0/image/reference": f"{OWN}/ghcr.io/m/model:2",
    }


@pytest.mark.parametrize("kind", ["Service", "Configuration", "Revision"])
def test_a_template_leaves_itself_out_of_nothing(kind: str) -> None:
    assert patched(answer(kind, knative(kind, **SKIP))) == patched(answer(kind, knative(kind)))
    labelled = answer(kind, knative(kind, labels={OPT_OUT: "true"}))
    assert patched(labelled) == patched(answer(kind, knative(kind)))


def test_a_rule_refuses_a_service_of_knative_like_its_pods() -> None:
    rules = (Rule(action=Action.DENY, registries=("quay.io",)),)
    given = answer("Service", knative("Service"), policy=Policy(registry=OWN, rules=rules))
    assert not given["allowed"]


def test_an_update_of_a_service_keeps_the_image_of_its_present_revision() -> None:
    before = knative("Service")
    after = {**before, "metadata": {"labels": {"a": "b"}}}
    assert patched(answer("Service", after, operation="UPDATE", oldObject=before)) == {}


def test_what_argo_looks_up_is_rewritten_in_every_template_of_a_workflow() -> None:
    inline = {"container": {"image": "a:1"}}
    obj = workflow(
        step(),
        {
            "name": "s",
            "script": {"image": "bash:5", "source": "true"},
            "sidecars": [{"name": "side", "image": "redis:7"}],
        },
        {"name": "set", "containerSet": {"containers": [{"name": "x", "image": "b:1"}]}},
        {"name": "steps", "steps": [[{"name": "one", "inline": inline}]]},
        {"name": "dag", "dag": {"tasks": [{"name": "one"}, {"name": "two", "inline": inline}]}},
        {"name": "of-defaults", "container": {"args": ["a"]}},
        {"name": "sized", "container": {"image": "d:1"}, "podSpecPatch": RESOURCES},
        templateDefaults={"container": {"image": "c:1"}},
    )
    expected = {
        "/templates/0/container/image": "python:3.9",
        "/templates/1/script/image": "bash:5",
        "/templates/1/sidecars/0/image": "redis:7",
        "/templates/2/containerSet/containers/0/image": "b:1",
        "/templates/3/steps/0/0/inline/container/image": "a:1",
        "/templates/4/dag/tasks/1/inline/container/image": "a:1",
        "/templates/6/container/image": "d:1",
        "/templateDefaults/container/image": "c:1",
    }

    def rewritten(at: str) -> dict[str, str]:
        return {at + pointer: f"{HUB}/{image}" for pointer, image in expected.items()}

    for kind in ("Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate"):
        assert patched(answer(kind, obj)) == rewritten("/spec")
    cron = {"metadata": {}, "spec": {"schedules": ["0 * * * *"], "workflowSpec": obj["spec"]}}
    assert patched(answer("CronWorkflow", cron)) == rewritten("/spec/workflowSpec")


NEVER_THERE = "gcr.io/ml-pipeline/should-be-overridden-during-runtime"
"""Of every Workflow of Pipelines (kubeflow/pipelines 2.16.0
backend/src/v2/compiler/argocompiler/container.go, addContainerExecutorTemplate)."""
OF_PIPELINES = workflow(
    {"name": "system-container-driver", "plugin": {"driver-plugin": {}}},
    {
        "name": "system-container-impl",
        "podSpecPatch": "{{inputs.parameters.pod-spec-patch}}",
        "initContainers": [
            {
                "name": "kfp-launcher",
                "image": "ghcr.io/kubeflow/kfp-launcher:2.16.0",
                "command": ["launcher-v2"],
            }
        ],
        "container": {
            "image": NEVER_THERE,
            "command": ["should-be-overridden-during-runtime"],
        },
        "volumes": [{"name": "kfp-launcher", "emptyDir": {}}],
    },
    entrypoint="entrypoint",
)


@pytest.mark.parametrize(
    "policy",
    [
        Policy(registry=OWN),
        Policy(registry=OWN, when_absent=WhenAbsent.DENY),
        Policy(registry=OWN, rules=(Rule(action=Action.DENY, registries=("gcr.io",)),)),
    ],
    ids=["default", "deny-absent", "deny-gcr"],
)
@pytest.mark.parametrize("kind", ["Workflow", "WorkflowTemplate"])
def test_a_run_of_pipelines_asks_the_mirror_for_nothing(kind: str, policy: Policy) -> None:
    mirror = FixedMirror(Presence.ABSENT)
    assert answer(kind, OF_PIPELINES, mirror, policy) == {"uid": "u-1", "allowed": True}
    assert mirror.asked == []


def unchanged(template: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return workflow({"name": "main", **template}, **spec)


@pytest.mark.parametrize(
    "obj",
    [
        unchanged({"container": {"image": "a:1", "command": ["a"]}}),
        unchanged({"script": {"image": "a:1", "command": ["a"]}}),
        unchanged({"sidecars": [{"name": "s", "image": "a:1", "command": ["a"]}]}),
        unchanged({"containerSet": {"containers": [{"image": "a:1", "command": ["a"]}]}}),
        unchanged({"initContainers": [{"name": "i", "image": "a:1"}]}),
        unchanged({"volumes": [{"name": "m", "image": {"reference": "a:1"}}]}),
        unchanged({}, volumes=[{"name": "m", "image": {"reference": "a:1"}}]),
        unchanged(step("a:1"), templateDefaults={"container": {"command": ["a"]}}),
        unchanged(
            {"sidecars": [{"name": "s", "image": "a:1"}]},
            templateDefaults={"sidecars": [{"name": "s", "command": ["a"]}]},
        ),
        unchanged(
            {"container": {"command": ["a"]}}, templateDefaults={"container": {"image": "a:1"}}
        ),
        unchanged(step("{{a}}"), templateDefaults={"container": {"image": "a:1"}}),
        unchanged({**step("a:1"), "podSpecPatch": PATCH}),
        unchanged({**step("a:1"), "podSpecPatch": "containers:\n- name: main\n  image: b:1\n"}),
        unchanged({**step("a:1"), "podSpecPatch": " {{inputs.parameters.patch}}"}),
        unchanged(step("a:1"), podSpecPatch=PATCH),
        unchanged(step("a:1"), templateDefaults={"podSpecPatch": PATCH}),
    ],
)
def test_what_argo_looks_up_nowhere_is_left_to_the_pod(obj: dict[str, Any]) -> None:
    mirror = FixedMirror(Presence.COPYING)
    assert answer("Workflow", obj, mirror) == {"uid": "u-1", "allowed": True}
    assert mirror.asked == []


@pytest.mark.parametrize(
    "obj",
    [
        unchanged(
            {"sidecars": [{"name": "s", "image": "a:1"}]},
            templateDefaults={"sidecars": [{"name": "other", "command": ["a"]}]},
        ),
        unchanged(
            {"containerSet": {"containers": [{"name": "c", "image": "a:1"}]}},
            templateDefaults={"containerSet": {"containers": [{"name": "c", "command": ["a"]}]}},
        ),
        unchanged({**step("a:1"), "podSpecPatch": RESOURCES}),
        unchanged({"script": {"source": "a"}}, templateDefaults={"script": {"image": "a:1"}}),
        workflow(templateDefaults={"container": {"image": "a:1"}}),
    ],
)
def test_defaults_and_patches_without_its_command_leave_it_to_argo(obj: dict[str, Any]) -> None:
    assert not answer("Workflow", obj, FixedMirror(Presence.COPYING))["allowed"]


@pytest.mark.parametrize(
    "obj",
    [
        workflow(step("{{inputs.parameters.image}}"), step("registry/{{workflow.name}}:1")),
        {"metadata": {}, "spec": {"workflowTemplateRef": {"name": "t"}}},
    ],
)
def test_these_workflows_stay_as_they_are(obj: dict[str, Any]) -> None:
    mirror = FixedMirror(Presence.COPYING)
    assert answer("Workflow", obj, mirror) == {"uid": "u-1", "allowed": True}
    assert mirror.asked == []


@pytest.mark.parametrize(
    "obj",
    [
        {**workflow(step()), "metadata": SKIP},
        workflow(step(), podMetadata=SKIP),
        workflow({**step(), "metadata": SKIP}),
    ],
)
def test_a_workflow_leaves_itself_out_of_nothing(obj: dict[str, Any]) -> None:
    assert list(patched(answer("Workflow", obj))) == ["/spec/templates/0/container/image"]


def test_a_pod_has_no_parameters() -> None:
    obj = {"metadata": {}, "spec": {"containers": [{"name": "c", "image": "quay.io/{{a}}"}]}}
    policy = Policy(registry=OWN, enforce=True)
    assert not review(review_of(obj), policy, FixedMirror())["response"]["allowed"]


@pytest.mark.parametrize("presence", [Presence.COPYING, Presence.ABSENT, Presence.FAILED])
@pytest.mark.parametrize("image", ["python:3.9", f"{HUB}/python:3.9"])
def test_a_workflow_whose_entrypoint_nobody_can_read_yet_is_refused(
    image: str, presence: Presence
) -> None:
    mirror = FixedMirror(presence)
    given = answer("Workflow", workflow(step(image), step(image, command=["python"])), mirror)
    assert not given["allowed"]
    assert given["status"]["message"].startswith("image-mirror: docker.io/library/python:3.9 ")
    assert given["status"]["message"].endswith(
        "; Argo reads the entrypoint of a container without a command from there: give the "
        "container a command, or submit the workflow again once the copy is there"
    )
    assert mirror.started == ["docker.io/library/python:3.9"]


@pytest.mark.parametrize("presence", [Presence.PRESENT, Presence.UNKNOWN])
def test_a_workflow_whose_image_is_there_needs_no_command(presence: Presence) -> None:
    given = answer("Workflow", workflow(step()), FixedMirror(presence))
    assert given["allowed"]
    assert patched(given) == {"/spec/templates/0/container/image": f"{HUB}/python:3.9"}


@pytest.mark.parametrize(
    ("kind", "template", "policy"),
    [
        ("Workflow", step(), Policy(registry=OWN, when_absent=WhenAbsent.KEEP)),
        ("WorkflowTemplate", step(), Policy(registry=OWN)),
    ],
)
def test_no_entrypoint_is_missing_where_argo_reads_none_now(
    kind: str, template: dict[str, Any], policy: Policy
) -> None:
    mirror = FixedMirror(Presence.COPYING)
    assert answer(kind, workflow(template), mirror, policy)["allowed"]
    assert mirror.started == ["docker.io/library/python:3.9"]


def test_a_changed_template_is_rewritten_and_the_others_left() -> None:
    before = workflow(step("a:1"), {**step("b:1"), "name": "other"})
    after = workflow({**step("b:1"), "name": "other"}, step("a:2"))
    assert patched(answer("WorkflowTemplate", after, operation="UPDATE", oldObject=before)) == {
        "/spec/templates/1/container/image": f"{HUB}/a:2"
    }


def test_a_pod_that_gives_up_its_annotation_keeps_its_images() -> None:
    containers = [{"name": "c", "image": "python:3.9"}]
    before: dict[str, Any] = {"metadata": SKIP, "spec": {"containers": containers}}
    after = {"metadata": {}, "spec": {"containers": containers}}
    body = review_of(after, operation="UPDATE", oldObject=before)
    assert patched(review(body, Policy(registry=OWN), FixedMirror())["response"]) == {}
