"""Objects of the live cluster as the read-only checks see them: parsed once, by kind and by name.

A list of the API server has items without ``kind``; here each item has its own.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from images.reference import InvalidReference, Reference, parse
from ops import targets
from ops.cli_errors import Refused
from ops.current_cluster import connect_command
from ops.karpenter_status import conditions
from ops.live_cluster import REMEMBERED_SECONDS, LiveCluster
from ops.verification.platform import Platform
from program import optional_parts
from rendering import lock as locks
from rendering.await_annotations import PATCH_FORCE
from rendering.installed import installed
from rendering.objects import Object, annotations_of, labels_of
from rendering.release import load
from settings import MANIFESTS, Settings
from settings.context import StackContext
from settings.errors import listed as in_words

PATHS: Mapping[str, tuple[str, ...]] = {
    "APIService": ("/apis/apiregistration.k8s.io/v1/apiservices",),
    "AuthorizationPolicy": ("/apis/security.istio.io/v1beta1/authorizationpolicies",),
    "Certificate": ("/apis/cert-manager.io/v1/certificates",),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1/clusterroles",),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",),
    "ConfigMap": ("/api/v1/configmaps",),
    "CronJob": ("/apis/batch/v1/cronjobs",),
    "CSIDriver": ("/apis/storage.k8s.io/v1/csidrivers",),
    "DaemonSet": ("/apis/apps/v1/daemonsets",),
    "Deployment": ("/apis/apps/v1/deployments",),
    "EC2NodeClass": ("/apis/karpenter.k8s.aws/v1/ec2nodeclasses",),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1/endpointslices",),
    "ExternalSecret": ("/apis/external-secrets.io/v1/externalsecrets",),
    "Gateway": ("/apis/networking.istio.io/v1beta1/gateways",),
    # Kubernetes 1.21, of the older release, serves the second alone.
    "HorizontalPodAutoscaler": (
        "/apis/autoscaling/v2/horizontalpodautoscalers",
        "/apis/autoscaling/v2beta2/horizontalpodautoscalers",
    ),
    "Job": ("/apis/batch/v1/jobs",),
    "MutatingWebhookConfiguration": (
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    ),
    "Namespace": ("/api/v1/namespaces",),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1/networkpolicies",),
    "Node": ("/api/v1/nodes",),
    "NodePool": ("/apis/karpenter.sh/v1/nodepools",),
    "PeerAuthentication": ("/apis/security.istio.io/v1beta1/peerauthentications",),
    "PersistentVolumeClaim": ("/api/v1/persistentvolumeclaims",),
    "Pod": ("/api/v1/pods",),
    "PodDisruptionBudget": ("/apis/policy/v1/poddisruptionbudgets",),
    "Profile": ("/apis/kubeflow.org/v1/profiles",),
    "ResourceQuota": ("/api/v1/resourcequotas",),
    "Role": ("/apis/rbac.authorization.k8s.io/v1/roles",),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1/rolebindings",),
    "Secret": ("/api/v1/secrets",),
    "SecretProviderClass": ("/apis/secrets-store.csi.x-k8s.io/v1/secretproviderclasses",),
    "SecretStore": ("/apis/external-secrets.io/v1/secretstores",),
    "Service": ("/api/v1/services",),
    "ServiceAccount": ("/api/v1/serviceaccounts",),
    "StatefulSet": ("/apis/apps/v1/statefulsets",),
    "StorageClass": ("/apis/storage.k8s.io/v1/storageclasses",),
    "ValidatingWebhookConfiguration": (
        "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    ),
}
"""Kind -> the paths of its list, the first one that has objects is used."""

SELECTED: Mapping[str, Mapping[str, str]] = {"Pod": {"fieldSelector": "status.phase!=Succeeded"}}
"""Kind -> the query of its list: pods of ended pipelines may be thousands."""

_MOST_NAMES = 5
_PLACE = re.compile(
    r"(?P<kind>Deployment|StatefulSet|DaemonSet) (?P<name>[^#]+)"
    r"#spec\.template\.spec\.(?:initContainers|containers)\[(?P<container>[^\]]+)\]\.image"
)
ROLLING_MINUTES = 15
"""A new pod of the platform is ready in less, also where its image is pulled first."""


@dataclass
class _Read:
    """What was read of one cluster.

    Attributes:
        lists: kind -> its objects.
        names: kind -> name -> the object.
        own: the platform's namespaces; None: not worked out yet.
        begun: when the first was read, by the clock of ``time.monotonic``.
    """

    lists: dict[str, list[Object]] = field(default_factory=dict[str, list[Object]])
    names: dict[str, dict[str, Object]] = field(default_factory=dict[str, dict[str, Object]])
    own: frozenset[str] | None = None
    begun: float = field(default_factory=time.monotonic)


_read: WeakKeyDictionary[LiveCluster, _Read] = WeakKeyDictionary()


def listed(platform: Platform, kind: str) -> Sequence[Object]:
    """Every object of a kind; none where the API is not served.

    Raises:
        Refused: as of ``LiveCluster.all``.
    """
    lists = _of(platform).lists
    if kind not in lists:
        lists[kind] = _all(platform.cluster, kind)
    return lists[kind]


def _of(platform: Platform) -> _Read:
    read = _read.get(platform.cluster)
    if read is None or time.monotonic() - read.begun > REMEMBERED_SECONDS:
        read = _read[platform.cluster] = _Read()
    return read


def _all(cluster: LiveCluster, kind: str) -> list[Object]:
    for path in PATHS[kind]:
        version = path.removeprefix("/apis/").removeprefix("/api/").rpartition("/")[0]
        items = cluster.all(path, **SELECTED.get(kind, {}))
        if items:
            return [{"apiVersion": version, "kind": kind, **item} for item in items]
    return []


def by_name(platform: Platform, kind: str) -> Mapping[str, Object]:
    """``namespace/name``, or the name of what is in no namespace -> the object."""
    names = _of(platform).names
    if kind not in names:
        names[kind] = {name_of(obj): obj for obj in listed(platform, kind)}
    return names[kind]


def some(names: Sequence[str]) -> str:
    """``a, b and 7 more``."""
    if len(names) <= _MOST_NAMES:
        return in_words(names, "and")
    return f"{', '.join(names[:_MOST_NAMES])} and {len(names) - _MOST_NAMES} more"


def name_of(obj: Mapping[str, Any]) -> str:
    """``namespace/name``, or the name of what is in no namespace."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])


