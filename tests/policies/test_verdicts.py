"""Exemptions, faults of policies and of their files, and a team's own policies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from policies import exemptions, loading
from policies.exemptions import Exemption
from policies.model import UNKNOWN, Stack, Violation, policy
from policies.verdicts import OWN_POLICIES, findings
from tests.policies.changes import POOL, put
from tests.policies.stacks import changed, resource, stack

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "policies"
TODAY = date(2026, 11, 29)


@policy("no-queues", severity="low")
def no_queues(stack: Stack) -> Iterator[Violation]:
    """There is no queue."""
    for each in stack.only("aws:sqs/queue:Queue"):
        yield each.finding("name", "take it away.", severity="high")


QUEUES = Stack([resource("aws:sqs/queue:Queue", "jobs", name="jobs", tags=["x" * 200])])
PLACE = "aws:sqs/queue:Queue jobs"


def judged(*reviewed: Exemption, today: date = TODAY) -> list[tuple[str, str, str]]:
    rows = findings(QUEUES, [no_queues], reviewed, today)
    return [(each.level, each.message, each.reason) for each in rows]


SENTENCE = f'{PLACE}: name is "jobs": take it away.'


def test_a_violation_has_the_policys_level_and_its_own_severity() -> None:
    (finding,) = findings(QUEUES, [no_queues], [], TODAY)
    assert (finding.policy, finding.severity, finding.level) == ("no-queues", "high", "mandatory")
    assert (finding.message, finding.urn) == (SENTENCE, QUEUES.resources[0].urn)


@pytest.mark.parametrize(
    "reviewed",
    [
        Exemption("no-queues", PLACE, "it\n  stays"),
        Exemption("no-queues", "aws:sqs/*", "it stays", sentence='name is "j'),
        Exemption("no-queues", "*", "it stays", until=TODAY),
    ],
)
def test_an_exemption_covers_a_violation_and_gives_its_reason(reviewed: Exemption) -> None:
    assert judged(reviewed) == [("exempt", SENTENCE, "it stays")]


@pytest.mark.parametrize(
    "reviewed",
    [
        Exemption("other", "*", "it stays"),
        Exemption("no-queues", "aws:sqs/queue:Queue", "it stays"),
        Exemption("no-queues", "*", "it stays", sentence="name is not set"),
    ],
)
def test_an_exemption_of_something_else_covers_nothing(reviewed: Exemption) -> None:
    assert judged(reviewed) == [("mandatory", SENTENCE, "")]


def test_an_exemption_that_ended_leaves_the_violation_and_its_last_day() -> None:
    ended = Exemption("no-queues", "*", "it stayed", until=date(2026, 11, 28))
    assert judged(ended) == [("mandatory", f"{SENTENCE} Its exemption ended on 2026-11-28.", "")]
    assert judged(ended, Exemption("no-queues", "*", "now"))[0][0] == "exempt"


def test_what_exists_only_after_creation_is_no_finding() -> None:
    late = resource("aws:sqs/queue:Queue", "late", name=UNKNOWN)
    assert findings(Stack([late]), [no_queues], [], TODAY) == []
    assert late.get("name.below") == UNKNOWN
    assert late.get("absent.below") is None


def test_a_long_value_is_cut() -> None:
    sentence = QUEUES.resources[0].finding("tags", "shorten it.").sentence
    value = sentence.removesuffix(": shorten it.").partition(" is ")[2]
    assert value.endswith("xxx...")
    assert len(value) == 120


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "a: [",
            "exemptions.yaml cannot be read: while parsing a flow node expected the node content",
        ),
        ("a: b", "exemptions.yaml is no list: begin each exemption with `- policy:`."),
        (
            "- {policy: no-queues, resource: '*'}",
            "exemptions.yaml, exemption 1 lacks a key: write policy, resource and reason.",
        ),
        (
            "- {policy: no-queues, resource: '*', reason: x, till: 2027-01-01}",
            "exemption 1 has the key till: use policy, resource, sentence, reason, until.",
        ),
        (
            "- {policy: no-queues, resource: '*', reason: ' '}",
            "exemption 1 has reason: ' ': write text.",
        ),
        (
            "- {policy: no-queues, resource: '*', reason: x, until: soon}",
            "exemption 1 has until: 'soon': write a date like 2027-03-31.",
        ),
        (
            "- {policy: no-queues, resource: '*', reason: x, until: 2027-03-31T00:00:00Z}",
            "tzinfo=datetime.timezone.utc): write a date like 2027-03-31.",
        ),
        (
            "- {policy: no-queue, resource: '*', reason: x}",
            "exemption 1 is for no-queue, which is no policy: use no-queues.",
        ),
        (
            "- {policy: no-queues, resource: '*', reason: x, sentence: '('}",
            "exemption 1 has a sentence that is no pattern: missing )",
        ),
    ],
)
def test_a_wrong_row_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "exemptions.yaml"
    file.write_text(text)
    rows, (problem,) = exemptions.read(file, ["no-queues"])
    assert rows == []
    assert sentence in problem
    assert "\n" not in problem


def test_a_wrong_row_leaves_the_others(tmp_path: Path) -> None:
    file = tmp_path / "exemptions.yaml"
    right = "- {policy: no-queues, resource: a, reason: x}"
    file.write_text(f"{right}\n- {{policy: of-a-team, resource: b, reason: x}}\n{right}\n")
    rows, problems = exemptions.read(file, ["no-queues"])
    assert [row.resource for row in rows] == ["a", "a"]
    assert problems == [
        "exemptions.yaml, exemption 2 is for of-a-team, which is no policy: use no-queues."
    ]


def test_a_policy_that_raises_is_a_finding_and_the_others_still_run() -> None:
    @policy("raises")
    def raises(stack: Stack) -> Iterator[Violation]:
        """It looks at a key that is not there."""
        yield stack.resources[0].inputs["absent"]

    first, second = findings(QUEUES, [raises, no_queues], [], TODAY)
    assert (first.policy, second.policy) == ("no-queues", "policies-run")
    assert second.message.startswith("The policy raises failed in ")
    assert f"{Path(__file__).name}, line " in second.message
    assert second.message.endswith("by KeyError: 'absent'; mend it, or take it out of the pack.")


def test_a_policy_that_ends_the_program_is_a_finding() -> None:
    @policy("ends")
    def ends(stack: Stack) -> list[Violation]:
        """It ends."""
        raise SystemExit(4)

    (finding,) = findings(QUEUES, [ends], [], TODAY)
    assert finding.message.endswith("by SystemExit: 4; mend it, or take it out of the pack.")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (None, "by TypeError: it returns nothing, so write `yield resource.finding(...)`; mend it"),
        ([("a", "b")], "it yields tuple, so write `yield resource.finding(...)`; mend it"),
    ],
)
def test_a_policy_that_yields_no_violations_is_a_finding_with_its_place(
    answer: Any, sentence: str
) -> None:
    @policy("forgets")
    def forgets(stack: Stack) -> Any:
        """It forgets to yield."""
        return answer

    (finding,) = findings(QUEUES, [forgets], [], TODAY)
    assert sentence in finding.message
    line = forgets.check.__code__.co_firstlineno
    assert f"The policy forgets failed in {__file__}, line {line}, by" in finding.message


@pytest.mark.parametrize(
    ("options", "docstring", "sentence"),
    [
        ({"severity": "huge"}, "x", "the policy p has 'huge': write low, medium, high, critical"),
        ({"level": "must"}, "x", "the policy p has 'must': write advisory, mandatory"),
        ({}, "", "the policy p has no docstring: write what must be kept"),
    ],
)
def test_a_policy_with_a_wrong_option_is_refused(
    options: dict[str, Any], docstring: str, sentence: str
) -> None:
    def check(_stack: Stack) -> list[Violation]:
        return []

    check.__doc__ = docstring
    with pytest.raises(ValueError, match="the policy p") as fault:
        policy("p", **options)(check)
    assert str(fault.value) == sentence


# -- a team's own ---------------------------------------------------------------------------------


def attach(monkeypatch: pytest.MonkeyPatch, *places: Path) -> tuple[list[str], list[str]]:
    monkeypatch.setenv("KUBEFLOW_POLICIES", ":".join(map(str, places)))
    policies, problems = loading.attached()
    return [each.name for each in policies], problems


@pytest.mark.parametrize("place", [EXAMPLE, EXAMPLE / "own_policies.py"])
def test_the_example_is_attached_as_a_file_or_by_its_folder(
    monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    assert attach(monkeypatch, place) == (["team-cost-centre", "team-gpu-ceiling"], [])


def test_a_file_that_is_copied_to_the_own_folder_is_attached(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(loading, "OWN", tmp_path)
    assert attach(monkeypatch) == ([], [])
    (tmp_path / "rules.py").write_text((EXAMPLE / "own_policies.py").read_text())
    assert attach(monkeypatch)[0] == ["team-cost-centre", "team-gpu-ceiling"]


def test_the_example_is_broken_by_one_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEFLOW_POLICIES", str(EXAMPLE))
    cost_centre, ceiling = loading.attached()[0]
    assert len(list(cost_centre(stack("cn-north-1")))) > 20
    assert list(ceiling(stack("cn-north-1"))) == []
    limit = put("spec.limits", {"nvidia.com/gpu": "17"})
    (violation,) = ceiling(changed("cn-north-1", POOL, limit))
    assert violation.sentence == (
        f'{POOL}: spec.limits is {{"nvidia.com/gpu": "17"}}: at most 16; lower maxGpus of the pool.'
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def f(:\n", ", line 1 cannot be loaded (SyntaxError: invalid syntax): mend it, or take"),
        ("\n1 / 0\n", " cannot be loaded (ZeroDivisionError: division by zero): mend it, or take"),
        ("import sys\nsys.exit(4)\n", " cannot be loaded (SystemExit: 4): mend it, or take"),
        ("x = 1\n", " has no policy: write a function with @policy, or remove it."),
        (
            """from policies import policy
