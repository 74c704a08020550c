"""Hub's catalog, as far as the Go module proxy has it, with the rendered variables and files.

The newest version that it serves, v0.3.0, has a catalog that stores nothing, and a registry that
connects to PostgreSQL as the later catalog does: by the same code, with an empty DSN, so that all
of the login stands in the variables of PostgreSQL's clients (kubeflow/hub v0.3.0
internal/datastore/embedmd/postgres/connect.go; v0.3.8 catalog/cmd/catalog.go).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import requests
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from settings import from_mapping
from settings.model_catalog import files, sources_yaml
from tests.cluster.api_server import built
from tests.consumers.database import with_hosts
from tests.consumers.model_registry import first_line
from tests.consumers.programs import MODEL_REGISTRY
from tests.consumers.stack import AUTHORITIES, Stack
from tests.ports import free_port
from tests.rendering.beijing import kubeflow
from tests.rendering.profile_hooks import WITH_CATALOG
from tests.rendering.secret_writer import CATALOG, written
from tests.services import postgres

RELEASE = max(WITH_CATALOG)
DEPLOYMENT = "model-catalog-server"
HOST = "kubeflow-model-catalog.abc.rds.cn-north-1.amazonaws.com.cn"
SOURCE = {"id": "team", "name": "团队的模型", "file": "examples/catalogs/team.yaml"}
_FIRST_FAILURE = "(attempt 1/25)"


@dataclass(frozen=True)
class CatalogDatabase:
    """PostgreSQL under the name that RDS will have.

    Attributes:
        server: the running one.
        stack: with its authorities among the values.
        hosts: the file in place of /etc/hosts.
    """

    server: postgres.Server
    stack: Stack
    hosts: Path

    def of_authority(self, pem: str) -> CatalogDatabase:
        """The same with other authorities in the stack."""
        return replace(self, stack=self.stack.with_values({AUTHORITIES: pem}))

    def variables(self, folder: Path, **changed: str) -> dict[str, str]:
        """The variables of the catalog's container, whose files are in the folder."""
        release = kubeflow(RELEASE)
        remote = {
            CATALOG: {
                **{"host": HOST, "port": str(self.server.port), "database": postgres.DATABASE},
                **{"username": postgres.USER, "password": postgres.PASSWORD},
            }
        }
        (secret,) = (
            each
            for each in release.all("ExternalSecret")
            if each["spec"].get("dataFrom") == [{"extract": {"key": CATALOG}}]
        )
        name = self.stack.bound(secret["spec"]["target"]["name"])
        found = self.stack.variables(release, DEPLOYMENT, {name: written(secret, remote)})
        for mount, content in _mounts(self.stack).items():
            place = folder / mount.strip("/")
            place.mkdir(parents=True, exist_ok=True)
            for file, text in content.items():
                (place / file).write_text(text)
            found = {key: value.replace(mount, str(place)) for key, value in found.items()}
        return {"PATH": os.environ["PATH"], "HOME": str(folder), **found, **changed}


def _mounts(stack: Stack) -> dict[str, Mapping[str, str]]:
    """Path in the container -> the files of the ConfigMap there."""
    release = kubeflow(RELEASE)
    pod = release.get("Deployment", DEPLOYMENT)["spec"]["template"]["spec"]
    volumes = {each["name"]: each["configMap"]["name"] for each in pod["volumes"]}
    return {
        mount["mountPath"]: stack.bound(release.get("ConfigMap", volumes[mount["name"]])["data"])
        for mount in release.container(DEPLOYMENT)["volumeMounts"]
    }


@contextmanager
def database(stack: Stack, folder: Path) -> Generator[CatalogDatabase]:
    """Starts the server, empty; ends with the block."""
    with postgres.running(folder, HOST) as server:
        hosts = folder / "hosts"
        hosts.write_text(f"127.0.0.1 localhost {HOST} another.name\n")
        yield CatalogDatabase(
            server, stack.with_values({AUTHORITIES: server.authority.read_text()}), hosts
        )


@contextmanager
def storing(rds: CatalogDatabase, folder: Path) -> Generator[str]:
    """Runs the program that stores, with the catalog's variables; its address."""
    address = f"127.0.0.1:{free_port()}"
    command = with_hosts(rds.hosts, *_storing(address))
    with _running(command, rds.variables(folder), folder / "log"):
        _answer(f"http://{address}/api/model_registry/v1alpha3/registered_models")
        yield address


def _storing(address: str) -> list[str]:
    host, _, port = address.partition(":")
    program = [str(built(MODEL_REGISTRY, print)), "proxy", f"--hostname={host}", f"--port={port}"]
    return [*program, "--datastore-type=embedmd", "--embedmd-database-type=postgres"]


def refusal(rds: CatalogDatabase, folder: Path, **changed: str) -> str:
    """The message about its first attempt to connect, with other values for some variables."""
    command = with_hosts(rds.hosts, *_storing(f"127.0.0.1:{free_port()}"))
    variables = rds.variables(folder, **changed)
    return first_line(command, variables, containing=_FIRST_FAILURE, seconds=120)


@contextmanager
def serving(stack: Stack, folder: Path) -> Generator[str]:
    """Runs the catalog with its rendered arguments and the files of a source; its address.

    v0.3.0 has the first name of the list of sources, which later ones read too.
    """
    settings = from_mapping({"region": "cn-north-1", "modelCatalog": {"sources": [SOURCE]}})
    catalog = settings.model_catalog
    release, address = kubeflow(RELEASE), f"127.0.0.1:{free_port()}"
    place = folder / "catalog"
    place.mkdir()
    listed = stack.with_values({"model-catalog.sources": sources_yaml(catalog)})
    (config,) = (content for mount, content in _mounts(listed).items() if mount == "/catalog")
    for name, text in {**config, **files(catalog)}.items():
        (place / name).write_text(text.replace("model_catalogs", "catalogs"))
    container = release.container(DEPLOYMENT)
    _, *subcommand = container["command"]
    arguments = [text.replace("/catalog/", f"{place}/") for text in container["args"]]
    command = [str(built(MODEL_REGISTRY, print)), *subcommand, *arguments, f"--listen={address}"]
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with _running(command, variables, folder / "log"):
        _answer(f"http://{address}/api/model_catalog/v1alpha1/sources")
        yield f"http://{address}"


@contextmanager
def _running(command: list[str], variables: Mapping[str, str], log: Path) -> Generator[None]:
    with (
        log.open("wb") as file,
        subprocess.Popen(command, env=dict(variables), stdout=file, stderr=file) as process,
    ):
        try:
            yield
        except requests.RequestException as failure:
            raise AssertionError(log.read_text()) from failure
        finally:
            process.terminate()


@retry(
    retry=retry_if_exception_type(requests.RequestException),
    stop=stop_after_delay(300),
    wait=wait_fixed(0.2),
    reraise=True,
)
def _answer(url: str) -> Any:
    answer = requests.get(url, timeout=30)
    answer.raise_for_status()
    return answer


def read(url: str) -> Any:
    """The JSON at a URL."""
    return _answer(url).json()
