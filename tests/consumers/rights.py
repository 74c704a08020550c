"""Why the role of a pod has a right: a program of the tier uses it, or a document says so.

``python -m tests.consumers.rights`` runs the programs and writes the table in docs/consumers.md.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from regions.region import Region
from tests.components.backend.simulated_backend import ACCOUNT
from tests.consumers.access_decisions import Access, like, matches, statements
from tests.consumers.argo import Step, life_of_a_folder, life_of_a_log, of_profile
from tests.consumers.judged_aws import JudgedAws, judged_aws
from tests.consumers.kserve import Downloader, put_model, put_team_model
from tests.consumers.pipelines import METRICS, MINE, Launcher, api_server, put_artifact
from tests.consumers.stack import TEAM_PREFIX, Role, planned, roles_of, stack
from tests.harness import Recorded
from tests.judges.plans import PLANS, recorded

Right = tuple[str, str, str]
"""Role, as ``role_called``, action, and resource, as ``Names.written``."""
PAGE = Path(__file__).parents[2] / "docs/consumers.md"
_TABLE = re.compile(r"(?<=<!-- rights -->\n).*?(?=<!-- /rights -->)", re.DOTALL)
_REGION = "cn-north-1"
_PLANS = ("cn-north-1", "shared files, China")
"""Plans of that region which have together every role of pods."""
_PROFILE = "backend-profile-"


def role_called(role: Role) -> str:
    """The name of a role in the table; profiles are alike."""
    return "profile" if role.name.startswith(_PROFILE) else role.name.removeprefix("backend-")


@dataclass(frozen=True)
class Names:
    """What the table has for the names of one plan.

    Attributes:
        region: of the plan.
        resources: ARN -> the name of the resource in Pulumi.
    """

    region: Region
    resources: Mapping[str, str]

    @classmethod
    def of(cls, plan: Recorded) -> Names:
        """The names of a plan in the region of this module."""
        # The input `arn` of a resource is another's.
        made = {
            arn: each.name
            for each in plan.all
            if (arn := each.outputs.get("arn")) and "arn" not in each.inputs
        }
        return cls(Region.of(_REGION), made)

    def written(self, resource: str, role: Role) -> str:
        """A resource without what differs from stack to stack.

        A profile's own name is replaced alone and as a whole part of a key, so that rights on
        another's objects, or on more of them, have a text of their own.
        """
        partition = self.region.arn("s3", "", account="", region="").partition("s3:")[0]
        text = resource.removeprefix(partition).replace(ACCOUNT, "ACCOUNT")
        text = text.replace(self.region.name, "REGION")
        for arn, name in self.resources.items():
            if resource == arn or resource.startswith(f"{arn}/"):
                text = f"<{name}>{resource.removeprefix(arn)}"
        if role.name.startswith(_PROFILE):
            own = re.escape(role.name.removeprefix(_PROFILE))
            text = re.sub(rf"(?<=/){own}(?=/)", "PROFILE", text)
        return text


def rights_of(role: Role, names: Names, access: Access | None = None) -> Iterator[Right]:
    """What the documents of a role allow, or of that, what an access takes."""
    for statement in (each for document in role.documents for each in statements(document)):
        if statement["Effect"] != "Allow" or (access and not matches(statement, access)):
            continue
        for action in _texts(statement["Action"]):
            for resource in _texts(statement["Resource"]):
                if access is None or (
                    like(action, access.action) and like(resource, access.resource)
                ):
                    yield role_called(role), action, names.written(resource, role)


@cache
def allowed() -> frozenset[Right]:
    """Everything that the roles of pods may do by the documents of whole plans and of the tier's.

    Policies of AWS itself, such as that of the EBS CSI driver, are AWS' own to explain.
    """
    plans = [*(recorded(PLANS[name]) for name in _PLANS), planned(_REGION)]
    return frozenset(
        right
        for plan in plans
        for role in roles_of(plan).values()
        if _is_of_pods(role)
        for right in rights_of(role, Names.of(plan))
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
    downloader = Downloader(judged, folder / "home")
    for number, uri in enumerate((put_model(judged, MINE), put_team_model(judged, TEAM_PREFIX))):
        assert downloader.run(uri, folder / f"models-{number}") == ""


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
    names = Names.of(planned(_REGION))
    for consumer, use in CONSUMERS.items():
        with (
            tempfile.TemporaryDirectory() as folder,
            judged_aws(stack(_REGION), Path(folder)) as judged,
        ):
            use(judged, Path(folder))
        assert judged.denied() == [], f"{consumer} is denied {judged.denied()}"
        taken: set[Right] = set()
        for each in judged.journal:
            rights = set(rights_of(judged.stack.roles[each.role], names, each.access))
            # A trust policy alone decides who assumes a role.
            assert rights or each.access.action.startswith("sts:"), each
            taken |= rights
        for right in sorted(taken):
            found.setdefault(right, []).append(consumer)
    return found


def explained() -> list[tuple[Right, str]]:
    """Rights and the reason of each, from ``rights.yaml``."""
    rows: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    return [
        ((role, action, resource), " ".join(row["because"].split()))
        for row in rows
        for role in row["roles"]
        for action in row["actions"]
        for resource in row["resources"]
    ]


def table(used: Mapping[Right, list[str]]) -> str:
    """The table of the page: a row for the actions of a role with one reason on equal resources."""
    resources: dict[tuple[str, str, str], list[str]] = {}
    for right in sorted(allowed()):
        role, action, resource = right
        reasons = [reason for each, reason in explained() if each == right]
        why = ", ".join(used[right]) if right in used else "; ".join(reasons)
        resources.setdefault((role, why, action), []).append(resource)
    rows: dict[tuple[str, str, str], list[str]] = {}
    for (role, why, action), on in resources.items():
        rows.setdefault((role, why, _code(on)), []).append(action)
    lines = ["| role | may | on | because |", "|---|---|---|---|"]
    for (role, why, on), actions in rows.items():
        lines.append(f"| `{role}` | {_code(actions)} | {on} | {why} |")
    return "\n".join(lines) + "\n"


def _code(texts: list[str]) -> str:
    return ", ".join(f"`{each}`" for each in texts)


def written(page: str) -> str:
    """The table in the text of the page."""
    found = _TABLE.search(page)
    assert found is not None, "the page has no marks <!-- rights -->"
    return found[0]


if __name__ == "__main__":
    PAGE.write_text(_TABLE.sub(lambda _: table(requested()), PAGE.read_text()))
