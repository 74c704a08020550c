"""What a snapshot of the test databases has, and so what a test of a restored one can promise."""

from __future__ import annotations

from pathlib import Path

from tests.services import mariadb

ROWS = 20


def test_a_snapshot_has_what_was_committed_the_moment_before(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    with mariadb.running(tmp_path / "live") as live:
        made = live.query("CREATE DATABASE d; CREATE TABLE d.t (n INT) ENGINE=InnoDB")
        assert made.returncode == 0, made.stderr
        for number in range(ROWS):
            written = live.query(f"INSERT INTO d.t SELECT {number}")
            assert written.returncode == 0, written.stderr
        live.snapshot(tmp_path / "snapshot")
        after = live.query("INSERT INTO d.t VALUES (-1)")
        assert after.returncode == 0, after.stderr
    (tmp_path / "restored").mkdir()
    with mariadb.running(tmp_path / "restored", snapshot=tmp_path / "snapshot") as restored:
        found = restored.query("SELECT n FROM d.t ORDER BY n").stdout.split()
    assert found == [str(number) for number in range(ROWS)]
