"""The settings of an image mirror without a stack around it, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from pydantic import Field

from regions.region import Region
from settings import field_types as t
from settings import rules_mirror
from settings.account import AwsSettings, IamSettings
from settings.checked_values import aliases, read
from settings.errors import AWS, SettingsError, keys_begin_with, refusal
from settings.image_mirror import ImageMirrorSettings
from settings.mirror_mode import POLICIES_SINCE, MirrorMode
from settings.section import Section


class ClusterAlone(Section):
    """The cluster of a mirror.

    Attributes:
        version: of Kubernetes.
    """

    version: t.MinorVersion = POLICIES_SINCE


class MirrorAlone(Section):
    """The sections of a stack file that a mirror has, as ``settings.sections.Settings`` has them.

    Attributes:
        region: of the cluster.
        cluster: what the mirror has to know of it.
        image_mirror: the mirror itself.
        iam: what a company demands of every role and user.
        aws: the keys ``aws:...``, of which credentials count.
    """

    region: t.RegionName
    cluster: ClusterAlone = ClusterAlone()
    image_mirror: ImageMirrorSettings = ImageMirrorSettings()
    iam: IamSettings = IamSettings()
    aws: AwsSettings = Field(default=AwsSettings(), alias=AWS)

    @property
    def mirror(self) -> MirrorMode:
        """How images reach the cluster."""
        return MirrorMode(self.image_mirror, Region.of(self.region))


@dataclass(frozen=True)
class _Facts:
    settings: MirrorAlone

    @property
    def region(self) -> Region:
        return Region.of(self.settings.region)

    @property
    def mirror(self) -> MirrorMode:
        return self.settings.mirror


def mirror_alone(
    image_mirror: object, region: str, *, namespace: str = "", **sections: object
) -> MirrorAlone:
    """The checked settings of a mirror that a program makes, which is enabled wherever it is.

    Args:
        image_mirror: the section ``imageMirror``, with the names that a stack file has.
        region: of the cluster.
        namespace: of the sections' keys in the program's own stack file, for sentences; empty: the
            values stand in the program.
        sections: the others.

    Raises:
        SettingsError: one sentence per problem.
    """
    with keys_begin_with(f"{namespace}:" if namespace else ""):
        section = cast(object, image_mirror or {})
        if isinstance(section, Mapping):
            section = {"enabled": True, **cast(Mapping[str, object], section)}
        given = {"region": region, "imageMirror": section, **sections}
        names = [name for name in aliases(MirrorAlone) if name != AWS]
        settings, problems, broken = read(MirrorAlone, given, names)
        problems += rules_mirror.RULES.problems(_Facts(settings), broken)
        if settings.image_mirror.enabled is False:
            reason = "this program makes a mirror: remove the line, or the mirror from the program"
            problems = [refusal("imageMirror.enabled", False, reason)]
    if problems:
        raise SettingsError(list(dict.fromkeys(problems)))
    return settings
