"""People come and go, on the real engine: what is whose, and when Dex starts anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
import pytest
import yaml

from components.aws.roles import OidcProvider
from components.kubeflow import KubeflowManifests, KubeflowManifestsArgs
from rehearsal.clouds import ACCOUNT
from rehearsal.engine import EngineFailure, Outcome, Rehearsal
from rehearsal.protocol import properties
from rehearsal.providers import Simulation
from rendering import Object, ObjectKey, Rendered, render
from rendering.release import load
from settings import from_mapping
from settings.context import StackContext
from tests.rehearsal.conftest import TINY
from tests.rehearsal.conftest import steps as run_steps
from tests.releases import DEFAULT, RELEASES

pytestmark = pytest.mark.engine

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
OLD = "1.5.1-aws-b1.0.0"
PARTNERS = {DEFAULT: "oauth2-proxy", OLD: "authservice"}
"""Release, and the workload at the other end of Dex's OAuth client. Another one logs in as one of
these, or is here."""
BEFORE: tuple[str, ...] = ("ann", "bo", "cy")
CHANGES: dict[str, tuple[str, ...]] = {
    "another order": ("cy", "ann", "bo"),
    "one comes, at the front": ("di", "cy", "ann", "bo"),
    "the first leaves": ("cy", "ann", "bo"),
    "one in the middle leaves": ("cy", "bo"),
    "one takes another's place": ("cy", "ed"),
    "an e-mail address changes": ("cy.b", "ed"),
    "nothing changes": ("cy.b", "ed"),
}
"""What happens one after the other, and who is in the list of users then, in its order."""
ROTATED: dict[str, dict[str, Any]] = {
    "cy.b@example.cn": {"users": 2},
    "kubeflow-dex-client": {"users": 2, "login": {"clientRotation": 2}},
    "kubeflow-oauth2-cookie": {"users": 2, "login": {"clientRotation": 2, "cookieRotation": 5}},
}
"""What is drawn anew, one after the other; the number of cy.b's password, and the other two."""
PASSWORD = {
    # A password is replaced, and the hash of the same name is updated.
    "kubeflow-login-cy.b@example.cn": "update",
    "kubeflow-login": "replace",
    "auth/dex-passwords": "update",
    "auth/dex": "update",
}
CLIENT = {
    "kubeflow-dex-client": "replace",
    "auth/dex-oidc-client": "update",
    "auth/dex": "update",
}
COOKIE = {"kubeflow-oauth2-cookie": "replace"}
PROXY = dict.fromkeys(
    ("oauth2-proxy/oauth2-proxy-tg4m9982d4", "oauth2-proxy/oauth2-proxy"), "update"
)
SERVICE = dict.fromkeys(
    ("istio-system/oidc-authservice-client", "istio-system/authservice"), "update"
)
ROTATIONS: dict[tuple[str, str], dict[str, str]] = {
    (DEFAULT, "cy.b@example.cn"): PASSWORD,
    (DEFAULT, "kubeflow-dex-client"): CLIENT | PROXY,
    (DEFAULT, "kubeflow-oauth2-cookie"): COOKIE | PROXY,
    # All three at once; authservice has no cookie key.
    (OLD, "kubeflow-oauth2-cookie"): PASSWORD | CLIENT | COOKIE | SERVICE,
}
"""Release, and what is drawn anew -> everything that changes: the secrets and their readers."""


@dataclass(frozen=True)
class Step:
    """One change of a release's people, and the runs before and after."""

    release: str
    before: Outcome
    after: Outcome


