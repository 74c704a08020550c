"""The lines at the end of a preview."""

from __future__ import annotations

from review.html import html
from review.markdown import markdown
from review.review import review
from review.sides import base_of
from review.text import WIDTH, text
from tests.review.plans import SETTINGS, kubernetes, renamed_cluster, reviewed, row, sides
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
    lines = text(review("test", base_of(head.rows), head))
    found = "\n".join(lines)
    cause = next(at for at, line in enumerate(lines) if "settings or files" in line)
    assert lines[cause - 1] == ""
    assert "RDS database replaced: db" in found
    assert "settings or files that changed since the last run" in found
    assert "engine: a → b" in found
    assert "Changed settings" not in found


def test_a_cluster_of_the_same_name_counts_what_is_in_it() -> None:
    """The engine plans nothing for objects whose provider is as before."""
    rows = [
        row("aws:eks/cluster:Cluster", "eks", "replace", {"a": "1"}, {"a": "2"}, replacing=["a"]),
        *(kubernetes("ConfigMap", f"c-{n}") for n in range(4)),
        kubernetes("ConfigMap", "changed", "update", before={}, after={"data": {"a": "b"}}),
    ]
    made = reviewed(rows)
    assert made.counts == {"update": 1, "replace": 1}
    for lines in (text(made), [markdown([made])]):
        assert "1 updated, 1 replaced; with the cluster: 5 objects." in " ".join(
            " ".join(lines).split()
        )
    assert "with the cluster" not in " ".join(text(reviewed(rows[1:])))
    renamed = " ".join(text(reviewed(renamed_cluster(5), settings=RENAMED)))
    assert "with the cluster" not in renamed


def test_names_of_aws_are_whole() -> None:
    arns = [
        f"arn:aws:kms:us-west-2:111122223333:key/{n * 8}-9b75-6f3f-0bc3-574b67f6096d" for n in "ab"
    ]
    rows = [
        row(
            "aws:eks/cluster:Cluster",
            "eks",
            "replace",
            {"keyArn": arns[0]},
            {"keyArn": arns[1]},
            replacing=["keyArn"],
        )
    ]
    settings = tuple({**SETTINGS, "kubeflow:key": arn} for arn in arns)
    shown = "".join("".join(text(reviewed(rows, settings=(settings[0], settings[1])))).split())
    assert all(shown.count(arn) == 2 for arn in arns)


def test_a_change_without_danger_says_so() -> None:
    made = reviewed([row("aws:sqs/queue:Queue", "queue", "update", {"delay": 1}, {"delay": 2})])
    assert ". No known danger" in "\n".join(text(made))
    assert ". No known danger" in markdown([made])


def test_a_resource_has_thirty_lines_at_most() -> None:
    sides = [{f"key{n}": f"{each}{n}" for n in range(99)} for each in ("old", "new")]
    rows = [row("aws:s3/bucket:Bucket", "bucket", "update", *sides)]
    assert markdown([reviewed(rows)]).count("`: `old") == 30


def test_a_number_of_the_simulation_is_no_value() -> None:
    group = [{"launchTemplate": {"id": "lt-1", "version": each}} for each in ("1058", "63858")]
    rows = [row("aws:eks/nodeGroup:NodeGroup", "nodes", "update", *group)]
    for page in (markdown([reviewed(rows)]), html([reviewed(rows)]), "".join(text(reviewed(rows)))):
        assert "1058" not in page
        assert "63858" not in page
    assert "`launchTemplate.version`: another version" in markdown([reviewed(rows)])


def test_the_order_of_two_files_is_no_other_cause() -> None:
    """Files are ordered by what is nearer to the resource."""
    rows = [
        row("aws:rds/instance:Instance", "db", "delete", {"a": "b"}, component="Database"),
        row("aws:s3/bucket:Bucket", "b", "delete", {"bucket": "b"}, component="Bucket"),
    ]
    made = reviewed(rows, files=["components/x/database.py", "components/y/bucket.py"])
    assert len({each.cause.files for each in made.dangers}) == 2
    assert "\n".join(text(made)).count("Most likely because of") == 1
    assert markdown([made]).count("Most likely because of") == 1
