"""When AWS's support of Kubernetes and MySQL versions ends (``support_ends.yaml``, dated)."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter


class Support(BaseModel):
    """The last days of standard support, and of extended support, which costs more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    standard: date
    extended: date


_TABLE = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
READ: date = _TABLE["read"]
_ENDS = TypeAdapter(dict[str, Support])

EKS = _ENDS.validate_python(_TABLE["eks"])
"""Minor version of Kubernetes -> its ends, oldest first."""

MYSQL = _ENDS.validate_python(_TABLE["mysql"])
"""Major version of RDS for MySQL (``8.4``) -> its ends."""

KUBERNETES = tuple(version for version, support in EKS.items() if support.extended >= READ)
"""Versions that EKS offers, on the day when the table was read."""
