"""Base scores of CVSS, versions 2 and 3: records of OSV have the vector, without the number.

Formulas and weights: https://www.first.org/cvss/v3.1/specification-document (7.1, 7.4, appendix A;
3.0 differs in no base score by more than rounding) and https://www.first.org/cvss/v2/guide (3.2.1).
A score of version 4 is looked up in a table of 270 rows, which is not here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

_IMPACT_3 = {"H": 0.56, "L": 0.22, "N": 0.0}
_WEIGHTS_3: Mapping[str, Mapping[str, float]] = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "PR": {"N": 0.85, "L": 0.62, "H": 0.27},
    "UI": {"N": 0.85, "R": 0.62},
    "C": _IMPACT_3,
    "I": _IMPACT_3,
    "A": _IMPACT_3,
}
_OF_CHANGED_SCOPE = {"N": 0.85, "L": 0.68, "H": 0.5}
_IMPACT_2 = {"N": 0.0, "P": 0.275, "C": 0.66}
_WEIGHTS_2: Mapping[str, Mapping[str, float]] = {
    "AV": {"L": 0.395, "A": 0.646, "N": 1.0},
    "AC": {"H": 0.35, "M": 0.61, "L": 0.71},
    "Au": {"M": 0.45, "S": 0.56, "N": 0.704},
    "C": _IMPACT_2,
    "I": _IMPACT_2,
    "A": _IMPACT_2,
}


def base_score(vector: str) -> float | None:
    """The base score of a vector; None for one of version 4, and for what is no vector."""
    version, _, rest = vector.strip("()").partition("/")
    if version in ("CVSS:3.0", "CVSS:3.1"):
        score = _score_3
    elif version.startswith("CVSS:"):
        return None
    else:
        score, rest = _score_2, vector.strip("()")
    pairs = (each.partition(":") for each in rest.split("/"))
    metrics = {name: value for name, _, value in pairs}
    try:
        return score(metrics)
    except KeyError:
        return None


def _score_3(metrics: Mapping[str, str]) -> float:
    weights = {name: values[metrics[name]] for name, values in _WEIGHTS_3.items()}
    changed = {"U": False, "C": True}[metrics["S"]]
    if changed:
        weights["PR"] = _OF_CHANGED_SCOPE[metrics["PR"]]
    lost = 1 - math.prod(1 - weights[each] for each in "CIA")
    impact = 7.52 * (lost - 0.029) - 3.25 * (lost - 0.02) ** 15 if changed else 6.42 * lost
    if impact <= 0:
        return 0.0
    reached = 8.22 * math.prod(weights[each] for each in ("AV", "AC", "PR", "UI"))
    # Up to the next tenth, without what binary fractions add (appendix A, Roundup).
    exact = round(min((1.08 if changed else 1) * (impact + reached), 10) * 100_000)
    return math.ceil(exact / 10_000) / 10


def _score_2(metrics: Mapping[str, str]) -> float:
    weights = {name: values[metrics[name]] for name, values in _WEIGHTS_2.items()}
    impact = 10.41 * (1 - math.prod(1 - weights[each] for each in "CIA"))
    reached = 20 * math.prod(weights[each] for each in ("AV", "AC", "Au"))
    return round((0.6 * impact + 0.4 * reached - 1.5) * (1.176 if impact else 0), 1)
