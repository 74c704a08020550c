"""Kubernetes objects in a rehearsal: stored as an API server stores them, and written back.

Behaves as pulumi-kubernetes does with server-side apply (provider/pkg/provider/provider.go Diff and
Read, provider/pkg/await/await.go ssaUpdate): what is stored, cut to what the program gave, is
compared with what the program gives now; a refresh makes the stored values the program's old ones;
a field that a controller has written with another value refuses an update; so does a field that the
cluster's CRD does not declare, also in a preview, unless a value of the object is unknown by then.

Stricter than the provider in two things: the provider shows no difference for an empty list or map
that Go's ``omitempty`` leaves out, and refuses another role in a binding in previews alone, which
``pulumi up`` begins with.
"""

# ruff: noqa: N802  (methods of the protocol)

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import grpc
from google.protobuf.struct_pb2 import Struct, Value

from rehearsal import api_servers, custom_resources, protocol
from rehearsal.diff import changed_paths
from rehearsal.providers import SimulatedProvider
from rehearsal.sample_outputs.controllers import written_back
from rehearsal.sdk_schema import Kind, ObjectShape, Shapes, shapes_of
from rendering.await_annotations import PATCH_FORCE
from rendering.objects import annotations_of


class KubernetesObjects(SimulatedProvider):
    """Serves ``kubernetes``: objects have an ``apiVersion``; a Helm release has none."""

    def before(self, request: Any) -> Struct:
        """The stored object, cut to what the program gave."""
        inputs = super().before(request)
        return pruned(request.olds, inputs) if _is_object(inputs) else inputs

    def _refuse_without_access(self, context: Any) -> None:
        """Ends the call where the machine has no access to the API server."""
        cloud, settings = self.cloud(context), self.configuration(context)
        client = api_servers.Client(self.simulation.place, self.principal(cloud))
        reason = api_servers.refusal(
            self.accounts, cloud, settings.get("kubeconfig") or "{}", client
        )
        if reason:
            context.abort(grpc.StatusCode.UNKNOWN, reason)

    def Diff(self, request: Any, context: Any) -> Any:
        """Refuses another role in a binding.

        A preview of a replacement tries the new object out beside the old one, and for an immutable
        field under another name, which it knows by the sentence "field is immutable"
        (provider/pkg/await/await.go Creation). Kubernetes has another one for this field
        (pkg/apis/rbac/validation/validation.go).
        """
        old, new = (protocol.properties(each) for each in (self.before(request), request.news))
        same_name = old.get("metadata", {}).get("name") == new.get("metadata", {}).get("name")
        if same_name and "roleRef" in old and old["roleRef"] != new.get("roleRef"):
            name = new["metadata"]["name"]
            context.abort(
                grpc.StatusCode.UNKNOWN,
                f'{new["kind"]} "{name}" is invalid: roleRef: cannot change roleRef',
            )
        return super().Diff(request, context)

    def _refuse_undeclared(self, sent: Struct, context: Any) -> None:
        obj = protocol.properties(sent)
        kubeconfig = self.configuration(context).get("kubeconfig")
        if not (kubeconfig and _is_object(sent)) or protocol.UNKNOWN in json.dumps(obj):
            return
        if refusal := custom_resources.refusal(self.accounts, kubeconfig, obj):
            context.abort(grpc.StatusCode.UNKNOWN, refusal)

    def Create(self, request: Any, context: Any) -> Any:
        """Refuses without access to the API server, and fields that the CRDs lack."""
        if not request.preview:
            self._refuse_without_access(context)
        self._refuse_undeclared(request.properties, context)
        return super().Create(request, context)

    def Delete(self, request: Any, context: Any) -> Any:
        """Refuses without access to the API server."""
        self._refuse_without_access(context)
        return super().Delete(request, context)

    def id_and_state(self, request: Any, sent: Struct, context: Any) -> tuple[str, Struct]:
        """The object as stored."""
        identifier, state = super().id_and_state(request, sent, context)
        return identifier, stored(request.type, state) if _is_object(state) else state

    def Update(self, request: Any, context: Any) -> Any:
        """Refuses without access, other values than a controller's, and fields that CRDs lack."""
        if not request.preview:
            self._refuse_without_access(context)
        self._refuse_undeclared(request.news, context)
        conflict = (
            _conflict(protocol.properties(request.news)) if _is_object(request.news) else None
        )
        if conflict:
            context.abort(grpc.StatusCode.UNKNOWN, conflict)
        return super().Update(request, context)

    def Read(self, request: Any, context: Any) -> Any:
        """The object as stored and as controllers have written into it."""
        self._refuse_without_access(context)
        answer = super().Read(request, context)
        if not _is_object(request.inputs):
            return answer
        written = written_back(protocol.properties(answer.properties))
        if written is not None:
            answer.properties.update({"webhooks": written[1]["webhooks"]})
        answer.inputs.CopyFrom(pruned(answer.properties, request.inputs))
        return answer


