"""Sentences a person can act on, from messages of the engine and exceptions of a program."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from rehearsal.recording import STACK_TYPE
from settings.errors import CREDENTIALS_ENDED, full_key, is_expired

_PREFIXES = ("an unhandled error occurred: ", "python inline source runtime error: ", "error: ")
# The engine repeats the value of a bad property, which may be a secret and may be long.
_BAD_PROPERTY = re.compile(r"property (\S+) value \{.*\} has a problem: ", re.DOTALL)
_PROTECTED_PROFILE = re.compile(r"(?P<urn>urn:\S+:Profile::(?P<namespace>[a-z0-9-]+))\b.*protect")
PROTECTED = "protect"
"""In every refusal of the engine to replace or delete what is protected."""
_LOST = "notebooks, volumes, models, experiments, scheduled runs and secrets"
_TRACE = "\nTraceback (most recent call last):"
_PACK = re.compile(r'error: policy pack "(.+?)" failed to start')
_ERROR_LINE = re.compile(r"^\s*(?:stderr: )?error: (.+)$", re.MULTILINE)


def sentence_of(message: str) -> str:
    """One engine message without prefixes, values, stack traces and empty lines."""
    if pack := _PACK.search(message):
        return _of_pack(pack[1], message)
    text = message.split(_TRACE, maxsplit=1)[0].strip()
    if text.startswith("code: ") and (line_of_cli := _ERROR_LINE.search(text)):
        # The CLI itself failed: the reason is in its output.
        text = line_of_cli.group(1)
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix)
    text = _BAD_PROPERTY.sub(r"property \1 ", text)
    return re.sub(r"\s+", " ", text).removesuffix(" ()").strip()


def _of_pack(folder: str, message: str) -> str:
    """The last line of a pack's own trace, which the CLI prints before its sentence."""
    trace = message.rpartition(_TRACE.strip())[2].partition("\n\n")[0].strip()
    reason = trace.splitlines()[-1].strip() if trace else "it prints no reason"
    return f"The policy pack {folder} does not start: {reason}; mend it, or take it out."


def expired_once(problems: list[str]) -> list[str]:
    """The problems, with one sentence in place of all of credentials that have ended."""
    others = [problem for problem in problems if not is_expired(problem)]
    if len(others) == len(problems):
        return problems
    return [f"{CREDENTIALS_ENDED[0].upper()}{CREDENTIALS_ENDED[1:]}", *others]


def namespaces_explained(
    problems: list[str], state: Callable[[], Iterable[dict[str, Any]]], *, whole: bool
) -> list[str]:
    """The problems; a refusal to delete a Profile has user, namespace, loss and way out in it.

    Args:
        problems: the engine's sentences.
        state: gives the resources of the stack's state.
        whole: whether the whole stack is to be deleted.
    """
    if not any(_PROTECTED_PROFILE.search(problem) for problem in problems):
        return problems
    profiles = {one["urn"]: one["inputs"] for one in state() if "inputs" in one}

    def explained(problem: str) -> str:
        found = _PROTECTED_PROFILE.search(problem)
        profile = profiles.get(found["urn"]) if found else None
        if not found or not profile:
            return problem
        namespace, owner = found["namespace"], profile["spec"]["owner"]["name"]
        lost = f"Namespace {namespace} of {owner} would be deleted with its {_LOST}"
        if whole:
            protection = full_key("deletionProtection")
            return f"{lost}: set {protection} to false and run up before the destroy."
        return (
            f"{lost}: put it back as it was in {full_key('users')}; to delete it nevertheless, add "
            f"{namespace} to {full_key('deletableNamespaces')}, run up, and change the user then."
        )

    return [explained(problem) for problem in problems]


def named(sentence: str, urn: str | None) -> str:
    """The sentence with type and name of its resource, if it is about one and names none."""
    _, separator, name = (urn or "").rpartition("::")
    type_ = (urn or "").removesuffix(f"::{name}").rpartition("::")[-1].rpartition("$")[-1]
    if not (sentence and separator) or type_ == STACK_TYPE or name in sentence:
        return sentence
    return f"{type_} {name}: {sentence}"


def sentence_of_exception(failure: BaseException, project: Path) -> str:
    """The text of a program's exception; of Python's own also the type and the line."""
    text = str(failure)
    if type(failure).__module__ != "builtins" and text:
        return text
    inside = [
        (Path(frame.f_code.co_filename), line)
        for frame, line in traceback.walk_tb(failure.__traceback__)
        if Path(frame.f_code.co_filename).is_relative_to(project)
    ]
    place = f" ({inside[-1][0].relative_to(project)}, line {inside[-1][1]})" if inside else ""
    name = type(failure).__name__
    return f"{name}: {text}{place}" if text else f"{name}{place}"


@cache
def quiet_loop_end() -> None:
    """Silences an error of the SDK about its own closed event loop after a program failed.

    The Automation API closes the loop of a failed inline program while a coroutine still waits for
    it; Python reports "no running event loop" with a stack trace when it collects the coroutine.
    """
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if "no running event loop" not in str(unraisable.exc_value):
            before(unraisable)

    sys.unraisablehook = hook
