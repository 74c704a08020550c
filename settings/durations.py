"""Durations as Go writes them: ``1h30m``."""

from __future__ import annotations

import re

_SECONDS = {"h": 3600, "m": 60, "s": 1}


def seconds(duration: str) -> int:
    """The length of a duration of hours, minutes and seconds."""
    parts = re.findall(r"(\d+)([hms])", duration)
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)
