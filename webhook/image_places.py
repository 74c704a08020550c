"""The images in an object that is admitted: of a pod, and of what becomes pods by way of a program.

Two controllers ask the registry themselves before any pod exists, so a pod's admission is too late
for them. Knative's resolves the tag of a Revision (knative/serving v0.48.1
pkg/reconciler/revision/resolve.go); Argo's looks up the entrypoint of a container without a
``command``, once a template has its defaults and the pod its ``podSpecPatch`` (argo-workflows
v3.7.3 workflow/controller/operator.go, mergedTemplateDefaultsInto, and workflowpod.go). They see
the image of the object, never that of the pod.

No other image of Argo's objects is judged: its pod passes the webhook anyway, and it need not
exist. Kubeflow Pipelines writes one that never exists, with a command, into each Workflow and sets
the real one by ``podSpecPatch`` (kubeflow/pipelines 2.16.0
backend/src/v2/compiler/argocompiler/container.go).

Shapes: k8s.io/api core/v1 PodSpec; knative/serving pkg/apis/serving/v1; argo-workflows v3.7.3
pkg/apis/workflow/v1alpha1 (WorkflowSpec, Template).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, cast

OPT_OUT = "image-mirror/skip"
"""Label of a namespace: ``"true"`` leaves the images of its pods as they are. On a pod it has no
effect, for a pod's author is not whom rules are made by."""

# A pod of the kubelet's own manifest folder: the kubelet would recreate a changed one for ever. The
# API server lets anybody write the annotation; a kubelet ends such pods that are not its own.
_STATIC_POD = "kubernetes.io/config.mirror"
_NODES = "system:nodes"
_NEVER = "Never"


class Place(NamedTuple):
    """One image of an object.

    Attributes:
        pointer: JSON pointer to its name.
        owner: the same before and after an update, as far as items have names.
        image: as written.
        never_pulled: whether it has to be on the node already.
    """

    pointer: str
    owner: tuple[str, ...]
    image: str
    never_pulled: bool = False


_LISTS_OF_POD = ("initContainers", "containers", "ephemeralContainers", "volumes")
# A patch that may set these, in JSON or YAML; one that is a parameter as a whole may set anything.
_REPLACING_PATCH = re.compile(r"\s*\{\{|.*\b(?:command|image)\b", re.DOTALL)
# Containers that stand alone in a template.
_SINGLE = ("container", "script")
_ARGO = "argoproj.io"
_KNATIVE = "serving.knative.dev"


def places(request: Mapping[str, Any], obj: Mapping[str, Any]) -> list[Place]:
    """The images of an object.

    Args:
        request: of an AdmissionReview; its ``kind`` says what the object is, by default a pod.
        obj: ``object`` or ``oldObject`` of the request.
    """
    if not obj or _of_kubelet(request, obj):
        return []
    kind = mapping(request.get("kind"))
    find = _FINDERS.get((text(kind.get("group")), text(kind.get("kind"))), _pod)
    return list(find(obj))


def asks_to_be_left_out(obj: Mapping[str, Any]) -> bool:
    """Whether an object has ``OPT_OUT``, which counts on namespaces only."""
    metadata = mapping(obj.get("metadata"))
    kinds = (mapping(metadata.get(key)) for key in ("annotations", "labels"))
    return any(kind.get(OPT_OUT) == "true" for kind in kinds)


def _of_kubelet(request: Mapping[str, Any], obj: Mapping[str, Any]) -> bool:
    """Whether a node shows a pod that it runs in any case."""
    if _STATIC_POD not in mapping(mapping(obj.get("metadata")).get("annotations")):
        return False
    return _NODES in _list(mapping(request.get("userInfo")).get("groups"))


def _pod(pod: Mapping[str, Any]) -> Iterator[Place]:
    return _pod_spec(mapping(pod.get("spec")), "/spec")


def _revision_template(obj: Mapping[str, Any]) -> Iterator[Place]:
    """Of a Service or Configuration of Knative."""
    template = mapping(mapping(obj.get("spec")).get("template"))
    return _pod_spec(mapping(template.get("spec")), "/spec/template/spec")


def _pod_spec(spec: Mapping[str, Any], at: str) -> Iterator[Place]:
    for field in _LISTS_OF_POD:
        for index, each in enumerate(_list(spec.get(field))):
            item, pointer = mapping(each), f"{at}/{field}/{index}"
            # A name that is no text may be too deep or too long to compare.
            owner = (field, text(item.get("name")))
            if field != "volumes":
                yield from _place(item, pointer, owner)
            elif volume := mapping(item.get("image")):
                yield from _place(volume, f"{pointer}/image", owner, "reference", "pullPolicy")


def _workflow(obj: Mapping[str, Any]) -> Iterator[Place]:
    return _workflow_spec(mapping(obj.get("spec")), "/spec")


def _cron_workflow(obj: Mapping[str, Any]) -> Iterator[Place]:
    spec = mapping(obj.get("spec"))
    return _workflow_spec(mapping(spec.get("workflowSpec")), "/spec/workflowSpec")


def _workflow_spec(spec: Mapping[str, Any], at: str) -> Iterator[Place]:
    if _may_replace(spec.get("podSpecPatch")):
        return iter(())
    defaults = mapping(spec.get("templateDefaults"))
    templates = list(_templates(spec, at))
    taken = _taken(defaults, [template for template, _, _ in templates])
    return chain(
        _template(taken, {}, f"{at}/templateDefaults", ()),
        *(_template(template, defaults, pointer, owner) for template, pointer, owner in templates),
    )


def _may_replace(patch: object) -> bool:
    """Whether a ``podSpecPatch`` may set a command or another image."""
    return _REPLACING_PATCH.match(text(patch)) is not None


