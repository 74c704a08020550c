"""Checks of users and of what lies between them: profiles, rights, policies, login.

All read objects only; the API server itself is asked by SubjectAccessReviews, which it does not
store. What a profile consists of: kubeflow/dashboard v2.0.0 components/profile-controller/
controllers/profile_controller.go and components/access-management/kfam/bindings.go, and
manifests/addons/profile-hook/hook.py. Identities: Kubeflow's web applications and Pipelines ask
for the user of the header alone, without groups (kubeflow/pipelines 2.16.0 backend/src/apiserver/
resource/resource_manager.go, IsAuthorized); a service account has the groups that Kubernetes gives
it (kubernetes/kubernetes pkg/serviceaccount/util.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from kubernetes.utils import parse_quantity

from components.kubeflow.profiles import limits_of
from ops.findings import Finding, Level, good, note, problem
from ops.parallel import in_order
from ops.verification.check import Check
from ops.verification.checks.live_objects import (
    age_minutes,
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
from settings.sections import User, binding_name

_LABELS = "namespace-labels.yaml"
_INJECTION = "istio-injection"
_INJECT = "sidecar.istio.io/inject"
_PROXY = "istio-proxy"
_IDENTITY = "AwsIamForServiceAccount"
_ROLE_ARN = "eks.amazonaws.com/role-arn"
_ACCOUNTS = ("default-editor", "default-viewer")
_OWNER_POLICY, _OWNER_BINDING = "ns-owner-access-istio", "namespaceAdmin"
_ARTIFACTS = "ml-pipeline-ui-artifact"
_QUOTA = "profile-quota"
_HEADER = "request.headers[kubeflow-userid]"
_NEW_MINUTES = 5
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
"""Group, resource and verb that a profile keeps from others: its secrets and its work."""
_FEWEST_PAIRS, _MOST_PAIRS = 12, 30
_THREADS = 8
_KEPT_SINCE = (1, 25)
"""EKS user guide, cni-network-policy.html."""


# -- users -----------------------------------------------------------------------------------------


def users(platform: Platform) -> Iterator[Finding]:
    """Every user of the stack file has a profile as it says, and nobody else has one."""
    profiles, wanted = by_name(platform, "Profile"), platform.settings.users
    right = 0
    for user in wanted:
        troubles = list(_user(platform, user, profiles.get(user.namespace)))
        right += not troubles
        yield from troubles
    for name in sorted(profiles.keys() - {user.namespace for user in wanted}):
        owner = _owner(profiles[name])
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


def _owner(profile: Object) -> str:
    return str((profile["spec"].get("owner") or {}).get("name") or "nobody")


def _user(platform: Platform, user: User, profile: Object | None) -> Iterator[Finding]:
    about = f"{user.email} ({user.namespace})"
    if profile is None:
        yield problem(about, f"has no Profile {user.namespace}: run `pulumi up`")
        return
    if _owner(profile) != user.email:
        yield problem(
            about,
            f"Profile {user.namespace} belongs to {_owner(profile)}: a namespace keeps its first "
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
    labels = {_INJECTION: "enabled"}
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
    for name in _ACCOUNTS:
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
    let_in = _let_in(platform, user.namespace)
    for email in user.contributors:
        for kind in ("RoleBinding", "AuthorizationPolicy"):
            name = f"{user.namespace}/{binding_name(email)}"
            if name not in by_name(platform, kind):
                yield problem(
                    about, f"its contributor {email} has no {kind} {name}: run `pulumi up`"
                )
    for email, role in sorted(let_in.items()):
        if email not in user.contributors:
            yield note(
                about,
                f"{email} was let in by the dashboard (role {role}): add the address to "
                "`contributors` in kubeflow:users, or remove it in the dashboard",
            )


def _let_in(platform: Platform, namespace: str) -> dict[str, str]:
    """Contributors of a namespace by their bindings: e-mail address -> role."""
    found: dict[str, str] = {}
    for obj in listed(platform, "RoleBinding"):
        if namespace_of(obj) == namespace and (email := _contributor(obj)):
            found[email] = annotations_of(obj)["role"]
    return found


def _contributor(binding: Object) -> str:
    """Whom a binding of "Manage Contributors" lets in; empty for any other binding."""
    noted = annotations_of(binding)
    email, role = noted.get("user", ""), noted.get("role", "")
    subjects = [(each["kind"], each["name"]) for each in binding.get("subjects") or []]
    right = role in ("edit", "view") and binding["roleRef"]["name"] == f"kubeflow-{role}"
    return email if right and subjects == [("User", email)] else ""


# -- isolation -------------------------------------------------------------------------------------


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
        Tenant(name, _owner(obj), frozenset(_let_in(platform, name)))
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
    pairs = _pairs(tenants)
    if not pairs:
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
        each for pair in pairs for each in _questions(*pair) if each.who not in administrators
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
            f"{len(pairs)} pairs of them, and no binding names a stranger",
        )


def _bindings(platform: Platform, tenant: Tenant) -> Iterator[tuple[str, Finding]]:
    """RoleBindings of a profile that let somebody else in."""
    for obj in listed(platform, "RoleBinding"):
        if namespace_of(obj) != tenant.namespace or _contributor(obj):
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


def _pairs(tenants: Sequence[Tenant]) -> list[tuple[Tenant, Tenant]]:
    """Pairs of profiles, each first with its next: all of a few, one per profile of many."""
    count = len(tenants)
    pairs = [
        (tenants[at], tenants[(at + step) % count])
        for step in range(1, count)
        for at in range(count)
    ]
    return pairs[: min(max(_FEWEST_PAIRS, count), _MOST_PAIRS)]


def _questions(of: Tenant, about: Tenant) -> Iterator[Question]:
    identities: list[tuple[str, tuple[str, ...]]] = [
        (
            _account(of.namespace, name),
            ("system:authenticated", "system:serviceaccounts", f"{_OF_ACCOUNTS}{of.namespace}"),
        )
        for name in _ACCOUNTS
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


def profile_policies(platform: Platform) -> Iterator[Finding]:
    """In each profile stand the policies that let its owner in, and no others who do not belong."""
    policies = by_name(platform, "AuthorizationPolicy")
    networks = platform.release.pipelines
    network_policies = networks is not None and not networks.version.startswith("1.")
    right = 0
    for name, profile in sorted(by_name(platform, "Profile").items()):
        troubles = list(_owner_policy(platform, name, _owner(profile), policies))
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
        troubles += _admitting(platform, name, _owner(profile))
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
    belong = {owner, *_let_in(platform, namespace)}
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


# -- login and mesh --------------------------------------------------------------------------------


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
        if labels_of(obj).get(_INJECTION) == "enabled"
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
    """NetworkPolicies are there, and the network of the nodes keeps them."""
    every = listed(platform, "NetworkPolicy")
    own = [obj for obj in every if is_own_namespace(platform, namespace_of(obj))]
    about = "NetworkPolicies"
    if _minor(platform.settings.cluster.version) < _KEPT_SINCE:
        yield note(about, f"there are {len(every)}; the VPC CNI keeps none before Kubernetes 1.25")
        return
    node = by_name(platform, "DaemonSet").get("kube-system/aws-node")
    if node is None:
        yield note(
            about,
            f"there are {len(every)}, and no DaemonSet kube-system/aws-node: whether another "
            "network keeps them is not known here",
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
            about, f"{len(every)}, of them {len(own)} of the platform; the VPC CNI keeps them"
        )
    else:
        yield problem(
            about,
            f"the VPC CNI does not keep the {len(every)} that there are (aws-eks-nodeagent runs "
            "without --enable-network-policy=true): run `pulumi up`",
        )


CHECKS: tuple[Check, ...] = (
    Check("users", "profiles, namespaces, roles and quotas of users", users),
    Check("isolation", "rights of one profile in another", isolation),
    Check("profile-policies", "policies in the namespaces of users", profile_policies),
    Check("gateway", "the gateway's Service and pods", gateway),
    Check("login-services", "Dex, its client and their configuration", login_services),
    Check("mesh", "sidecars and the policies that deny", mesh),
    Check(
        "network-policies", "NetworkPolicies and whether the network keeps them", network_policies
    ),
)
