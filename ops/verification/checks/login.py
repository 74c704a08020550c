"""The login of a user with the generated password, through the gateway to the dashboard."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from ops.cli_errors import Refused
from ops.findings import Finding, good, problem
from ops.verification.check import Check
from ops.verification.forward import Forward
from ops.verification.login_flow import (
    Elsewhere,
    LoginFailed,
    Session,
    WithoutLogin,
    WrongPassword,
    log_in,
    login_page,
    said,
)
from ops.verification.once import Once
from ops.verification.passwords import password_of
from ops.verification.platform import Platform
from ops.verification.profile import user_of

_PORT = 80
_IDENTITY = "/api/workgroup/env-info"
"""Who the dashboard takes a request to be from, and the namespaces that person is in
(kubeflow/dashboard v2.0.0 components/centraldashboard/app/api_workgroup.ts)."""


def _logs(platform: Platform) -> str:
    parts = platform.parts
    return f"{parts.login.log} and {parts.dex.log} have the reason"


def gateway(platform: Platform) -> Forward:
    """A way to the gateway, as a browser's."""
    return Forward.to(platform, platform.parts.gateway, _PORT)


def _logged_in(platform: Platform) -> Session:
    user = user_of(platform)
    password = password_of(platform, user)
    with gateway(platform) as forward:
        try:
            return log_in(forward, user.email, password)
        except LoginFailed as failure:
            raise Refused(f"{user.email} cannot log in: {failure}.") from None


SESSION = Once(_logged_in)
"""The session of the user; ``Refused`` where nobody can log in by a password."""


def login(platform: Platform) -> Iterator[Finding]:
    """Right and wrong password, identity, and what there is without a login."""
    user = user_of(platform)
    about = user.email
    with gateway(platform) as forward:
        try:
            login_page(Session(), forward)
        except Elsewhere as elsewhere:
            yield good(
                about,
                f"the gateway sends to the identity provider {elsewhere.host}; a person has to log "
                "in there, so no password was tried",
            )
            return
        except WithoutLogin as failure:
            yield problem(
                about,
                f"{failure}: AuthorizationPolicy istio-system/istio-ingressgateway-oauth2-proxy is "
                "missing or was edited, run `pulumi refresh` and `pulumi up`",
            )
            return
        except LoginFailed as failure:
            yield problem(about, f"{failure}: {_logs(platform)}")
            return
        password = password_of(platform, user)
        yield from _wrong(platform, forward, user.email, password)
        try:
            session = log_in(forward, user.email, password)
        except WrongPassword as failure:
            yield problem(
                about,
                f"the generated password opens nothing, {failure}: run `pulumi up`, which writes "
                "its hash into Secret auth/dex-passwords again",
            )
            return
        except LoginFailed as failure:
            yield problem(about, f"{failure}: {_logs(platform)}")
            return
        yield from _identity(platform, session, forward)


def _wrong(platform: Platform, forward: Forward, email: str, password: str) -> Iterator[Finding]:
    """One attempt with another password, of the same length."""
    wrong = secrets.token_hex(len(password))[: len(password)]
    try:
        log_in(forward, email, wrong)
    except WrongPassword:
        yield good(email, "Dex refuses a wrong password (401)")
    except LoginFailed as failure:
        sentence = f"a wrong password is not simply refused; {failure}"
        yield problem(email, f"{sentence}: {_logs(platform)}")
    else:
        yield problem(
            email,
            "a password drawn at random opens the dashboard: look for another connector in "
            f"ConfigMap {platform.parts.dex.config}, and run `pulumi up`",
        )


def _identity(platform: Platform, session: Session, forward: Forward) -> Iterator[Finding]:
    email, namespace = user_of(platform).email, user_of(platform).namespace
    answer = session.get(forward, _IDENTITY)
    told = answer.json
    if answer.status != 200 or not isinstance(told, dict):
        yield problem(email, f"logged in, but {said(_IDENTITY, answer)}: {_logs(platform)}")
        return
    if told.get("user") != email:
        yield problem(
            email,
            f"the dashboard takes the session for that of {told.get('user')!r}: look at "
            "RequestAuthentication istio-system/dex-jwt, and run `pulumi up`",
        )
        return
    mine = sorted(str(each.get("namespace")) for each in told.get("namespaces") or [])
    if namespace not in mine:
        yield problem(
            email,
            f"the dashboard shows the namespaces {', '.join(mine) or 'none'}, without {namespace}: "
            f"`kubectl describe profile {namespace}` has the reason",
        )
        return
    yield good(email, f"logs in by the generated password and has {', '.join(mine)}")


CHECKS: tuple[Check, ...] = (
    Check(
        "login",
        "the gateway's login with the generated password of a user, and with a wrong one",
        login,
        creates=True,
    ),
)
