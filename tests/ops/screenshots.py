"""Renews the screenshots of the documentation: ``make screenshots``.

``docs/pictures/plan.png`` is the HTML report of ``./kf plan`` for a change that renames the
cluster, as a browser shows it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from terminal.output import messages

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
STACK = "cn-north-1"
CHANGE = {"\n    name: kubeflow\n": "\n    name: acme-ml\n"}
_WINDOW = (760, 960)


def main() -> None:
    """Both versions are rehearsed: a minute or two."""
    with tempfile.TemporaryDirectory() as folder:
        head = _commit(Path(folder) / "index")
        command = ["plan", "--base", "HEAD", "--head", head, "--stack", STACK, "--output", folder]
        subprocess.run([ROOT / "kf", *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        photograph(Path(folder) / "plan.html", PICTURES / "plan.png", _WINDOW)
    messages.print("wrote docs/pictures/plan.png")


def photograph(page: Path, picture: Path, window: tuple[int, int]) -> None:
    """Writes the upper part of a page, as a browser of that size shows it."""
    with tempfile.TemporaryDirectory() as home:
        shot = Path(home) / "shot.png"
        options = [
            *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            f"--user-data-dir={home}",
            f"--window-size={window[0]},{window[1]}",
            f"--screenshot={shot}",
        ]
        subprocess.run(["chromium", *options, page.as_uri()], check=True, capture_output=True)
        shutil.copyfile(shot, picture)


def _commit(index: Path) -> str:
    """A commit with the change, on no branch; index and working tree stay as they are."""
    file = f"Pulumi.{STACK}.yaml"
    text = _git("show", f"HEAD:{file}")
    for before, after in CHANGE.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    blob = _git("hash-object", "-w", "--stdin", given=text).strip()
    _git("read-tree", "HEAD", index=index)
    _git("update-index", "--cacheinfo", f"100644,{blob},{file}", index=index)
    tree = _git("write-tree", index=index).strip()
    return _git("commit-tree", tree, "-p", "HEAD", "-m", "Another name").strip()


def _git(*arguments: str, given: str = "", index: Path | None = None) -> str:
    own = {"GIT_INDEX_FILE": str(index)} if index else {}
    done = subprocess.run(
        ["git", *arguments],
        cwd=ROOT,
        input=given,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


if __name__ == "__main__":
    main()
