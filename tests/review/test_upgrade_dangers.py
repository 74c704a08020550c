"""What a reviewer reads of another release: data and decisions first, its own objects summed up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from review.data import as_data
from review.html import html
from review.markdown import markdown
from review.review import Review
from review.text import text
from tests.review.plans import SETTINGS, kubernetes, reviewed, row

OLD, NEW = "26.03", "26.03.1"
MARK = "inferencemodels.inference.networking.x-k8s.io"
CRDS = "pulumi-python:dynamic:CustomResourceDefinitions"
DIGESTS = {"a": "1", MARK: "1"}


def crds(before: Mapping[str, Any], **after: Any) -> dict[str, Any]:
    new = {"release": NEW, "keep": True, "digests": {"a": "2", "b": "1"}, **after}
    return row(CRDS, "kubeflow-crds", "update", before, new)


def upgraded(
    *rows: Mapping[str, Any],
    more: Mapping[str, Any] | None = None,
    files: Sequence[str] = (),
    **after: Any,
) -> Review:
    """A change of the release with these rows; ``more``: other settings of the newer side."""
    old = {**SETTINGS, "kubeflow:release": OLD, "kubeflow:acceptedAdvisories": ["CVE-2026-33186"]}
    new = {**SETTINGS, "kubeflow:release": NEW, "kubeflow:acceptedAdvisories": [], **(more or {})}
    before = {"release": OLD, "keep": True, "digests": DIGESTS}
    return reviewed(
        [*rows, crds(before, **after)],
        settings=(old, new),
        crds=(DIGESTS, {"a": "2", "b": "1"}),
        files=files,
    )


POLICY = "kubernetes:security.istio.io/v1:AuthorizationPolicy"
NETWORK = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


def policy_of(operation: str, name: str, type_: str = POLICY, **spec: Any) -> dict[str, Any]:
    """An object of the release, with ``old`` and ``new`` as its specs."""
    sides = {
        side: {"metadata": {"name": name, "namespace": "kubeflow"}, "spec": spec.get(side, {})}
        for side in ("old", "new")
    }
    return row(
        type_,
        name,
        operation,
        {} if operation == "create" else sides["old"],
        {} if operation == "delete" else sides["new"],
    )


OWN = (
    policy_of("delete", "centraldashboard", NETWORK),
    policy_of("update", "kserve", NETWORK, old={"ingress": [1]}, new={"podSelector": {"a": "b"}}),
    policy_of("update", "ml-pipeline-ui", old={"rules": [1]}, new={"rules": [2]}),
    kubernetes("Deployment", "profiles-deployment", "replace"),
)
NAMESPACE = kubernetes("Namespace", "kubeflow-of-old", "delete")
PASSWORD = row("pulumi-python:dynamic:GeneratedSecret", "users-cache", "delete", {"length": 32})


def test_objects_of_the_release_come_last_and_have_no_way_out_that_nobody_can_take() -> None:
    review = upgraded(*OWN, NAMESPACE, PASSWORD)
    assert [each.what for each in review.decisions] == [
        "Upgrade of Kubeflow",
        "Namespace",
        "Generated password or key",
    ]
    assert [each.what for each in review.with_release] == [
        "Rule about who may call",
        "Rule about who may connect",
        "Rule about who may connect",
        "Workload",
        "CRD",
    ]
    assert review.dangers == (*review.decisions, *review.with_release)
    assert {each.release for each in review.dangers} == {NEW}
    ways_out = {each.what: each.avoid for each in review.dangers}
    comes = "It comes with 26.03.1, and no setting changes it: read it, or stay on 26.03."
    assert ways_out["Namespace"] == ways_out["Generated password or key"] == comes
    assert ways_out["Rule about who may call"] == ways_out["Rule about who may connect"] == comes
    # What one can do stays said.
    assert ways_out["Workload"] == "Plan a pause for what it serves."
    assert ways_out["CRD"].startswith("Delete it by hand")


def test_a_reason_is_that_of_the_files_of_the_release() -> None:
    whys = {
        (each.names, why): names
        for each in upgraded(*OWN).with_release
        for why, names in each.reasons.items()
    }
    began = {(names, why[:29]): of for (names, why), of in whys.items()}
    assert began == {
        (("kubeflow/centraldashboard",), "Dashboard 2 has another name;"): (
            "kubeflow/centraldashboard",
        ),
        (("kubeflow/kserve",), "Upstream's NetworkPolicy and "): ("kubeflow/kserve",),
        (("kubeflow/profiles-deployment",), "Dashboard 2 has other labels;"): (
            "kubeflow/profiles-deployment",
        ),
        ((MARK,), "no CRD is ever deleted, becau"): (MARK,),
    }


@pytest.mark.parametrize(
    ("more", "files", "proven"),
    [
        ({"kubeflow:nodeGroup": {"max": 9}}, (), ["CRD"]),
        ({}, ("manifests/26.03.1/pipelines/ui.yaml",), []),
    ],
)
def test_what_something_else_may_have_caused_is_not_the_releases(
    more: Mapping[str, Any], files: Sequence[str], proven: list[str]
) -> None:
    review = upgraded(*OWN, more=more, files=files)
    assert [each.what for each in review.with_release] == proven
    assert "Put action, selector and rules back." in {each.avoid for each in review.decisions}
    assert "of a change of `release` alone" in review.decisions[0].avoid
    assert "of a change of `release` alone" not in upgraded(*OWN).decisions[0].avoid


def test_words_that_deploy_nothing_cause_nothing() -> None:
    words = {
        "kubeflow:upgradeConfirmed": ["llm"],
        "kubeflow:bundles": "bundles/26.03.1.bundle.tar",
    }
    for danger in upgraded(*OWN, more=words).dangers:
        assert [each.path for each in danger.cause.settings] == ["kubeflow:release"]
        assert danger.cause.certain


def test_every_page_has_the_decisions_first_and_the_rest_in_one_group() -> None:
    review = upgraded(*OWN, NAMESPACE)
    lines = text(review)
    first = " ".join(lines[:3])
    assert "2 dangers (data is lost: 2), 5 of the release 26.03.1" in first
    begins = next(at for at, line in enumerate(lines) if line.startswith("Of the release 26.03.1"))
    group = [line for line in lines[begins:] if line.startswith("  - ")]
    assert [line.partition(": ")[0] for line in group] == [
        "  - Rule about who may call",
        "  - Rule about who may connect deleted",
        "  - Rule about who may connect",
        "  - Workload replaced",
        "  - CRD removed from the release",
    ]
    comment, page = markdown([review]), html([review])
    for whole, folds in ((comment, "<details>"), (page, "<details>")):
        start = whole.index("Of the release 26.03.1")
        assert whole.index("Namespace deleted") < start < whole.index(folds, start)
        assert whole.index(folds, start) < whole.index("Dashboard 2 has another name")
    assert (
        "**Worst:** **Upgrade of Kubeflow**: `26.03 to 26.03.1`; **Namespace deleted**" in comment
    )
    data = as_data(review)["dangers"]
    assert [each["release"] for each in data] == [NEW] * 7
    assert data[0]["before"][0].startswith("`snapshot`: a snapshot of the database from the last")


def test_a_reason_names_what_it_is_for_unless_that_is_all() -> None:
    gone = [
        policy_of("delete", name, NETWORK)
        for name in ("centraldashboard", "central-dashboard", "cache-server")
    ]
    comment = markdown([upgraded(*gone)])
    dashboards = (
        "**Reason:** `kubeflow/central-dashboard`, `kubeflow/centraldashboard`: Dashboard 2"
    )
    assert dashboards.replace("central-dashboard`, `kubeflow/", "") not in comment
    assert "**Reason:** `kubeflow/cache-server`: servers of Pipelines v1" in comment
    assert "**Reason:** Dashboard 2 has another name" in markdown([upgraded(gone[0])])
    # The way out of all is said once, in front of them.
    assert "It comes with 26.03.1" not in comment


def test_a_release_without_a_danger_of_a_users_own_has_its_group_alone() -> None:
    """Back to the release before there is no way, so that nothing is said of data."""
    old, new = ({**SETTINGS, "kubeflow:release": each} for each in (NEW, OLD))
    made = row(CRDS, "kubeflow-crds", "update", {"release": NEW}, {"release": OLD})
    changed = policy_of("update", "profiles-kfam", old={"rules": [2]}, new={"rules": [1]})
    review = reviewed([made, changed], settings=(old, new))
    assert [each.what for each in review.decisions] == ["Release of Kubeflow"]
    (danger,) = review.with_release
    assert danger.avoid.endswith("stay on 26.03.1.")


# -- the upgrade itself ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "named"),
    [
        ({"release": OLD, "digests": {"a": "1"}}, True),
        ({"digests": DIGESTS}, True),
        ({"release": NEW, "digests": {"a": "2"}}, False),
        ({"release": "1.5.1-aws-b1.0.0", "digests": {"a": "2"}}, False),
    ],
)
def test_what_an_upgrade_does_to_data_is_the_first_danger(
    before: dict[str, Any], named: bool
) -> None:
    replaced = kubernetes("Deployment", "profiles-deployment", "replace")
    bucket = row("aws:s3/bucket:Bucket", "artifacts", "replace", {"bucket": "a"}, {"bucket": "b"})
    dangers = reviewed([replaced, bucket, crds(before)]).dangers
    assert (dangers[0].what == "Upgrade of Kubeflow") == named
    if named:
        first = dangers[0]
        assert first.names == ("26.03 to 26.03.1",)
        assert "mlpipeline gets pipeline_tags, pipeline_version_tags" in first.happens
        assert "modelregistry gets Artifact, " in first.happens
        assert " and 10 more; " in first.happens
        assert "llminferenceservices.serving.kserve.io is stored as v1alpha2" in first.happens
        assert "made anew: Deployment.apps kubeflow/profiles-deployment, " in first.happens
        assert "which the CRDs of 26.03 do not serve" in first.lost


def test_an_upgrade_asks_first_and_says_what_is_confirmed_instead() -> None:
    """Each condition with its reason and way out, before anything else below the danger."""
    first = upgraded(confirmed=["llm"]).dangers[0]
    assert [each.partition("`")[2].partition("`")[0] for each in first.before] == [
        "snapshot",
        "runs",
        "argo",
        "llm",
        "trainer",
        "serving",
        "names",
    ]
    assert first.before[0] == (
        "`snapshot`: a snapshot of the database from the last day, because Pipelines 2.17.0 adds "
        "tables and columns at its first start; take one (docs/backup-and-restore.md#take)."
    )
    confirmed = [each for each in first.before if "is not asked" in each]
    assert len(confirmed) == 1
    assert confirmed[0].startswith("`llm` is confirmed in `upgradeConfirmed`")
    for page in ("\n".join(text(upgraded())), markdown([upgraded()]), html([upgraded()])):
        begins = page.index("Before:")
        assert begins < page.index("Lost:") < page.index("Way out:")
        assert page.count("Before:") == len(first.before)
