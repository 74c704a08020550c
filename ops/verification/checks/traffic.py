"""Checks of the way in: gateway, login, sidecars, and policies of mesh and network."""

from __future__ import annotations

from collections.abc import Iterator

from ops.findings import Finding, good, note, problem
from ops.verification.check import Check
from ops.verification.checks.live_objects import (
    by_name,
    is_own_namespace,
    listed,
    name_of,
    namespace_of,
    profile_namespaces,
    ready_services,
    some,
)
from ops.verification.platform import Platform
from rendering.objects import (
    Object,
    annotations_of,
    containers_of,
    labels_of,
    pod_spec,
    pod_template,
)
from rendering.pod_references import named_by
from settings.errors import listed as in_words

INJECTION = "istio-injection"
_INJECT = "sidecar.istio.io/inject"
_PROXY = "istio-proxy"
_ENFORCED_SINCE = (1, 25)
"""EKS user guide, cni-network-policy.html."""


def gateway(platform: Platform) -> Iterator[Finding]:
    """The gateway that everybody enters by has ready pods and, if it asks for one, an address."""
    name = str(platform.parts.gateway.service)
    namespace, _, own = name.partition("/")
    about = f"Service {name}"
    service = by_name(platform, "Service").get(name)
    if service is None:
        yield problem(about, "is missing, so that nobody reaches the dashboard: run `pulumi up`")
        return
    if name not in ready_services(platform):
        yield problem(
            about,
            "has no ready pod, so that nobody reaches the dashboard: look at `kubectl -n "
            f"{namespace} describe deploy/{own}`",
        )
        return
    kind = service["spec"].get("type", "ClusterIP")
    if kind != "LoadBalancer":
        yield good(about, f"has ready pods, inside the cluster alone ({kind})")
        return
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    addresses = [str(each.get("hostname") or each.get("ip")) for each in ingress]
    if addresses:
        yield good(about, f"has ready pods, at {in_words(addresses, 'and')}")
    else:
        yield problem(
            about,
            f"asks for a load balancer and has no address: read `kubectl -n {namespace} describe "
            f"service {own}`",
        )


def login_services(platform: Platform) -> Iterator[Finding]:
    """Dex and its client are ready, and what they are configured by exists."""
    workloads = platform.parts.dex.workloads + platform.parts.login.workloads
    present = 0
    for kind, name in workloads:
        workload = by_name(platform, kind).get(name)
        if workload is None:
            continue
        present += 1
        namespace = name.partition("/")[0]
        missing = [
            f"{each.kind} {namespace}/{each.name}"
            for each in sorted(
                set(named_by(pod_spec(workload) or {})), key=lambda one: (one.kind, one.name)
            )
            if not each.optional
            and each.kind in ("Secret", "ConfigMap")
            and f"{namespace}/{each.name}" not in by_name(platform, each.kind)
        ]
        ready = (workload.get("status") or {}).get("readyReplicas", 0)
        if missing:
            yield problem(
                f"{kind} {name}",
                f"names {in_words(missing, 'and')}, which does not exist, so that its next pod "
                "does not start: run `pulumi up`",
            )
        elif not ready:
            yield problem(
                f"{kind} {name}",
                f"has no ready pod, so that nobody can log in: look at `kubectl -n {namespace} "
                f"describe {kind.lower()} {name.partition('/')[2]}`",
            )
        else:
            yield good(f"{kind} {name}", f"has {ready} ready pods and all of its configuration")
    if present < 2:
        found = [name for kind, name in workloads if name in by_name(platform, kind)]
        yield problem(
            "login",
            "it takes Dex and its client, and there is "
            f"{in_words(found, 'and') if found else 'none'}: run `pulumi up`",
        )


