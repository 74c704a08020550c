"""Types of the values in the files of a release's folder."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, StringConstraints

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Version = Annotated[str, StringConstraints(pattern=r"^v?\d+(\.\d+){0,2}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
Repository = Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")]
GitRef = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w./+-]*$")]
Inside = Annotated[str, StringConstraints(pattern=r"^\w[\w-]*(\.[\w-]+)*(/[\w-]+(\.[\w-]+)*)*$")]
"""A path below a folder: relative, and without a way up."""
ObjectName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*/[a-z0-9][a-z0-9.-]*$")]
"""An object by ``namespace/name``."""
KindAndName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z][A-Za-z]+ ([a-z0-9][a-z0-9.-]*/)?[a-z0-9][a-z0-9.:<>-]*$"),
]
"""An object by ``Kind namespace/name``, or ``Kind name`` without a namespace; markers stay."""
SqlUser = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
SqlDatabase = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,31}$")]
"""Without ``_``, which stands for any character in a GRANT."""
Needed = Literal["install", "feature", "example"]
"""What an image is pulled for: to install the platform, when a feature is used, by an example."""
NEEDS: tuple[Needed, ...] = get_args(Needed)
"""The strongest first."""


class Strict(BaseModel):
    """Part of a file of this project: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
