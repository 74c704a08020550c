"""What a check tells of the played platform of the Beijing stack."""

from __future__ import annotations

from ops.findings import Level
from tests.ops.verification.played.live import Change
from tests.ops.verification.played.platforms import CN, examined, live_of, wrong


def assert_right(name: str, about: str, sentence: str) -> None:
    """A check finds nothing wrong, and has the sentence."""
    findings = examined(name, live_of(CN))
    assert wrong(findings) == []
    assert sentence in next(each.sentence for each in findings if each.about == about)


def assert_broken(name: str, change: Change, about: str, sentence: str) -> None:
    """A check has one finding about what a change broke, with the sentence."""
    live = live_of(CN).changed()
    change(live)
    (found,) = [said for what, said in wrong(examined(name, live)) if what == about]
    assert sentence in found


def assert_of_others(name: str, change: Change, notes: int) -> None:
    """A check has so many notes, and no problem, where a change passes or is not the platform's."""
    live = live_of(CN).changed()
    change(live)
    levels = [each.level for each in examined(name, live)]
    assert Level.PROBLEM not in levels
    assert levels.count(Level.NOTE) == notes