def mesh(platform: Platform) -> Iterator[Finding]:
    """Requests are judged: a denial of all, the login at the gateway, a sidecar in every pod."""
    policies = by_name(platform, "AuthorizationPolicy")
    denials = [
        name
        for name, obj in policies.items()
        if namespace_of(obj) == "istio-system" and not obj.get("spec")
    ]
    if not denials:
        yield problem(
            "mesh",
            "no AuthorizationPolicy in istio-system denies what no other one allows: run "
            "`pulumi up`",
        )
    asked = next(iter(platform.parts.login.deployments), "")
    if asked in by_name(platform, "Deployment") and not any(
        namespace_of(obj) == "istio-system"
        and (obj.get("spec") or {}).get("action") == "CUSTOM"
        and _selects_the_gateway(platform, obj)
        for obj in policies.values()
    ):
        yield problem(
            "mesh",
            f"no AuthorizationPolicy in istio-system asks {asked.partition('/')[2]} about its "
            "pods, so that the gateway lets everybody in without a login: run `pulumi up "
            "--refresh`",
        )
    for name, obj in sorted(policies.items()):
        if is_own_namespace(platform, namespace_of(obj)) and _admits_everybody(obj):
            yield problem(
                f"AuthorizationPolicy {name}",
                f"lets everybody in the mesh reach every pod of {namespace_of(obj)}, with any "
                f"user's name in the header: `kubectl -n {namespace_of(obj)} delete "
                f"authorizationpolicy {obj['metadata']['name']}`",
            )
    injected = {
        name
        for name, obj in by_name(platform, "Namespace").items()
        if labels_of(obj).get(INJECTION) == "enabled"
    }
    with_proxy, without = 0, list[str]()
    for pod in listed(platform, "Pod"):
        if namespace_of(pod) not in injected or _opted_out(pod):
            continue
        if any(each.get("name") == _PROXY for each in containers_of(pod["spec"])):
            with_proxy += 1
        else:
            without.append(name_of(pod))
    if without:
        namespace, _, name = without[0].partition("/")
        yield problem(
            some(sorted(without)),
            f"{len(without)} pods run without the sidecar {_PROXY}, so that no AuthorizationPolicy "
            f"judges their requests: `kubectl -n {namespace} delete pod {name}`, its "
            "successor gets one if Istio's webhook answers",
        )
    yield from _peer_authentications(platform)
    if denials and not without:
        yield good(
            "mesh",
            f"{with_proxy} pods in {len(injected)} namespaces have a sidecar; {denials[0]} denies "
            "the rest",
        )


def _selects_the_gateway(platform: Platform, policy: Object) -> bool:
    wanted = ((policy["spec"].get("selector") or {}).get("matchLabels") or {}).items()
    deployment = platform.parts.gateway.deployments[0]
    gateway = by_name(platform, "Deployment").get(deployment) or {}
    labels = labels_of(pod_template(gateway) or {})
    return bool(policy["spec"].get("rules")) and (not gateway or wanted <= labels.items())


def _admits_everybody(policy: Object) -> bool:
    """Whether it allows each request to each pod of its namespace."""
    spec = policy.get("spec") or {}
    return (
        spec.get("action", "ALLOW") == "ALLOW"
        and not spec.get("selector")
        and not spec.get("targetRefs")
        and any(not any(rule.values()) for rule in spec.get("rules") or [])
    )


def _opted_out(pod: Object) -> bool:
    inject = labels_of(pod).get(_INJECT) or annotations_of(pod).get(_INJECT)
    return inject == "false" or bool(pod["spec"].get("hostNetwork"))


def _peer_authentications(platform: Platform) -> Iterator[Finding]:
    users = profile_namespaces(platform)
    for obj in listed(platform, "PeerAuthentication"):
        namespace = namespace_of(obj)
        if not is_own_namespace(platform, namespace) and namespace not in users:
            continue  # other software, which reaches no workload of the platform by that
        if ((obj.get("spec") or {}).get("mtls") or {}).get("mode") == "DISABLE":
            yield problem(
                f"PeerAuthentication {name_of(obj)}",
                "turns mutual TLS off, without which no policy knows a caller: `kubectl -n "
                f"{namespace_of(obj)} delete peerauthentication {obj['metadata']['name']}`",
            )


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def network_policies(platform: Platform) -> Iterator[Finding]:
    """NetworkPolicies exist, and the network of the nodes enforces them."""
    every = listed(platform, "NetworkPolicy")
    own = [obj for obj in every if is_own_namespace(platform, namespace_of(obj))]
    about = "NetworkPolicies"
    if _minor(platform.settings.cluster.version) < _ENFORCED_SINCE:
        yield note(
            about, f"there are {len(every)}; the VPC CNI enforces none before Kubernetes 1.25"
        )
        return
    node = by_name(platform, "DaemonSet").get("kube-system/aws-node")
    if node is None:
        yield note(
            about,
            f"there are {len(every)}, and no DaemonSet kube-system/aws-node: whether another "
            "network enforces them is not known here",
        )
        return
    # aws/amazon-vpc-cni-k8s charts/aws-vpc-cni/templates/daemonset.yaml, aws-eks-nodeagent.
    arguments = [
        str(argument)
        for each in containers_of(node["spec"]["template"]["spec"])
        for argument in each.get("args") or []
    ]
    if "--enable-network-policy=true" in arguments:
        yield good(
            about, f"{len(every)}, of them {len(own)} of the platform; the VPC CNI enforces them"
        )
    else:
        yield problem(
            about,
            f"the VPC CNI does not enforce the {len(every)} that there are (aws-eks-nodeagent runs "
            "without --enable-network-policy=true): run `pulumi up`",
        )


CHECKS: tuple[Check, ...] = (
    Check("gateway", "the gateway's Service and pods", gateway),
    Check("login-services", "Dex, its client and their configuration", login_services),
    Check("mesh", "sidecars and the policies that deny", mesh),
    Check(
        "network-policies",
        "NetworkPolicies and whether the network enforces them",
        network_policies,
    ),
)
