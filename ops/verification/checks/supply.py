"""Checks of what the platform runs and refers to: images, their digests, partitions, credentials.

All read objects only. Image IDs as container runtimes write them: ``registry/path@sha256:...`` of
containerd (kubernetes/cri-api pkg/apis/runtime/v1, ``ContainerStatus.image_ref``), with the prefix
``docker-pullable://`` of dockershim, which Kubernetes 1.21 has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any

from images.reference import InvalidReference, Reference, parse
from ops.findings import Finding, Level, good, note, problem
from ops.parallel import in_order
from ops.verification.check import Check
from ops.verification.checks.live_objects import (
    digests,
    images_of,
    is_own_namespace,
    known_account,
    listed,
    name_of,
    namespace_of,
    of_stack,
    profile_namespaces,
    some,
    source_of,
)
from ops.verification.platform import Platform
from rendering.leak_tables import CREDENTIALS, SECRET_CREDENTIALS
from rendering.leaks import find_leaks, find_partition_leaks
from rendering.objects import Object, annotations_of, decoded, labels_of
from webhook.admission import Policy, stays
from webhook.image_places import OPT_OUT
from webhook.rules import Rule, Subject, WhenAbsent, rule_for
from webhook.rules import read as read_rules

_STATIC_POD = "kubernetes.io/config.mirror"
_UNWATCHED = ("kube-system",)
"""In components/mirror/webhook_configuration.yaml."""
_RUNTIME = re.compile(r"[a-z-]+://")
_DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})")
_BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
_UPSTREAM_PASSWORD = b"12341234"
_MOST_HASHES = 12
"""One takes a quarter of a second, on purpose."""
_THREADS = 4
_ALIKE = 5
"""More objects of a namespace with the same leak, such as pods of a Deployment, are one finding."""
_OF_PROFILE_CONTROLLER = ("kfp-launcher", "artifact-repositories", "metadata-grpc-configmap")
"""ConfigMaps of a profile: where artifacts and metadata are (addons/profile-hook/hook.py)."""
_WITH_REFERENCES = (
    *("ConfigMap", "CronJob", "DaemonSet", "Deployment", "EC2NodeClass", "ExternalSecret", "Job"),
    *("MutatingWebhookConfiguration", "NodePool", "Pod", "Profile", "SecretProviderClass"),
    *("SecretStore", "Service", "ServiceAccount", "StatefulSet", "ValidatingWebhookConfiguration"),
)
_HELM = "helm.sh/release.v1"


# -- images ----------------------------------------------------------------------------------------


class Origin(IntEnum):
    """Where an image may come from, the better first."""

    OWN = 0
    """The account's registry, or another of ECR inside the partition."""
    ALLOWED = 1
    """Another registry, by the settings."""
    OPTED_OUT = 2
    LATE = 3
    """Its copy was not there when the pod started, and the settings keep the source then."""
    FOREIGN = 4


def foreign_images(platform: Platform) -> Iterator[Finding]:
    """Every container that runs has its image from a registry that the settings allow."""
    about, mirror = "images", known_account(platform).mirror
    pods = listed(platform, "Pod")
    used = {image for pod in pods for _, image, _ in images_of(pod) if image}
    if not mirror.enabled:
        hosts = {found.registry for image in used if (found := _parsed(image))}
        yield good(
            about,
            f"{len(used)} run, from {len(hosts)} registries: without kubeflow:imageMirror any may "
            "be used",
        )
        return
    rules = read_rules(mirror.settings.rules_json())
    skipped = {
        str(each["metadata"]["name"])
        for each in listed(platform, "Namespace")
        if labels_of(each).get(OPT_OUT) == "true"
    }
    by_image = dict[tuple[Origin, str], list[str]]()
    other_names = dict[str, list[str]]()
    for pod in pods:
        for _, image, image_id in images_of(pod):
            origin = _origin(platform, pod, image, rules, skipped)
            by_image.setdefault((origin, image), []).append(name_of(pod))
            pulled = _parsed(_RUNTIME.sub("", image_id))
            if origin is Origin.OWN and "/" in image_id and pulled and not _own(platform, pulled):
                other_names.setdefault(pulled.name, []).append(name_of(pod))
    for (origin, image), names in sorted(by_image.items()):
        yield from _judged(platform, origin, image, sorted(set(names)))
    for name, names in sorted(other_names.items()):
        yield note(
            some(sorted(set(names))),
            f"its node has the same image also as {name}, pulled before or without the mirror",
        )
    own = {image for origin, image in by_image if origin is Origin.OWN}
    allowed = {image for origin, image in by_image if origin is Origin.ALLOWED}
    by_settings = f", {len(allowed)} from registries that the settings allow" if allowed else ""
    yield good(about, f"{len(own)} of {len(used)} come from ECR inside the partition{by_settings}")


