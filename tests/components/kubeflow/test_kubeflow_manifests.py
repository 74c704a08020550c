"""A release as Pulumi resources: its own order, generated credentials, a login and Profile each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
import pytest
import yaml

from components.aws.roles import OidcProvider
from components.kubeflow.kubeflow_manifests import KubeflowManifests, KubeflowManifestsArgs, profile
from rehearsal.clouds import ACCOUNT
from rendering import ObjectKey, Rendered
from rendering.await_annotations import PATCH_FORCE
from rendering.parts import Part, Parts
from settings import from_mapping
from settings.context import StackContext
from settings.users import User
from tests.harness import MASKED, Recorded, Registered, run

CRDS = "pulumi-python:dynamic:CustomResourceDefinitions"
DRAWN = "pulumi-python:dynamic:GeneratedSecret"
HASH = "pulumi-python:dynamic:BcryptHash"
PROFILE = "kubernetes:kubeflow.org/v1:Profile"
NODES = ("aws:eks/nodeGroup:NodeGroup", "nodes")
USERS = [
    {"email": "ann@example.org", "namespace": "team-a"},
    {"email": "bo@example.org", "namespace": "team-b"},
]
PARTS = Parts(
    gateway=Part(account="app/gateway"),
    pipelines_ui=Part(account="app/ui"),
    profiles=Part(deployments=("app/profiles-deployment",)),
)
ROLES = {"team-a": "arn:aws-cn:iam::111122223333:role/a", "team-b": "arn:of:role/b"}

# Just enough of a release: each object stands for a rule. Markers as in manifests/26.03.
RELEASE = """
{apiVersion: v1, kind: Namespace, metadata: {name: app}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: controller, namespace: app}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: controller}
subjects: [{kind: ServiceAccount, name: controller, namespace: app}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: somebody-else}
subjects: [{kind: User, name: controller}, {kind: ServiceAccount, name: other, namespace: app}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: config, namespace: app}
data: {host: <<database.host>>, region: <<region.name>>, staticPasswords: <<dex.static-passwords>>}
---
apiVersion: v1
kind: Secret
metadata: {name: oauth, namespace: app}
stringData: {client: <<dex.client-secret>>, cookie: <<oauth2-proxy.cookie-secret>>}
---
{apiVersion: v1, kind: Secret, metadata: {name: dex-passwords, namespace: app}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: profiles-deployment, namespace: app}
spec: {template: {spec: {serviceAccountName: controller}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: dex, namespace: app}
spec:
  template:
    spec:
      containers: [{name: dex, envFrom: [{secretRef: {name: dex-passwords}}]}]
      volumes: [{name: config, configMap: {name: config}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: proxy, namespace: app}
spec: {template: {spec: {containers: [{name: proxy, envFrom: [{secretRef: {name: oauth}}]}]}}}
---
{apiVersion: tiny.example/v1, kind: Widget, metadata: {name: first, namespace: app}}
"""
OBJECTS = tuple[dict[str, Any], ...](yaml.safe_load_all(RELEASE))
NAMESPACE, SERVICE_ACCOUNT, RIGHTS, OTHER_RIGHTS, CONFIG, OAUTH, PASSWORDS, *WORKLOADS, WIDGET = (
    OBJECTS
)
CONTROLLER, DEX, PROXY = WORKLOADS
PREREQUISITES: list[tuple[dict[str, Any], tuple[dict[str, Any], ...]]] = [
    *((obj, (NAMESPACE,)) for obj in (SERVICE_ACCOUNT, CONFIG, OAUTH, PASSWORDS, WIDGET)),
    (CONTROLLER, (SERVICE_ACCOUNT, CONFIG)),
]
WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.tiny.example"},
}


# Named by late values, in its name and in the text of whoever needs it.
NUMBERED: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {"name": "login-<<database.rotation>>", "namespace": "app"},
}
NUMBERS_USER: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "user", "namespace": "app"},
    "data": {"login": "login-<<database.rotation>>"},
}


def release() -> Rendered:
    key = ObjectKey.of
    return Rendered(
        objects=OBJECTS,
        crds=(WIDGETS,),
        prerequisites={key(obj): tuple(map(key, before)) for obj, before in PREREQUISITES},
        images=(),
        digest="tiny",
    )


def numbered() -> Rendered:
    before = {ObjectKey.of(NUMBERS_USER): (ObjectKey.of(NUMBERED),)}
    return replace(release(), objects=(NUMBERED, NUMBERS_USER), prerequisites=before)


def program(
    rendered: Rendered, files: dict[str, dict[str, str]] | None = None, **sections: Any
) -> dict[str, Any]:
    settings = from_mapping({"region": "cn-north-1", "users": USERS, **sections})
    account = aws.Provider("aws", region="cn-north-1")
    cluster = kubernetes.Provider("kubernetes", kubeconfig="{}")
    nodes = pulumi.CustomResource(NODES[0], NODES[1], {}, pulumi.ResourceOptions(provider=account))
    made = KubeflowManifests(
        "kubeflow",
        KubeflowManifestsArgs(
            context=StackContext.of(settings, ACCOUNT, {"platform": "kubeflow"}),
            users=settings.users,
            login=settings.login,
            deletable_namespaces=settings.deletable_namespaces,
            release=settings.release,
            rendered=rendered,
            parts=PARTS,
            values={
                "database.rotation": "2",
                "database.host": pulumi.Output.from_input("db.example"),
                "region.name": "cn-north-1",
            },
            files=files or {},
            profile_roles=ROLES,
            kubeconfig='{"users": []}',
            cluster_arn="arn:of:cluster",
            oidc=OidcProvider(arn="arn:of:oidc", issuer="https://oidc.example/id/1"),
            ready=[nodes],
        ),
        pulumi.ResourceOptions(providers=[account, cluster]),
    )
    return {"login": made.login_secret_arn}


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBEFLOW_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def made(own_cache: None) -> Recorded:
    return run(lambda: program(release()))


def test_files_of_the_stack_are_in_their_config_map_as_they_are(own_cache: None) -> None:
    text = "<<no.marker>> {{ no template }}"
    added = {"app/user": {"models.yaml": text}, "app/login": {"b": "c"}}
    recorded = run(lambda: program(numbered(), files=added))
    (user,) = [each for each in recorded.all if each.inputs.get("kind") == "ConfigMap"]
    assert user.inputs["data"] == {"login": "login-2", "models.yaml": text}


def found(recorded: Recorded, obj: dict[str, Any]) -> Registered:
    """The resource of an object of the release."""
    return next(
        each
        for each in recorded.all
        if each.inputs.get("kind") == obj["kind"]
        and obj["metadata"].items() <= each.inputs["metadata"].items()
    )


def identities(recorded: Recorded, *objects: dict[str, Any]) -> set[tuple[str, str]]:
    return {(each.type, each.name) for each in (found(recorded, obj) for obj in objects)}


def before(recorded: Recorded, obj: dict[str, Any]) -> set[tuple[str, str]]:
    """What must exist before the object, but for the credentials in its text."""
    dependencies = recorded.dependencies_of(found(recorded, obj))
    return {each for each in dependencies if each[0] not in (DRAWN, HASH)}


def drawn(recorded: Recorded) -> list[str]:
    """Every secret and hash of this run."""
    return [each.outputs["value"] for each in (*recorded.of(DRAWN), *recorded.of(HASH))]


# -- objects and their order ----------------------------------------------------------------------


def test_every_object_of_the_release_is_one_resource(made: Recorded) -> None:
    objects = [r for r in made.all if r.package == "kubernetes" and r.type != PROFILE]
    assert len(objects) == len(OBJECTS)
    assert {(r.type, r.name) for r in objects} == identities(made, *OBJECTS)


def test_every_object_is_the_components_and_its_clusters(made: Recorded) -> None:
    objects = [r for r in made.all if r.package == "kubernetes"]
    assert {r.parent_type for r in objects} == {"kubeflow:platform:KubeflowManifests"}
    assert {r.provider_name for r in objects} == {"kubernetes"}


@pytest.mark.parametrize(("obj", "needed"), PREREQUISITES[:4] + PREREQUISITES[5:])
def test_an_object_waits_for_its_prerequisites_and_nothing_else(
    made: Recorded, obj: dict[str, Any], needed: tuple[dict[str, Any], ...]
) -> None:
    assert before(made, obj) == identities(made, *needed)


def test_an_object_without_prerequisites_waits_for_nothing(made: Recorded) -> None:
    assert before(made, OTHER_RIGHTS) == set()


def test_a_custom_resource_waits_for_the_crds(made: Recorded) -> None:
    assert before(made, WIDGET) == {(CRDS, "kubeflow-crds"), *identities(made, NAMESPACE)}


def test_an_object_with_a_new_field_has_an_annotation_that_the_crds_give() -> None:
    runtime: dict[str, Any] = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "ClusterTrainingRuntime",
        "metadata": {"name": "jax-distributed", "annotations": {"a": "b"}},
    }
    other = {**runtime, "metadata": {"name": "torch-distributed"}}
    given = replace(release(), objects=(*OBJECTS, runtime, other))
    recorded = run(lambda: program(given, release="26.03.1"))
    made = recorded.of("kubernetes:trainer.kubeflow.org/v1alpha1:ClusterTrainingRuntime")
    crds = {(CRDS, "kubeflow-crds")}
    assert [recorded.dependencies_of(each) for each in made] == [crds, crds]
    annotations = [each.inputs["metadata"]["annotations"] for each in made]
    assert annotations == [{"a": "b", PATCH_FORCE: "true"}, {PATCH_FORCE: "true"}]


def test_namespaces_wait_for_what_runs_pods_which_so_outlives_them(made: Recorded) -> None:
    assert before(made, NAMESPACE) == {NODES}


def test_the_crds_wait_for_what_runs_pods(made: Recorded) -> None:
    crds = made.only(CRDS)
    assert made.dependencies_of(crds) == {NODES}
    assert set(crds.inputs["digests"]) == {"widgets.tiny.example"}
    assert crds.inputs["cluster"] == "arn:of:cluster"
    assert crds.visible["kubeconfig"] == MASKED


def test_late_values_are_bound(made: Recorded) -> None:
    data = found(made, CONFIG).inputs["data"]
    assert (data["host"], data["region"]) == ("db.example", "cn-north-1")
    assert "<<" not in json.dumps([r.inputs for r in made.all])


def test_a_late_value_in_a_name_names_the_resource_too() -> None:
    # Another value is then another resource: made first, and the old one goes last.
    recorded = run(lambda: program(numbered()))
    account = recorded.only("kubernetes:core/v1:ServiceAccount", "app/login-2")
    user = recorded.only("kubernetes:core/v1:ConfigMap", "app/user")
    assert account.inputs["metadata"]["name"] == user.inputs["data"]["login"] == "login-2"
    assert recorded.dependencies_of(user) == {(account.type, account.name)}


# -- credentials ----------------------------------------------------------------------------------


def test_every_stack_draws_its_own_client_and_cookie_secret(made: Recorded) -> None:
    lengths = {r.name: r.inputs["length"] for r in made.of(DRAWN)}
    assert lengths["kubeflow-dex-client"] == 40
    assert lengths["kubeflow-oauth2-cookie"] in (16, 24, 32)  # an AES key
    data = found(made, OAUTH).inputs["data"]
    assert data["client"] != data["cookie"]
    assert found(made, OAUTH).visible["data"] == {"client": MASKED, "cookie": MASKED}


def test_no_generated_credential_can_be_read_in_any_input(made: Recorded) -> None:
    everything = json.dumps([r.visible for r in made.all])
    values = drawn(made)
    assert len(set(values)) == len(values) == 6
    assert [value for value in values if value in everything] == []


def test_one_secret_holds_one_login_per_user(made: Recorded) -> None:
    version = made.only("aws:secretsmanager/secretVersion:SecretVersion")
    logins = json.loads(version.inputs["secretString"])
    assert set(logins) == {"ann@example.org", "bo@example.org"}
    # In the order of the users, the very passwords Dex gets the hashes of.
    assert list(logins.values()) == [each.inputs["password"] for each in made.of(HASH)]
    assert set(logins.values()) < set(drawn(made))
    assert len(set(logins.values())) == 2
    assert version.visible["secretString"] == MASKED
    assert made.exports["login"] == version.inputs["secretId"]


def test_the_login_secret_can_be_brought_back_and_is_tagged(made: Recorded) -> None:
    secret = made.only("aws:secretsmanager/secret:Secret")
    assert secret.inputs["recoveryWindowInDays"] >= 7
    assert secret.inputs["tags"] == {"platform": "kubeflow"}
    assert secret.provider_name == "aws"


def test_dex_has_a_hash_per_user(made: Recorded) -> None:
    users = json.loads(found(made, CONFIG).inputs["data"]["staticPasswords"])
    assert [user["email"] for user in users] == ["ann@example.org", "bo@example.org"]
    hashes = found(made, PASSWORDS)
    assert set(hashes.inputs["data"]) == {user["hashFromEnv"] for user in users}
    assert set(hashes.visible["data"].values()) == {MASKED}


def test_dex_gets_hashes_and_never_a_password(made: Recorded) -> None:
    of_passwords = made.dependencies_of(found(made, PASSWORDS))
    assert {kind for kind, _ in of_passwords if kind in (DRAWN, HASH)} == {HASH}


@pytest.mark.parametrize(
    ("sections", "rolled"),
    [
        ({"users": [{**USERS[0], "rotation": 2}, USERS[1]]}, [DEX]),
        ({"login": {"clientRotation": 2}}, [PROXY]),
        ({"login": {"cookieRotation": 2}}, [PROXY]),
        (
            {"users": [{**user, "rotation": 1} for user in USERS], "login": {"clientRotation": 1}},
            [],
        ),
    ],
)
def test_what_reads_a_secret_starts_anew_when_it_is_drawn_anew(
    made: Recorded, sections: dict[str, Any], rolled: list[dict[str, Any]]
) -> None:
    again = run(lambda: program(release(), **sections))
    changed = [obj for obj in WORKLOADS if found(made, obj).inputs != found(again, obj).inputs]
    assert changed == rolled
    drawn = [one.name for one in again.of(DRAWN) if "generation" in one.inputs]
    assert len(drawn) == len(rolled)


def test_a_secret_that_was_never_rotated_has_the_inputs_of_older_states(made: Recorded) -> None:
    inputs = [set(one.inputs) for one in made.of(DRAWN)]
    assert [each & {"alphabet", "generation", "length"} for each in inputs] == [
        {"alphabet", "length"}
    ] * len(inputs)


def test_a_preview_shows_who_starts_anew(made: Recorded) -> None:
    for obj in (DEX, PROXY):
        seen = found(made, obj).visible["spec"]["template"]
        assert re.fullmatch("[0-9a-f]{64}", seen["metadata"]["annotations"]["checksum/config"])


# -- profiles -------------------------------------------------------------------------------------


def test_every_user_gets_a_profile_with_a_role_of_its_own(made: Recorded) -> None:
    told = {
        each.name: (each.inputs["spec"]["owner"]["name"], _plugin(each.inputs)["awsIamRole"])
        for each in made.of(PROFILE)
    }
    assert told == {
        "team-a": ("ann@example.org", ROLES["team-a"]),
        "team-b": ("bo@example.org", ROLES["team-b"]),
    }


def test_a_profile_waits_for_its_kind_its_controller_and_the_controllers_rights(
    made: Recorded,
) -> None:
    needed = {(CRDS, "kubeflow-crds"), *identities(made, CONTROLLER, RIGHTS)}
    for each in made.of(PROFILE):
        login = f"kubeflow-login-{each.inputs['spec']['owner']['name']}"
        # A deletion that the engine refuses leaves what the namespace depends on: the login too.
        assert made.dependencies_of(each) == {*needed, (HASH, login)}


@pytest.mark.parametrize(
    ("sections", "protected"),
    [
        ({}, {"team-a", "team-b"}),
        ({"deletableNamespaces": ["team-b", "of-nobody"]}, {"team-a"}),
        ({"database": {"deletionProtection": False}}, set[str]()),
    ],
)
def test_the_engine_deletes_no_namespace_that_is_not_listed(
    sections: dict[str, Any], protected: set[str]
) -> None:
    again = run(lambda: program(release(), **sections))
    assert {each.name for each in again.of(PROFILE) if each.protect} == protected


def test_another_owner_is_another_namespace_under_the_same_name(made: Recorded) -> None:
    for each in made.of(PROFILE):
        assert list(each.request.replaceOnChanges) == ["spec.owner"]
        assert each.request.deleteBeforeReplace


def test_contributors_are_bound_in_the_namespace_once_it_is_there() -> None:
    users = [{**USERS[0], "contributors": [USERS[1]["email"]]}, USERS[1]]
    again = run(lambda: program(release(), users=users))
    kinds = (
        "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
        "kubernetes:security.istio.io/v1beta1:AuthorizationPolicy",
    )
    for kind in kinds:
        bound = again.only(kind, "team-a/user-bo-example-org-clusterrole-edit")
        assert (PROFILE, "team-a") in again.dependencies_of(bound)
        assert not bound.protect


def test_a_quota_is_in_the_namespace_of_its_user_and_goes_with_its_owner() -> None:
    users = [{**USERS[0], "quota": {"cpus": 8, "gpus": 1}}, USERS[1]]
    again = run(lambda: program(release(), users=users))
    (namespace,) = [each for each in again.of(PROFILE) if each.name == "team-a"]
    for kind in ("ResourceQuota", "LimitRange"):
        (limits,) = again.of(f"kubernetes:core/v1:{kind}")
        assert limits.name == "team-a/profile-quota"
        assert (PROFILE, "team-a") in again.dependencies_of(limits)
        assert [*limits.request.replace_with] == [namespace.urn]
        assert not limits.protect


def test_the_controller_annotates_and_leaves_the_role_to_the_stack() -> None:
    user = User(email="ann@example.org", namespace="team-a")
    plugin = _plugin(profile(user, "arn:of:role"))
    assert plugin == {"awsIamRole": "arn:of:role", "annotateOnly": True}


def test_a_profile_whose_editor_has_no_role_names_none() -> None:
    user = User(email="ann@example.org", namespace="team-a")
    assert "plugins" not in profile(user, None)["spec"]


def _plugin(obj: dict[str, Any]) -> dict[str, Any]:
    (plugin,) = obj["spec"]["plugins"]
    assert plugin["kind"] == "AwsIamForServiceAccount"
    return plugin["spec"]
