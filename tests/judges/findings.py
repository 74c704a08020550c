"""What a judge finds, and which findings were reviewed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

REVIEWED: list[dict[str, str]] = yaml.safe_load(
    Path(__file__).with_name("reviewed.yaml").read_text()
)


@dataclass(frozen=True)
class Finding:
    """One complaint of a judge: its rule, the resource (``type name``), and the sentence."""

    rule: str
    resource: str
    sentence: str

    def reviewed(self, row: dict[str, str]) -> bool:
        """Whether a row of reviewed.yaml is about this finding."""
        return (
            self.rule == row["rule"]
            and self.resource.startswith(row["resource"])
            and re.search(row["sentence"], self.sentence) is not None
        )


def unreviewed(findings: Iterable[Finding]) -> tuple[list[Finding], list[str]]:
    """The findings without a reviewed reason, and the reasons that no finding has."""
    left: list[Finding] = []
    unused = {row["reason"] for row in REVIEWED}
    for finding in findings:
        rows = [row for row in REVIEWED if finding.reviewed(row)]
        unused -= {row["reason"] for row in rows}
        left += [] if rows else [finding]
    return left, sorted(unused)
