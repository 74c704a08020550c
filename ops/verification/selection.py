"""The checks that run: by ``--only``, ``--deep``, and what they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from ops.cli_errors import Refused
from ops.verification.check import Check
from settings.errors import listed


def selected(checks: Sequence[Check], only: Iterable[str], *, deep: bool) -> list[Check]:
    """The checks to run, in their order, with those that they need.

    Args:
        checks: all there are.
        only: names, groups (``database``) and first words of names; none: every check.
        deep: whether those run that make objects or rows.

    Raises:
        Refused: there is no such name, or it needs ``--deep``.
    """
    words = [word.strip() for each in only for word in each.split(",") if word.strip()]
    if not words:
        return [check for check in checks if deep or not check.creates]
    wanted = set[str]()
    for word in words:
        named = [check for check in checks if _is_meant(check, word)]
        if not named:
            raise Refused(_no_such(word, checks))
        allowed = [check.name for check in named if deep or not check.creates]
        if not allowed:
            raise Refused(
                f"--only {word} names {listed([check.name for check in named], 'and')}, which "
                "makes objects on the platform and takes them away again: add --deep."
            )
        wanted.update(allowed)
    by_name = {check.name: check for check in checks}
    whole = {name for each in wanted for name in _with_needs(each, by_name)}
    return [check for check in checks if check.name in whole]


def _is_meant(check: Check, word: str) -> bool:
    return word in (check.name, check.group) or check.name.startswith(f"{word}-")


def _with_needs(name: str, by_name: dict[str, Check]) -> Iterator[str]:
    yield name
    for need in by_name[name].needs:
        yield from _with_needs(need, by_name)


def _no_such(word: str, checks: Sequence[Check]) -> str:
    names = list(dict.fromkeys(each for check in checks for each in (check.name, check.group)))
    near = get_close_matches(word, names, n=1, cutoff=0.0)
    return (
        f"--only {word}: there is no check of that name, did you mean {near[0]}? `./kf verify "
        "--list` has all of them."
    )
