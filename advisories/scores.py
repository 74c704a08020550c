"""Base scores of CVSS, versions 2 to 4: records of OSV have the vector, without the number."""

from __future__ import annotations

from cvss import CVSS2, CVSS3, CVSS4, CVSSError


def base_score(vector: str) -> float | None:
    """The base score of a vector; None for what is no vector.

    A vector of version 4 has one score, with its threat metrics where it has some.
    """
    form = {"CVSS:3": CVSS3, "CVSS:4": CVSS4}.get(vector.partition(".")[0], CVSS2)
    try:
        score = form(vector.strip("()")).scores()[0]
    except CVSSError:
        return None
    return None if score is None else float(score)
