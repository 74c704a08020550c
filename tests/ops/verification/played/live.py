"""The objects of a live platform, and how they are written."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from ops.verification.checks.live_objects import name_of
from rendering import Object
from settings import Settings
from settings.context import StackContext

CREATED = "2026-11-01T10:00:00Z"
TIME = "%Y-%m-%dT%H:%M:%SZ"
Key = tuple[str, str]
"""Kind, and ``namespace/name``."""


def just_now() -> str:
    """This minute, as the API server writes times."""
    return datetime.now(UTC).strftime(TIME)


def condition(kind: str, status: str = "True", **more: str) -> dict[str, str]:
    given = {"reason": kind, "message": "", **more}
    return {"type": kind, "status": status, "lastTransitionTime": CREATED, **given}


@dataclass
class Live:
    """The objects of a live platform.

    Attributes:
        settings: of its stack.
        context: likewise.
        objects: by kind and name.
        remote: Secrets Manager: name -> its JSON object.
    """

    settings: Settings
    context: StackContext
    objects: dict[Key, Object] = field(default_factory=dict[Key, Object])
    remote: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def put(self, obj: Mapping[str, Any]) -> Object:
        """Adds an object, or replaces the one of its name."""
        made = cast("Object", obj)
        made["metadata"].setdefault("creationTimestamp", CREATED)
        self.objects[made["kind"], name_of(made)] = made
        return made

    def all(self, kind: str) -> list[Object]:
        return [obj for (of, _), obj in self.objects.items() if of == kind]

    def get(self, kind: str, name: str) -> Object:
        return self.objects[kind, name]

    def delete(self, kind: str, name: str) -> None:
        del self.objects[kind, name]

    def changed(self) -> Live:
        """A copy to break."""
        return Live(
            self.settings,
            self.context,
            copy.deepcopy(self.objects),
            copy.deepcopy(self.remote),
        )

    def with_settings(self, **sections: Any) -> Live:
        """A copy whose stack file has other sections."""
        settings = self.settings.model_copy(update=sections)
        context = StackContext.of(settings, self.context.account_id, {})
        return Live(settings, context, copy.deepcopy(self.objects), copy.deepcopy(self.remote))

    # -- what is there besides ---------------------------------------------------------------------

    @property
    def copy_of(self) -> str:
        """Where images of publishers come from: a prefix, or empty."""
        return f"{self.context.image_prefix}/" if self.context.mirror.copies else ""

    @property
    def addons(self) -> str:
        region = self.context.region
        return region.ecr_registry(region.eks_addon_account)

    def secret(
        self, name: str, data: Mapping[str, str], kind: str = "Opaque", **noted: str
    ) -> None:
        """The data of a Secret; the type of one that exists stays, as the API server has it."""
        namespace, _, own = name.partition("/")
        stored = self.objects.get(("Secret", name), {})
        new: dict[str, Any] = {"name": own, "namespace": namespace}
        metadata: dict[str, Any] = {**(stored.get("metadata") or new)}
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **noted}
        self.put(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": metadata,
                "type": stored.get("type", kind),
                "data": {key: in_base64(text) for key, text in data.items()},
            }
        )


Change = Callable[[Live], object]
"""What breaks a platform."""


def user_subject(email: str) -> dict[str, str]:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": email}


def binding(
    kind: str, name: str, role: str, /, *subjects: Mapping[str, str], **noted: str
) -> Object:
    """A binding to a ClusterRole; ``name`` of a RoleBinding is ``namespace/name``."""
    namespace, _, own = name.rpartition("/")
    metadata: dict[str, Any] = {"name": own, "annotations": dict(noted)}
    if namespace:
        metadata["namespace"] = namespace
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": list(subjects),
    }


def next_rotation(live: Live) -> None:
    """Counts the passwords of the database one up in the stack file alone."""
    live.settings = live.settings.model_copy(
        update={"database": live.settings.database.model_copy(update={"rotation": 2})}
    )


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
