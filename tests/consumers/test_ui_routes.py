"""Which paths the UI of Pipelines takes for its proxy and for artifacts: by its own router.

Real: Express 5.2.1 with router 1.3.7 and path-to-regexp, in the versions of each release (its
frontend/server/package-lock.json), and the patterns of frontend/server/app.ts. The handlers are
their names; no registry has the server itself, and docs/known-risks.md tells what was seen with it.
"""

from __future__ import annotations

import json
import os
import subprocess
from itertools import product
from pathlib import Path

import pytest

from tests.consumers.programs import ui_packages
from tests.releases import PIPELINES_2, version_of_pipelines
from tests.rendering.beijing import kubeflow
from tests.services.test_tenants import OF_ARTIFACTS, SPELLINGS

APIS = ("/apis/v1beta1", "/apis/v2beta1", "/pipeline/apis/v1beta1", "/pipeline/apis/v2beta1")
ROUTES = [
    ("get", ["/artifacts/*", "/pipeline/artifacts/*"], "artifacts"),
    ("all", [f"{each}/_proxy/*" for each in APIS], "proxy"),
    ("all", [f"{each}/*" for each in APIS], "API server"),
]
"""Of 2.16.0; 2.17.0 has the same paths for an answer of 410 in place of the proxy."""
SLASHES = ("/", "//", "%2F", "\\", "/./")
PROXIES = ("_proxy", "%5Fproxy", "_%70roxy", "_PROXY", "_proxy%00", "_proxy;x", "x_proxy")
each_release = pytest.mark.parametrize("release", PIPELINES_2)


def answered(release: str, asked: list[str]) -> dict[str, str]:
    """Path -> the handler that gets it, empty for none."""
    packages = ui_packages(version_of_pipelines(release), print)
    done = subprocess.run(
        ["node", str(Path(__file__).with_name("ui_routes.js"))],
        input=json.dumps({"routes": ROUTES, "asked": asked}),
        env={"PATH": os.environ["PATH"], "NODE_PATH": str(packages)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(asked, json.loads(done.stdout), strict=True))


def spelled(prefix: str, *parts: str) -> list[str]:
    """A path with each kind of slash between its parts."""
    return [
        prefix + "".join(f"{slash}{part}" for slash, part in zip(slashes, parts, strict=True))
        for slashes in product(SLASHES, repeat=len(parts))
    ]


@each_release
def test_no_path_that_the_policy_lets_pass_is_the_proxys_in_these_letters(release: str) -> None:
    """Envoy decodes %5F and resolves /./ before the policy; what it leaves alone comes as it is."""
    policy = kubeflow("26.03").get("AuthorizationPolicy", "ml-pipeline-ui-closed-proxy")
    by_path = (rule["to"] for rule in policy["spec"]["rules"] if "to" in rule)
    (denied,) = (each["operation"]["paths"] for rule in by_path for each in rule)
    assert {*denied} == {f"{each}/_proxy*" for each in APIS}
    prefixes = tuple(each.removesuffix("*") for each in denied)
    asked = [path for api in APIS for name in PROXIES for path in spelled(api, name, "http:")]
    asked += [f"{before}{api}/_proxy/x" for before in ("/", "/x") for api in APIS]
    passed = [each for each in asked if not each.startswith(prefixes)]
    taken = [path for path, name in answered(release, passed).items() if name == "proxy"]
    # In other letters: the proxy takes apis or pipeline for its host, which nobody chooses.
    assert {each.lower().startswith(prefixes) for each in taken} == {True}
    assert not [each for each in taken if "_proxy" in each]


@each_release
def test_what_the_policy_denies_is_the_proxys_or_gone(release: str) -> None:
    asked = [f"{api}/_proxy/{rest}" for api in APIS for rest in ("", "http://x", "http%3A%2F%2Fx")]
    assert {*answered(release, asked).values()} == {"proxy"}


@each_release
def test_the_stand_in_takes_the_same_paths_for_artifacts(release: str) -> None:
    asked = [*SPELLINGS, "/artifacts", "/artifacts/", "/pipelines/artifacts/get", "/ARTIFACTS/x"]
    asked += [path for each in ("", "/pipeline") for path in spelled(each, "artifacts", "get")]
    for path, name in answered(release, asked).items():
        assert (name == "artifacts") is bool(OF_ARTIFACTS.fullmatch(path)), path
