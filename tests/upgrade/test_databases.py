"""The databases of release 26.03 with rows in them, 26.03.1 on them, and both ways back.

The tests are one story on one server, in the order of the file.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from settings import MANIFESTS
from tests.consumers.database import Database, database
from tests.consumers.stack import stack
from tests.rendering.beijing import containers, kubeflow
from tests.upgrade.databases import (
    OWNER,
    Columns,
    Rows,
    columns,
    install,
    katib,
    metadata,
    rows,
    start_pipelines,
    use_pipelines,
    versions,
)
from upgrades.table import of_release

OLD, NEW = "26.03", "26.03.1"
IMAGES = {
    "ml-pipeline": "kfp-api-server",
    "metadata-grpc-deployment": "ml_metadata_store_server",
    "katib-db-manager": "katib-db-manager",
}
TAGS = "mlpipeline.pipeline_tags"
KEPT = {"mlpipeline", "metadb", "kubeflow"}
"""Databases that the old release has filled."""
TAGGED = "INSERT INTO mlpipeline.pipeline_tags VALUES ('p-1', 'team', 'a')"


@dataclass
class Story:
    """One server, and what it had before the upgrade.

    Attributes:
        rds: the server.
        folder: for the files of programs and for the snapshot.
        before: columns before the upgrade.
        rows: what they held.
    """

    rds: Database
    folder: Path
    before: Columns = field(default_factory=dict[str, list[str]])
    rows: Rows = field(default_factory=dict[str, list[str]])

    def place(self, name: str) -> Path:
        """A new folder."""
        path = self.folder / name
        path.mkdir()
        return path


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Generator[Story]:
    with database(stack(), tmp_path_factory.mktemp("rds"), release=OLD) as rds:
        yield Story(rds, tmp_path_factory.mktemp("upgrade"))


def version(release: str, deployment: str) -> str:
    """The version of the image that a Deployment of a release runs."""
    pods = containers(kubeflow(release).get("Deployment", deployment))
    (image,) = {each["image"] for each in pods if IMAGES[deployment] in each["image"]}
    return image.rpartition("@")[0].rpartition(":")[2] or image.rpartition(":")[2]


def test_what_starts_here_is_what_the_releases_run() -> None:
    before, after, back, _ = versions()
    assert version(OLD, "ml-pipeline") == before == back
    assert version(NEW, "ml-pipeline") == after
    for deployment in ("metadata-grpc-deployment", "katib-db-manager"):
        assert version(OLD, deployment) == version(NEW, deployment)


def test_the_old_release_has_rows_in_every_table(story: Story) -> None:
    assert len(start_pipelines(story.rds, 0)) == 10
    use_pipelines(story.rds)
    runs = metadata(story.rds, OLD, story.place("metadata"), "r-1", "r-2")
    assert runs == {run: [[f"s3://bucket/{run}", OWNER]] for run in ("r-1", "r-2")}
    assert katib(story.rds, OLD, story.place("katib"), "0.9", "0.4") == ["0.9", "0.4"]
    story.before = columns(story.rds)
    story.rows = rows(story.rds, story.before)
    written = {table for table, found in story.rows.items() if found}
    assert {table for table in story.before if table.startswith("mlpipeline.")} <= written
    assert {"metadb.Artifact", "metadb.Attribution", "kubeflow.observation_logs"} <= written
    story.rds.server.snapshot(story.folder / "snapshot")


def test_the_new_release_adds_tables_and_columns_by_the_rights_its_user_has(story: Story) -> None:
    printed = install(story.rds, NEW)
    # The users of the old release keep their passwords.
    assert "now the one" not in printed
    assert "model-registry: user " in printed
    assert len(start_pipelines(story.rds, 1)) == 5
    declared = of_release(MANIFESTS / NEW).ways[OLD].databases
    assert added(story.before, columns(story.rds)) == {
        (each.name, name) for each in declared if each.name in KEPT for name in each.adds
    }


def added(before: Columns, after: Columns) -> set[tuple[str, str]]:
    """(database, ``table`` or ``table.column``) of what is new, as upgrade.yaml names it."""
    found: set[tuple[str, str]] = set()
    for place, names in after.items():
        database_name, table = place.split(".")
        if place not in before:
            found.add((database_name, table))
        else:
            found |= {
                (database_name, f"{table}.{each}") for each in names if each not in before[place]
            }
    return found


def test_no_row_is_lost_and_none_is_changed(story: Story) -> None:
    assert rows(story.rds, story.before) == story.rows


def test_programs_of_the_new_release_read_what_the_old_one_wrote(story: Story) -> None:
    runs = metadata(story.rds, NEW, story.place("new-metadata"))
    assert set(runs) == {"r-1", "r-2"}
    assert katib(story.rds, NEW, story.place("new-katib")) == ["0.9", "0.4"]
    assert rows(story.rds, story.before) == story.rows


def test_the_way_back_without_a_snapshot_keeps_every_row_of_both(story: Story) -> None:
    """2.16.0 starts on the schema of 2.17.0, changes nothing, and writes as it did."""
    tagged = story.rds.server.query(TAGGED)
    assert tagged.returncode == 0, tagged.stderr
    there = columns(story.rds)
    assert start_pipelines(story.rds, 2) == []
    names = ", ".join(f"`{name}`" for name in story.before["mlpipeline.run_details"][1:])
    copied = f"INSERT INTO run_details (UUID, {names}) SELECT 'r-9', {names} FROM run_details"  # noqa: S608
    written = story.rds.job.query("ml-pipeline", f"USE mlpipeline; {copied} WHERE UUID = 'r-1'")
    assert written == (0, "")
    runs = rows(story.rds, story.before)["mlpipeline.run_details"]
    assert set(story.rows["mlpipeline.run_details"]) < set(runs)
    assert (columns(story.rds), rows(story.rds, {TAGS: there[TAGS]})[TAGS]) == (
        there,
        ["p-1\tteam\ta"],
    )
    assert start_pipelines(story.rds, 3) == []


def test_the_way_back_by_the_snapshot_is_the_moment_before(story: Story) -> None:
    """A new instance; what was written after the snapshot is on the old one alone."""
    folder = story.place("restored")
    with database(stack(), folder, release=OLD, snapshot=story.folder / "snapshot") as restored:
        assert columns(restored) == story.before
        assert rows(restored, story.before) == story.rows
        assert set(metadata(restored, OLD, story.place("restored-metadata"))) == {"r-1", "r-2"}
        assert katib(restored, OLD, story.place("restored-katib")) == ["0.9", "0.4"]