@cache
def login(release: str) -> Rendered:
    """The objects of a real release by which people log in."""
    whole = render(
        MANIFESTS / release, partition="aws-cn", dns_suffix="amazonaws.com.cn", registry=None
    )
    names = ("dex", "dex-passwords", "dex-oidc-client", "oidc-authservice-client", "authservice")
    kinds = ("ConfigMap", "Secret", "Deployment", "StatefulSet")

    def kept(obj: Object) -> bool:
        name: str = obj["metadata"]["name"]
        return obj["kind"] in kinds and (name in names or name.startswith("oauth2-proxy"))

    objects = tuple(obj for obj in whole.objects if kept(obj))
    keys = {ObjectKey.of(obj) for obj in objects}
    needs = {
        key: tuple(needed for needed in whole.prerequisites.get(key, ()) if needed in keys)
        for key in keys
    }
    return replace(whole, objects=objects, crds=(), prerequisites=needs)


def user(name: str, **more: Any) -> dict[str, Any]:
    """The entry of a user with a namespace of the same name."""
    return {"email": f"{name}@example.cn", "namespace": name.replace(".", "-"), **more}


def program(release: str, **sections: Any) -> Callable[[], None]:
    """The release's login with these sections of the settings."""
    settings = from_mapping({"region": "cn-north-1", **sections})

    def run() -> None:
        account = aws.Provider("aws", region=settings.region)
        # As in components/cluster/eks_cluster.py: ConfigMaps and Secrets are changed in place.
        cluster = kubernetes.Provider(
            "kubernetes",
            kubeconfig="{}",
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
        )
        KubeflowManifests(
            "kubeflow",
            KubeflowManifestsArgs(
                context=StackContext.of(settings, ACCOUNT, {}),
                users=settings.users,
                login=settings.login,
                deletable_namespaces=settings.deletable_namespaces,
                release=settings.release,
                rendered=login(release),
                parts=load(MANIFESTS / release).parts,
                values={},
                profile_roles={},
                kubeconfig="{}",
                cluster_arn="arn:of:cluster",
                oidc=OidcProvider(arn="arn:of:oidc", issuer="https://oidc.example/id/1"),
            ),
            pulumi.ResourceOptions(providers=[account, cluster]),
        )

    return run


def inputs(outcome: Outcome, ending: str) -> dict[str, Any]:
    """The inputs of the one resource whose URN ends so, secrets in clear."""
    (resource,) = [one for one in outcome.resources if one.urn.endswith(ending)]
    return properties(resource.request.object)


def dex_list(outcome: Outcome) -> list[Mapping[str, str]]:
    text: str = inputs(outcome, "ConfigMap::auth/dex")["data"]["config.yaml"]
    return yaml.safe_load(text)["staticPasswords"]


def hashes(outcome: Outcome) -> dict[str, str]:
    return inputs(outcome, "Secret::auth/dex-passwords")["data"]


def belongings(outcome: Outcome) -> dict[str, Any]:
    """By e-mail, all that a person has: password, hash, and the entry in Dex's list."""
    secret = inputs(outcome, "SecretVersion::kubeflow-login")["secretString"]
    passwords: dict[str, str] = json.loads(secret)
    return {
        user["email"]: (passwords[user["email"]], hashes(outcome)[user["hashFromEnv"]], user)
        for user in dex_list(outcome)
    }


def template(outcome: Outcome, workload: str) -> Mapping[str, Any]:
    (pod,) = [
        properties(one.request.object)["spec"]["template"]
        for one in outcome.resources
        if one.type.endswith(("apps/v1:Deployment", "apps/v1:StatefulSet"))
        and one.name.endswith(f"/{workload}")
    ]
    return pod


def touched(outcome: Outcome) -> dict[str, str]:
    """Name of each resource that was not left as it is -> what was done to it."""
    return {name: operation for operation, _, name in run_steps(outcome)}


def of_any_size(objects: Iterable[Object]) -> list[Object]:
    return json.loads(json.dumps([*objects]), object_hook=_of_any_size)


def _of_any_size(mapping: Object) -> Object:
    return {key: value for key, value in mapping.items() if key not in ("image", "replicas")}