def f(stack): "It is a name of the pack."
p = policy("open-ingress")(f)
""",
            " has a second policy open-ingress: choose another name.",
        ),
    ],
)
def test_a_file_that_gives_no_policy_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, sentence: str
) -> None:
    file = tmp_path / "rules.py"
    file.write_text(text)
    names, problems = attach(monkeypatch, file)
    assert names == []
    (problem,) = problems
    assert problem.startswith(f"{file}{sentence}")
    assert "\n" not in problem


def test_a_place_that_is_not_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (problem,) = attach(monkeypatch, tmp_path / "none.py")[1]
    assert problem == (
        f"{tmp_path / 'none.py'} cannot be loaded (FileNotFoundError: there is no such file or "
        "folder): mend it, or take it out of the pack."
    )


# -- the page ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("policies.md", {}),
        (
            "policies.zh-CN.md",
            {
                "严重": "critical",
                "高": "high",
                "中": "medium",
                "低": "low",
                "强制": "mandatory",
                "建议": "advisory",
                "取决于公告": "of the advisory",
            },
        ),
    ],
)
def test_the_page_has_every_policy_with_its_severity_and_level(
    page: str, words: dict[str, str]
) -> None:
    text = (ROOT / "docs" / page).read_text()
    rows = re.findall(r"^\| `([a-z]+-[a-z-]+)` \| ([^|,，]+)[,，] ?(\S+) \|", text, re.MULTILINE)
    written = {name: tuple(words.get(word, word) for word in more) for name, *more in rows}
    assert written == {
        **{each.name: (each.severity, each.level) for each in loading.shipped()},
        "open-advisory": ("of the advisory", "advisory"),
        OWN_POLICIES: ("high", "mandatory"),
    }
    assert len(rows) == len(written)
