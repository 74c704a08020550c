"""One resource of a simulated cloud: the name, the id and the ARN that its provider would choose.

Nothing is random: the digits of a name or an id come from region, type and Pulumi name, so that two
previews agree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from regions.region import Region
from rehearsal.resource_types import TABLES
from rehearsal.sdk_schema import shapes_of

_LOWER_CASE = ("aws:ecr/", "aws:rds/", "aws:s3/")
_WITHOUT_REGION = ("iam", "s3")


@cache
def name_property(type_: str) -> str | None:
    """The property that holds a resource's name, which the provider chooses when it is not given.

    Any property that is literally ``name`` (pulumi-terraform-bridge pkg/tfbridge/info, function
    SetAutonaming), or the exception in ``resource_types.yaml``.
    """
    shapes = shapes_of(type_) if type_.startswith("aws:") else None
    named = shapes is not None and "name" in shapes.objects[shapes.root]["properties"]
    return TABLES["types"].get(type_, {}).get("name", "name" if named else None)


@dataclass(frozen=True)
class SimulatedResource:
    """One resource, or one call of a data source, in one simulated region."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    region: Region
    account: str
    attempt: int = 0
    """How many of the same Pulumi name were made before: a run that was killed is made again."""

    def hex(self, length: int = 17) -> str:
        """The first digits of the resource's own hexadecimal number."""
        seed = f"{self.region.name}/{self.type}/{self.name}" + self.attempt * "+"
        return hashlib.sha256(seed.encode()).hexdigest()[:length]

    @property
    def named_by_caller(self) -> bool:
        """Whether the inputs have a name that is not the provider's own choice."""
        key = name_property(self.type)
        unnamed = replace(self, inputs={k: v for k, v in self.inputs.items() if k != key})
        own = self.inputs.get(key or "")
        return bool(own) and own != unnamed.physical_name

    def renamed(self, before: Mapping[str, Any]) -> bool:
        """Whether the earlier inputs had another name."""
        key = name_property(self.type) or ""
        return self.inputs.get(key) != before.get(key)

    @property
    def physical_name(self) -> str:
        """The name given, or the prefix given with digits, or the autoname of pulumi-aws."""
        key = name_property(self.type) or "name"
        own, prefix = self.inputs.get(key), self.inputs.get(f"{key}Prefix")
        if isinstance(own, str) and own:
            return own
        if isinstance(prefix, str):
            return f"{prefix}{self.hex(26)}"
        name = f"{self.name}-{self.hex(7)}"
        if self.type == "aws:kms/alias:Alias":
            return f"alias/{name}"
        return name.lower() if self.type.startswith(_LOWER_CASE) else name

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource of this account, in this region where the service has regions."""
        region = "" if service in _WITHOUT_REGION else None
        account = "" if service == "s3" else self.account
        return self.region.arn(service, resource, account=account, region=region)

    def text(self, form: str, **computed: str) -> str:
        """``form`` with inputs, ``name``, ``region``, ``dns_suffix``, ``account`` and digits.

        Args:
            form: has digits as ``hex:17`` or ``HEX:16``; an input without a value is empty.
            computed: further values, in place of inputs of the same name.
        """
        digits = self.hex(64)
        own = {"name": self.physical_name, "hex": _Digits(digits), "HEX": _Digits(digits.upper())}
        place = {"region": self.region.name, "dns_suffix": self.region.dns_suffix}
        place["account"] = self.account
        return form.format_map(_Inputs({"path": "/", **self.inputs, **place, **own, **computed}))

    def computed(self) -> dict[str, Any]:
        """The outputs of the type in ``resource_types.yaml``; a form may name those before it."""
        computed: dict[str, Any] = {}
        for key, form in TABLES["types"].get(self.type, {}).get("outputs", {}).items():
            if isinstance(form, str):
                computed[key] = self.text(form, **computed)
            else:
                computed[key] = self.arn(form[0], self.text(form[1]))
        return computed


class _Digits(str):
    """Digits of which a format chooses how many."""

    def __format__(self, length: str) -> str:
        return self[: int(length)]


class _Inputs(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return ""
