"""The tool of ``make mutants``: what it changes, which tests it picks, and its results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cosmic_ray.mutating import mutate_code

from tests.mutants import results
from tests.mutants.covering import covering, likeliest_first
from tests.mutants.operators import StringReplacer
from tests.mutants.population import Mutant, changes_of, mutant_of, product_files, sample
from tests.mutants.trials import Copy, TreeFails, Trial

ROOT = Path(__file__).resolve().parents[2]

PRODUCT = '''"""A module about ports."""
from __future__ import annotations

def port(given: int | None, *, name: str = "http") -> int:
    """The port."""
    if given is None:
        raise ValueError(f"{name} has no port: give it one")
    return given + 1
'''
TESTS = """
from room.ports import port

def test_the_next_port():
    assert port(1) == 2
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree of one module and its tests."""
    for name, text in {
        "room/__init__.py": "",
        "room/ports.py": PRODUCT,
        "room/other.py": "A = 1\n",
        "__main__.py": "from room import ports\n",
        "tests/__init__.py": "",
        "tests/room/__init__.py": "",
        "tests/room/test_ports.py": TESTS,
        "tests/room/test_more.py": "def test_nothing(): pass\n",
        "tests/services/test_served.py": "from room import ports\n",
        "tests/live/test_heavy.py": "from room import ports\n",
        "tests/test_program.py": "",
        "tests/test_names.py": "from tests.test_program import stack\n",
    }.items():
        file = tmp_path / "tree" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "tree" / "manifests").mkdir()
    tree = tmp_path / "tree"
    subprocess.run(["git", "init", "--quiet"], cwd=tree, check=True)
    subprocess.run(["git", "add", "--all"], cwd=tree, check=True)
    return tree


@pytest.mark.parametrize("example", StringReplacer.examples(), ids=str)
def test_one_letter_or_digit_of_a_string_changes(example: object) -> None:
    before, after = example.pre_mutation_code, example.post_mutation_code  # pyright: ignore[reportAttributeAccessIssue]
    occurrence = example.occurrence  # pyright: ignore[reportAttributeAccessIssue]
    assert mutate_code(before, StringReplacer(), occurrence) == after


def test_a_change_is_on_the_line_of_its_token() -> None:
    source = 'A = f"{a}.{b}"\nB = f"{c}:"\nC = "x"\n'
    for (line, _), changes in changes_of(source).items():
        for operator, occurrence in changes:
            mutant = mutant_of("room/a.py", source, (line, 0), operator, occurrence)
            assert mutant is not None
            assert mutant.before == source.splitlines()[line - 1]


def test_sentences_docstrings_and_annotations_are_left_alone() -> None:
    changed = {PRODUCT.splitlines()[line - 1][column:] for line, column in changes_of(PRODUCT)}
    assert changed == {
        '"http") -> int:',
        "given is None:",
        "is None:",
        "+ 1",
        "1",
    }


def test_every_change_is_python_and_another_program() -> None:
    for position, changes in changes_of(PRODUCT).items():
        for operator, occurrence in changes:
            mutant = mutant_of("room/ports.py", PRODUCT, position, operator, occurrence)
            assert mutant is not None
            assert mutant.before in PRODUCT
            assert mutant.source(PRODUCT) != PRODUCT


def test_a_change_without_effect_is_no_mutant() -> None:
    source = "x = 'a' if b else 1\n"
    (place,) = (at for at, changes in changes_of(source).items() if "AddNot" in dict(changes))
    assert mutant_of("a.py", source, place, "AddNot", 0) is not None
    assert mutant_of("a.py", source, place, "AddNot", 7) is None


def test_a_seed_gives_the_same_mutants_and_a_larger_count_more_of_them(root: Path) -> None:
    files = product_files(root)
    assert files == ["__main__.py", "room/__init__.py", "room/other.py", "room/ports.py"]
    assert sample(root, files, "1", 4)[:2] == sample(root, files, "1", 2)
    assert {tuple(sample(root, files, str(seed), 1)) for seed in range(9)} > {
        tuple(sample(root, files, "1", 1))
    }


def test_a_line_added_elsewhere_changes_no_mutant(root: Path) -> None:
    before = sample(root, product_files(root), "1", 3)
    (root / "room/ports.py").write_text("# new\n" + PRODUCT)
    after = sample(root, product_files(root), "1", 3)
    assert [each.identity for each in after] == [each.identity for each in before]


def test_the_nearest_tests_come_first_and_the_heavy_tiers_never(root: Path) -> None:
    assert covering(root, "room/ports.py") == [
        ["tests/room/test_ports.py"],
        ["tests/room/test_more.py"],
        ["tests/services/test_served.py"],
        ["tests/test_names.py", "tests/test_program.py"],
    ]
    assert covering(root, "room/other.py") == [
        ["tests/room/test_more.py", "tests/room/test_ports.py"],
        ["tests/services/test_served.py"],
    ]


def test_tests_that_name_what_few_name_come_right_after_the_files_own(root: Path) -> None:
    (root / "tests/services/test_served.py").write_text(
        "from room import ports\nread('words.yaml')"
    )
    (root / "tests/services/words.yaml").write_text("- http\n")
    first, (second, *others) = likeliest_first(root, "room/ports.py", 4)
    assert (first, second) == (["tests/room/test_ports.py"], "tests/services/test_served.py")
    assert len(others) == 3
    assert likeliest_first(root, "room/ports.py", 6)[1][0] == "tests/room/test_more.py"


def test_every_file_that_can_have_mutants_has_covering_tests() -> None:
    uncovered = [path for path in product_files(ROOT) if not covering(ROOT, path)]
    assert {path for path in uncovered if changes_of((ROOT / path).read_text())} == set()


def test_a_mutant_is_tried_on_a_copy_and_ends_with_it(root: Path, tmp_path: Path) -> None:
    copy = Copy(root, tmp_path / "copy", 60)
    position, changes = next(
        (at, found) for at, found in changes_of(PRODUCT).items() if "NumberReplacer" in dict(found)
    )
    killed = mutant_of("room/ports.py", PRODUCT, position, *changes[0])
    assert killed is not None
    trial = copy.trial(killed)
    assert (trial.outcome, trial.by) == (
        "killed",
        "tests/room/test_ports.py::test_the_next_port",
    )
    other = Mutant("room/other.py", 1, 0, "A = 1", "A = 2", "NumberReplacer", 0)
    assert copy.trial(other).outcome == "survived"
    assert (copy.tree / "room/ports.py").read_text() == PRODUCT
    assert (root / "room/ports.py").read_text() == PRODUCT


def test_tests_that_do_not_end_are_ended(root: Path, tmp_path: Path) -> None:
    (root / "tests/room/test_ports.py").write_text("import time\ntime.sleep(600)\n")
    mutant = Mutant("room/other.py", 1, 0, "A = 1", "A = 2", "NumberReplacer", 0)
    assert Copy(root, tmp_path / "copy", 1).trial(mutant).outcome == "timeout"


def test_a_test_that_fails_without_a_mutant_ends_the_run(root: Path, tmp_path: Path) -> None:
    (root / "tests/room/test_ports.py").write_text("def test_wrong(): assert False\n")
    mutant = Mutant("room/other.py", 1, 0, "A = 1", "A = 2", "NumberReplacer", 0)
    with pytest.raises(
        TreeFails, match=r"^tests/room/test_ports.py::test_wrong fails without any mutant"
    ):
        Copy(root, tmp_path / "copy", 60).trial(mutant)


def test_results_are_added_and_a_second_run_finds_them(tmp_path: Path) -> None:
    one, two = (Mutant("a.py", 1, n, "A = 1", "A = 2", "NumberReplacer", n) for n in range(2))
    file = tmp_path / "results.json"
    assert results.read(file) == {}
    results.note(file, one, Trial("survived", "", 1))
    results.note(file, two, Trial("killed", "tests/test_a.py", 2))
    results.note(file, one, Trial("killed", "tests/test_a.py", 3))
    assert {trial.seconds for trial in results.read(file).values()} == {2, 3}


def test_a_reviewed_survivor_and_one_not_tried_do_not_count() -> None:
    four = [Mutant("a.py", n, 0, f"A = {n}", "A = 9", "NumberReplacer", n) for n in range(4)]
    outcomes = [Trial("killed", "t.py", 1), Trial("survived", "", 1), Trial("timeout", "", 1)]
    trials = {each.identity: trial for each, trial in zip(four, outcomes, strict=False)}
    review: results.Review = {"file": "a.py", "line": "A = 1", "mutant": "A = 9", "reason": "r"}
    score = results.score(four, trials, [review])
    assert score == results.Score(tried=3, reviewed=1, killed=1, open=[four[2]])
    assert score.share == 0.5
    page = results.summary(four, trials, score)
    assert "3 of 4 mutants tried: 1 killed, 1 survived, 1 timeout" in page
    assert "1 of the 2 that change behaviour were noticed (50%; target 90%)" in page
    assert "a.py:2\n- A = 2\n+ A = 9" in page


def unknown(reviews: list[results.Review]) -> list[str]:
    """The reviewed mutants that are none of the product, as it is now."""
    missing: list[str] = []
    for review in reviews:
        text = (ROOT / review["file"]).read_text()
        lines = text.splitlines()
        mutants = {
            (mutant.before, mutant.after)
            for position, changes in changes_of(text).items()
            if lines[position[0] - 1].strip() in review["line"]
            for change in changes
            if (mutant := mutant_of(review["file"], text, position, *change))
        }
        if (review["line"], review["mutant"]) not in mutants:
            missing.append(f"{review['file']}: {review['mutant']}")
    return missing


def test_a_reviewed_mutant_is_still_one_of_the_product() -> None:
    assert unknown(results.reviews()) == []
    assert all(review["reason"] for review in results.reviews())
    own = "NO_PRODUCT = 1"
    wrong: results.Review = {"file": "ops/verify.py", "line": own, "mutant": own, "reason": ""}
    assert unknown([wrong]) == [f"ops/verify.py: {own}"]


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_a_wrong_count_is_refused(count: str) -> None:
    command = [sys.executable, "-m", "tests.mutants", "--count", count]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "argument --count" in done.stderr
    assert "Traceback" not in done.stderr
