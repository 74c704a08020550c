"""A stack of one release gets the next one, on the real engine with every object of both."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
import pytest

from components.aws.roles import OidcProvider
from components.kubeflow import KubeflowManifests, KubeflowManifestsArgs
from program import package_values, static_values
from rehearsal.engine import EngineFailure, Outcome, Rehearsal
from rehearsal.plan import rows_of
from rehearsal.providers import Simulation
from rendering.objects import ObjectKey
from rendering.release import load
from review.review import Review
from review.review import review as reviewed
from review.sides import Side, base_of
from settings import from_mapping
from settings.context import StackContext
from tests.rehearsal.conftest import TINY, steps
from tests.rendering.beijing import MANIFESTS, strings
from tests.upgrades.test_tables import named, objects, rendered
from upgrades.table import Upgrade, matches, of_release

pytestmark = pytest.mark.engine

REGION, ACCOUNT = "cn-north-1", "111122223333"
OLD, NEW = "26.03", "26.03.1"
WAY: Upgrade = of_release(MANIFESTS / NEW).ways[OLD]


def made_up(release: str) -> dict[str, str]:
    """A value for each marker in the release, for those that AWS gives."""
    texts = (text for obj in rendered(release).objects for text in strings(obj))
    names = {name for text in texts for name in re.findall(r"<<([a-z][a-z0-9.-]*)>>", text)}
    return {name: "3306" if "port" in name else name.replace(".", "-") for name in names}


def program(release: str) -> Callable[[], None]:
    """Everything of a release on a cluster that exists."""
    settings = from_mapping({"region": REGION, "release": release})

    def run() -> None:
        context = StackContext.of(settings, ACCOUNT, {})
        account = aws.Provider("aws", region=REGION)
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
                context=context,
                users=settings.users,
                login=settings.login,
                deletable_namespaces=[],
                release=release,
                rendered=rendered(release),
                parts=load(MANIFESTS / release).parts,
                values={
                    **made_up(release),
                    **static_values(context, settings),
                    **package_values(settings, []),
                },
                profile_roles={},
                kubeconfig="{}",
                cluster_arn="arn:of:cluster",
                oidc=OidcProvider(arn="arn:of:oidc", issuer="https://oidc.example/id/1"),
            ),
            pulumi.ResourceOptions(providers=[account, cluster]),
        )

    return run


@dataclass(frozen=True)
class Run:
    """What the engine did: the first release, a preview of the next one, that, and a preview."""

    first: Outcome
    shown: Outcome
    upgrade: Outcome
    preview: Outcome
    back: list[str]


@pytest.fixture(scope="module")
def run(cli: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    build = tmp_path_factory.mktemp("upgrade")

    def rehearsal(release: str) -> Rehearsal:
        return Rehearsal(
            project=TINY,
            stack="tiny",
            build=build,
            pulumi=cli,
            simulation=Simulation(region=REGION),
            program=program(release),
        )

    with rehearsal(OLD).started() as started:
        first = started.up()
    with rehearsal(NEW).started() as started:
        shown = started.preview()
        upgrade = started.up()
        preview = started.preview()
    with rehearsal(OLD).started() as started, pytest.raises(EngineFailure) as refused:
        started.preview()
    return Run(first, shown, upgrade, preview, refused.value.problems)


def touched(outcome: Outcome) -> Mapping[str, str]:
    """Object, as upgrade.yaml names it -> what was done to it, in the order of the engine."""
    found: dict[str, str] = {}
    for urn, step in outcome.steps.items():
        inputs: Mapping[str, Any] = (step.new or step.old).inputs or {}
        if "apiVersion" in inputs and step.operation != "same":
            key = ObjectKey.of({**inputs, "metadata": dict(inputs["metadata"])})
            found[named(key)] = step.operation
        elif urn.endswith("kubeflow-crds"):
            found["CRDs"] = step.operation
    return found


@pytest.fixture(scope="module")
def review(run: Run) -> Review:
    """What a reviewer reads of the preview, as ``./kf plan`` makes it of two versions."""
    rows = rows_of(run.shown.resources, run.shown.steps)
    old, new = ({"kubeflow:region": REGION, "kubeflow:release": each} for each in (OLD, NEW))
    before = replace(base_of(rows), settings=old)
    after = Side("head", tuple(rows), {}, {}, (), new)
    return reviewed("tiny", before, after)


def test_a_reviewer_reads_first_what_bears_data_and_what_the_release_brings_last(
    review: Review,
) -> None:
    assert [each.what for each in review.decisions] == ["Upgrade of Kubeflow"]
    conditions = [each.partition("`")[2].partition("`")[0] for each in review.decisions[0].before]
    assert conditions == [each.name for each in WAY.before]
    assert len(review.with_release) > 15
    assert Counter(each.kind for each in review.with_release)["open"] > 5
    for danger in review.with_release:
        assert danger.release == NEW
        assert danger.doable or danger.avoid.startswith(f"It comes with {NEW}")


def test_what_goes_and_what_is_replaced_has_a_reason_for_the_reviewer(review: Review) -> None:
    ended = [each for each in review.with_release if each.event in ("deleted", "replaced")]
    assert len(ended) > 3
    for danger in ended:
        assert {name for names in danger.reasons.values() for name in names} == set(danger.names)


def test_a_preview_after_the_upgrade_shows_nothing(run: Run) -> None:
    assert steps(run.preview) == []


def test_a_preview_before_it_shows_the_upgrade(run: Run) -> None:
    """Also objects with fields that the API server does not know by then."""
    assert touched(run.shown) == touched(run.upgrade)
    awaiting = {name for name in objects(NEW) if matches(name, WAY.awaits_crds)}
    assert {touched(run.shown)[name] for name in awaiting} == {"create", "update"}


def test_what_is_deleted_and_replaced_is_what_the_table_says(run: Run) -> None:
    done = touched(run.upgrade)
    deleted = {name for name, operation in done.items() if operation == "delete"}
    replaced = {name for name, operation in done.items() if operation == "replace"}
    gone = [pattern for group in WAY.gone for pattern in group.objects]
    assert {name for name in deleted if not matches(name, gone)} == set()
    assert len(deleted) == len(objects(OLD).keys() - objects(NEW).keys())
    patterns = [each.object for each in WAY.replaced]
    assert {name for name in replaced if not matches(name, patterns)} == set()
    assert len(replaced) == len(patterns)


def test_nothing_of_the_old_release_alone_is_left(run: Run) -> None:
    left = {each.urn for each in run.preview.resources}
    assert {urn for urn in run.upgrade.operations if urn not in left} == {
        urn for urn, operation in run.upgrade.operations.items() if operation == "delete"
    }


def test_users_and_crds_are_never_deleted(run: Run) -> None:
    done = touched(run.upgrade)
    users = {
        name for name in done if name.partition(" ")[0] in ("Namespace", "Profile.kubeflow.org")
    }
    assert {name: done[name] for name in users if done[name] in ("delete", "replace")} == {}
    assert done["CRDs"] == "update"
    drawn = [urn for urn in run.upgrade.operations if "GeneratedSecret" in urn]
    assert drawn
    assert {run.upgrade.operations[urn] for urn in drawn} == {"same"}


def test_crds_come_first(run: Run) -> None:
    done = list(touched(run.upgrade))
    controllers = [name for name in done if name.startswith("Deployment.apps ")]
    assert done.index("CRDs") < min(map(done.index, controllers))


def test_webhooks_go_before_what_they_call(run: Run) -> None:
    done = list(touched(run.upgrade))
    before = objects(OLD)
    for configuration in WAY.webhooks:
        hooks = before[configuration]["webhooks"]
        for hook in hooks:
            service = hook["clientConfig"]["service"]
            name = f"Service {service['namespace']}/{service['name']}"
            assert done.index(configuration) < done.index(name)
            selector = before[name]["spec"]["selector"]
            (server,) = [
                other
                for other, obj in before.items()
                if obj["kind"] == "Deployment"
                and obj["metadata"]["namespace"] == service["namespace"]
                and selector.items() <= obj["spec"]["template"]["metadata"]["labels"].items()
            ]
            assert done.index(configuration) < done.index(server)


def test_the_way_back_is_refused_in_one_sentence(run: Run) -> None:
    (sentence,) = run.back
    assert (
        "kubeflow:release is 26.03, and the stack has 26.03.1: there is a way to 26.03" in sentence
    )
