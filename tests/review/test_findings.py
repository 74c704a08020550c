"""Verdicts of the policies on both sides: which are new, which are silenced, which are the same."""

from __future__ import annotations

from typing import Any

import pytest

from review.html import html
from review.markdown import markdown
from review.review import Review, review
from review.sides import Finding, base_of
from review.text import text
from tests.review.plans import row, sides

APP = "urn:pulumi:s::p::kubernetes:apps/v1:Deployment::kubeflow/app"
OWN = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow"
OTHER = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/ml"
SOURCE = "ghcr.io/kubeflow/app:1.0"
SHA = "@sha256:" + 64 * "a"
REASON = "Tags of releases, as upstream names them."


def finding(
    image: str = SOURCE,
    level: str = "advisory",
    *,
    place: int = 0,
    severity: str = "low",
    reason: str = "",
    urn: str = APP,
) -> Finding:
    said = f'spec.containers.{place}.image is "{image}": take 2.18.0 (docs).'
    message = f"kubernetes:apps/v1:Deployment kubeflow/app: {said}"
    return Finding("tags", severity, level, urn, message, reason)


def of(before: list[Finding], after: list[Finding], **more: Any) -> Review:
    base, head = sides([], findings=(before, after), **more)
    return review("s", base, head, changed_files=("policies/exemptions.yaml", "docs/a.md"))


COPIES = ({SOURCE: f"{OWN}/{SOURCE}"}, {SOURCE: f"{OTHER}/{SOURCE}"})
MIRRORED = ({SOURCE: SOURCE}, {SOURCE: f"{OWN}/{SOURCE}"})

SAME: list[tuple[str, str, Any]] = [
    (SOURCE + SHA, SOURCE + "@sha256:" + 64 * "b", ({}, {})),
    (f"{OWN}/{SOURCE}", f"{OTHER}/{SOURCE}", COPIES),
    (f"{OWN}/{SOURCE}{SHA}", f"{OTHER}/{SOURCE}", COPIES),
    (SOURCE, f"{OWN}/{SOURCE}", MIRRORED),
]
NOT_SAME: list[tuple[str, str, Any]] = [
    (SOURCE, "docker.io/somebody/app:1.0", ({}, {})),
    (SOURCE, "docker.io/somebody/app:latest", ({}, {})),
    (SOURCE, "ghcr.io/kubeflow/app:1.1", ({}, {})),
    (SOURCE, "ghcr.io/somebody/app:1.0", ({}, {})),
    # Only a copy that the stack makes is the same image; a text that ends alike is not.
    (SOURCE, f"somebody.example/{SOURCE}", ({}, {})),
    (SOURCE, "somebody.example/app:1.0", ({SOURCE: SOURCE}, {SOURCE: "somebody.example/app:1.0"})),
]


@pytest.mark.parametrize("level", ["exempt", "advisory", "mandatory"])
@pytest.mark.parametrize(("old", "new", "images"), SAME)
def test_a_digest_or_another_place_of_the_copy_is_the_same_verdict(
    old: str, new: str, images: Any, level: str
) -> None:
    found = of([finding(old, level)], [finding(new, level, place=2)], images=images).findings
    assert (len(found.new), len(found.solved), len(found.still)) == (0, 0, 1)


@pytest.mark.parametrize("level", ["exempt", "advisory", "mandatory"])
@pytest.mark.parametrize(("old", "new", "images"), NOT_SAME)
def test_another_image_is_another_verdict(old: str, new: str, images: Any, level: str) -> None:
    sides_ = [finding(each, level, reason=REASON) for each in (old, new)]
    found = of([sides_[0]], [sides_[1]], images=images).findings
    assert (len(found.new), len(found.still)) == (1, 0)
    # What was exempt was no fault, so its end is no repair.
    assert len(found.solved) == (level != "exempt")


def test_a_second_container_with_the_same_fault_is_new() -> None:
    found = of([finding()], [finding(), finding(place=1)]).findings
    assert (len(found.new), len(found.solved), len(found.still)) == (1, 0, 1)


SILENCED = [
    # before, after: kind
    ("advisory", "exempt", "silenced"),
    ("mandatory", "exempt", "silenced"),
    ("mandatory", "advisory", "silenced"),
    ("exempt", "advisory", "new"),
    ("advisory", "mandatory", "new"),
    ("exempt", "exempt", "still"),
]


