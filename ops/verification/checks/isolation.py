"""The check that no profile has rights in another: bindings, and the API server's own answers.

The API server is asked by SubjectAccessReviews, which it does not store. Identities: Kubeflow's web
applications and Pipelines ask for the user of the header alone, without groups (kubeflow/pipelines
2.16.0 backend/src/apiserver/resource/resource_manager.go, IsAuthorized); a service account has the
groups that Kubernetes gives it (kubernetes/kubernetes pkg/serviceaccount/util.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.findings import Finding, Level, good, note, problem
from ops.parallel import in_order
from ops.verification.check import Check
from ops.verification.checks.live_objects import (
    by_name,
    is_own_namespace,
    listed,
    name_of,
    namespace_of,
    profile_namespaces,
)
from ops.verification.checks.users import ACCOUNTS, contributor_of, let_in, owner_of
from ops.verification.platform import Platform
from rendering.objects import (
    Object,
)
from settings.errors import listed as in_words

_ADMINISTRATOR = "cluster-admin"
_EVERYBODY = ("system:authenticated", "system:unauthenticated", "system:serviceaccounts")
_OF_ACCOUNTS = "system:serviceaccounts:"
_GUARDED: tuple[tuple[str, str, str], ...] = (
    ("", "secrets", "get"),
    ("", "secrets", "list"),
    ("", "pods", "list"),
    ("", "pods", "create"),
    ("", "pods/exec", "create"),
    ("kubeflow.org", "notebooks", "list"),
    ("argoproj.io", "workflows", "list"),
    ("pipelines.kubeflow.org", "experiments", "list"),
    ("kubeflow.org", "experiments", "list"),
    ("serving.kserve.io", "inferenceservices", "list"),
)
"""Group, resource and verb of the secrets and the work in a profile, which are its members' own."""
_FEWEST_PAIRS, _MOST_PAIRS = 12, 30
_THREADS = 8


@dataclass(frozen=True)
class Tenant:
    """A profile as others see it.

    Attributes:
        namespace: of the profile.
        owner: its user.
        contributors: users who may work there.
    """

    namespace: str
    owner: str
    contributors: frozenset[str]


def isolation(platform: Platform) -> Iterator[Finding]:
    """No user and no service account of one profile has rights in another."""
    tenants = [
        Tenant(name, owner_of(obj), frozenset(let_in(platform, name)))
        for name, obj in sorted(by_name(platform, "Profile").items())
    ]
    known = dict[tuple[str, str], Finding]()
    for tenant in tenants:
        for who, finding in _bindings(platform, tenant):
            known[who, tenant.namespace] = finding
    yield from known.values()
    told = list(_beyond(platform, tenants))
    yield from told
    beyond = [each for each in told if each.level is Level.PROBLEM]
    asked = pairs(tenants)
    if not asked:
        yield good(
            "isolation",
            f"{len(tenants)} profile, so that there is no second one to keep apart; its bindings "
            "name nobody else"
            if not known and not beyond
            else f"{len(tenants)} profile, so that no second one can be asked about",
        )
        return
    administrators = _administrators(platform)
    questions = [
        each for pair in asked for each in _questions(*pair) if each.who not in administrators
    ]
    answers = in_order(questions, lambda each: _allowed(platform, each), _THREADS, "")
    allowed = dict[tuple[str, str, str], list[str]]()
    for question, reason in zip(questions, answers, strict=True):
        if reason is not None and (question.who, question.namespace) not in known:
            what = f"{question.verb} {question.resource}"
            allowed.setdefault((question.who, question.namespace, reason), []).append(what)
    for (who, namespace, reason), what in sorted(allowed.items()):
        yield problem(
            f"{who} in {namespace}",
            f"the API server lets {who} {in_words(sorted(set(what)), 'and')} in {namespace}"
            f"{f' ({reason})' if reason else ''}: delete what it names",
        )
    if not allowed and not known and not beyond:
        yield good(
            "isolation",
            f"{len(tenants)} profiles: the API server refused all {len(questions)} questions about "
            f"{len(asked)} pairs of them, and no binding names a stranger",
        )


def _bindings(platform: Platform, tenant: Tenant) -> Iterator[tuple[str, Finding]]:
    """RoleBindings of a profile that let somebody else in."""
    for obj in listed(platform, "RoleBinding"):
        if namespace_of(obj) != tenant.namespace or contributor_of(obj):
            continue
        for subject in obj.get("subjects") or []:
            who, serious = _stranger(platform, tenant, subject)
            if who:
                role = f"{obj['roleRef']['kind']} {obj['roleRef']['name']}"
                sentence = (
                    f"lets {who} into the profile of {tenant.owner} as {role}: `kubectl -n "
                    f"{tenant.namespace} delete rolebinding {obj['metadata']['name']}`"
                )
                about = f"RoleBinding {name_of(obj)}"
                yield who, (problem if serious else note)(about, sentence)


def _stranger(platform: Platform, tenant: Tenant, subject: Mapping[str, Any]) -> tuple[str, bool]:
    """The name of a subject that does not belong to a profile, and whether that is certain."""
    kind, name = str(subject["kind"]), str(subject["name"])
    if kind == "ServiceAccount":
        namespace = str(subject.get("namespace") or tenant.namespace)
        if namespace == tenant.namespace or is_own_namespace(platform, namespace):
            return "", False
        return _account(namespace, name), namespace in profile_namespaces(platform)
    if kind == "Group":
        of = name.removeprefix(_OF_ACCOUNTS) if name.startswith(_OF_ACCOUNTS) else ""
        if of == tenant.namespace:
            return "", False
        return name, name in _EVERYBODY or of in profile_namespaces(platform)
    return ("", False) if name == tenant.owner else (name, True)


