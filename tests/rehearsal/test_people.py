"""People come and go, on the real engine: what is whose, and when Dex starts anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
import pytest
import yaml

from components.dynamic.generated_secret import GeneratedSecret
from components.kubeflow import KubeflowManifests, KubeflowManifestsArgs
from rehearsal.clouds import ACCOUNT
from rehearsal.engine import Outcome, Rehearsal
from rehearsal.protocol import properties
from rehearsal.providers import Simulation
from rendering import Object, ObjectKey, Rendered, render
from settings import from_mapping
from settings.context import StackContext
from tests.rehearsal.conftest import TINY, Started
from tests.rehearsal.conftest import steps as run_steps

pytestmark = pytest.mark.engine

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
RELEASES = {"26.03": "oauth2-proxy", "1.5.1-aws-b1.0.0": "authservice"}
"""Release, and the workload at the other end of Dex's OAuth client."""
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


@dataclass(frozen=True)
class Step:
    """One change: the release's other workload, and the runs before and after."""

    partner: str
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


def program(release: str, names: Sequence[str]) -> Callable[[], None]:
    """The release's login for people of these names, each with a namespace of the same name."""
    users = [{"email": f"{name}@example.cn", "namespace": name.replace(".", "-")} for name in names]
    settings = from_mapping({"region": "cn-north-1", "users": users})

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
                rendered=login(release),
                values={},
                profile_roles={},
                kubeconfig="{}",
                cluster_arn="arn:of:cluster",
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


@pytest.fixture(scope="module", params=RELEASES)
def steps(
    request: pytest.FixtureRequest, cli: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Step]:
    """All changes on one stack, one after the other."""
    release: str = request.param
    now = BEFORE

    def people() -> None:
        program(release, now)()

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
            changes[change] = Step(RELEASES[release], last, last := rehearsal.up())
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
    assert template(step.before, step.partner) == template(step.after, step.partner)


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


def test_another_client_secret_starts_both_ends_anew_and_nobody_elses_login_changes(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(program("26.03", BEFORE)) as rehearsal:
        before = rehearsal.up()
    original = GeneratedSecret.__init__

    def drawn_anew(self: GeneratedSecret, name: str, **given: Any) -> None:
        rotated = "2" if name == "kubeflow-dex-client" else ""
        original(self, name, generation=rotated, **given)

    monkeypatch.setattr(GeneratedSecret, "__init__", drawn_anew)
    with started(program("26.03", BEFORE)) as rehearsal:
        after = rehearsal.up()
    assert touched(after) == {
        "kubeflow-dex-client": "replace",
        "auth/dex-oidc-client": "update",
        "auth/dex": "update",
        "oauth2-proxy/oauth2-proxy-tg4m9982d4": "update",
        "oauth2-proxy/oauth2-proxy": "update",
    }
    assert belongings(after) == belongings(before)