@pytest.mark.parametrize(("before", "after", "kind"), SILENCED)
def test_an_exemption_silences_and_solves_nothing(before: str, after: str, kind: str) -> None:
    found = of([finding(level=before)], [finding(level=after)]).findings
    counts = {name: len(held) for name, held in vars(found).items() if held}
    assert counts == {kind: 1}


def test_what_arrives_with_an_exemption_of_its_own_is_silenced() -> None:
    old = finding("ghcr.io/a/b:1", "exempt", reason=REASON)
    known = finding("ghcr.io/c/d:1", "exempt", reason=REASON)
    own = finding("ghcr.io/e/f:1", "exempt", reason="Because.")
    found = of([old], [old, known, own]).findings
    assert (found.new, found.silenced, found.still) == ((known,), (own,), (old,))
    # A base that is clean of exemptions is no excuse.
    found = of([finding()], [finding(), own]).findings
    assert (found.new, found.silenced) == ((), (own,))


def test_a_base_older_than_the_policies_silences_nothing() -> None:
    found = of([], [finding(level="exempt", severity="high", reason=REASON)])
    assert len(found.findings.new) == 1
    assert found.dangers == ()


@pytest.mark.parametrize(
    ("before", "severity", "dangerous"),
    [
        ("mandatory", "low", True),
        ("advisory", "critical", True),
        ("advisory", "high", True),
        ("advisory", "medium", False),
    ],
)
def test_a_silenced_verdict_is_shown_and_a_grave_one_is_a_danger(
    before: str, severity: str, dangerous: bool
) -> None:
    old, new = (
        finding(level=level, severity=severity, reason=reason)
        for level, reason in ((before, ""), ("exempt", "Because."))
    )
    made = of([old], [new])
    assert not made.empty
    comment, lines = markdown([made]), " ".join(" ".join(text(made)).split())
    assert "1 silenced" in comment
    assert "1 silenced" in lines
    assert "1 finding silenced by an exemption or a lower level:" in comment
    assert "Because." in comment
    assert "tags kubeflow/app: Because." in lines
    assert "solved" not in comment
    assert len(made.dangers) == dangerous
    if dangerous:
        (danger,) = made.dangers
        assert (danger.kind, danger.event) == ("guard", "changed")
        assert danger.cause.files == ("policies/exemptions.yaml",)
        assert "**Policy silenced**: `kubeflow/app`" in comment.split("## Dangers")[0]


def test_a_new_mandatory_verdict_is_on_the_first_screen() -> None:
    made = of([], [finding(level="mandatory"), finding("ghcr.io/x/y:1")])
    comment, lines = markdown([made]), "\n".join(text(made))
    for whole in (comment, lines):
        assert "No known danger" not in whole
        assert "1 danger" in whole
        assert "Mandatory policy" in whole
    assert "**Worst:** **Mandatory policy" in comment
    # Of a state nobody knows which are new, so that those are dangers that refuse the run.
    base, head = sides([], findings=((), (finding(level="mandatory"),)), settings=({}, {}))
    assert review("s", base, head).dangers


def test_new_ones_that_are_exempt_are_counted_apart() -> None:
    old = finding("ghcr.io/a/b:1", "exempt", reason=REASON)
    known = finding("ghcr.io/c/d:1", "exempt", reason=REASON)
    comment = markdown([of([old], [old, known, finding()])])
    assert "Policies: 1 finding (1 new, 1 new exempt)" in comment


def test_those_beside_a_state_are_open_ones() -> None:
    queue = row("aws:sqs/queue:Queue", "queue", "update", {"delay": 1}, {"delay": 2})
    _, head = sides([queue], findings=((), (finding(),)))
    comment = markdown([review("test", base_of(head.rows), head)])
    assert "1 finding open: 1 advisory low" in comment


def test_what_was_there_before_is_one_line_in_a_comment() -> None:
    old = [finding(f"ghcr.io/a/b:{n}", "exempt", reason=REASON) for n in range(90)]
    made = of(old, [*old, finding()])
    comment = markdown([made])
    assert "90 findings as before: 90 exempt low (the HTML report of the same run has them)" in (
        comment
    )
    assert "ghcr.io/a/b" not in comment
    assert "ghcr.io/a/b:89" in html([made])
