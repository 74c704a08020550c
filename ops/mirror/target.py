"""The registry that receives the copies: the account's own ECR, or any other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from components.registry.ecr_repositories import mutability
from ops import inventories, targets
from ops.cli_errors import Refused
from ops.crane import Absent, Crane, find
from ops.mirror import plan
from ops.mirror.account_registry import AccountRegistry, Login
from ops.mirror.docker_config import own_logins, replace_config, user_config, with_login
from ops.mirror.plan import Copy
from regions.region import Region
from rendering import lock as locks
from settings import Settings
from settings.mirror_mode import MirrorMode


class Target:
    """A registry, which creates repositories by itself if it is not ECR.

    Args:
        crane: queries it, if it is not ECR.
        account: ECR, whose API lists a repository in one call and creates repositories.
        login: the first one to ECR, already written.
        write: writes another login to the configuration of crane.
        copies: all copies that belong into ECR, including those that a run leaves out.
    """

    def __init__(
        self,
        crane: Crane,
        account: AccountRegistry | None = None,
        login: Login | None = None,
        write: Callable[[Login], None] | None = None,
        copies: Iterable[Copy] = (),
    ) -> None:
        self._crane, self._account, self._login, self._write = crane, account, login, write
        self._guard = threading.Lock()
        self._mutability = mutability((copy.target.repository, copy.source) for copy in copies)
        self._digests = account.digests(self._mutability) if account else {}

    def digest(self, copy: Copy) -> str | None:
        """The digest of the copy, of ECR as it was in the beginning; None: it is missing.

        Raises:
            CraneFailed
        """
        if self._account:
            return self._digests.get(copy.target.repository, {}).get(str(copy.target.tag))
        try:
            return self._crane.digest(str(copy.target))
        except Absent:
            return None

    def missing_repositories(self, copies: Iterable[Copy]) -> list[str]:
        """The repositories of these copies that ``prepare`` would create."""
        needed = {copy.target.repository for copy in copies}
        return sorted(needed - self._digests.keys()) if self._account else []

    def prepare(self, copies: Iterable[Copy]) -> list[str]:
        """Create and configure the repositories of these copies; return the new ones."""
        needed = {copy.target.repository for copy in copies}
        configured = {name: value for name, value in self._mutability.items() if name in needed}
        return self._account.prepare(configured) if self._account else []

    def renew_login(self) -> None:
        """Replace a login after half of its lifetime, because a run may take many hours."""
        with self._guard:
            if not (self._account and self._login and self._write):
                return
            if datetime.now(UTC) > self._login.renew_at:
                self._login = self._account.login()
                self._write(self._login)


@contextmanager
def opened(
    stack: str, file: Path | None, pattern: str | None
) -> Generator[tuple[list[Copy], Target, Crane]]:
    """The copies of a stack (or of a file), their target, and a crane with its login.

    The crane is stopped at the end of the block.

    Raises:
        Refused, SettingsError: wrong stack or file, no credentials, or those of another account.
        ToolMissing: no crane.
    """
    settings = targets.settings_of(stack)
    locked, platform = _locked(settings), settings.image_mirror.platform
    listed = None if file is None else plan.read(_text(file), locked, platform, str(file))
    if listed and not any(copy.target.ecr_region for copy in listed):
        plan.one_host(listed)
        with own_logins() as folder, Crane(find(), folder) as crane:
            yield plan.only(listed, pattern), Target(crane), crane
        return
    region = Region.of(settings.region)
    mirror = MirrorMode(settings.image_mirror, region)
    if not listed and not mirror.enabled:
        raise Refused(f"{stack} pulls every image from its source: its imageMirror is not enabled.")
    if not listed and mirror.cached is not None:
        raise Refused(f"{stack} needs no copies: ECR in {region.name} pulls images by itself.")
    account = AccountRegistry.of(settings, tags(settings, stack))
    login = account.login()
    if refused := settings.refusal_of(login.account):
        raise Refused(
            f"the credentials are of account {login.account} and {refused} for {stack}: choose "
            "another AWS_PROFILE, or aws:profile in the stack file."
        )
    if not listed:
        of_account = settings.model_copy(update={"account_id": login.account})
        listed = plan.copies_of(inventories.of_stack(of_account), locked, platform)
    host, own = plan.one_host(listed), region.ecr_registry(login.account)
    if host != own:
        raise Refused(f"the copies go to {host}, and the credentials are for {own}.")
    copies = plan.only(listed, pattern)
    sources, users = {copy.source.registry for copy in copies}, user_config()
    with TemporaryDirectory(prefix="kf-docker-") as folder, Crane(find(), Path(folder)) as crane:

        def write(login: Login) -> None:
            replace_config(Path(folder), with_login(users, sources, host, login.token))

        write(login)
        yield copies, Target(crane, account, login, write, listed), crane


def tags(settings: Settings, stack: str) -> dict[str, str]:
    """The tags of ``program.stack_tags``, which gets these two names from the engine."""
    project = yaml.safe_load((targets.PROJECT / "Pulumi.yaml").read_bytes())
    return {
        "project": project["name"],
        "stack": stack,
        "cluster": settings.cluster.name,
        **settings.own_tags,
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
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Refused(f"{file} cannot be read: {reason}.") from None
