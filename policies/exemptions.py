"""Violations that were reviewed and stay: exemptions.yaml."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_suffix(".yaml")
_KEYS = {"policy": str, "resource": str, "sentence": str, "reason": str, "until": date}


@dataclass(frozen=True)
class Exemption:
    """One row of exemptions.yaml.

    Attributes:
        policy: its name.
        resource: shell pattern of ``type name``.
        reason: why the violation stays.
        sentence: regular expression that the sentence contains; empty: every sentence.
        until: the last day of the exemption; None: it has no end.
    """

    policy: str
    resource: str
    reason: str
    sentence: str = ""
    until: date | None = None

    def covers(self, policy: str, place: str, sentence: str) -> bool:
        """Whether it is about a violation, expired or not."""
        return (
            policy == self.policy
            and fnmatchcase(place, self.resource)
            and re.search(self.sentence, sentence) is not None
        )

    def ended(self, today: date) -> bool:
        """Whether its last day is over."""
        return self.until is not None and today > self.until


def read(file: Path = FILE, policies: Collection[str] = ()) -> tuple[list[Exemption], list[str]]:
    """The rows of a file, and one sentence for each that is wrong.

    Args:
        file: in the form of exemptions.yaml.
        policies: names of all policies; empty: any name is right.
    """
    try:
        rows: Any = yaml.safe_load(file.read_text("utf-8")) or []
    except (yaml.YAMLError, OSError) as fault:
        return [], [f"{file.name} cannot be read: {' '.join(str(fault).split())}"]
    if not isinstance(rows, list):
        return [], [f"{file.name} is no list: begin each exemption with `- policy:`."]
    found: list[Exemption] = []
    problems: list[str] = []
    for number, row in enumerate(rows, start=1):
        try:
            found.append(_row(f"{file.name}, exemption {number}", row, policies))
        except ValueError as fault:
            problems.append(str(fault))
    return found, problems


def _row(place: str, row: Any, policies: Collection[str]) -> Exemption:
    if not isinstance(row, dict) or not {"policy", "resource", "reason"} <= row.keys():
        raise ValueError(f"{place} lacks a key: write policy, resource and reason.")
    for key, value in row.items():
        if key not in _KEYS:
            raise ValueError(f"{place} has the key {key}: use {', '.join(_KEYS)}.")
        if type(value) is not _KEYS[key] or (isinstance(value, str) and not value.strip()):
            form = "a date like 2027-03-31" if key == "until" else "text"
            raise ValueError(f"{place} has {key}: {value!r}: write {form}.")
    if policies and row["policy"] not in policies:
        raise ValueError(
            f"{place} is for {row['policy']}, which is no policy: "
            f"use {', '.join(sorted(policies))}."
        )
    try:
        re.compile(row.get("sentence", ""))
    except re.error as fault:
        raise ValueError(f"{place} has a sentence that is no pattern: {fault}.") from None
    return Exemption(**row)
