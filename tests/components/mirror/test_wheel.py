"""The package of the mirror alone: built, installed without this repository, run on the engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.mirror.buildspec import buildspec
from components.mirror.wheel import PACKAGE, build, modules
from components.objects.webhook_code import code_config_map
from regions.region import Region
from rehearsal.account import Account
from rehearsal.clouds import ACCOUNT, SimulatedCloud
from rehearsal.providers import OIDC_PROVIDER, Simulation
from rehearsal.recording import Recorder
from rehearsal.sample_outputs.eks import CLUSTER
from rehearsal.simulated import simulated_clouds
from toolchain import tools

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "image-mirror"
DRIVER = Path(__file__).with_name("run_alone.py")
PARTITIONS = ["cn-north-1", "us-west-2", "us-gov-west-1"]


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the wheel, and our pinned versions of what it requires."""

    python: Path
    packages: Path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    options = ["--no-index", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([*pip, *options, str(wheel)], check=True)
    # Nothing is downloaded: what the package requires is where this test finds it.
    (packages / "pinned.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return Environment(python, packages)


def run(environment: Environment, folder: Path, *arguments: str, **variables: str) -> str:
    """What a program prints that has nothing of this repository around it."""
    own = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **variables}
    command = [str(environment.python), "-P", *arguments]
    done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Alone:
    """The example's program for a cluster that exists, in a folder of its own."""

    def __init__(
        self, environment: Environment, folder: Path, region: str, **config: object
    ) -> None:
        self.environment, self.folder, self.region = environment, folder, region
        self.project = Path(shutil.copytree(EXAMPLE, folder / "project"))
        given = {"region": region, "cluster": "research", **config}
        keys = {name if ":" in name else f"image-mirror:{name}": v for name, v in given.items()}
        (self.project / "Pulumi.test.yaml").write_text(yaml.safe_dump({"config": keys}))
        # The CLI finds the runtime by itself; no language host is on this machine.
        described = yaml.safe_load((EXAMPLE / "Pulumi.yaml").read_text())
        described["runtime"] = "python"
        (self.project / "Pulumi.yaml").write_text(yaml.safe_dump(described))

    def has_cluster(self) -> None:
        """Lets cluster and OIDC provider exist in the account."""
        account, cloud = Account(self.folder / "account.jsonl"), SimulatedCloud(self.region)
        described = cloud.invoke("aws:eks/getCluster:getCluster", {"name": "research"})
        issuer = described["identities"][0]["oidcs"][0]["issuer"]
        token = "aws:iam/getOpenIdConnectProvider:getOpenIdConnectProvider"
        arn = cloud.invoke(token, {"url": issuer})["arn"]
        account.create(CLUSTER, self.region, lambda _: ("research", {}))
        account.create(OIDC_PROVIDER, self.region, lambda _: (arn, {}))

    def run(self, *verbs: str) -> list[dict[str, Any]]:
        """What each verb of the engine did, or would do."""
        cli = self.folder / "cli" / "bin" / "pulumi"
        if not cli.exists():
            cli.parent.mkdir(parents=True)
            cli.symlink_to(tools.pulumi(print).path)
        state = self.folder / "state"
        state.mkdir(exist_ok=True)
        simulation = Simulation(self.region, journal=str(self.folder / "account.jsonl"))
        recorder = Recorder()
        with simulated_clouds(simulation, lambda: recorder, self.environment.packages) as listening:
            printed = run(
                self.environment,
                self.project,
                *(str(DRIVER), str(cli.parent.parent), "test", *verbs),
                PULUMI_DEBUG_PROVIDERS=listening(),
                PULUMI_BACKEND_URL=state.as_uri(),
                PULUMI_CONFIG_PASSPHRASE="of a test",
                PULUMI_SKIP_UPDATE_CHECK="true",
                PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION="true",
            )
        return [json.loads(line) for line in printed.splitlines()]


def operations(answer: dict[str, Any]) -> set[str]:
    assert answer["problems"] == []
    return {each["operation"] for each in answer["resources"]}


def of(answer: dict[str, Any], type_: str) -> list[dict[str, Any]]:
    return [each["inputs"] for each in answer["resources"] if each["type"] == type_]


def test_it_has_one_name_at_the_top_and_no_room_of_kubeflow(installed: Environment) -> None:
    names = {path.name for path in installed.packages.iterdir()}
    assert {name for name in names if not name.endswith((".dist-info", ".pth"))} == {PACKAGE}
    files = {path.relative_to(installed.packages) for path in installed.packages.rglob("*.py")}
    rooms = {"/".join(path.parts[1:3]) for path in files if path.parts[1] == "components"}
    assert rooms == {
        "components/__init__.py",
        *(f"components/{room}" for room in ("aws", "dynamic", "mirror", "objects", "registry")),
    }
    whole_stack = {"sections", "stack_settings", "rules_platform", "node_pools", "context"}
    assert not {path.stem for path in files if "settings" in path.parts} & whole_stack
    assert not {"sources", "build", "kustomize"} & {p.stem for p in files if "rendering" in p.parts}


def test_it_imports_without_this_repository(installed: Environment, tmp_path: Path) -> None:
    names = [f"{PACKAGE}.{name.removesuffix('.__init__')}" for name in modules()]
    code = f"""
import importlib, sys
for name in {names!r}:
    importlib.import_module(name)
files = [str(getattr(module, "__file__", "")) for module in sys.modules.values()]
print([file for file in files if file.startswith({str(ROOT)!r}) and "site-packages" not in file])
print([name for name in ("components", "settings", "webhook") if name in sys.modules])
"""
    assert run(installed, tmp_path, "-c", code) == "[]\n[]\n"


def test_builds_and_pods_run_what_they_run_in_a_stack(
    installed: Environment, tmp_path: Path
) -> None:
    code = f"""
from {PACKAGE}.components.mirror.buildspec import buildspec
from {PACKAGE}.components.objects.webhook_code import code_config_map
print(code_config_map("x")["metadata"]["name"])
print(buildspec())
"""
    expected = f"{code_config_map('x')['metadata']['name']}\n{buildspec()}\n"
    assert run(installed, tmp_path, "-c", code) == expected


def test_the_example_is_short_and_names_the_file_of_the_package(wheel: Path) -> None:
    assert len((EXAMPLE / "__main__.py").read_text().splitlines()) <= 30
    lines = (EXAMPLE / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [f"./{wheel.name}"]


def test_equal_sources_give_equal_bytes(wheel: Path, tmp_path: Path) -> None:
    assert build(tmp_path).read_bytes() == wheel.read_bytes()


@pytest.mark.engine
@pytest.mark.parametrize("region", PARTITIONS)
def test_the_example_is_made_stays_as_it_is_and_goes(
    region: str, installed: Environment, tmp_path: Path
) -> None:
    images = ["python:3.12-slim", "quay.io/prometheus/prometheus:v3.5.0"]
    alone = Alone(installed, tmp_path, region, images=images)
    alone.has_cluster()
    preview, up, again, destroy = alone.run("preview", "up", "preview", "destroy")
    assert operations(preview) == operations(up) == {"create"}
    assert operations(again) == {"same"}
    assert operations(destroy) == {"delete"}
    here = Region.of(region)
    host = here.ecr_registry(ACCOUNT)
    assert up["outputs"]["registry"] == f"{host}/research"
    text = json.dumps(up["resources"])
    others = {Region.of(name).partition for name in PARTITIONS} - {here.partition, "aws"}
    assert not any(f"arn:{partition}:" in text for partition in others)
    if region == "us-west-2":
        assert "ecr:BatchImportUpstreamImage" in up["outputs"]["nodePolicy"]
        assert of(up, "aws:ecr/pullThroughCacheRule:PullThroughCacheRule")
    else:
        (copies,) = of(up, "pulumi-python:dynamic:MirroredImages")
        assert {"docker.io/library/python:3.12-slim", images[1]} <= {*copies["images"]}
