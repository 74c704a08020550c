"""Checks of the database's content: what each component's user sees in it, asked by one pod."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from ops.cli_errors import Refused
from ops.findings import Finding, good, note, problem
from ops.verification.check import Check
from ops.verification.database_rows import (
    NAMESPACE,
    Answer,
    Answers,
    InitJob,
    InitJobMissing,
    Question,
    ask,
    init_job,
    users_of,
)
from ops.verification.finished_jobs import JobFailed
from ops.verification.once import Once
from ops.verification.platform import Platform
from rendering.release import DatabaseUser
from review.blocks import counted
from settings.errors import listed

COUNTED: Mapping[str, Mapping[str, Mapping[str, str]]] = yaml.safe_load(
    Path(__file__).with_name("database_tables.yaml").read_text("utf-8")
)
_MOST = 100_000
"""Rows that are counted of a table, because InnoDB reads each of them."""
_SELECT_TABLES = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE "
# Not SHOW GRANTS, which has the password's hash in some servers.
_SELECT_RIGHTS = (
    "SELECT TABLE_SCHEMA, PRIVILEGE_TYPE FROM information_schema.SCHEMA_PRIVILEGES"
    " UNION ALL SELECT '*', PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES"
)
_COUNT = f"SELECT COUNT(*) FROM (SELECT 1 FROM NAME LIMIT {_MOST}) AS counted"  # noqa: S608
_SHARED = frozenset({"information_schema", "performance_schema", "INFORMATION_SCHEMA"})


def questions(users: Mapping[str, DatabaseUser]) -> Iterator[Question]:
    """What every component's user is asked."""
    for component, user in users.items():
        # Where the first one fails, the others are not asked.
        yield Question(component, "login", "SELECT VERSION(), CURRENT_USER()")
        names = "'Ssl_cipher', 'Ssl_version'"
        yield Question(component, "cipher", f"SHOW SESSION STATUS WHERE Variable_name IN ({names})")
        yield Question(component, "plain", "SELECT 1", plain=True)
        yield Question(component, "databases", "SHOW DATABASES")
        tables = f"TABLE_SCHEMA = '{user.database}' AND TABLE_TYPE = 'BASE TABLE'"
        yield Question(component, "tables", _SELECT_TABLES + tables)
        yield Question(component, "rights", _SELECT_RIGHTS)
        for table in COUNTED.get(component, {}):
            name = f"`{user.database}`.`{table}`"
            yield Question(component, table, _COUNT.replace("NAME", name))


_ANSWERS: Once[Answers] = Once(lambda platform: ask(platform, [*questions(users_of(platform))]))
_INIT_JOB: Once[InitJob] = Once(init_job)


def database_reach(platform: Platform) -> Iterator[Finding]:
    """Every component's user logs in over TLS, and without it as docs/database-tls.md says."""
    try:
        init = _INIT_JOB.of(platform)
    except InitJobMissing as missing:
        yield problem("passwords", str(missing).rstrip("."))
        return
    wanted = platform.settings.database.rotation
    if init.rotation != wanted:
        reason = f"the platform has the passwords of rotation {init.rotation}"
        setting = f"kubeflow:database.rotation is {wanted}"
        yield problem("passwords", f"{reason}, and {setting}: run `pulumi up`")
    if init.failed:
        log = f"`kubectl --namespace {NAMESPACE} logs job/{init.name}` says why"
        yield problem(f"Job {init.name}", f"has failed, so that users may be missing: {log}")
    try:
        answers = _ANSWERS.of(platform)
    except JobFailed as failed:
        yield problem(f"pod in {NAMESPACE}", str(failed).rstrip("."))
        return
    for component, user in users_of(platform).items():
        yield _login(component, answers, init, plain=user.tls == "NONE")


def _login(component: str, answers: Answers, init: InitJob, *, plain: bool) -> Finding:
    about = f"user of {component}"
    login = answers.get((component, "login"))
    if login is None:
        return problem(about, "was not asked: the server is out of reach, see above")
    if login.error:
        return problem(about, explained(login.error, init))
    version, user = login.rows[0]
    cipher = answers.get((component, "cipher"), _NOT_ASKED)
    tried = answers.get((component, "plain"), _NOT_ASKED)
    if cipher.error or tried is _NOT_ASKED:
        unknown = f"its TLS is not known ({cipher.error or tried.error})"
        return note(
            about, f"{user} logs in to MySQL {version}, and {unknown}: run the command again"
        )
    used = {row[0]: row[1] for row in cipher.rows}
    if not used.get("Ssl_cipher"):
        return problem(
            about, f"{user} is logged in without TLS: {_ROTATION} writes its files again"
        )
    over = f"{user} logs in to MySQL {version} over {used.get('Ssl_version')}"
    return _by_tls(about, over, used["Ssl_cipher"], tried.error, plain=plain)


def _by_tls(about: str, over: str, cipher: str, refusal: str, *, plain: bool) -> Finding:
    """Whether a login without TLS is as it should be.

    Args:
        about: the user.
        over: how it logs in with TLS.
        cipher: of that connection.
        refusal: of a connection without; empty: it is accepted.
        plain: whether it has to be.
    """
    if plain and refusal:
        return problem(
            about,
            f"{over}, and is refused without TLS ({refusal}), which this component's driver does "
            "not have: `pulumi up --refresh` sets require_secure_transport to 0 again, and "
            f"{_ROTATION} REQUIRE NONE of the user",
        )
    if not plain and not refusal:
        return problem(about, f"{over}, and without TLS too: {_ROTATION} sets REQUIRE SSL again")
    rest = "also without TLS, which its driver lacks" if plain else "and not without TLS"
    return good(about, f"{over}, {cipher}, {rest}")


