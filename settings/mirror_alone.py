"""The settings of an image mirror without a stack around it, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regions.region import Region
from settings import field_types as t
from settings import rules_mirror
from settings.checked_values import read
from settings.errors import SettingsError, keys_begin_with, refusal
from settings.image_mirror import ImageMirrorSettings
from settings.mirror_mode import MirrorMode
from settings.section import Section


class MirrorAlone(Section):
    """Everything that rules of the mirror read.

    Attributes:
        region: of the cluster.
        image_mirror: the section of a stack file.
    """

    region: t.RegionName
    image_mirror: ImageMirrorSettings = ImageMirrorSettings()


@dataclass(frozen=True)
class _Facts:
    settings: MirrorAlone

    @property
    def region(self) -> Region:
        return Region.of(self.settings.region)

    @property
    def mirror(self) -> MirrorMode:
        return MirrorMode(self.settings.image_mirror, self.region)


def mirror_alone(values: Mapping[str, object], region: str, *, namespace: str = "") -> MirrorMode:
    """How images reach a cluster for which a program makes a mirror.

    A mirror that a program makes is enabled wherever it is.

    Args:
        values: of the section ``imageMirror``, with the names that a stack file has.
        region: of the cluster.
        namespace: of the section's key in the program's own stack file, for sentences; empty: the
            values stand in the program.

    Raises:
        SettingsError: one sentence per problem.
    """
    with keys_begin_with(f"{namespace}:" if namespace else ""):
        given = {"region": region, "imageMirror": {"enabled": True, **values}}
        settings, problems, broken = read(MirrorAlone, given, ("region", "imageMirror"))
        facts = _Facts(settings)
        problems += rules_mirror.RULES.problems(facts, broken)
        if values.get("enabled") is False:
            reason = "this program makes a mirror: remove the line, or the mirror from the program"
            problems = [refusal("imageMirror.enabled", False, reason)]
    if problems:
        raise SettingsError(list(dict.fromkeys(problems)))
    return facts.mirror