def namespace_of(obj: Mapping[str, Any]) -> str:
    """The namespace; empty for what is in none."""
    return str(obj["metadata"].get("namespace") or "")


def condition(obj: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """A condition of the status by its type; empty where it is not there."""
    return next((each for each in conditions(obj) if each.get("type") == kind), {})


def is_true(obj: Mapping[str, Any], kind: str) -> bool:
    """Whether a condition of the status is met."""
    return condition(obj, kind).get("status") == "True"


def why(state: Mapping[str, Any]) -> str:
    """Reason and message of a condition, as they stand there."""
    said = [str(state.get(key) or "") for key in ("reason", "message")]
    return ": ".join(part for part in said if part) or "no reason is given"


def of_stack(obj: Mapping[str, Any]) -> bool:
    """Whether the stack itself applied the object (``components.objects``, ``register``)."""
    return PATCH_FORCE in annotations_of(obj)


def now() -> datetime:
    """The present time, which tests replace."""
    return datetime.now(UTC)


def time_of(text: str | None) -> datetime | None:
    """A time as the API server writes it; None for none."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None


def age_minutes(obj: Mapping[str, Any]) -> float:
    """Minutes since the object was made; endless where it has no time."""
    made = time_of(obj["metadata"].get("creationTimestamp"))
    return (now() - made).total_seconds() / 60 if made else float("inf")


def ready_services(platform: Platform) -> set[str]:
    """``namespace/name`` of every Service with a ready endpoint."""
    found: set[str] = set()
    for obj in listed(platform, "EndpointSlice"):
        service = labels_of(obj).get("kubernetes.io/service-name")
        endpoints: Iterable[Mapping[str, Any]] = obj.get("endpoints") or []
        # An absent condition counts as ready (discovery/v1 EndpointConditions).
        if service and any(
            (each.get("conditions") or {}).get("ready") is not False for each in endpoints
        ):
            found.add(f"{namespace_of(obj)}/{service}")
    return found


# -- the stack's own -------------------------------------------------------------------------------


def profile_namespaces(platform: Platform) -> set[str]:
    """Namespaces of users, by the stack file and by the cluster."""
    of_settings = {user.namespace for user in platform.settings.users}
    return of_settings | {str(obj["metadata"]["name"]) for obj in listed(platform, "Profile")}


def is_own_namespace(platform: Platform, namespace: str) -> bool:
    """Whether the platform itself runs there; not in those of users, nor of other software."""
    return namespace in own_namespaces(platform)


def own_namespaces(platform: Platform) -> frozenset[str]:
    """The namespaces of the release and of its add-ons, ``kube-system`` among them."""
    read = _of(platform)
    if read.own is None:
        places = [place for found in locked(platform.settings).values() for place in found]
        named = {place.name.partition("/")[0] for place in places}
        marked = {name for name, obj in by_name(platform, "Namespace").items() if of_stack(obj)}
        read.own = frozenset((named | marked | {"kube-system"}) - profile_namespaces(platform))
    return read.own


@dataclass(frozen=True)
class Place:
    """A container of a built-in workload, by a lock.

    Attributes:
        kind: of the workload.
        name: its ``namespace/name``.
        container: its container.
        of_release: whether the release has it; else an add-on, which a stack may lack.
    """

    kind: str
    name: str
    container: str
    of_release: bool


def locked(settings: Settings) -> Mapping[str, tuple[Place, ...]]:
    """Source of an image -> the containers that run it, by the locks of release and add-ons."""
    folders = targets.folders_of_stack(settings)
    parts, patches = tuple(optional_parts(settings)), tuple(settings.patches.items())
    return _locked(tuple(folders), settings.release, parts, patches)


@cache
def _locked(
    folders: tuple[Path, ...],
    release: str,
    parts: tuple[str, ...],
    patches: tuple[tuple[str, str], ...],
) -> Mapping[str, tuple[Place, ...]]:
    places: dict[str, tuple[Place, ...]] = {}
    for folder in folders:
        name = folder.relative_to(MANIFESTS).as_posix()
        images = _images(folder, name)
        if name == release:
            images = installed(load(folder), images, parts, dict(patches))
        for image in images:
            found = tuple(
                Place(match["kind"], match["name"], match["container"], name == release)
                for match in map(_PLACE.fullmatch, image.where)
                if match
            )
            places[image.source] = (*places.get(image.source, ()), *found)
    return places


def digests(settings: Settings) -> dict[str, str]:
    """Source of an image -> its digest, where the locks have one."""
    return {
        image.source: image.digest
        for folder in targets.folders_of_stack(settings)
        for image in _images(folder, folder.relative_to(MANIFESTS).as_posix())
        if image.digest
    }


@cache
def _images(folder: Path, name: str) -> tuple[locks.LockedImage, ...]:
    return locks.load(folder, name).images


def known_account(platform: Platform) -> StackContext:
    """The context, whose registry has the account's number where images come from it.

    Raises:
        Refused: the account is unknown, and with it the registry.
    """
    context = platform.context
    if context.mirror.enabled and not context.account_id:
        raise Refused(
            "the account whose registry has the images is unknown: set kubeflow:accountId, or "
            f"`{connect_command(platform.settings)}`."
        )
    return context


def source_of(platform: Platform, image: str) -> Reference | None:
    """The image behind a name in the account's registry, else the name itself; None: no image.

    Raises:
        Refused: the account is unknown, and with it the registry.
    """
    context = known_account(platform)
    try:
        reference = parse(image)
    except InvalidReference:
        return None
    return reference.origin(context.image_prefix) or reference


def images_of(pod: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Container, image by the spec and image by the runtime (empty: none yet), of every kind."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    for kinds, states in (
        ("initContainers", "initContainerStatuses"),
        ("containers", "containerStatuses"),
        ("ephemeralContainers", "ephemeralContainerStatuses"),
    ):
        ids = {each.get("name"): each.get("imageID") or "" for each in status.get(states) or []}
        for container in spec.get(kinds) or []:
            name = str(container.get("name"))
            yield name, str(container.get("image") or ""), str(ids.get(name) or "")
