"""What a person names on the command line: a stack, a release, a bundle."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

from ops.cli_errors import Refused
from rendering import needs, packing, sources
from rendering.release import stand_alone
from settings import MANIFESTS, Settings, from_stack_file

PROJECT = MANIFESTS.parent


def settings_of(stack: str) -> Settings:
    """The settings in ``Pulumi.<stack>.yaml``.

    Raises:
        SettingsError: there is no such file, or it says what it cannot say.
    """
    return from_stack_file(PROJECT / f"Pulumi.{stack}.yaml", manifests=MANIFESTS)


def release_folder(name: str, manifests: Path = MANIFESTS) -> Path:
    """The folder of a release (``26.03``) or of an add-on (``addons/karpenter-1.14.1``).

    Raises:
        Refused: there is none of that name.
    """
    known = list(stand_alone(manifests))
    if name in known:
        return manifests / name
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}."
    raise Refused(f"there is no release {name!r} under {manifests.name}/: {hint}")


def folders_of_stack(settings: Settings) -> list[Path]:
    """The release of a stack and the add-ons, each of which has a lock of its own."""
    add_ons = [name for name in stand_alone(MANIFESTS) if name.startswith("addons/")]
    return [MANIFESTS / name for name in (settings.release, *add_ons)]


def use_bundle(path: Path | None, folder: Path) -> None:
    """Lets every render of this process take its sources from a bundle, once it is verified.

    Raises:
        Refused: there is no such file.
        SourceRejected: it is damaged, or of another release.
    """
    if path is None:
        return
    if not path.exists():
        raise Refused(f"{path} does not exist: `./kf bundle create` makes a bundle.")
    if path.is_file() and not path.name.endswith(".tar.gz"):
        packing.verify(path, wanted_by(folder))
    others = os.environ.get(sources.BUNDLES)
    os.environ[sources.BUNDLES] = os.pathsep.join(
        [str(path.resolve()), *([others] if others else [])]
    )


def wanted_by(folder: Path) -> dict[str, sources.Source]:
    """The sources that the bundle of a release must hold."""
    return needs.sources_of_stack(folder, _manifests_of(folder))


def _manifests_of(folder: Path) -> Path:
    return next(parent for parent in folder.parents if parent.name == "manifests")
