"""The registry that receives the copies: the account's own ECR, or any other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from components.registry.ecr_repositories import mutability
from images.reference import InvalidReference, Reference, ecr_registry, parse
from ops import inventories, targets
from ops.cli_errors import Refused
from ops.crane import Absent, Crane, find
from ops.mirror import image_list, plan
from ops.mirror.account_registry import AT_ONCE, AccountRegistry, Login
from ops.mirror.docker_config import own_logins, replace_config, user_config, with_login
from ops.mirror.plan import Copy
from regions.region import Region, known_regions
from rendering import lock as locks
from settings import Settings, SettingsError, from_mapping
from settings.context import StackContext, mirror_of
from settings.mirror_mode import MirrorMode
from terminal.output import messages


class Target:
    """A registry, which creates repositories by itself if it is not ECR.

    Args:
        crane: queries it, if it is not ECR.
        account: ECR, whose API lists a repository in one call and creates repositories.
        login: the first one to ECR, already written.
        write: writes another login to the configuration of crane.
        copies: all copies that belong into ECR, including those that a run leaves out.
        host: of a registry that is not ECR.
    """

    def __init__(
        self,
        crane: Crane,
        account: AccountRegistry | None = None,
        login: Login | None = None,
        write: Callable[[Login], None] | None = None,
        *,
        copies: Iterable[Copy] = (),
        host: str = "",
    ) -> None:
        self._crane, self._account, self._login, self._write = crane, account, login, write
        self._host = host
        self._guard = threading.Lock()
        self._mutability = mutability((copy.target.repository, copy.source) for copy in copies)
        self._digests = account.digests(self._mutability) if account else {}

    @property
    def account(self) -> bool:
        """Whether it is the account's own ECR."""
        return self._account is not None

    @property
    def host(self) -> str:
        """The registry that crane asks for copies; empty: ECR, whose API has been asked."""
        return "" if self._account else self._host

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
    stack: str, file: Path | None, pattern: str | None, registry: str | None = None
) -> Generator[tuple[list[Copy], Target, Crane]]:
    """The copies of a stack (or of a file), their target, and a crane with its login.

    The crane is stopped at the end of the block. With ``registry``, which is ``<host>/<prefix>``,
    no stack is read: the image mirror may be without one (docs/mirror-alone.md).

    Raises:
        Refused, SettingsError: wrong stack or file, no credentials, or those of another account.
        ToolMissing: no crane.
    """
    if registry is not None:
        with _opened_alone(registry, file, pattern) as found:
            yield found
        return
    settings = targets.settings_of(stack)
    own, platform = _inventory(settings), mirror_of(settings).platform
    locked = {source: digest for source, digest in own.items() if digest}
    lines = None if file is None else image_list.read(image_list.text_of(file), str(file))
    if lines and not any(line.target is None or line.target.ecr_region for line in lines):
        listed = image_list.copies(lines, None, locked, platform, str(file))
        host = plan.one_host(listed)
        with own_logins() as folder, Crane(find(), folder) as crane:
            yield plan.only(listed, pattern), Target(crane, host=host), crane
        return
    region = Region.of(settings.region)
    if not lines or any(line.target is None for line in lines):
        _refuse_without_copies(stack, mirror_of(settings))
    login = AccountRegistry.of(settings, {}, AT_ONCE).login()
    account = AccountRegistry.of(settings, tags(settings, stack))
    if refused := settings.refusal_of(login.account):
        raise Refused(
            f"the credentials are of account {login.account} and {refused} for {stack}: choose "
            "another AWS_PROFILE, or aws:profile in the stack file."
        )
    of_account = settings.model_copy(update={"account_id": login.account})
    if lines:
        registry = StackContext.of(of_account, login.account, {}).image_prefix
        listed = image_list.copies(lines, registry, locked, platform, str(file))
        listed = _with_kept(plan.with_kept(listed, own, registry), login.account)
        if len(listed) < len(lines):
            messages.print(f"{len(lines) - len(listed)} images of {file} are in ECR already")
    else:
        listed = plan.copies_of(inventories.of_stack(of_account), locked, platform)
    with _logged_in(listed, pattern, account, login, region) as found:
        yield found


@contextmanager
def _logged_in(
    listed: list[Copy], pattern: str | None, account: AccountRegistry, login: Login, region: Region
) -> Generator[tuple[list[Copy], Target, Crane]]:
    host, own = plan.one_host(listed), region.ecr_registry(login.account)
    if host != own:
        raise Refused(f"the copies go to {host}, and the credentials are for {own}.")
    copies = plan.only(listed, pattern)
    sources, users = {copy.source.registry for copy in copies}, user_config()
    with TemporaryDirectory(prefix="kf-docker-") as folder, Crane(find(), Path(folder)) as crane:

        def write(login: Login) -> None:
            replace_config(Path(folder), with_login(users, sources, host, login.token))

        write(login)
        yield copies, Target(crane, account, login, write, copies=listed), crane