def _taken(
    defaults: Mapping[str, Any], templates: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """The defaults without a container whose image no template runs without a command."""
    own = {
        field: [mapping(template[field]) for template in templates if field in template]
        for field in _SINGLE
    }
    return {
        field: value
        for field, value in defaults.items()
        if not own.get(field)
        or not all(each.get("image") or each.get("command") for each in own[field])
    }


def _templates(
    spec: Mapping[str, Any], at: str
) -> Iterator[tuple[Mapping[str, Any], str, tuple[str, ...]]]:
    """Each template with its pointer and its owner."""
    for index, item in enumerate(_list(spec.get("templates"))):
        template, pointer = mapping(item), f"{at}/templates/{index}"
        owner = (text(template.get("name")),)
        yield template, pointer, owner
        for where, inner in _inline(template):
            yield inner, f"{pointer}/{where}", (*owner, where)


def _inline(template: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Templates that stand inside a step or a task."""
    for index, group in enumerate(_list(template.get("steps"))):
        for place, step in enumerate(_list(group)):
            yield f"steps/{index}/{place}/inline", mapping(mapping(step).get("inline"))
    tasks = _list(mapping(template.get("dag")).get("tasks"))
    for index, task in enumerate(tasks):
        yield f"dag/tasks/{index}/inline", mapping(mapping(task).get("inline"))


def _template(
    template: Mapping[str, Any],
    defaults: Mapping[str, Any],
    pointer: str,
    owner: tuple[str, ...],
) -> Iterator[Place]:
    """The images whose entrypoint Argo looks up.

    Init containers keep the command of their image. Sidecars are merged with the defaults by name,
    the containers of a set are not.
    """
    if _may_replace(template.get("podSpecPatch") or defaults.get("podSpecPatch")):
        return iter(())
    found = chain(
        *(
            _place(mapping(template.get(field)), f"{pointer}/{field}", (*owner, field))
            for field in _SINGLE
            if not _commanded(template.get(field), defaults.get(field))
        ),
        _without_command(template, pointer, owner, "sidecars", defaults),
        _without_command(
            mapping(template.get("containerSet")),
            f"{pointer}/containerSet",
            owner,
            "containers",
            {},
        ),
    )
    # Of a parameter of a workflow, the value is known when its pod is made.
    return (place for place in found if "{{" not in place.image)


def _without_command(
    holder: Mapping[str, Any],
    pointer: str,
    owner: tuple[str, ...],
    field: str,
    defaults: Mapping[str, Any],
) -> Iterator[Place]:
    named = {text(mapping(item).get("name")): item for item in _list(defaults.get(field))}
    for index, item in enumerate(_list(holder.get(field))):
        name = text(mapping(item).get("name"))
        if not _commanded(item, named.get(name)):
            yield from _place(mapping(item), f"{pointer}/{field}/{index}", (*owner, field, name))


def _commanded(*containers: object) -> bool:
    return any(mapping(container).get("command") for container in containers)


def _place(
    holder: Mapping[str, Any],
    pointer: str,
    owner: tuple[str, ...],
    key: str = "image",
    policy: str = "imagePullPolicy",
) -> Iterator[Place]:
    image = holder.get(key)
    if isinstance(image, str) and image:
        yield Place(f"{pointer}/{key}", owner, image, holder.get(policy) == _NEVER)


_FINDERS: dict[tuple[str, str], Callable[[Mapping[str, Any]], Iterator[Place]]] = {
    (_KNATIVE, "Service"): _revision_template,
    (_KNATIVE, "Configuration"): _revision_template,
    # Its metadata and spec are those of its pods.
    (_KNATIVE, "Revision"): _pod,
    (_ARGO, "Workflow"): _workflow,
    (_ARGO, "WorkflowTemplate"): _workflow,
    (_ARGO, "ClusterWorkflowTemplate"): _workflow,
    (_ARGO, "CronWorkflow"): _cron_workflow,
}


def runs_at_once(request: Mapping[str, Any]) -> bool:
    """Whether Argo looks entrypoints up as soon as the object exists."""
    kind = mapping(request.get("kind"))
    return (kind.get("group"), kind.get("kind")) == (_ARGO, "Workflow")


def is_pod(request: Mapping[str, Any]) -> bool:
    """Whether the object is a pod, by its kind or for want of one."""
    kind = mapping(request.get("kind"))
    return (kind.get("group", ""), kind.get("kind", "Pod")) == ("", "Pod")


def has_pull_secrets(request: Mapping[str, Any]) -> bool:
    """Whether the pod, or those of the object, have pull secrets.

    Those of its service account are in a pod before any webhook sees it (kubernetes/kubernetes
    pkg/kubeapiserver/options/plugins.go, AllOrderedPlugins, and
    plugin/pkg/admission/serviceaccount/admission.go, Admit).
    """
    spec = mapping(mapping(request.get("object")).get("spec"))
    kind = text(mapping(request.get("kind")).get("kind"))
    for step in _PATH_TO_SPEC.get(kind, ()):
        spec = mapping(spec.get(step))
    return bool(_list(spec.get("imagePullSecrets")))


# From the spec of an object to that of its pods, or to what Argo copies into them.
_PATH_TO_SPEC = {
    "Service": ("template", "spec"),
    "Configuration": ("template", "spec"),
    "CronWorkflow": ("workflowSpec",),
}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def text(value: object) -> str:
    """The value, if it is text, else an empty one."""
    return value if isinstance(value, str) else ""


def mapping(value: object) -> Mapping[str, Any]:
    """The value, if it is a JSON object, else an empty one: a request may hold anything."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