def _judged(
    platform: Platform, origin: Origin, image: str, names: Sequence[str]
) -> Iterator[Finding]:
    pods, delete = some(names), _delete(names[0])
    if origin is Origin.FOREIGN and names[0].partition("/")[0] in _UNWATCHED:
        yield problem(
            pods,
            f"{image} comes from outside the account's registry, and the image mirror leaves that "
            "namespace alone: push the image to the account's registry, and name it there",
        )
    elif origin is Origin.FOREIGN:
        found = _parsed(image)
        copy = found.mirrored(platform.context.image_prefix) if found else "a valid name"
        yield problem(
            pods,
            f"{image} comes from outside the account's registry: {delete}, its successor gets "
            f"{copy} by the image mirror (if not, `./kf verify --only image-mirror` says why)",
        )
    elif origin is Origin.OPTED_OUT:
        yield note(
            pods,
            f"{image} comes from outside the account's registry, because {OPT_OUT} leaves it as it "
            "is: remove that, or push the image to the account's registry",
        )
    elif origin is Origin.LATE:
        yield note(
            pods,
            f"{image} comes from its source, because its copy was not there when the pod started "
            f"(whenAbsent: keep): {delete} when `./kf images check` finds the copy",
        )


def _delete(pod: str) -> str:
    namespace, _, name = pod.partition("/")
    return f"`kubectl -n {namespace} delete pod {name}`"


def _origin(
    platform: Platform, pod: Object, image: str, rules: Sequence[Rule], skipped: set[str]
) -> Origin:
    found, mirror = _parsed(image), platform.context.mirror
    if found is None:
        return Origin.FOREIGN
    if _own(platform, found):
        return Origin.OWN
    namespace = namespace_of(pod)
    prefix, keeps = platform.context.image_prefix, mirror.keeps_domestic
    rule = rule_for(rules, Subject.of(found, prefix), namespace)
    kept = found.ecr is None and stays(found, rule, Policy(registry=prefix, keeps_domestic=keeps))
    outside_cache = mirror.cached is not None and not found.pulled_through(mirror.cached)
    node_registries = platform.settings.serving.node_registries
    if outside_cache or found.registry in node_registries or kept:
        return Origin.ALLOWED
    if namespace in skipped or _STATIC_POD in annotations_of(pod):
        return Origin.OPTED_OUT
    absent = (rule and rule.when_absent) or WhenAbsent(mirror.settings.when_absent)
    return Origin.LATE if absent is WhenAbsent.KEEP else Origin.FOREIGN


def _own(platform: Platform, image: Reference) -> bool:
    """Whether ECR inside the partition has the image: the mirror leaves all of ECR as it is."""
    suffix = platform.context.region.dns_suffix
    return image.ecr_region is not None and image.registry.endswith(f".{suffix}")


def _parsed(image: str) -> Reference | None:
    try:
        return parse(image)
    except InvalidReference:
        return None


def image_digests(platform: Platform) -> Iterator[Finding]:
    """What runs under a tag has the digest that the lock has for it."""
    about, wanted = "digests", digests(platform.settings)
    platform_setting = platform.context.mirror.settings.platform
    if platform.context.mirror.copies and platform_setting:
        yield good(
            about,
            f"not comparable: kubeflow:imageMirror.platform copies {platform_setting} alone, whose "
            "digests are others than those of whole images in the lock",
        )
        return
    equal, known = set[str](), set[str]()
    wrong = dict[tuple[str, str], list[str]]()
    for pod in listed(platform, "Pod"):
        for _, image, image_id in images_of(pod):
            source = source_of(platform, image)
            ran = _DIGEST.search(image_id)
            if source is None or ran is None:
                continue
            known.add(str(source))
            digest = source.digest or wanted.get(str(source))
            if digest == ran[1]:
                equal.add(str(source))
            elif digest is not None:
                wrong.setdefault((str(source), ran[1]), []).append(name_of(pod))
    for (source, digest), names in sorted(wrong.items()):
        yield problem(
            some(sorted(set(names))),
            f"runs {source} with the digest {digest}, and the lock has "
            f"{wanted.get(source) or source.partition('@')[2]}: the tag has moved; copy the "
            f"right one again with `./kf images mirror`, then {_delete(sorted(names)[0])}",
        )
    yield good(
        about,
        f"{len(equal)} of {len(known)} running images have the digest of the lock; of the "
        "others it has none",
    )


# -- partitions ------------------------------------------------------------------------------------


