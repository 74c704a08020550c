"""The facts that a rule over more than one setting of a stack may read (``rule_frame``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from pydantic import AliasPath, BaseModel, ConfigDict, Field, ValidationError

from advisories.table import AdvisoriesInvalid, of_release
from regions.region import Region
from settings.errors import SettingsError
from settings.mirror_mode import MirrorMode
from settings.node_pools import karpenter_versions
from settings.release_files import fields
from settings.sections import Settings
from upgrades import table as upgrades
from upgrades.asking import KARPENTER


class OptionalPart(BaseModel):
    """The setting that asks for a part of a release."""

    model_config = ConfigDict(frozen=True)

    setting: str


class Patches(BaseModel):
    """The versions of a component's images that a stack may choose."""

    model_config = ConfigDict(frozen=True)

    versions: tuple[str, ...]


class Release(BaseModel):
    """The part of a release.yaml that rules read; a missing key is empty.

    Attributes:
        kubernetes_min: the oldest version of Kubernetes that it runs on.
        kubernetes_max: the newest.
        unserved: Kubernetes version -> API that it removed -> the objects that use the API.
        pipelines: the version of Kubeflow Pipelines.
        credentials: the kinds of credentials that Pipelines can use for S3.
        optional: parts that a setting asks for, by name.
        patches: component -> the versions of its images that a stack may choose.
        advisories: all identifiers in its advisories.yaml.
        conditions: the names of all conditions in its upgrade.yaml.
    """

    # The whole model is in ``rendering.release``, which ``settings/`` may not import.
    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    kubernetes_min: str = Field(default="", validation_alias=AliasPath("kubernetes", "min"))
    kubernetes_max: str = Field(default="", validation_alias=AliasPath("kubernetes", "max"))
    unserved: Mapping[str, Mapping[str, Sequence[str]]] = {}
    pipelines: str = Field(default="", validation_alias=AliasPath("pipelines", "version"))
    credentials: tuple[str, ...] = Field(
        default=(), validation_alias=AliasPath("pipelines", "credentials")
    )
    optional: Mapping[str, OptionalPart] = {}
    patches: Mapping[str, Patches] = {}
    advisories: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()

    def asks_for(self, setting: str) -> bool:
        """Whether a part of the release depends on this setting."""
        return any(part.setting == setting for part in self.optional.values())


@dataclass(frozen=True)
class Facts:
    """The facts that rules read.

    Attributes:
        settings: all of the stack's; one that its own type check refused has its default here.
        region: the stack's; any known one while `region` itself is wrong.
        releases: by name.
        karpenter: version -> the release.yaml of its folder under ``manifests/addons``.
    """

    settings: Settings
    region: Region
    releases: Mapping[str, Release] = field(default_factory=dict[str, Release])
    karpenter: Mapping[str, Release] = field(default_factory=dict[str, Release])

    @property
    def mirror(self) -> MirrorMode:
        """How images reach the stack."""
        return MirrorMode(self.settings.image_mirror, self.region)


@lru_cache(maxsize=8)
def releases(manifests: Path) -> Mapping[str, Release]:
    """The releases below a folder, by name: every folder in it that has a release.yaml."""
    files = sorted(manifests.glob("*/release.yaml"))
    return {file.parent.name: _read(file) for file in files}


@lru_cache(maxsize=8)
def karpenter_releases(manifests: Path) -> Mapping[str, Release]:
    """The versions of Karpenter in ``addons/karpenter-<version>`` below a folder, oldest first."""
    return {
        version: _read(manifests / f"{KARPENTER}{version}" / "release.yaml")
        for version in karpenter_versions(manifests)
    }


def _read(file: Path) -> Release:
    found = fields(file)
    try:
        advisories = of_release(file.parent).advisories
        conditions = sorted(set(upgrades.of_release(file.parent).conditions()))
        names = tuple(name for each in advisories for name in each.names)
        more = {"advisories": names, "conditions": conditions}
        return Release.model_validate({**found, **more})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise SettingsError([f"{file}, {place}: {first['msg']}: correct it."]) from None
    except (AdvisoriesInvalid, upgrades.UpgradesInvalid) as invalid:
        raise SettingsError([str(invalid)]) from None