def _account(namespace: str, name: str) -> str:
    return f"system:serviceaccount:{namespace}:{name}"


def _beyond(platform: Platform, tenants: Sequence[Tenant]) -> Iterator[Finding]:
    """Bindings that give users, or everybody, rights in every namespace or in the platform's."""
    people = {tenant.owner for tenant in tenants}.union(*(one.contributors for one in tenants))
    namespaces = {tenant.namespace for tenant in tenants}
    administrators = _administrators(platform)
    own = [
        obj
        for obj in listed(platform, "RoleBinding")
        if is_own_namespace(platform, namespace_of(obj))
    ]
    for obj in (*listed(platform, "ClusterRoleBinding"), *own):
        reference, namespace = obj["roleRef"], namespace_of(obj)
        name = str(reference["name"])
        role = by_name(platform, reference["kind"]).get(
            name if reference["kind"] == "ClusterRole" else f"{namespace}/{name}"
        )
        reached = _reached(role) if role else []
        for subject in obj.get("subjects") or []:
            who = _tenant_of(subject, people, namespaces)
            if who in administrators and name == _ADMINISTRATOR and not namespace:
                yield note(
                    f"ClusterRoleBinding {name_of(obj)}",
                    f"makes {who} an administrator of the cluster, from whom no profile is kept "
                    "apart: remove the user from its subjects where that is not meant",
                )
            elif who and reached:
                option = f"-n {namespace} " if namespace else ""
                kind = str(obj["kind"])
                yield problem(
                    f"{kind} {name_of(obj)}",
                    f"lets {who} {in_words(reached, 'and')} in {namespace or 'every namespace'}, "
                    f"as {reference['kind']} {name}: `kubectl {option}delete {kind.lower()} "
                    f"{obj['metadata']['name']}`",
                )


def _administrators(platform: Platform) -> set[str]:
    """Users whom somebody made administrators of the whole cluster, by their name."""
    return {
        str(subject["name"])
        for obj in listed(platform, "ClusterRoleBinding")
        if obj["roleRef"]["name"] == _ADMINISTRATOR
        for subject in obj.get("subjects") or []
        if subject["kind"] == "User"
    }


def _tenant_of(subject: Mapping[str, Any], people: set[str], namespaces: set[str]) -> str:
    """Which user, account or group of profiles a subject is; empty: none of them."""
    kind, name = str(subject["kind"]), str(subject["name"])
    if kind == "Group":
        everybody = name in _EVERYBODY or name.removeprefix(_OF_ACCOUNTS) in namespaces
        return name if everybody else ""
    if kind == "User":
        return name if name in people else ""
    namespace = str(subject.get("namespace"))
    return _account(namespace, name) if namespace in namespaces else ""


def _reached(role: Object) -> list[str]:
    """What of ``_GUARDED`` a role allows, of any namespace."""
    return sorted(
        {
            f"{verb} {resource}"
            for group, resource, verb in _GUARDED
            for rule in role.get("rules") or []
            if not rule.get("resourceNames")
            and {group, "*"} & set(rule.get("apiGroups") or [])
            and {resource, "*"} & set(rule.get("resources") or [])
            and {verb, "*"} & set(rule.get("verbs") or [])
        }
    )


@dataclass(frozen=True)
class Question:
    """One SubjectAccessReview: may somebody do that in a namespace of others?"""

    who: str
    groups: tuple[str, ...]
    namespace: str
    group: str
    resource: str
    verb: str


def pairs(tenants: Sequence[Tenant]) -> list[tuple[Tenant, Tenant]]:
    """Pairs of profiles, each first with its next: all of a few, one per profile of many."""
    count = len(tenants)
    found = [
        (tenants[at], tenants[(at + step) % count])
        for step in range(1, count)
        for at in range(count)
    ]
    return found[: min(max(_FEWEST_PAIRS, count), _MOST_PAIRS)]


def _questions(of: Tenant, about: Tenant) -> Iterator[Question]:
    identities: list[tuple[str, tuple[str, ...]]] = [
        (
            _account(of.namespace, name),
            ("system:authenticated", "system:serviceaccounts", f"{_OF_ACCOUNTS}{of.namespace}"),
        )
        for name in ACCOUNTS
    ]
    if of.owner != about.owner and of.owner not in about.contributors:
        identities.append((of.owner, ()))
    for who, groups in identities:
        for group, resource, verb in _GUARDED:
            yield Question(who, groups, about.namespace, group, resource, verb)


def _allowed(platform: Platform, question: Question) -> str | None:
    """Why the API server allows it; None: it does not."""
    resource, _, part = question.resource.partition("/")
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": question.who,
            "groups": list(question.groups),
            "resourceAttributes": {
                "namespace": question.namespace,
                "group": question.group,
                "resource": resource,
                **({"subresource": part} if part else {}),
                "verb": question.verb,
            },
        },
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    status = platform.cluster.answer("POST", path, {}, review)["status"]
    return str(status.get("reason") or "") if status.get("allowed") else None


CHECKS: tuple[Check, ...] = (Check("isolation", "rights of one profile in another", isolation),)