_NOT_ASKED = Answer(error="no answer")
_ROTATION = "a higher kubeflow:database.rotation with `pulumi up`"
"""Runs the Job database-init again, which makes whatever a user lacks."""
_ERRORS: Sequence[Mapping[str, str]] = yaml.safe_load(
    Path(__file__).with_name("database_errors.yaml").read_text("utf-8")
)


def explained(error: str, init: InitJob) -> str:
    """The client's sentence with the reason and the way out."""
    for each in _ERRORS:
        if re.search(each["match"], error):
            return f"{error}: {each['reason'].format(secret=init.name)}"
    return f"{error}: `kubectl --namespace {NAMESPACE} logs job/{init.name}` may say more"


class _Users:
    """The components that could log in, with the answers to one question each.

    Attributes:
        all: component of the release -> its user.
        logged_in: those of them that could.

    Raises:
        Refused: none could, or nothing was asked.
    """

    def __init__(self, platform: Platform) -> None:
        self.all = users_of(platform)
        self._answers = _ANSWERS.of(platform)
        self.logged_in = [
            component
            for component in self.all
            if not self._answers.get((component, "login"), _NOT_ASKED).error
        ]
        if not self.logged_in:
            raise Refused("no component's user can log in: see database-reach.")

    def without_login(self) -> Iterator[Finding]:
        for component in self.all:
            if component not in self.logged_in:
                yield problem(f"user of {component}", "cannot log in: see database-reach")

    def answer(self, component: str, question: str) -> Answer:
        return self._answers.get((component, question), _NOT_ASKED)


def database_databases(platform: Platform) -> Iterator[Finding]:
    """Every user sees its own database and no other, with the rights of ``database-init``."""
    users = _Users(platform)
    yield from users.without_login()
    for component in users.logged_in:
        own, needed = users.all[component].database, frozenset(users.all[component].rights)
        about = f"database {own}"
        shown = users.answer(component, "databases")
        granted = users.answer(component, "rights")
        if error := shown.error or granted.error:
            yield problem(about, f"{component} cannot ask for it: {error}")
            continue
        seen = {row[0] for row in shown.rows} - _SHARED
        repair = f"{_ROTATION} gives it again"
        if own not in seen:
            yield problem(about, f"is missing, or {component} may not see it: {repair}")
            continue
        pairs = {(schema.replace("\\", ""), right) for schema, right in granted.rows}
        has = {right for schema, right in pairs if schema == own}
        lacking = needed - has
        if lacking:
            names = listed(sorted(lacking), "and")
            yield problem(about, f"{component} lacks {names} in it: {repair}")
        elsewhere = {schema for schema, right in pairs if schema != own and right != "USAGE"}
        if others := sorted(seen - {own} | elsewhere):
            named = listed(["every database" if each == "*" else each for each in others], "and")
            yield problem(about, f"{component} may use {named} too: revoke that as the master user")
        elif has > needed:
            names = listed(sorted(has - needed), "and")
            yield note(about, f"{component} has {names} in it too, which it does not need")
        elif not lacking:
            yield good(about, f"{component} sees it alone, with {len(has)} rights in it")


def database_tables(platform: Platform) -> Iterator[Finding]:
    """Every component has made its tables."""
    users = _Users(platform)
    yield from users.without_login()
    for component in users.logged_in:
        user = users.all[component]
        about = f"database {user.database}"
        answer = users.answer(component, "tables")
        if answer.error:
            yield problem(about, f"{component} cannot ask for its tables: {answer.error}")
            continue
        # MySQL's names of tables have a case on Linux.
        has, wanted = {row[0] for row in answer.rows}, set(user.tables)
        missing = sorted(wanted - has)
        if not has:
            namespace, _, name = user.deployment.partition("/")
            way_out = f"`kubectl --namespace {namespace} logs deployment/{name}` says why"
            yield problem(about, f"has no table: {component} has not started with it: {way_out}")
        elif missing:
            reason = f"lacks {listed(missing, 'and')} of its {counted(len(wanted), 'table')}"
            yield problem(
                about, f"{reason}: restart Deployment {user.deployment}, which makes them"
            )
        else:
            more = f" and {counted(len(has - wanted), 'other')}" if has - wanted else ""
            yield good(about, f"has the {counted(len(wanted), 'table')} of {component}{more}")


def database_rows(platform: Platform) -> Iterator[Finding]:
    """What has been run so far is in the tables."""
    users = _Users(platform)
    yield from users.without_login()
    for component in users.logged_in:
        for table, words in COUNTED.get(component, {}).items():
            about = f"{users.all[component].database}.{table}"
            answer = users.answer(component, table)
            if answer.error:
                yield problem(about, f"cannot be read: {answer.error}: see database-tables")
                continue
            number = int(answer.rows[0][0])
            if number:
                has = counted(number, words["one"], words["many"])
                yield good(about, f"{has}, and maybe more" if number == _MOST else has)
            else:
                command = f"`./kf verify --stack {platform.stack} --deep` runs one"
                reason = f"no {words['many']}, because {words['first']} has not run yet"
                yield note(about, f"{reason}: {command}")


CHECKS: tuple[Check, ...] = (
    Check(
        "database-reach",
        "a login of every component's user, with TLS and without",
        database_reach,
        creates=True,
    ),
    Check(
        "database-databases",
        "databases and rights, as every component's user sees them",
        database_databases,
        creates=True,
    ),
    Check("database-tables", "the tables of every component", database_tables, creates=True),
    Check(
        "database-rows",
        "rows of runs, cached steps, executions, artifacts and observations",
        database_rows,
        creates=True,
    ),
)