@contextmanager
def _opened_alone(
    registry: str, file: Path | None, pattern: str | None
) -> Generator[tuple[list[Copy], Target, Crane]]:
    """The copies of a list into a registry, with the login to its host that the user has.

    Repositories of ECR are marked as those of the cluster that the prefix names, as the mirror on
    that cluster marks its own.
    """
    if file is None:
        raise Refused(f"--registry {registry} is for images of a list: add --from FILE.")
    example = _example_below(registry)
    own = ecr_registry(example.registry)
    there = [each for each in _platforms(own.account if own else "") if each.place == registry]
    locked = {source: digest for each in there for source, digest in each.locked.items()}
    platform = there[0].only if there else None
    lines = image_list.read(image_list.text_of(file), str(file))
    listed = image_list.copies(lines, registry, locked, platform, str(file))
    if not listed:
        raise Refused(f"every image of {file} is in ECR already: nothing needs a copy.")
    if not example.ecr_region:
        host = plan.one_host(listed)
        with Crane(find()) as crane:
            yield plan.only(listed, pattern), Target(crane, host=host), crane
        return
    if example.ecr_region not in known_regions():
        raise Refused(
            f"--registry {registry} names the region {example.ecr_region}, and AWS has none of "
            "that name."
        )
    settings = from_mapping({"region": example.ecr_region})
    login = AccountRegistry.of(settings, {}, AT_ONCE).login()
    listed = _with_kept(listed, login.account)
    cluster = registry.partition("/")[2]
    account = replace(AccountRegistry.of(settings, {"cluster": cluster}), cluster=cluster)
    region = Region.of(settings.region)
    with _logged_in(listed, pattern, account, login, region) as found:
        yield found


@dataclass(frozen=True)
class _Platform:
    """The platform's own copies of one stack.

    Attributes:
        place: ``<host>/<prefix>``.
        own: source -> digest, from the locks.
        only: the only platform that is copied of an image; None: all.
    """

    place: str
    own: Mapping[str, str | None]
    only: str | None

    @property
    def locked(self) -> dict[str, str]:
        """The digests that are known."""
        return {source: digest for source, digest in self.own.items() if digest}


def _platforms(account: str) -> Generator[_Platform]:
    """Those of every stack of this project whose copies may be in the account's registries."""
    for file in sorted(targets.PROJECT.glob("Pulumi.*.yaml")) if account else ():
        try:
            settings = targets.settings_of(file.name.split(".", 1)[1].removesuffix(".yaml"))
        except SettingsError:
            text = f"{file.name} cannot be read: copies of its platform are treated as others"
            messages.print(text, style="yellow")
            continue
        if mirror_of(settings).copies and not settings.refusal_of(account):
            of_account = settings.model_copy(update={"account_id": account})
            place = StackContext.of(of_account, account, {}).image_prefix
            yield _Platform(place, _inventory(settings), mirror_of(settings).platform)


def _with_kept(listed: list[Copy], account: str) -> list[Copy]:
    """The copies of a list, the platform's own of every stack here marked as such.

    Raises:
        Refused: another image would replace one of them.
    """
    for each in _platforms(account):
        listed = plan.with_kept(listed, each.own, each.place)
    return listed


def _example_below(registry: str) -> Reference:
    """An image below ``<host>/<prefix>``.

    Raises:
        Refused: it is something else.
    """
    host, slash, prefix = registry.partition("/")
    try:
        example = parse(f"{registry}/image")
    except InvalidReference:
        example = None
    if example is None or example.registry != host.lower() or not (slash and prefix):
        raise Refused(
            f"--registry {registry} is not a host and a prefix: write them like "
            "registry.example.com/mirror."
        )
    return example


def tags(settings: Settings, stack: str) -> dict[str, str]:
    """The tags of ``program.stack_tags``, which gets these two names from the engine."""
    project = yaml.safe_load((targets.PROJECT / "Pulumi.yaml").read_bytes())
    return {
        "project": project["name"],
        "stack": stack,
        "cluster": settings.cluster.name,
        **settings.own_tags,
    }


def _inventory(settings: Settings) -> dict[str, str | None]:
    """Source -> digest of the platform's images, as the locks have them."""
    return {
        image.source: image.digest
        for folder in targets.folders_of_stack(settings)
        for image in locks.load(folder, folder.name).images
    }


def _refuse_without_copies(stack: str, mirror: MirrorMode) -> None:
    if not mirror.enabled:
        raise Refused(f"{stack} pulls every image from its source: its imageMirror is not enabled.")
    if mirror.cached is not None:
        raise Refused(
            f"{stack} needs no copies: ECR in {mirror.region.name} pulls images by itself."
        )