@pytest.mark.parametrize("release", RELEASES)
def test_a_release_logs_in_as_one_of_those_that_are_tried_here(release: str) -> None:
    tried = [of_any_size(login(partner).objects) for partner in PARTNERS]
    assert of_any_size(login(release).objects) in tried


@pytest.fixture(scope="module", params=PARTNERS)
def steps(
    request: pytest.FixtureRequest, cli: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Step]:
    """All changes on one stack, one after the other."""
    release: str = request.param
    everybody = {name for names in (BEFORE, *CHANGES.values()) for name in names}
    now, rotated = BEFORE, dict[str, Any]()

    def people() -> None:
        numbers = {"cy.b": rotated.get("users", 1)}
        program(
            release,
            users=[user(name, rotation=numbers.get(name, 1)) for name in now],
            login=rotated.get("login", {}),
            # What happens without has a test of its own.
            deletableNamespaces=[user(name)["namespace"] for name in everybody],
        )()

    build = tmp_path_factory.mktemp("people")
    rehearsal = Rehearsal(
        project=TINY,
        stack="tiny",
        build=build,
        pulumi=cli,
        simulation=Simulation(region="cn-north-1"),
        program=people,
    )
    changes: dict[str, Step] = {}
    with rehearsal.started():
        last = rehearsal.up()
        for change, now in CHANGES.items():  # noqa: B007  (read by people)
            changes[change] = Step(release, last, last := rehearsal.up())
        for change, rotated in ROTATED.items():  # noqa: B007  (read by people)
            if (release, change) in ROTATIONS:
                changes[change] = Step(release, last, last := rehearsal.up())
    return changes


@pytest.fixture(params=CHANGES)
def step(request: pytest.FixtureRequest, steps: dict[str, Step]) -> Step:
    return steps[request.param]


def test_who_stays_keeps_password_hash_and_user_id(step: Step) -> None:
    old, new = belongings(step.before), belongings(step.after)
    stay = old.keys() & new.keys()
    assert stay
    assert {one: new[one] for one in stay} == {one: old[one] for one in stay}


def test_nobody_gets_what_another_has_or_had(step: Step) -> None:
    both = {**belongings(step.before), **belongings(step.after)}
    passwords, hashed, entries = zip(*both.values(), strict=True)
    identities = [entry[key] for entry in entries for key in ("hashFromEnv", "userID")]
    for values in (passwords, hashed, identities):
        assert len(set(values)) == len(values)


def test_dex_starts_anew_when_the_set_of_people_is_another_and_only_then(step: Step) -> None:
    another = belongings(step.before).keys() != belongings(step.after).keys()
    assert (template(step.before, "dex") != template(step.after, "dex")) == another


def test_the_other_end_of_the_oauth_client_runs_on(step: Step) -> None:
    partner = PARTNERS[step.release]
    assert template(step.before, partner) == template(step.after, partner)


def test_nothing_that_dex_reads_has_anything_of_who_has_left(step: Step) -> None:
    old, new = belongings(step.before), belongings(step.after)
    read = json.dumps([dex_list(step.after), hashes(step.after), template(step.after, "dex")])
    for email in old.keys() - new.keys():
        _, hashed, entry = old[email]
        assert [part for part in (hashed, *entry.values()) if f'"{part}"' in read] == []


def test_what_belongs_to_who_stays_is_not_touched(step: Step) -> None:
    stay = belongings(step.before).keys() & belongings(step.after).keys()
    assert [name for name in touched(step.after) if name.endswith(tuple(stay))] == []


def test_the_same_people_are_the_same_stack(steps: dict[str, Step]) -> None:
    for change in ("another order", "nothing changes"):
        assert touched(steps[change].after) == {}, change