def partition_leaks(platform: Platform) -> Iterator[Finding]:
    """No object names an ARN, a host or a registry of another partition."""
    context = known_account(platform)
    region, users = context.region, profile_namespaces(platform)
    looked_at, leaky = 0, 0
    alike = dict[tuple[Level, str, str, str], list[str]]()
    for obj in _with_references(platform):
        looked_at += 1
        bare = _without_managed_fields(obj)
        if of_stack(obj):
            leaks = find_leaks(
                [bare],
                partition=region.partition,
                dns_suffix=region.dns_suffix,
                registry=context.image_registry,
                in_region_registries=[region.ecr_registry(region.eks_addon_account)],
                cached_registries=context.mirror.cached,
                bound=True,
            )
        else:
            leaks = find_partition_leaks(
                [bare], partition=region.partition, dns_suffix=region.dns_suffix
            )
        for leak in leaks:
            sentence = f"{leak.path} has {_short(leak.value)}, which {leak.reason}"
            serious, way_out = _whose(platform, obj, users)
            level = Level.PROBLEM if serious else Level.NOTE
            key = (level, str(obj["kind"]), namespace_of(obj), f"{sentence}: {way_out}")
            alike.setdefault(key, []).append(name_of(obj))
    for (level, kind, _, sentence), names in alike.items():
        leaky += len(names)
        if len(names) > _ALIKE:
            yield Finding(level, f"{kind} {some(names)}", f"{len(names)} of them: {sentence}")
        else:
            yield from (Finding(level, f"{kind} {name}", sentence) for name in names)
    for obj in listed(platform, "Secret"):
        looked_at += 1
        if obj.get("type") == _HELM:
            continue
        for key in _leaky_keys(platform, obj):
            leaky += 1
            serious, way_out = _whose(platform, obj, users)
            yield (problem if serious else note)(
                f"Secret {name_of(obj)}",
                f"{key} names an ARN or a host of another partition than {region.partition}: "
                f"{way_out}",
            )
    if not leaky:
        yield good("leaks", f"none in {looked_at} objects; all name {region.partition} alone")


def _with_references(platform: Platform) -> Iterator[Object]:
    for kind in _WITH_REFERENCES:
        yield from listed(platform, kind)


def _without_managed_fields(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def _whose(platform: Platform, obj: Object, users: set[str]) -> tuple[bool, str]:
    """Whether the stack answers for the object, and the way out."""
    namespace, name = namespace_of(obj), str(obj["metadata"]["name"])
    if of_stack(obj):
        return True, "somebody edited it; run `pulumi up`"
    if namespace in users:
        if obj["kind"] == "ConfigMap" and name in _OF_PROFILE_CONTROLLER:
            return True, f"`kubectl -n {namespace} delete configmap {name}`, it is made again"
        return False, "its user's own object; correct it there"
    if namespace and not is_own_namespace(platform, namespace):
        return False, "other software's object; correct it there"
    return True, "correct it, or the setting that it is made from"


def _short(value: str) -> str:
    return value if len(value) <= 100 else f"{value[:97]}..."


def _leaky_keys(platform: Platform, secret: Object) -> list[str]:
    """Keys of a Secret whose text leaks; the text itself is never passed on."""
    region = platform.context.region
    texts = {key: decoded(str(value)) or "" for key, value in (secret.get("data") or {}).items()}
    return [
        key
        for key, text in texts.items()
        if find_partition_leaks(
            [{**secret, "data": {key: text}}],
            partition=region.partition,
            dns_suffix=region.dns_suffix,
        )
    ]


# -- credentials -----------------------------------------------------------------------------------


def default_credentials(platform: Platform) -> Iterator[Finding]:
    """No password, key or secret that Kubeflow's manifests publish is in use."""
    found, looked_at = 0, 0
    hashes = dict[str, str]()
    for obj in (*listed(platform, "Secret"), *listed(platform, "ConfigMap")):
        namespace = namespace_of(obj)
        own = is_own_namespace(platform, namespace)
        if not own and namespace not in profile_namespaces(platform):
            continue
        looked_at += 1
        secret = obj["kind"] == "Secret"
        about = f"{obj['kind']} {name_of(obj)}"
        for key, value in _texts(obj):
            meaning = _published(value, secret=secret and own)
            if meaning:
                found += 1
                yield problem(
                    about,
                    f"{key} contains {meaning}, which everybody knows: run `pulumi up`, which "
                    "writes a generated one",
                )
            elif namespace == "auth":
                hashes.update(dict.fromkeys(_BCRYPT.findall(value), about))
    known = list(hashes)[:_MOST_HASHES]
    for text, same in zip(known, in_order(known, _is_upstreams, _THREADS, ""), strict=True):
        if same:
            found += 1
            yield problem(
                hashes[text],
                "a user's password is 12341234, as in Kubeflow's manifests: give that user another "
                "`rotation` in kubeflow:users and run `pulumi up`",
            )
    if not found:
        yield good(
            "credentials",
            f"none of Kubeflow's published ones in {looked_at} Secrets and ConfigMaps, nor behind "
            f"{len(known)} password hashes",
        )


def _texts(obj: Object) -> Iterator[tuple[str, str]]:
    data: Mapping[str, Any] = obj.get("data") or {}
    for key, value in data.items():
        yield key, (decoded(str(value)) or "") if obj["kind"] == "Secret" else str(value)


def _published(text: str, *, secret: bool) -> str:
    """What a text has of the published credentials; empty for nothing."""
    for value, meaning in CREDENTIALS.items():
        if value in text:
            return meaning
    return SECRET_CREDENTIALS.get(text, "") if secret else ""


def _is_upstreams(hashed: str) -> bool:
    import bcrypt

    return bcrypt.checkpw(_UPSTREAM_PASSWORD, hashed.encode())


CHECKS: tuple[Check, ...] = (
    Check("foreign-images", "the images of all pods, against the settings", foreign_images),
    Check("image-digests", "the digests of running images, against the locks", image_digests),
    Check("partition-leaks", "ARNs, hosts and registries in objects", partition_leaks),
    Check("default-credentials", "published passwords and keys", default_credentials),
)
