"""The programs that install packages and fetch models, in the environment of a pod in Beijing.

All programs are the real ones, the KFP SDK's compiler too; the mirrors have their own host names, a
private authority, and are reached by a proxy only. The variables are what the profile's hook makes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from program import package_values
from regions.package_mirrors import package_mirrors
from settings import from_mapping
from settings.package_sources import BUNDLE
from tests.conftest import NOTHING_IS_LEFT_OUT
from tests.releases import DEFAULT
from tests.rendering.profile_hooks import SYNC
from tests.services.kfp_sdk import kfp_sdk
from tests.services.package_hosts import PackageHosts, index, node_archive, package_hosts
from tests.services.python_packages import interpreter

HOOK: Any = SYNC[DEFAULT].hook
MIRRORS = {kind: urlsplit(url) for kind, url in package_mirrors("aws-cn").items()}
PYPI, NPM, HUB = (MIRRORS[kind].netloc for kind in ("pypi", "npm", "hugging_face"))
OWN = "pypi.corp.example"


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Generator[PackageHosts]:
    archive = {"tarball": f"https://{NPM}/left/-/left-1.0.0.tgz"}
    versions = {"1.0.0": {"name": "left", "version": "1.0.0", "dist": archive}}
    listing = {"name": "left", "dist-tags": {"latest": "1.0.0"}, "versions": versions}
    files = {
        PYPI: index(MIRRORS["pypi"].path, iris="1.0", kfp="2.16.0"),
        OWN: index("/simple", iris="1.0"),
        NPM: {
            "/left": json.dumps(listing).encode(),
            "/left/-/left-1.0.0.tgz": node_archive("left"),
        },
        HUB: {"/api/models/a/b": b"{}", "/a/b/resolve/main/model.bin": b"weights"},
    }
    with package_hosts(files, tmp_path_factory.mktemp("hosts")) as running:
        yield running


@pytest.fixture
def environment(hosts: PackageHosts, tmp_path: Path) -> dict[str, str]:
    """The variables of a container in a profile; the file of authorities is in ``tmp_path``."""
    proxy = {"http": hosts.proxy, "https": hosts.proxy}
    packages = {"proxy": proxy, "caBundle": str(hosts.authority)}
    settings = from_mapping({"region": "cn-north-1", "packages": packages})
    values = package_values(settings, ["10.64.0.0/16"])
    for name, value in (("variables.json", "variables"), ("ca-bundle.crt", "authorities")):
        (tmp_path / name).write_text(values[f"packages.{value}"])
    variables, authorities = (each["data"] for each in HOOK.package_defaults("team", tmp_path))
    bundle = tmp_path / "mounted.crt"
    bundle.write_text(authorities["ca-bundle.crt"])
    hosts.forget()
    given = {name: str(bundle) if at == BUNDLE else at for name, at in variables.items()}
    # No settings of the machine's own: os.devnull ends pip's search for files.
    return {
        **given,
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "PIP_CONFIG_FILE": os.devnull,
    }


def ran(
    environment: Mapping[str, str], *command: str, **options: Any
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True, symlinks=True)
    return str(folder / "bin" / "python")


COMPILE = """
import sys, yaml
from kfp import compiler, dsl

@dsl.component(base_image="python:3.12", packages_to_install=["iris==1.0"])
def step(number: int) -> int:
    return number

compiler.Compiler().compile(step, sys.argv[1])
with open(sys.argv[1]) as file:
    (executor,) = next(yaml.safe_load_all(file))["deploymentSpec"]["executors"].values()
print(yaml.safe_dump(executor["container"]["command"]))
"""


def test_a_lightweight_component_installs_its_packages_from_the_mirror(
    python: str, environment: dict[str, str], hosts: PackageHosts, tmp_path: Path
) -> None:
    """The command that the SDK compiles, up to the program of the step."""
    source = tmp_path / "step.py"
    source.write_text(COMPILE)  # the compiler reads a component's lines from its file
    nothing = {"PATH": os.environ["PATH"]}
    compiled = ran(nothing, str(kfp_sdk(print)), str(source), str(tmp_path / "step.yaml"))
    assert compiled.returncode == 0, compiled.stderr
    shell, option, install, *_ = yaml.safe_load(compiled.stdout)
    assert "pip install" in install
    folder = str(Path(python).parent)
    path = {"PATH": f"{folder}:{os.environ['PATH']}"}
    done = ran({**environment, **path}, shell, option, install, "true")
    assert done.returncode == 0, done.stderr
    assert ran(path, python, "-c", "import iris, kfp").returncode == 0
    assert hosts.by_proxy == {PYPI}


def test_a_users_own_index_wins(
    python: str, environment: dict[str, str], hosts: PackageHosts, tmp_path: Path
) -> None:
    """As the kubelet merges them: a container's ``env`` after every source of ``envFrom``."""
    own = {**environment, "PIP_INDEX_URL": f"https://{OWN}/simple"}
    command = (python, "-m", "pip", "download", "--no-deps", "--dest", str(tmp_path), "iris")
    done = ran(own, *command)
    assert done.returncode == 0, done.stderr
    assert (hosts.paths(PYPI), "/simple/iris/" in hosts.paths(OWN)) == ([], True)


