"""Checks of users: their profiles, with namespace, accounts, quota and contributors.

All read objects only. What a profile consists of: kubeflow/dashboard v2.0.0
components/profile-controller/controllers/profile_controller.go and
components/access-management/kfam/bindings.go, and manifests/addons/profile-hook/hook.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml
from kubernetes.utils import parse_quantity

from components.kubeflow.profiles import limits_of
from ops.findings import Finding, good, note, problem
from ops.verification.check import Check
from ops.verification.checks.live_objects import (
    age_minutes,
    by_name,
    listed,
    namespace_of,
)
from ops.verification.checks.traffic import INJECTION
from ops.verification.platform import Platform
from rendering.objects import (
    Object,
    annotations_of,
    labels_of,
    pod_spec,
)
from rendering.pod_references import named_by
from settings.users import User, binding_name

_LABELS = "namespace-labels.yaml"
_IDENTITY = "AwsIamForServiceAccount"
_ROLE_ARN = "eks.amazonaws.com/role-arn"
ACCOUNTS = ("default-editor", "default-viewer")
_QUOTA = "profile-quota"
_NEW_MINUTES = 5


def users(platform: Platform) -> Iterator[Finding]:
    """Every user of the stack file has a profile as it says, and nobody else has one."""
    profiles, wanted = by_name(platform, "Profile"), platform.settings.users
    right = 0
    for user in wanted:
        troubles = list(_user(platform, user, profiles.get(user.namespace)))
        right += not troubles
        yield from troubles
    for name in sorted(profiles.keys() - {user.namespace for user in wanted}):
        owner = owner_of(profiles[name])
        yield note(
            f"Profile {name}",
            f"belongs to {owner}, and kubeflow:users has no such namespace: add it there, or "
            f"`kubectl delete profile {name}`, which deletes all it contains",
        )
    if right or not wanted:
        said = f"{right} of {len(wanted)} have what the stack file says"
        yield good("users", said if wanted else "kubeflow:users is empty: there are none to check")
    elif not wanted and not profiles:
        yield good("users", "kubeflow:users is empty, and there is no profile")


def owner_of(profile: Object) -> str:
    """The user of a Profile."""
    return str((profile["spec"].get("owner") or {}).get("name") or "nobody")


def _user(platform: Platform, user: User, profile: Object | None) -> Iterator[Finding]:
    about = f"{user.email} ({user.namespace})"
    if profile is None:
        yield problem(about, f"has no Profile {user.namespace}: run `pulumi up`")
        return
    if owner_of(profile) != user.email:
        yield problem(
            about,
            f"Profile {user.namespace} belongs to {owner_of(profile)}: a namespace keeps its first "
            "owner, so give this user another one in kubeflow:users",
        )
        return
    # The controller adds one at the end each time, and removes none.
    states = (profile.get("status") or {}).get("conditions") or [{}]
    if states[-1].get("type") == "Failed":
        message = states[-1].get("message") or "without a word"
        yield problem(about, f"its profile failed: {message}")
    namespace = by_name(platform, "Namespace").get(user.namespace)
    if namespace is None:
        young = age_minutes(profile) < _NEW_MINUTES
        sentence = f"Profile {user.namespace} has no namespace"
        way_out = "it is new, look again" if young else f"read {platform.parts.profiles.log}"
        yield (note if young else problem)(about, f"{sentence}: {way_out}")
        return
    yield from (problem(about, sentence) for sentence in _namespace(platform, user, namespace))
    yield from (problem(about, sentence) for sentence in _accounts(platform, user, profile))
    yield from (problem(about, sentence) for sentence in _quota(platform, user))
    yield from _contributors(platform, user)


def _namespace(platform: Platform, user: User, namespace: Object) -> Iterator[str]:
    if (namespace.get("status") or {}).get("phase") == "Terminating":
        yield f"namespace {user.namespace} is being deleted: wait, then run `pulumi up`"
        return
    owner = annotations_of(namespace).get("owner")
    if owner != user.email:
        yield (
            f"namespace {user.namespace} is annotated with the owner {owner}, so that the profile "
            "controller leaves it alone: correct the annotation `owner`"
        )
    labels = labels_of(namespace)
    for key, value in _labels_of_profiles(platform).items():
        if labels.get(key) != value:
            has = f"is {labels[key]}" if key in labels else "is missing"
            yield (
                f"the label {key} of namespace {user.namespace} {has}: `kubectl label namespace "
                f"{user.namespace} {key}={value} --overwrite`"
            )


def _labels_of_profiles(platform: Platform) -> dict[str, str]:
    """What the profile controller writes on every namespace; values that are empty remove one."""
    labels = {INJECTION: "enabled"}
    deployment = platform.parts.profiles.deployments[0]
    controller = by_name(platform, "Deployment").get(deployment) or {}
    # Former ones, each with another hash in its name, stay in the cluster.
    mounted = {
        f"{deployment.partition('/')[0]}/{each.name}"
        for each in named_by(pod_spec(controller) or {})
        if each.kind == "ConfigMap"
    }
    for name, obj in by_name(platform, "ConfigMap").items():
        text = (obj.get("data") or {}).get(_LABELS)
        if text is not None and name in mounted:
            found = yaml.safe_load(str(text))
            labels |= {str(key): str(value) for key, value in (found or {}).items() if value}
    return labels


def _accounts(platform: Platform, user: User, profile: Object) -> Iterator[str]:
    accounts = by_name(platform, "ServiceAccount")
    for name in ACCOUNTS:
        if f"{user.namespace}/{name}" not in accounts:
            yield (
                f"ServiceAccount {user.namespace}/{name} is missing: read "
                f"{platform.parts.profiles.log}"
            )
    plugins: Iterable[Mapping[str, Any]] = profile["spec"].get("plugins") or []
    roles = [str(each["spec"]["awsIamRole"]) for each in plugins if each["kind"] == _IDENTITY]
    if not roles and platform.settings.artifacts.credentials == "irsa":
        yield f"Profile {user.namespace} names no IAM role for S3: run `pulumi up`"
    editor = accounts.get(f"{user.namespace}/default-editor")
    if not roles or editor is None:
        return
    region, account = platform.context.region, platform.context.account_id
    if account and not roles[0].startswith(region.arn("iam", "role/", account=account, region="")):
        yield f"its role {roles[0]} is not of this account and partition: run `pulumi up`"
    annotated = annotations_of(editor).get(_ROLE_ARN)
    if annotated != roles[0]:
        yield (
            f"ServiceAccount {user.namespace}/default-editor has the role {annotated}, and its "
            f"Profile {roles[0]}: `kubectl -n {user.namespace} annotate serviceaccount "
            f"default-editor {_ROLE_ARN}={roles[0]} --overwrite`, then restart its pods"
        )


def _quota(platform: Platform, user: User) -> Iterator[str]:
    quota = by_name(platform, "ResourceQuota").get(f"{user.namespace}/{_QUOTA}")
    live = {} if quota is None else dict(quota["spec"].get("hard") or {})
    wanted = limits_of(user.quota) if user.quota else {}
    for resource in sorted({*live, *wanted}):
        asked, has = wanted.get(resource), live.get(resource)
        if asked is None or has is None or parse_quantity(asked) != parse_quantity(has):
            yield (
                f"its quota of {resource} is {has or 'none'}, and kubeflow:users says "
                f"{asked or 'none'}: run `pulumi up`"
            )


def _contributors(platform: Platform, user: User) -> Iterator[Finding]:
    about = f"{user.email} ({user.namespace})"
    admitted = let_in(platform, user.namespace)
    for email in user.contributors:
        for kind in ("RoleBinding", "AuthorizationPolicy"):
            name = f"{user.namespace}/{binding_name(email)}"
            if name not in by_name(platform, kind):
                yield problem(
                    about, f"its contributor {email} has no {kind} {name}: run `pulumi up`"
                )
    for email, role in sorted(admitted.items()):
        if email not in user.contributors:
            yield note(
                about,
                f"{email} was let in by the dashboard (role {role}): add the address to "
                "`contributors` in kubeflow:users, or remove it in the dashboard",
            )


def let_in(platform: Platform, namespace: str) -> dict[str, str]:
    """Contributors of a namespace by their bindings: e-mail address -> role."""
    found: dict[str, str] = {}
    for obj in listed(platform, "RoleBinding"):
        if namespace_of(obj) == namespace and (email := contributor_of(obj)):
            found[email] = annotations_of(obj)["role"]
    return found


def contributor_of(binding: Object) -> str:
    """Whom a binding of "Manage Contributors" lets in; empty for any other binding."""
    noted = annotations_of(binding)
    email, role = noted.get("user", ""), noted.get("role", "")
    subjects = [(each["kind"], each["name"]) for each in binding.get("subjects") or []]
    right = role in ("edit", "view") and binding["roleRef"]["name"] == f"kubeflow-{role}"
    return email if right and subjects == [("User", email)] else ""


CHECKS: tuple[Check, ...] = (
    Check("users", "profiles, namespaces, roles and quotas of users", users),
)
