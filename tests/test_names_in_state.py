"""The names of all resources but Kubernetes' objects, as each deployed stack has them in its state.

Another name is another resource: the next ``pulumi up`` would make a second one and delete the
first, a bucket with its objects too. Names are added, never edited; one is removed with its
resource. ``python -m tests.test_names_in_state`` adds what is new.
"""

from __future__ import annotations

from pathlib import Path

from tests.harness import Recorded, Registered
from tests.test_program import stack

NAMES = Path(__file__).with_name("names_in_state.txt")
STACKS = ("cn-north-1", "us-west-2")
"""Copies through another partition, and ECR that pulls by itself."""


def in_state(resource: Registered) -> str:
    """The end of its URN: the components around it, type and name."""
    parents = resource.parent.split("::")[2].split("$") if resource.parent else []
    kinds = [kind.rpartition(":")[2] for kind in parents if kind != "pulumi:pulumi:Stack"]
    return f"{'/'.join([*kinds, resource.type])} {resource.name}"


def names_of(recorded: Recorded) -> set[str]:
    return {in_state(each) for each in recorded.all if each.package != "kubernetes"}


def names_made() -> set[str]:
    """Of the stacks as they are shipped, and with what is optional in a release."""
    optional = stack(STACKS[0], pipelines={"v1": True}, modelCatalog={"enabled": True})
    return names_of(optional).union(*(names_of(stack(name)) for name in STACKS))


def test_every_name_is_one_that_states_have() -> None:
    made = names_made()
    known = set(NAMES.read_text().splitlines())
    assert made - known == set(), "new names: python -m tests.test_names_in_state adds them"
    assert known - made == set(), "names of deployed stacks: their resources would be replaced"


if __name__ == "__main__":
    known = set(NAMES.read_text().splitlines()) if NAMES.exists() else set[str]()
    made = names_made()
    NAMES.write_text("".join(f"{name}\n" for name in sorted(known | made)))