def _is_object(struct: Struct) -> bool:
    return "apiVersion" in struct.fields


def stored(type_: str, sent: Struct) -> Struct:
    """An object as an API server stores it, without empty lists and maps of built-in types.

    k8s.io/api has ``omitempty``, or null where a field lacks it, as ``ClusterRole.rules``.
    Structures stay, empty or not (``emptyDir: {}``); so does all of a custom resource.
    """
    shapes = shapes_of(type_)
    kept = Struct()
    kept.CopyFrom(sent)
    if shapes is not None:
        _drop_empty(kept, shapes.objects[shapes.root], shapes)
    return kept


def _drop_empty(struct: Struct, shape: ObjectShape, shapes: Shapes) -> None:
    for key in list(struct.fields):
        kind: Kind = shape["properties"].get(key)
        if not isinstance(kind, Mapping):
            continue
        value = struct.fields[key]
        ((form, inner),) = cast("Mapping[str, Any]", kind).items()
        if _is_empty(value) and form in ("list", "map"):
            del struct.fields[key]
        elif form == "object":
            _drop_empty(value.struct_value, shapes.objects[inner], shapes)
        elif form == "list" and isinstance(inner, Mapping) and "object" in inner:
            for item in value.list_value.values:
                _drop_empty(item.struct_value, shapes.objects[inner["object"]], shapes)


def _is_empty(value: Value) -> bool:
    kind = value.WhichOneof("kind")
    return (kind == "list_value" and not value.list_value.values) or (
        kind == "struct_value" and not value.struct_value.fields
    )


def pruned(live: Struct, given: Struct) -> Struct:
    """The stored object, cut to the fields that the program gave (pulumi-kubernetes, pruneMap)."""
    kept = Struct()
    for key, value in live.fields.items():
        if key in given.fields:
            kept.fields[key].CopyFrom(_pruned(value, given.fields[key]))
    return kept


def _pruned(live: Value, given: Value) -> Value:
    kinds = (live.WhichOneof("kind"), given.WhichOneof("kind"))
    if (
        kinds == ("struct_value", "struct_value")
        and protocol.SIGNATURE not in live.struct_value.fields
    ):
        return Value(struct_value=pruned(live.struct_value, given.struct_value))
    if kinds == ("list_value", "list_value"):
        kept = Value()
        kept.list_value.values.extend(
            _pruned(one, other)
            for one, other in zip(live.list_value.values, given.list_value.values, strict=False)
        )
        return kept
    return live


def _conflict(sent: Mapping[str, Any]) -> str | None:
    """The refusal of a server-side apply of fields that a controller has written, if any."""
    written = written_back(sent)
    if written is None or annotations_of(sent).get(PATCH_FORCE) == "true":
        return None
    manager, live = written
    fields = [path for path in changed_paths(sent, live) if _is_set(sent, path)]
    if not fields:
        return None
    return (
        f"Apply failed with {len(fields)} conflict(s): conflict with {manager!r} using "
        f"{sent['apiVersion']} at {', '.join(fields)} of {sent['metadata']['name']}"
    )


def _is_set(sent: Mapping[str, Any], path: str) -> bool:
    value: Any = sent
    for step in path.replace("[", ".").replace("]", "").split("."):
        if isinstance(value, list):
            value = value[int(step)]
        elif step in value:
            value = value[step]
        else:
            return False
    return True
