"""The check of the policies in the namespaces of profiles.

What the profile controller makes: kubeflow/dashboard v2.0.0 components/profile-controller/
controllers/profile_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ops.findings import Finding, good, note, problem
from ops.verification.check import Check
from ops.verification.checks.live_objects import (
    by_name,
    listed,
    name_of,
    namespace_of,
)
from ops.verification.checks.users import let_in, owner_of
from ops.verification.platform import Platform
from rendering.objects import (
    Object,
)
from settings.errors import listed as in_words

_OWNER_POLICY = "ns-owner-access-istio"
_ARTIFACTS = "ml-pipeline-ui-artifact"
_HEADER = "request.headers[kubeflow-userid]"


def profile_policies(platform: Platform) -> Iterator[Finding]:
    """In each profile stand the policies that let its owner in, and no others who do not belong."""
    policies = by_name(platform, "AuthorizationPolicy")
    networks = platform.release.pipelines
    network_policies = networks is not None and not networks.version.startswith("1.")
    right = 0
    for name, profile in sorted(by_name(platform, "Profile").items()):
        troubles = list(_owner_policy(platform, name, owner_of(profile), policies))
        artifacts = f"{name}/{_ARTIFACTS}"
        if artifacts in by_name(platform, "Deployment"):
            wanted = ["AuthorizationPolicy", *(["NetworkPolicy"] if network_policies else [])]
            troubles += [
                problem(
                    f"{kind} {artifacts}",
                    "is missing, so that others than Pipelines' UI reach the artifacts of this "
                    f"profile: look at {platform.parts.metacontroller.log}",
                )
                for kind in wanted
                if artifacts not in by_name(platform, kind)
            ]
        troubles += _admitting(platform, name, owner_of(profile))
        right += not troubles
        yield from troubles
    yield good("policies", f"{right} profiles let in their owner and contributors alone")


def _owner_policy(
    platform: Platform, namespace: str, owner: str, policies: Mapping[str, Object]
) -> Iterator[Finding]:
    about = f"AuthorizationPolicy {namespace}/{_OWNER_POLICY}"
    policy = policies.get(f"{namespace}/{_OWNER_POLICY}")
    controller = f"read {platform.parts.profiles.log}"
    if policy is None:
        yield problem(
            about,
            f"is missing, so that {owner} reaches nothing in {namespace}: {controller}",
        )
    elif owner not in _header_values(policy):
        yield problem(about, f"does not let in its owner {owner}: {controller}")


def _header_values(policy: Object) -> list[str]:
    """The users that a policy admits by their header."""
    return [
        str(value)
        for rule in (policy.get("spec") or {}).get("rules") or []
        for when in rule.get("when") or []
        if when.get("key") == _HEADER
        for value in when.get("values") or []
    ]


def _admitting(platform: Platform, namespace: str, owner: str) -> Iterator[Finding]:
    belong = {owner, *let_in(platform, namespace)}
    for user in platform.settings.users:
        if user.namespace == namespace:
            belong |= set(user.contributors)
    for obj in listed(platform, "AuthorizationPolicy"):
        spec = obj.get("spec") or {}
        if namespace_of(obj) != namespace or spec.get("action", "ALLOW") != "ALLOW":
            continue
        about, delete = (
            f"AuthorizationPolicy {name_of(obj)}",
            (f"`kubectl -n {namespace} delete authorizationpolicy {obj['metadata']['name']}`"),
        )
        strangers = sorted(set(_header_values(obj)) - belong)
        if strangers:
            yield problem(
                about,
                f"lets {in_words(strangers, 'and')} in, who is neither owner nor contributor: "
                f"{delete}, or let that user in by `contributors` in kubeflow:users",
            )
        if any(_admits_all(rule) for rule in spec.get("rules") or []):
            what = "one of its services" if spec.get("selector") else "everything"
            yield note(
                about,
                f"lets everybody in the mesh reach {what} in {namespace}: narrow its "
                f"rules, or {delete}",
            )


def _admits_all(rule: Mapping[str, Any]) -> bool:
    """Whether a rule asks for nothing, or for any identity at all.

    istio/api 1.28 security/v1beta1/authorization_policy.proto: ``*`` matches whatever is not empty,
    and a source is met where one of its entries is.
    """
    if rule.get("to") or rule.get("when"):
        return False
    sources: list[Mapping[str, Any]] = [each.get("source") or {} for each in rule.get("from") or []]
    return not sources or any(
        all(key in ("principals", "namespaces") and "*" in source[key] for key in source)
        for source in sources
    )


CHECKS: tuple[Check, ...] = (
    Check("profile-policies", "policies in the namespaces of users", profile_policies),
)
