"""What the command line names: a stack, a release, a bundle."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

from ops.cli_errors import Refused
from rendering import packing, sources
from rendering.needs import sources_of_stack
from rendering.release import stand_alone
from settings import MANIFESTS, Settings, from_stack_file
from terminal.application import DEFAULT_STACK, Stack
from upgrades.asking import KARPENTER

PROJECT = MANIFESTS.parent

DEFAULT = DEFAULT_STACK

__all__ = [
    "DEFAULT",
    "MANIFESTS",
    "PROJECT",
    "Stack",
    "folders_of_stack",
    "release_folder",
    "settings_of",
    "stack_file",
    "use_bundle",
]


def settings_of(stack: str) -> Settings:
    """The settings in ``Pulumi.<stack>.yaml``.

    Raises:
        SettingsError: the file is missing or has a value that is not allowed.
    """
    return from_stack_file(stack_file(stack), manifests=MANIFESTS)


def stack_file(stack: str) -> Path:
    """The path of ``Pulumi.<stack>.yaml``."""
    return PROJECT / f"Pulumi.{stack}.yaml"


def release_folder(name: str) -> Path:
    """The folder of a release (``26.03``) or of an add-on (``addons/karpenter-1.14.1``).

    Raises:
        Refused: no release has that name.
    """
    names = list(stand_alone(MANIFESTS))
    if name in names:
        return MANIFESTS / name
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}."
    raise Refused(f"there is no release {name!r} under {MANIFESTS.name}/: {hint}")


def folders_of_stack(settings: Settings) -> list[Path]:
    """The release of a stack and the add-ons, each of which has a lock of its own.

    Of Karpenter it is the version that the stack has.
    """
    own = settings.gpu_pool.karpenter_folder
    add_ons = [
        name
        for name in stand_alone(MANIFESTS)
        if name.startswith("addons/") and (name == own or not name.startswith(KARPENTER))
    ]
    return [MANIFESTS / name for name in (settings.release, *add_ons)]


def use_bundle(path: Path | None, folder: Path) -> None:
    """Verify a bundle and make every render of this process take its sources from it.

    Raises:
        Refused: the file is missing.
        SourceRejected: it is damaged, or of another release.
    """
    if path is None:
        return
    if not path.exists():
        raise Refused(f"{path} does not exist: `./kf bundle create` makes a bundle.")
    if path.is_file() and not path.name.endswith(".tar.gz"):
        packing.verify(path, sources_of_stack(folder, MANIFESTS))
    others = os.environ.get(sources.BUNDLES)
    os.environ[sources.BUNDLES] = os.pathsep.join(
        [str(path.resolve()), *([others] if others else [])]
    )
