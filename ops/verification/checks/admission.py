"""Checks of what the API server asks before it stores an object: webhooks, and the image mirror.

All read objects only; the image mirror is asked by a dry run. Fields: k8s.io/api
admissionregistration/v1 and discovery/v1.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from components.mirror.pods import NAMESPACE as MIRROR_NAMESPACE
from components.mirror.pods import SERVICE as MIRROR
from images.reference import Reference, parse
from ops.findings import Finding, good, note, problem
from ops.live_cluster import Rejected
from ops.verification.check import Check
from ops.verification.checks.live_objects import (
    by_name,
    is_own_namespace,
    known_account,
    listed,
    locked,
    name_of,
    namespace_of,
    ready_services,
)
from ops.verification.platform import Platform
from rendering.objects import Object, labels_of, pod_template
from settings.errors import listed as in_words
from webhook.rules import Action, Subject, WhenAbsent, rule_for
from webhook.rules import read as read_rules

_CONFIGURATIONS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
_MIRROR_HOOK = "images.image-mirror.internal"
"""In components/mirror/webhook_configuration.yaml."""
_DRY_RUN_NAMESPACE = "default"
"""Without quota, injection and pod security, and with the image mirror."""


@dataclass(frozen=True)
class Hook:
    """One webhook that is a Service of the cluster.

    Attributes:
        about: its configuration, with the kind.
        name: of the webhook.
        service: ``namespace/name``.
        port: of the Service.
        required: whether requests are refused while it does not answer.
        bundle: PEM certificates that the API server trusts; empty: none.
        obj: the configuration.
    """

    about: str
    name: str
    service: str
    port: int
    required: bool
    bundle: bytes
    obj: Object


def hooks_of(platform: Platform) -> Iterator[Hook]:
    """The webhooks that Services of the cluster serve."""
    for kind in _CONFIGURATIONS:
        for obj in listed(platform, kind):
            for webhook in obj.get("webhooks") or []:
                client = webhook.get("clientConfig") or {}
                service = client.get("service")
                if not service:
                    continue  # a URL outside of the cluster
                yield Hook(
                    about=f"{kind} {name_of(obj)}",
                    name=str(webhook["name"]),
                    service=f"{service['namespace']}/{service['name']}",
                    port=int(service.get("port") or 443),
                    required=(webhook.get("failurePolicy") or "Fail") == "Fail",
                    bundle=decoded(client.get("caBundle")),
                    obj=obj,
                )


def decoded(text: object) -> bytes:
    """The bytes of a text in base64; none where it is no such text."""
    try:
        return base64.b64decode(str(text or ""), validate=True)
    except (binascii.Error, ValueError):
        return b""


def webhooks(platform: Platform) -> Iterator[Finding]:
    """Every admission webhook has a Service with ready pods behind the port it is called at."""
    services, ready = by_name(platform, "Service"), ready_services(platform)
    asked = dict[tuple[str, str, int], list[Hook]]()
    for hook in hooks_of(platform):
        asked.setdefault((hook.about, hook.service, hook.port), []).append(hook)
    wrong = False
    for (about, service, port), hooks in asked.items():
        trouble = _unanswered(services.get(service), service, port, ready)
        if trouble:
            wrong = True
            required = [hook.name for hook in hooks if hook.required]
            if required:
                effect = "the API server refuses what they judge"
                yield problem(
                    about,
                    f"{trouble}: {effect} ({in_words(required, 'and')}); "
                    f"{_way_out(platform, service)}",
                )
            else:
                yield note(
                    about,
                    f"{trouble}: objects are stored without its judgement "
                    f"(failurePolicy Ignore); {_way_out(platform, service)}",
                )
    if not wrong:
        names = len({service for _, service, _ in asked})
        yield good(
            "webhooks",
            f"{sum(map(len, asked.values()))} webhooks of {len(asked)} "
            f"configurations have ready pods behind {names} Services",
        )


def _unanswered(service: Object | None, name: str, port: int, ready: set[str]) -> str:
    if service is None:
        return f"its Service {name} does not exist"
    ports = [int(each["port"]) for each in service["spec"].get("ports") or []]
    if port not in ports:
        return f"its Service {name} has no port {port}, only {in_words(map(str, ports), 'and')}"
    return "" if name in ready else f"its Service {name} has no ready pod"


def _way_out(platform: Platform, service: str) -> str:
    namespace, _, name = service.partition("/")
    if service not in by_name(platform, "Service"):
        own = is_own_namespace(platform, namespace)
        return (
            "run `pulumi up`" if own else "delete the configuration, or install what it belongs to"
        )
    workloads = [
        f"{kind.lower()}/{name_of(obj).partition('/')[2]}"
        for kind, obj in behind(platform, service)
    ]
    where = workloads[0] if workloads else f"service/{name}"
    return f"look at `kubectl -n {namespace} describe {where}`"


def behind(platform: Platform, service: str) -> Iterator[tuple[str, Object]]:
    """The workloads whose pods a Service selects, with their kind."""
    found = by_name(platform, "Service").get(service)
    selector: Mapping[str, str] = ((found or {}).get("spec") or {}).get("selector") or {}
    if not selector:
        return
    for kind in WORKLOADS:
        for obj in listed(platform, kind):
            labels = labels_of(pod_template(obj) or {})
            if (
                namespace_of(obj) == service.partition("/")[0]
                and selector.items() <= labels.items()
            ):
                yield kind, obj


def image_mirror(platform: Platform) -> Iterator[Finding]:
    """A pod that names a public image gets the name of its copy, as the settings promise."""
    about, mirror = "image mirror", platform.context.mirror
    configuration = by_name(platform, "MutatingWebhookConfiguration").get(MIRROR)
    if not mirror.enabled:
        yield good(about, "not part of the stack: images come from their publishers' registries")
        return
    if configuration is None:
        yield problem(
            about,
            "there is no MutatingWebhookConfiguration image-mirror, so that pods name public "
            "registries: run `pulumi up`",
        )
        return
    if mirror.in_cluster:
        name = f"{MIRROR_NAMESPACE}/{MIRROR}"
        ready = ((by_name(platform, "Deployment").get(name) or {}).get("status") or {}).get(
            "readyReplicas", 0
        )
        if not ready:
            yield problem(
                about,
                f"no pod of Deployment {name} is ready, so that new pods name public registries: "
                f"look at `kubectl -n {MIRROR_NAMESPACE} get pods`",
            )
            return
        yield good(about, f"{ready} pods serve it")
    yield from _dry_run(platform)


def _dry_run(platform: Platform) -> Iterator[Finding]:
    about, context = "image mirror", known_account(platform)
    mirror = context.mirror
    source = _an_image(platform)
    rules = read_rules(mirror.settings.rules_json())
    rule = rule_for(rules, Subject.of(source, context.image_prefix), _DRY_RUN_NAMESPACE)
    expected = source.mirrored(context.image_prefix)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "kf-verify-"},
        "spec": {"containers": [{"name": "main", "image": str(source)}]},
    }
    path = f"/api/v1/namespaces/{_DRY_RUN_NAMESPACE}/pods"
    # No rule refuses an image of the platform.
    absent = (rule and rule.when_absent) or WhenAbsent(mirror.settings.when_absent)
    try:
        admitted = platform.cluster.answer("POST", path, {"dryRun": "All"}, pod)
    except Rejected as rejected:
        # A missing right, a missing answer or another webhook is no finding about the mirror.
        if f'"{_MIRROR_HOOK}" denied' not in str(rejected):
            raise
        yield problem(
            about,
            f"refuses a pod with {source}, which the platform runs: its copy is missing, "
            "`./kf images mirror` makes it",
        )
        return
    image = str(admitted["spec"]["containers"][0]["image"])
    said = f"a pod with {source} gets {image}"
    if rule is not None and rule.action is Action.KEEP:
        right = image == str(source)
        yield (good if right else problem)(
            about,
            f"{said}, and kubeflow:imageMirror.rules keep it"
            + ("" if right else ": run `pulumi up`"),
        )
    elif image == expected:
        yield good(about, said)
    elif absent is WhenAbsent.KEEP and image == str(source):
        yield note(
            about,
            f"{said}: its copy is not there yet, and kubeflow:imageMirror.whenAbsent is keep; "
            "`./kf images check` lists what is missing",
        )
    else:
        yield problem(
            about,
            f"{said}, and should get {expected}: its answer was late or none (failurePolicy "
            f"Ignore); read `kubectl -n {MIRROR_NAMESPACE} logs deploy/{MIRROR}`",
        )


def _an_image(platform: Platform) -> Reference:
    """An image of the inventory that the mirror serves."""
    cached = platform.context.mirror.cached
    images = [parse(source) for source in sorted(locked(platform.settings))]
    usable = [image for image in images if cached is None or image.pulled_through(cached)]
    return next((image for image in usable if image.tag), usable[0])


CHECKS: tuple[Check, ...] = (
    Check("webhooks", "admission webhooks, their Services and endpoints", webhooks),
    Check("image-mirror", "a dry run of a pod with a public image", image_mirror),
)
