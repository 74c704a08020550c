"""A rotation on the real engine: new passwords under old names, and objects with new names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest

from components.objects.kubernetes_objects import bind, register
from settings import from_mapping
from tests.components.backend.simulated_backend import component
from tests.database_users import users
from tests.rehearsal.conftest import Started, steps

pytestmark = pytest.mark.engine


def backend(rotation: int) -> Callable[[], Any]:
    settings = from_mapping({"region": "cn-north-1", "database": {"rotation": rotation}})
    return lambda: component(settings)


def manifests(rotation: int) -> Callable[[], Any]:
    """A secret named after the rotation, and a pod template that names it."""

    def program() -> None:
        cluster = kubernetes.Provider("kubernetes", kubeconfig="{}")
        secret: dict[str, Any] = {
            "apiVersion": "external-secrets.io/v1",
            "kind": "ExternalSecret",
            "metadata": {"name": "cache-database-<<database.rotation>>", "namespace": "kubeflow"},
        }
        login = {"secretRef": {"name": "cache-database-<<database.rotation>>"}}
        container = {"name": "server", "image": "cache-server", "envFrom": [login]}
        deployment: dict[str, Any] = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "cache-server", "namespace": "kubeflow"},
            "spec": {
                "selector": {"matchLabels": {"app": "cache-server"}},
                "template": {
                    "metadata": {"labels": {"app": "cache-server"}},
                    "spec": {"containers": [container]},
                },
            },
        }
        values: dict[str, pulumi.Input[str]] = {"database.rotation": str(rotation)}
        with_provider = pulumi.ResourceOptions(provider=cluster)
        first = register(bind(secret, values), opts=with_provider)
        after = pulumi.ResourceOptions(provider=cluster, depends_on=[first])
        register(bind(deployment, values), opts=after)

    return program


def test_a_rotation_replaces_the_components_passwords_and_nothing_else(started: Started) -> None:
    with started(backend(1)) as rehearsal:
        rehearsal.up()
        assert set(rehearsal.up().changes) == {"same"}
    with started(backend(2)) as rehearsal:
        changed = rehearsal.up()
        assert set(rehearsal.up().changes) == {"same"}
    assert set(steps(changed)) == {
        ("replace", kind, f"backend-database-users-{name}")
        for kind in (
            "pulumi-python:dynamic:GeneratedSecret",
            "aws:secretsmanager/secretVersion:SecretVersion",
        )
        for name in users()
    }


def test_an_object_with_a_new_name_is_made_before_its_users_change_and_the_old_one_goes(
    started: Started,
) -> None:
    with started(manifests(1)) as rehearsal:
        rehearsal.up()
    with started(manifests(2)) as rehearsal:
        changed = rehearsal.up()
    assert [(operation, name) for operation, _, name in steps(changed)] == [
        ("create", "kubeflow/cache-database-2"),
        ("update", "kubeflow/cache-server"),
        ("delete", "kubeflow/cache-database-1"),
    ]
