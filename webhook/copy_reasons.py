"""Why an image was not copied: codes, and the words for each.

A row of the table of copies, a build's output and its log have the code alone; whoever shows one to
a person takes the words from here. What a registry or a program answered never gets this far: a
registry chooses its text, and can make a builder read an address and quote what was there.
"""

from __future__ import annotations

from enum import StrEnum


class CopyReason(StrEnum):
    """The code of a class of failures; it is what rows store."""

    NOT_FOUND = "not-found"
    NEEDS_LOGIN = "needs-login"
    REFUSED = "refused"
    RATE_LIMITED = "rate-limited"
    UNREACHABLE = "unreachable"
    UNAVAILABLE = "unavailable"
    TOO_SLOW = "too-slow"
    OVERTIME = "overtime"
    PRIVATE_ADDRESS = "private-address"
    UNSAFE_REDIRECT = "unsafe-redirect"
    TOO_LARGE = "too-large"
    WRONG_DIGEST = "wrong-digest"
    INCOMPLETE = "incomplete"
    NO_IMAGE = "no-image"
    NO_SUCH_PLATFORM = "no-such-platform"
    BUDGET = "budget"
    SHARE = "budget-share"
    KEPT_TAG = "kept-tag"
    TARGET_LOGIN = "target-login"
    TARGET_REFUSED = "target-refused"
    NOT_STARTED = "not-started"
    NOT_REQUESTED = "not-requested"
    UNKNOWN = "unknown"


_WORDS = {
    CopyReason.NOT_FOUND: "its registry has no such image",
    CopyReason.NEEDS_LOGIN: "it needs a login that the builder does not have, or is not there",
    CopyReason.REFUSED: "its registry refuses to give it to the builder",
    CopyReason.RATE_LIMITED: "its registry answers that the limit of pulls is met",
    CopyReason.UNREACHABLE: "its registry cannot be reached from the builder",
    CopyReason.UNAVAILABLE: "its registry answers with an error of its own",
    CopyReason.TOO_SLOW: "its registry answers too slowly",
    CopyReason.OVERTIME: "it takes longer than a copy may",
    CopyReason.PRIVATE_ADDRESS: "its registry is at a private address, or leads to one",
    CopyReason.UNSAFE_REDIRECT: "its registry sends the builder where it does not follow",
    CopyReason.TOO_LARGE: "it is larger than what the builder copies",
    CopyReason.WRONG_DIGEST: "its registry gives other content than its digest says",
    CopyReason.INCOMPLETE: "its registry ended in the middle of its content",
    CopyReason.NO_IMAGE: "its registry answers with something else than an image",
    CopyReason.NO_SUCH_PLATFORM: "it has nothing for the platform of this cluster",
    CopyReason.BUDGET: "the bytes that this cluster copies in a day are used up",
    CopyReason.SHARE: "the bytes that are copied for one namespace in a day are used up",
    CopyReason.KEPT_TAG: "its copy belongs to the platform and is not replaced",
    CopyReason.TARGET_LOGIN: "the builder has no login to this account's registry",
    CopyReason.TARGET_REFUSED: "this account's registry does not take it",
    CopyReason.NOT_STARTED: "the copy could not be started",
    CopyReason.NOT_REQUESTED: "the copy could not be requested",
    CopyReason.UNKNOWN: "the builder knows no reason",
}


def reason_from(stored: object) -> CopyReason:
    """The code that a row has; whatever is no code, foreign text above all, is UNKNOWN."""
    try:
        return CopyReason(str(stored))
    except ValueError:
        return CopyReason.UNKNOWN


def words(stored: object) -> str:
    """The end of a sentence about an image, "it could not be copied: ...", for a stored code."""
    return _WORDS[reason_from(stored)]
