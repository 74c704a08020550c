"""The lines at the end of a preview."""

from __future__ import annotations

from review.review import review
from review.sides import base_of
from review.text import WIDTH, text
from tests.review.plans import renamed_cluster, reviewed, row, sides
from tests.review.test_markdown import HOSTILE, RENAMED, everywhere


def test_lines_fit_a_terminal_and_name_the_worst_first() -> None:
    lines = text(reviewed(renamed_cluster(100), settings=RENAMED))
    assert max(map(len, lines)) <= WIDTH == 80
    screen = "\n".join(lines[:30])
    assert screen.index("EKS cluster replaced: kubeflow") < screen.index("S3 bucket replaced")
    assert "Because of the setting cluster.name: kubeflow → acme-ml" in screen


def test_values_move_no_cursor() -> None:
    for value in HOSTILE:
        lines = text(everywhere(value))
        assert all(line.isprintable() for line in lines), value


def test_an_unchanged_stack_is_one_line() -> None:
    same = [row("aws:s3/bucket:Bucket", "b", "same", after={"bucket": "b"})]
    assert text(reviewed(same)) == ["test: nothing changes."]


def test_a_side_from_a_state_claims_nothing_about_settings() -> None:
    _, head = sides(
        [
            row(
                "aws:rds/instance:Instance",
                "db",
                "replace",
                {"engine": "a"},
                {"engine": "b"},
                replacing=["engine"],
            )
        ]
    )
    found = "\n".join(text(review("test", base_of(head.rows), head)))
    assert "RDS database replaced: db" in found
    assert "settings or files that changed since the last run" in found
    assert "engine: a → b" in found
    assert "Changed settings" not in found
