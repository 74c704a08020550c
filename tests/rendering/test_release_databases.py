"""Every release on RDS: its clients read their own secrets, and follow a rotation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations

import pytest

from rendering import RenderError, render
from rendering.database_users import NAMESPACE, table, users_of, write
from rendering.release import DatabaseUser, Release
from settings import MANIFESTS
from tests.database_users import users
from tests.releases import PIPELINES_2, RELEASES
from tests.rendering import beijing
from tests.rendering.beijing import ROTATION, kubeflow, secret, strings
from tests.rendering.profile_hooks import WITH_CATALOG

every_release = pytest.mark.parametrize("name", RELEASES)


def clients(name: str) -> dict[str, str]:
    """Component -> the Deployment that logs in as its user."""
    return {
        component: user.deployment.removeprefix("kubeflow/")
        for component, user in users(name).items()
    }


@every_release
def test_each_client_reads_its_own_secret_and_no_other(name: str) -> None:
    release = kubeflow(name)
    for component, deployment in clients(name).items():
        texts = " ".join(strings(release.get("Deployment", deployment)))
        secrets = set(re.findall(r"[a-z-]+-database-<<[a-z.]+>>", texts))
        assert secrets == {f"{component}-database-{ROTATION}"}


@every_release
def test_nobody_else_reads_the_secret_of_a_user(name: str) -> None:
    release = kubeflow(name)
    readers = {
        obj["metadata"]["name"]
        for kind in ("Deployment", "StatefulSet", "DaemonSet", "CronJob")
        for obj in release.all(kind)
        if re.search(r"-database-<<", " ".join(strings(obj)))
    }
    # Hub's catalog has the login of its own instance.
    own = {"model-catalog-server"} if name in WITH_CATALOG else set[str]()
    assert readers == set(clients(name).values()) | own


@every_release
def test_the_databases_that_pipelines_asks_for_are_those_its_users_have(name: str) -> None:
    data = kubeflow(name).get("ConfigMap", "pipeline-install-config")["data"]
    keys = {"pipelineDb": "ml-pipeline", "cacheDb": "cache", "mlmdDb": "metadata"}
    for key, component in keys.items():
        assert data[key] == users(name)[component].database
    # Pipelines 2.17 has the other pair alone.
    pairs = {("mysqlHost", "mysqlPort"), ("dbHost", "dbPort")}
    for host, port in [pair for pair in pairs if pair[0] in data]:
        assert (data[host], data[port]) == ("<<database.host>>", "<<database.port>>")


@every_release
def test_katib_reads_the_whole_database_address_from_its_secret(name: str) -> None:
    own = f"katib-database-{ROTATION}"
    assert kubeflow(name).environment("katib-db-manager") == {
        "DB_NAME": "mysql",
        "DB_USER": secret(own, "username"),
        "DB_PASSWORD": secret(own, "password"),
        "KATIB_MYSQL_DB_DATABASE": secret(own, "database"),
        "KATIB_MYSQL_DB_HOST": secret(own, "host"),
        "KATIB_MYSQL_DB_PORT": secret(own, "port"),
    }


@every_release
def test_another_number_of_the_rotation_replaces_every_clients_pods(name: str) -> None:
    for deployment in clients(name).values():
        template = kubeflow(name).get("Deployment", deployment)["spec"]["template"]
        assert any(ROTATION in text for text in strings(template)), deployment


# -- the Job that makes the users ------------------------------------------------------------------


def rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if not line.startswith("#"):
            yield line.split(maxsplit=3)


@every_release
def test_the_job_has_the_table_of_the_components_that_have_users(name: str) -> None:
    release = kubeflow(name)
    text = release.text("database-script", "components", NAMESPACE)
    assert {row[0]: (row[1], row[2], row[3]) for row in rows(text)} == {
        component: (user.login, user.tls, ", ".join(user.rights))
        for component, user in users(name).items()
    }
    login = {row[0]: (row[1], row[2]) for row in rows(text)}
    # MLMD's client knows no other way to log in, and Katib's has no TLS parameter.
    assert login.pop("metadata") == ("mysql_native_password", "SSL")
    assert login.pop("katib") == ("mysql_native_password", "NONE")
    assert set(login.values()) == {("caching_sha2_password", "SSL")}


@every_release
def test_no_user_may_give_rights_away_or_has_all_of_them(name: str) -> None:
    for user in users(name).values():
        assert not {right for right in user.rights if re.search("ALL|GRANT|SUPER|FILE", right)}


@every_release
def test_the_job_reads_the_secrets_of_the_users_and_the_masters(name: str) -> None:
    release = kubeflow(name)
    own = [
        obj
        for kind in ("ExternalSecret", "SecretProviderClass")
        for obj in release.all(kind)
        if obj["metadata"]["namespace"] == NAMESPACE
    ]
    read = set(re.findall(r"<<secret\.([a-z-]+)>>", " ".join(strings({"all": own}))))
    assert read == {*users(name), "database-master"}


@every_release
def test_the_clients_store_reads_the_secrets_of_the_users_alone(name: str) -> None:
    release = kubeflow(name)
    own = [
        obj
        for kind in ("ExternalSecret", "SecretProviderClass")
        for obj in release.all(kind)
        if obj["metadata"]["namespace"] == "kubeflow"
    ]
    read = set(re.findall(r"<<secret\.([a-z-]+)>>", " ".join(strings({"all": own}))))
    own = {"model-catalog"} if name in WITH_CATALOG else set[str]()
    assert read - {"artifacts"} == set(users(name)) | own


def job_of(release: beijing.Release) -> dict[str, str]:
    (job,) = [each for each in release.all("Job") if each["metadata"]["namespace"] == NAMESPACE]
    return job["spec"]["template"]["metadata"]["annotations"]


def test_another_table_of_components_is_another_run_of_the_job() -> None:
    """The same users, the same pod: a release that has none of its own changes nothing."""
    jobs = {name: job_of(kubeflow(name)) for name in RELEASES}
    assert len({job["checksum/components"] for job in jobs.values()}) > 1
    for one, other in combinations(RELEASES, 2):
        same = jobs[one]["checksum/components"] == jobs[other]["checksum/components"]
        assert same == (table(users(one)) == table(users(other))), (one, other)
    skipped = jobs["1.5.1-aws-b1.0.0"]["eks.amazonaws.com/skip-containers"]
    assert skipped == "option-files,database-init"


USER = DatabaseUser(
    user="a",
    database="a",
    deployment="a/b",
    login="mysql_native_password",
    tls="SSL",
    rights=("SELECT",),
)


def test_users_without_the_job_are_refused() -> None:
    with pytest.raises(RenderError, match=r"no ConfigMap with init\.sh in namespace kubeflow-data"):
        write([], {"a": USER})
    write([], {})


def test_an_optional_part_that_is_off_has_no_user() -> None:
    old = {"setting": "a.b", "because": "c", "objects": ["Pod a/b"], "databases": ["b"]}
    release = Release.model_validate(
        {
            "name": "x",
            "databases": {
                "a": USER.model_dump(),
                "b": {**USER.model_dump(), "user": "b", "database": "b"},
            },
            "optional": {"old": old},
        }
    )
    assert list(users_of(release)) == ["a", "b"]
    assert list(users_of(release, ["old"])) == ["a", "b"]
    assert list(users_of(release, [])) == ["a"]


def test_the_job_makes_no_user_of_a_part_that_is_not_rendered() -> None:
    for parts in ([], ["pipelines-v1"]):
        made = beijing.Release(
            render(
                MANIFESTS / "26.03.1",
                partition="aws-cn",
                dns_suffix="amazonaws.com.cn",
                registry=beijing.REGISTRY,
                optional_parts=parts,
            )
        )
        expected = users("26.03.1", tuple(parts)).keys()
        text = made.text("database-script", "components", NAMESPACE)
        assert [row[0] for row in rows(text)] == list(expected)
        job = made.get("ExternalSecret", f"database-init-{ROTATION}", NAMESPACE)
        assert ("cache.cnf" in job["spec"]["target"]["template"]["data"]) == bool(parts)
        clients = {
            obj["metadata"]["name"].removesuffix(f"-database-{ROTATION}")
            for obj in made.all("ExternalSecret")
            if obj["metadata"]["namespace"] == "kubeflow"
        }
        assert clients == expected


@pytest.mark.parametrize("name", PIPELINES_2)
def test_whoever_changes_old_tables_at_its_start_has_an_hour_for_it(name: str) -> None:
    """The kubelet asks for liveness after the startup probe alone (Kubernetes, Pod lifecycle)."""
    for deployment in ("ml-pipeline", "metadata-grpc-deployment"):
        every = beijing.containers(kubeflow(name).get("Deployment", deployment))
        (pod,) = (each for each in every if "startupProbe" in each)
        probe = pod["startupProbe"]
        assert probe["failureThreshold"] * probe["periodSeconds"] == 3600
        assert {key for key in ("httpGet", "tcpSocket") if probe.get(key)} & set(
            pod["livenessProbe"]
        )