def test_without_the_authorities_the_mirror_is_not_trusted(
    python: str, environment: dict[str, str], hosts: PackageHosts, tmp_path: Path
) -> None:
    without = {name: at for name, at in environment.items() if not at.endswith("mounted.crt")}
    command = (python, "-m", "pip", "download", "--no-deps", "--retries", "0")
    done = ran(without, *command, "--dest", str(tmp_path), "iris")
    assert (done.returncode, hosts.paths(PYPI)) == (1, [])
    assert "CERTIFICATE_VERIFY_FAILED" in done.stdout + done.stderr


def test_npm_installs_from_the_mirror(
    environment: dict[str, str], hosts: PackageHosts, tmp_path: Path
) -> None:
    npm = shutil.which("npm")
    if npm is None:
        assert not NOTHING_IS_LEFT_OUT, "there is no npm"
        pytest.skip("there is no npm")
    folder = tmp_path / "project"
    folder.mkdir()
    command = (npm, "install", "--no-audit", "--no-fund", "--fetch-retries=0", "left")
    machine = {"NO_UPDATE_NOTIFIER": "1", "NPM_CONFIG_GLOBALCONFIG": str(tmp_path / "npmrc")}
    done = ran({**environment, **machine}, *command, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "node_modules" / "left" / "package.json").exists()
    assert hosts.by_proxy == {NPM}


REQUESTS = "import os, requests; print(requests.get(os.environ['HF_ENDPOINT'] + {!r}).status_code)"
URLLIB = "import os, urllib.request as u; print(u.urlopen(os.environ['HF_ENDPOINT'] + {!r}).status)"


@pytest.mark.parametrize("program", [REQUESTS, URLLIB], ids=["requests", "urllib"])
def test_the_hub_is_the_mirror_by_the_proxy_and_the_authorities(
    program: str, environment: dict[str, str], hosts: PackageHosts
) -> None:
    done = ran(environment, sys.executable, "-c", program.format("/api/models/a/b"))
    assert done.stdout.strip() == "200", done.stderr
    assert hosts.by_proxy == {HUB}


DOWNLOAD = "from huggingface_hub import hf_hub_download as d; print(d('a/b', 'model.bin'))"


def test_a_model_comes_from_the_mirror_alone(
    environment: dict[str, str], hosts: PackageHosts
) -> None:
    packages = Path(__file__).with_name("hugging-face.txt")
    hub = str(interpreter(packages, "the client of the Hugging Face hub", print))
    done = ran(environment, hub, "-c", DOWNLOAD)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_bytes() == b"weights"
    assert hosts.by_proxy == {HUB}


def test_s3_is_not_asked_of_the_proxy(environment: dict[str, str], hosts: PackageHosts) -> None:
    """botocore's own decision, which an S3 client of a pod makes with these variables."""
    program = (
        "import boto3, botocore.config as c; s3 = boto3.client('s3', 'cn-north-1', "
        "aws_access_key_id='a', aws_secret_access_key='b', config=c.Config(connect_timeout=2, "
        "retries={'total_max_attempts': 1})); s3.list_objects_v2(Bucket='bucket')"
    )
    done = ran(environment, sys.executable, "-c", program)
    assert done.returncode == 1
    assert "ProxyConnectionError" not in done.stderr
    assert hosts.by_proxy == set()


def test_openssl_trusts_public_and_own_authorities_alike(environment: dict[str, str]) -> None:
    program = "import ssl; c = ssl.create_default_context(); print(len(c.get_ca_certs()))"
    done = ran(environment, sys.executable, "-c", program)
    assert int(done.stdout) > 100
