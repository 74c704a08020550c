"""Three users of a platform that the checks of users and of what lies between them look at."""

from __future__ import annotations

from functools import cache

from ops.findings import Level
from settings.users import User
from tests.ops.verification.played.live import Change, Live
from tests.ops.verification.played.platforms import CN, examined, live_with

ANN = User.model_validate(
    {
        "email": "ann@example.org",
        "namespace": "team-a",
        "quota": {"gpus": 2, "memoryGib": 1024},
    }
)
BEA = User(email="bea@example.org", namespace="team-b", contributors=["ann@example.org"])
CARL = User(email="carl@example.org", namespace="team-c")


@cache
def team() -> Live:
    """Three users, of whom the first may work with the second; not to be changed."""
    return live_with(CN, ANN, BEA, CARL)


def assert_broken(name: str, change: Change, level: Level, about: str, sentence: str) -> None:
    """A check has the sentence about what a change broke, and nothing of another level about it."""
    live = team().changed()
    change(live)
    found = [
        each
        for each in examined(name, live)
        if each.level is not Level.GOOD and each.about == about
    ]
    assert any(sentence in each.sentence for each in found), found
    assert {each.level for each in found} == {level}
