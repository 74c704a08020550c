"""The registry that receives the copies: the account's own ECR, or any other."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import yaml

from components.registry.ecr_repositories import mutability
from images.reference import parse
from ops import inventories, targets
from ops.cli_errors import Refused, messages
from ops.crane import Crane, running
from ops.crane_failures import Absent, CraneFailed
from ops.mirror import plan
from ops.mirror.account_registry import AccountRegistry, Login, past_half
from ops.mirror.docker_config import own_config, persons_config, private_folder
from ops.mirror.plan import Copy
from regions.region import Region
from rendering import lock as locks
from settings import Settings
from settings.mirror_mode import MirrorMode


class Target(Protocol):
    """Where the copies go."""

    def found(self, copy: Copy) -> str | None:
        """The digest of the copy that is there; None: there is none. Raises CraneFailed."""
        ...

    def lacking(self, copies: Iterable[Copy]) -> list[str]:
        """The repositories of these copies that ``prepare`` would make."""
        ...

    def prepare(self, copies: Iterable[Copy]) -> list[str]:
        """Makes what these copies need; returns the new repositories."""
        ...

    def renew(self) -> None:
        """Keeps the login valid in a run of many hours."""
        ...


class OtherRegistry:
    """A registry that makes repositories by itself."""

    def __init__(self, crane: Crane) -> None:
        self._crane = crane

    def found(self, copy: Copy) -> str | None:
        try:
            return self._crane.digest(copy.target)
        except Absent:
            return None

    def lacking(self, copies: Iterable[Copy]) -> list[str]:  # noqa: ARG002 - makes its own
        return []

    def prepare(self, copies: Iterable[Copy]) -> list[str]:  # noqa: ARG002 - makes its own
        return []

    def renew(self) -> None: ...


class Ecr:
    """ECR: its API tells in a call per repository what is there, and makes repositories."""

    def __init__(
        self, account: AccountRegistry, crane: Crane, host: str, login: Login, copies: list[Copy]
    ) -> None:
        self._account, self._crane, self._host = account, crane, host
        self._guard = threading.Lock()
        # Of all that belongs there, also of what a run leaves out.
        self._mutability = mutability((copy.path, copy.source) for copy in copies)
        self._digests = account.digests(self._mutability)
        self._write(login)

    def _write(self, login: Login) -> None:
        try:
            self._crane.login(self._host, login.user, login.password)
        except CraneFailed as why:
            raise Refused(f"crane cannot keep the login to {self._host}, which {why}.") from None
        self._login, self._since = login, datetime.now(UTC)

    def found(self, copy: Copy) -> str | None:
        return self._digests.get(copy.path, {}).get(copy.tag)

    def lacking(self, copies: Iterable[Copy]) -> list[str]:
        return sorted({copy.path for copy in copies} - self._digests.keys())

    def prepare(self, copies: Iterable[Copy]) -> list[str]:
        wanted = {copy.path: self._mutability[copy.path] for copy in copies}
        return self._account.prepare(wanted)

    def renew(self) -> None:
        with self._guard:
            if past_half(self._login, self._since, datetime.now(UTC)):
                self._write(self._account.login())


@contextmanager
def opened(
    stack: str, file: Path | None, pattern: str | None
) -> Generator[tuple[list[Copy], Target, Crane]]:
    """The copies of a stack (or of a file), their target, and a crane that is logged in there.

    The crane is stopped at the end of the block.

    Raises:
        Refused, SettingsError: no such stack or file, no credentials, or those of another account.
        ToolMissing: no crane.
    """
    settings = targets.settings_of(stack)
    locked, platform = _locked(settings), settings.image_mirror.platform
    listed = None if file is None else plan.read(_text(file), locked, platform, str(file))
    if listed and not any(parse(copy.target).ecr_region for copy in listed):
        plan.one_host(listed)
        with running(messages.print) as crane:
            yield plan.only(listed, pattern), OtherRegistry(crane), crane
        return
    region = Region.of(settings.region)
    mirror = MirrorMode(settings.image_mirror, region)
    if not listed and not mirror.enabled:
        raise Refused(f"{stack} pulls every image from its source: its imageMirror is not enabled.")
    if not listed and mirror.cached is not None:
        raise Refused(f"{stack} needs no copies: ECR in {region.name} pulls images by itself.")
    account = AccountRegistry.of(settings, tags(settings, stack))
    login = account.login()
    if settings.account_id not in (None, login.account):
        raise Refused(
            f"the credentials are of account {login.account} and {stack} is for "
            f"{settings.account_id}: choose another AWS_PROFILE."
        )
    if not listed:
        known = settings.model_copy(update={"account_id": login.account})
        listed = plan.copies_of(inventories.of_stack(known), locked, platform)
    host, wanted = plan.one_host(listed), region.ecr_registry(login.account)
    if host != wanted:
        raise Refused(f"the copies go to {host}, and the credentials are for {wanted}.")
    copies = plan.only(listed, pattern)
    sources = {copy.source.registry for copy in copies}
    with (
        private_folder(own_config(persons_config(), sources, host)) as folder,
        running(messages.print, folder) as crane,
    ):
        yield copies, Ecr(account, crane, host, login, listed), crane


def tags(settings: Settings, stack: str) -> dict[str, str]:
    """The tags ``program.stack_tags`` gives, which asks the engine for these two names."""
    described = yaml.safe_load((targets.PROJECT / "Pulumi.yaml").read_bytes())
    return {
        "project": described["name"],
        "stack": stack,
        "cluster": settings.cluster.name,
        **settings.tags,
    }


def _locked(settings: Settings) -> dict[str, str]:
    return {
        image.source: image.digest
        for folder in targets.folders_of_stack(settings)
        for image in locks.load(folder, folder.name).images
        if image.digest
    }


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Refused(f"{file} cannot be read: {reason}.") from None
