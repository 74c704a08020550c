"""The images in an object that is admitted: of a pod, and of what becomes pods by way of a program.

Two controllers ask the registry themselves before any pod exists, so a pod's admission is too late
for them. Knative's resolves the tag of a Revision (knative/serving v0.48.1
pkg/reconciler/revision/resolve.go); Argo's looks up the entrypoint of a container without a
``command`` (argo-workflows v3.7.3 workflow/controller/workflowpod.go). They see the image of the
object, never that of the pod.

Shapes: k8s.io/api core/v1 PodSpec; knative/serving pkg/apis/serving/v1; argo-workflows v3.7.3
pkg/apis/workflow/v1alpha1 (WorkflowSpec, Template).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, cast

OPT_OUT = "image-mirror/skip"
"""Annotation of a pod or of its template, and label of a namespace: ``"true"`` leaves images as
they are."""

# A pod of the kubelet's own manifest folder: the kubelet would recreate a changed one for ever.
_STATIC_POD = "kubernetes.io/config.mirror"


@dataclass(frozen=True)
class Place:
    """One image of an object.

    Attributes:
        pointer: JSON pointer to its name.
        owner: the same before and after an update, as far as items have names.
        image: as written.
        looked_up: whether Argo's controller reads its entrypoint from the registry.
        opted_out: whether ``OPT_OUT`` leaves it as it is.
    """

    pointer: str
    owner: tuple[str, ...]
    image: str
    looked_up: bool = False
    opted_out: bool = False


# List in a pod's spec -> the path to the image of an item.
_OF_POD = {
    "initContainers": ("image",),
    "containers": ("image",),
    "ephemeralContainers": ("image",),
    "volumes": ("image", "reference"),
}
# The same of a template of a workflow. Init containers keep the command of their image.
_OF_TEMPLATE = {
    "initContainers": ("image",),
    "sidecars": ("image",),
    "volumes": ("image", "reference"),
}
_ARGO = "argoproj.io"
_KNATIVE = "serving.knative.dev"


def places(request: Mapping[str, Any], obj: Mapping[str, Any]) -> list[Place]:
    """The images of an object.

    Args:
        request: of an AdmissionReview; its ``kind`` says what the object is, by default a pod.
        obj: ``object`` or ``oldObject`` of the request.
    """
    kind = mapping(request.get("kind"))
    find = _FINDERS.get((text(kind.get("group")), text(kind.get("kind"))), _pod)
    return list(_unless_opted_out(obj.get("metadata"), find(obj)))


def _unless_opted_out(metadata: object, found: Iterator[Place]) -> Iterator[Place]:
    """The places, marked where this metadata opts out."""
    annotations, labels = (mapping(mapping(metadata).get(key)) for key in ("annotations", "labels"))
    out = "true" in (annotations.get(OPT_OUT), labels.get(OPT_OUT)) or _STATIC_POD in annotations
    return (replace(place, opted_out=True) for place in found) if out else found


def _pod(pod: Mapping[str, Any]) -> Iterator[Place]:
    for field, path in _OF_POD.items():
        yield from _items(mapping(pod.get("spec")), "/spec", (), field, path)


def _revision_template(obj: Mapping[str, Any]) -> Iterator[Place]:
    """Of a Service or Configuration of Knative."""
    template = mapping(mapping(obj.get("spec")).get("template"))
    spec, at = mapping(template.get("spec")), "/spec/template/spec"
    found = (_items(spec, at, (), field, path) for field, path in _OF_POD.items())
    return _unless_opted_out(template.get("metadata"), chain.from_iterable(found))


def _workflow(obj: Mapping[str, Any]) -> Iterator[Place]:
    return _workflow_spec(mapping(obj.get("spec")), "/spec")


def _cron_workflow(obj: Mapping[str, Any]) -> Iterator[Place]:
    spec = mapping(obj.get("spec"))
    found = _workflow_spec(mapping(spec.get("workflowSpec")), "/spec/workflowSpec")
    return _unless_opted_out(spec.get("workflowMetadata"), found)


def _workflow_spec(spec: Mapping[str, Any], at: str) -> Iterator[Place]:
    found = chain(
        _items(spec, at, (), "volumes", ("image", "reference")),
        _template(mapping(spec.get("templateDefaults")), f"{at}/templateDefaults", ()),
        _templates(spec, at),
    )
    return _unless_opted_out(spec.get("podMetadata"), found)


def _templates(spec: Mapping[str, Any], at: str) -> Iterator[Place]:
    for index, item in enumerate(_list(spec.get("templates"))):
        template, pointer = mapping(item), f"{at}/templates/{index}"
        owner = (text(template.get("name")),)
        yield from _template(template, pointer, owner)
        for where, inner in _inline(template):
            yield from _template(inner, f"{pointer}/{where}", (*owner, where))


def _inline(template: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Templates that stand inside a step or a task."""
    for index, group in enumerate(_list(template.get("steps"))):
        for place, step in enumerate(_list(group)):
            yield f"steps/{index}/{place}/inline", mapping(mapping(step).get("inline"))
    tasks = _list(mapping(template.get("dag")).get("tasks"))
    for index, task in enumerate(tasks):
        yield f"dag/tasks/{index}/inline", mapping(mapping(task).get("inline"))


def _template(template: Mapping[str, Any], pointer: str, owner: tuple[str, ...]) -> Iterator[Place]:
    group = mapping(template.get("containerSet"))
    found = chain(
        *(
            _place(mapping(template.get(field)), f"{pointer}/{field}", (*owner, field), field)
            for field in ("container", "script")
        ),
        *(_items(template, pointer, owner, field, path) for field, path in _OF_TEMPLATE.items()),
        _items(group, f"{pointer}/containerSet", owner, "containers", ("image",)),
    )
    return _unless_opted_out(template.get("metadata"), found)


def _items(
    holder: Mapping[str, Any],
    pointer: str,
    owner: tuple[str, ...],
    field: str,
    path: tuple[str, ...],
) -> Iterator[Place]:
    for index, item in enumerate(_list(holder.get(field))):
        # A name that is no text may be too deep or too long to compare.
        named = (*owner, field, text(mapping(item).get("name")))
        yield from _place(mapping(item), f"{pointer}/{field}/{index}", named, field, path)


def _place(
    item: Mapping[str, Any],
    pointer: str,
    owner: tuple[str, ...],
    field: str,
    path: tuple[str, ...] = ("image",),
) -> Iterator[Place]:
    image: object = item
    for key in path:
        image = mapping(image).get(key)
    # Of a parameter of a workflow, the value is known when its pod is made.
    if isinstance(image, str) and image and "{{" not in image:
        looked_up = field not in ("initContainers", "volumes") and not item.get("command")
        yield Place(f"{pointer}/{'/'.join(path)}", owner, image, looked_up)


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


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def text(value: object) -> str:
    """The value, if it is text, else an empty one."""
    return value if isinstance(value, str) else ""


def mapping(value: object) -> Mapping[str, Any]:
    """The value, if it is a JSON object, else an empty one: a request may hold anything."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