def test_what_is_drawn_anew_starts_its_readers_anew_and_nothing_else_changes(
    steps: dict[str, Step],
) -> None:
    drawn = steps.keys() & ROTATED
    assert drawn
    for change in drawn:
        step = steps[change]
        expected = ROTATIONS[step.release, change]
        assert touched(step.after) == expected
        old, new = belongings(step.before), belongings(step.after)
        assert new["ed@example.cn"] == old["ed@example.cn"]
        password, hashed, entry = (
            one == other
            for one, other in zip(old["cy.b@example.cn"], new["cy.b@example.cn"], strict=True)
        )
        assert entry
        assert password == hashed == ("kubeflow-login" not in expected)


# -- a namespace and its content ------------------------------------------------------------------

ANN, BO = user("ann"), user("bo")
NEW_OWNER, NEW_NAME = {**ANN, "email": "di@example.cn"}, {**ANN, "namespace": "another"}
BINDING = "ann/user-bo-example-cn-clusterrole-edit"
LOST = (
    "Namespace {0} of {0}@example.cn would be deleted with its notebooks, volumes, models, "
    "experiments, scheduled runs and secrets: "
)
WAY_OUT = (
    "put it back as it was in kubeflow:users; to delete it nevertheless, add {0} to "
    "kubeflow:deletableNamespaces, run up, and change the user then."
)
WAY_OUT_OF_ALL = "set kubeflow:deletionProtection to false and run up before the destroy."


def lost(outcome: Outcome) -> list[tuple[str, str]]:
    """The Profiles that a run deleted or replaced."""
    kind = "kubernetes:kubeflow.org/v1:Profile"
    return [(what, name) for what, type_, name in run_steps(outcome) if type_ == kind]


def test_a_namespace_is_deleted_with_its_content_only_after_the_settings_list_it(
    cli: Path, tmp_path: Path
) -> None:
    now: dict[str, Any] = {}

    def people() -> None:
        program(DEFAULT, **now)()

    rehearsal = Rehearsal(
        project=TINY,
        stack="tiny",
        build=tmp_path,
        pulumi=cli,
        simulation=Simulation(region="cn-north-1"),
        program=people,
    )

    def run(verb: str, *users: dict[str, Any], **more: Any) -> Outcome:
        now.clear()
        now.update(users=list(users), **more)
        return getattr(rehearsal, verb)()

    def refused(verb: str, *users: dict[str, Any], **more: Any) -> list[str]:
        with pytest.raises(EngineFailure) as failure:
            run(verb, *users, **more)
        return sorted(line for line in failure.value.problems if line.startswith("Namespace"))

    with rehearsal.started():
        # Another namespace is listed.
        of_bo = {"deletableNamespaces": ["bo"]}
        before = run("up", ANN, BO, **of_bo)
        sentence = [(LOST + WAY_OUT).format("ann")]
        for users in ([BO], [NEW_OWNER, BO], [NEW_NAME, BO]):
            assert refused("preview", *users, **of_bo) == sentence
        # Without a preview the engine deletes what it can: nothing of the user's.
        assert refused("up", BO, **of_bo) == sentence
        of_both = {"deletableNamespaces": ["ann", "bo"]}
        back = run("up", {**ANN, "contributors": [BO["email"]]}, BO, **of_both)
        assert [name for what, _, name in run_steps(back) if what == "create"] == [BINDING] * 2
        assert belongings(back) == belongings(before)
        assert lost(run("preview", NEW_OWNER, BO, **of_both)) == [("replace", "ann")]
        shared = {**NEW_OWNER, "contributors": [BO["email"]]}
        assert touched(run("preview", shared, BO, **of_both))[BINDING] == "replace"
        gone = run("up", BO, **of_both)
        assert lost(gone) == [("delete", "ann")]
        assert touched(gone)[BINDING] == "delete"
        # A whole stack has a setting of its own.
        assert touched(run("up", BO)) == {}
        assert refused("destroy", BO) == [(LOST + WAY_OUT_OF_ALL).format("bo")]
        unprotected = {"database": {"deletionProtection": False}}
        assert touched(run("up", BO, **unprotected)) == {}
        assert set(run("destroy", BO, **unprotected).changes) == {"delete"}
