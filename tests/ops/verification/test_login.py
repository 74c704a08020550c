"""The login of a user: through servers that do as oauth2-proxy, Dex and the dashboard do."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import boto3
import pytest

from ops.cli_errors import Refused
from ops.findings import Finding, Level
from ops.verification.checks.login import login
from ops.verification.forward import Forward
from ops.verification.login_flow import said
from ops.verification.passwords import VARIABLE
from ops.verification.web import Answer
from tests.ops.verification.deep_platform import ALICE, DeepPlatform
from tests.ops.verification.gateway_server import Gateway, serving

PASSWORD = "wq7-generated-Zx93"
GATEWAY = "istio-system/service/istio-ingressgateway:80"


@pytest.fixture
def gateway() -> Generator[Gateway]:
    with serving(Gateway({ALICE: PASSWORD}, {ALICE: ["alice"]})) as running:
        yield running


@pytest.fixture
def deep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gateway: Gateway, aws: None
) -> DeepPlatform:
    made = DeepPlatform(tmp_path, monkeypatch)
    made.kubectl.leads({GATEWAY: gateway.port})
    store_passwords({ALICE: PASSWORD})
    return made


def store_passwords(values: dict[str, str], name: str = "kubeflow/kubeflow/login-1a2b") -> None:
    secrets: Any = boto3.client("secretsmanager", region_name="cn-north-1")
    secrets.create_secret(Name=name, SecretString=json.dumps(values))


def found(deep: DeepPlatform) -> list[Finding]:
    return list(login(deep.platform))


def problems(deep: DeepPlatform) -> str:
    return "\n".join(each.sentence for each in found(deep) if each.level is Level.PROBLEM)


@pytest.mark.check("login", broken=False)
def test_the_generated_password_opens_the_dashboard_and_another_one_does_not(
    deep: DeepPlatform, gateway: Gateway, capfd: pytest.CaptureFixture[str]
) -> None:
    told = found(deep)
    assert [each.level for each in told] == [Level.GOOD, Level.GOOD]
    assert told[0].sentence == "Dex refuses a wrong password (401)"
    assert told[1].sentence == "logs in by the generated password and has alice"
    assert {each.about for each in told} == {ALICE}
    assert gateway.asked[-1] == "GET /api/workgroup/env-info"
    seen = "".join([*capfd.readouterr(), str(told), str(deep.kubectl.calls)])
    assert PASSWORD not in seen


def test_the_password_of_the_environment_comes_before_the_secret(
    deep: DeepPlatform, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.passwords[ALICE] = "another one"
    assert "the generated password opens nothing" in problems(deep)
    monkeypatch.setenv(VARIABLE, "another one")
    assert problems(deep) == ""


def test_the_newest_secret_counts_where_an_older_one_is_left(
    deep: DeepPlatform, gateway: Gateway
) -> None:
    time.sleep(1.1)  # moto's times have whole seconds
    store_passwords({ALICE: "newer"}, "kubeflow/kubeflow/login-9z8y")
    gateway.passwords[ALICE] = "newer"
    assert problems(deep) == ""


@pytest.mark.check("login", broken=True)
@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (
            {"passwords": {ALICE: "of an older rotation"}},
            "the generated password opens nothing, Dex refuses it (401): run `pulumi up`",
        ),
        ({"takes_any": True}, "a password drawn at random opens the dashboard"),
        ({"open": True}, "the dashboard answers without a login (200 to / without a cookie)"),
        (
            {"keeps_cookies": False},
            "the login goes in a circle (/dex/auth -> /dex/auth/local -> /oauth2/callback -> ",
        ),
        (
            {"dex": 503},
            "there is no form to log in: /dex/auth answers 503 (no healthy upstream): `kubectl",
        ),
        (
            {"callback": 500},
            "after the password comes no dashboard: /oauth2/callback answers 500 (Internal Server",
        ),
        (
            {"known_as": "anonymous@kubeflow.org"},
            "the dashboard takes the session for that of 'anonymous@kubeflow.org'",
        ),
        (
            {"namespaces": {ALICE: ["bob"]}},
            "the dashboard shows the namespaces bob, without alice: `kubectl describe profile ali",
        ),
    ],
)
def test_what_is_wrong_with_the_login_is_named(
    deep: DeepPlatform, gateway: Gateway, broken: dict[str, Any], told: str
) -> None:
    for name, value in broken.items():
        setattr(gateway, name, value)
    sentences = problems(deep)
    assert told in sentences
    assert "code=" not in sentences
    assert PASSWORD not in sentences


@pytest.mark.parametrize("tag", ["script", "style", "head"])
def test_of_a_page_the_text_alone_is_told(tag: str) -> None:
    page = f"<html><{tag} id='a'>var a = 1\n</{tag}><body><p>Oops!</p></body></html>"
    assert said("/dex/auth?code=1", Answer(502, page)) == "/dex/auth answers 502 (Oops!)"


def test_of_an_identity_provider_only_the_way_there_is_checked(
    deep: DeepPlatform, gateway: Gateway
) -> None:
    gateway.provider = "login.feishu.example"
    (told,) = found(deep)
    assert told.level is Level.GOOD
    assert "identity provider login.feishu.example; a person has to log in there" in told.sentence
    assert not [each for each in gateway.asked if each.startswith("POST")]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (None, "there is no secret kubeflow/kubeflow/login-... in cn-north-1: run `pulumi up`"),
        ({"bob@example.com": "x"}, f"has no password of {ALICE}"),
    ],
)
def test_without_a_password_nothing_is_concluded(
    deep: DeepPlatform, values: dict[str, str] | None, told: str
) -> None:
    secrets: Any = boto3.client("secretsmanager", region_name="cn-north-1")
    for each in secrets.list_secrets()["SecretList"]:
        secrets.delete_secret(SecretId=each["ARN"], ForceDeleteWithoutRecovery=True)
    if values is not None:
        store_passwords(values)
    with pytest.raises(Refused) as refused:
        found(deep)
    assert told in str(refused.value)


def test_a_gateway_without_a_pod_is_not_checked_with_kubectls_words(deep: DeepPlatform) -> None:
    deep.kubectl.leads({GATEWAY: 0})
    with pytest.raises(Refused) as refused:
        found(deep)
    assert "pod is not running. Current status=Pending" in str(refused.value)
    assert "lists why the gateway has no pod" in str(refused.value)


def test_a_pod_that_goes_is_followed_by_the_next(deep: DeepPlatform, gateway: Gateway) -> None:
    with Forward(deep.platform, "istio-system", "service/istio-ingressgateway", 80) as forward:
        assert forward.request("/").status == 403
        with serving(Gateway({}, {}, open=True)) as other:
            deep.kubectl.leads({GATEWAY: other.port})
            assert forward.request("/").status == 200
    assert len(deep.kubectl.calls) == 2


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def ends(pid: int) -> bool:
    limit = time.monotonic() + 60
    while alive(pid) and time.monotonic() < limit:
        time.sleep(0.05)
    return not alive(pid)


def test_kubectl_ends_with_the_block(deep: DeepPlatform) -> None:
    with Forward(deep.platform, "istio-system", "service/istio-ingressgateway", 80) as forward:
        forward.request("/")
        (pid,) = deep.kubectl.pids
        assert alive(pid)
    assert ends(pid)


def test_kubectl_ends_with_a_process_that_was_killed(deep: DeepPlatform) -> None:
    """Forked: the imports of another Python would take longer than all other tests."""
    forward = Forward(deep.platform, "istio-system", "service/istio-ingressgateway", 80)
    process = multiprocessing.get_context("fork").Process(target=opened, args=(forward,))
    process.start()
    limit = time.monotonic() + 60
    while not deep.kubectl.pids and time.monotonic() < limit:
        time.sleep(0.05)
    (pid,) = deep.kubectl.pids
    assert process.pid is not None
    assert alive(pid)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert ends(pid)


def opened(forward: Forward) -> None:
    assert forward.url
    time.sleep(600)
