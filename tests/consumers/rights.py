"""Why the role of a pod has a right: a program of the tier uses it, or a document says so.

``python -m tests.consumers.rights`` runs the programs and writes the table in docs/consumers.md.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.consumers.access_decisions import statements
from tests.consumers.argo import Step, life_of_a_folder, life_of_a_log, of_profile
from tests.consumers.judged_aws import JudgedAws, judged_aws
from tests.consumers.kserve import download, put_model
from tests.consumers.pipelines import METRICS, MINE, Launcher, api_server, put_artifact
from tests.consumers.stack import Role, roles_of, stack
from tests.judges.plans import PLANS, recorded

Right = tuple[str, str]
"""Role, as ``role_called``, and action."""
PAGE = Path(__file__).parents[2] / "docs/consumers.md"
_TABLE = re.compile(r"(?<=<!-- rights -->\n).*?(?=<!-- /rights -->)", re.DOTALL)
_PLAN = "cn-north-1"


def role_called(role: Role) -> str:
    """The name of a role in the table; profiles are alike."""
    name = role.name.removeprefix("backend-")
    return "profile" if name.startswith("profile-") else name


@cache
def allowed() -> frozenset[Right]:
    """Everything that the roles of pods may do by the documents of a whole plan.

    Policies of AWS itself, such as that of the EBS CSI driver, are AWS' own to explain.
    """
    roles = roles_of(recorded(PLANS[_PLAN])).values()
    return frozenset(
        (role_called(role), action)
        for role in roles
        if _is_of_pods(role)
        for document in role.documents
        for statement in statements(document)
        if statement["Effect"] == "Allow"
        for action in _texts(statement["Action"])
    )


def _is_of_pods(role: Role) -> bool:
    return any("Federated" in each["Principal"] for each in statements(role.trust))


def _texts(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _argo(judged: JudgedAws, folder: Path) -> None:
    step = Step(judged, of_profile(judged), folder)
    life_of_a_log(step)
    life_of_a_folder(step)


def _kserve(judged: JudgedAws, folder: Path) -> None:
    assert download(judged, put_model(judged, MINE), folder / "models", folder / "home") == ""


def _launcher(judged: JudgedAws, folder: Path) -> None:
    for command in ("put", "get", "list"):
        assert Launcher(judged, folder).run(command, "text").returncode == 0


def _api_server(judged: JudgedAws, folder: Path) -> None:
    done = api_server(judged, folder, "read", put_artifact(judged, MINE, METRICS))
    assert done.returncode == 0, done.stderr


CONSUMERS: Mapping[str, Callable[[JudgedAws, Path], None]] = {
    "Argo's S3 driver": _argo,
    "kserve-storage": _kserve,
    "Pipelines' launcher": _launcher,
    "Pipelines' API server": _api_server,
}


def requested() -> dict[Right, list[str]]:
    """Right -> the programs that use it, each run once."""
    found: dict[Right, list[str]] = {}
    for consumer, use in CONSUMERS.items():
        with tempfile.TemporaryDirectory() as folder, judged_aws(stack(), Path(folder)) as judged:
            use(judged, Path(folder))
        assert judged.denied() == [], f"{consumer} is denied {judged.denied()}"
        for role, action in sorted(
            {
                (role_called(judged.stack.roles[each.role]), each.access.action)
                for each in judged.journal
                if each.decision == "allowed"
            }
        ):
            found.setdefault((role, action), []).append(consumer)
    return found


def explained() -> list[tuple[Right, str]]:
    """Pattern of rights and the reason, from ``rights.yaml``."""
    rows: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    return [
        ((role, action), " ".join(row["because"].split()))
        for row in rows
        for role in row["roles"]
        for action in row["actions"]
    ]


def matches(pattern: Right, right: Right) -> bool:
    """Whether a row of ``rights.yaml`` is about a right."""
    return all(map(fnmatchcase, right, pattern))


def table(used: Mapping[Right, list[str]]) -> str:
    """The table of the page: a row for each role and reason."""
    rows: dict[tuple[str, str], list[str]] = {}
    for right in sorted(allowed()):
        reasons = [reason for pattern, reason in explained() if matches(pattern, right)]
        why = ", ".join(used[right]) if right in used else "; ".join(reasons)
        rows.setdefault((right[0], why), []).append(right[1])
    lines = ["| role | may | because |", "|---|---|---|"]
    for (role, why), actions in rows.items():
        lines.append(f"| `{role}` | {', '.join(f'`{each}`' for each in actions)} | {why} |")
    return "\n".join(lines) + "\n"


def written(page: str) -> str:
    """The table in the text of the page."""
    found = _TABLE.search(page)
    assert found is not None, "the page has no marks <!-- rights -->"
    return found[0]


if __name__ == "__main__":
    PAGE.write_text(_TABLE.sub(lambda _: table(requested()), PAGE.read_text()))
