"""Fields of webhook configurations that their own servers write, and so must not be applied.

No manifest marks such a field, so this table lists the writers, each with the source that was read
on 2026-11-28. With server-side apply a field belongs to whoever changed it last: an applied value
that its server has overwritten refuses the next change of the object ("conflict with
pilot-discovery"), and one that was never applied is left alone.

Caution: a field that a server only adds to (Knative's ``namespaceSelector``) keeps what upstream
wrote and is not in the table; no release has one where a server adds to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rendering.objects import Object, Path, labels_of

Hook = dict[str, Any]


@dataclass(frozen=True)
class Writer:
    """A server that writes into webhook configurations.

    Attributes:
        source: the code that writes.
        owns: whether a webhook of a configuration is the server's own.
        fields: paths of the written fields, below the webhook.
    """

    source: str
    owns: Callable[[Mapping[str, Any], Hook], bool]
    fields: tuple[Path, ...]


def _validates_istio(configuration: Mapping[str, Any], _: Hook) -> bool:
    validating = configuration["kind"] == "ValidatingWebhookConfiguration"
    return validating and "istio.io/rev" in labels_of(configuration)


def _served_by_knative(configuration: Mapping[str, Any], hook: Hook) -> bool:
    name = str(configuration["metadata"]["name"])
    return hook.get("name") == name and name.endswith(".knative.dev")


WRITERS = (
    Writer(
        # Fail from the moment istiod refuses an invalid Gateway, Ignore until then; absent, the API
        # server's own default is Fail, so Istio's objects come after the configuration.
        source="istio/istio 62eb6f3 pkg/webhooks/validation/controller/controller.go,"
        " updateValidatingWebhookConfiguration; istio/istio#44285",
        owns=_validates_istio,
        fields=(("failurePolicy",), ("clientConfig", "caBundle")),
    ),
    Writer(
        # Rules and authority come in one update, so no request is refused before the server is up.
        source="knative/pkg 4a022ed (serving 0.48.1) webhook/resourcesemantics/defaulting/"
        "defaulting.go and validation/reconcile_config.go, webhook/configmaps/configmaps.go,"
        " webhook/psbinding/psbinding.go; knative/serving#13449",
        owns=_served_by_knative,
        fields=(
            ("rules",),
            ("clientConfig", "caBundle"),
            ("clientConfig", "service", "path"),
            ("reinvocationPolicy",),
        ),
    ),
)


def drop(configuration: Object) -> None:
    """Removes, in place, the fields of a webhook configuration that its servers write."""
    for hook in configuration.get("webhooks") or []:
        for writer in WRITERS:
            if writer.owns(configuration, hook):
                for *parents, field in writer.fields:
                    holder: Any = hook
                    for parent in parents:
                        holder = holder.get(parent) or {}
                    holder.pop(field, None)
