"""One database user per component: its own name, database, password and secret, in every region."""

from __future__ import annotations

import json

import pytest

from components.dynamic.generated_secret import LETTERS_AND_DIGITS
from tests.components.backend.simulated_backend import (
    ACCOUNT,
    DRAWN,
    SECRET,
    SECRET_TEXT,
    arn,
    backend,
    secret_texts,
)
from tests.database_users import users
from tests.harness import MASKED, REGIONS, Recorded

EXPECTED = {
    "ml-pipeline": ("ml_pipeline", "mlpipeline"),
    "cache": ("cache", "cachedb"),
    "metadata": ("metadata", "metadb"),
    "katib": ("katib", "kubeflow"),
}
every_region = pytest.mark.parametrize("region", REGIONS)
every_component = pytest.mark.parametrize("component", EXPECTED)


def resource(component: str) -> str:
    return f"backend-database-users-{component}"


def passwords(recorded: Recorded) -> dict[str, str]:
    """Every password drawn, by the name of its resource."""
    return {r.name: r.outputs["value"] for r in recorded.of(DRAWN)}


@pytest.mark.parametrize(
    ("release", "more"),
    [
        ("1.5.1-aws-b1.0.0", {}),
        ("26.03", {}),
        ("26.03.1", {"model-registry": ("model_registry", "modelregistry")}),
    ],
)
def test_each_component_has_its_own_user_and_database(
    release: str, more: dict[str, tuple[str, str]]
) -> None:
    """Other names would be other users and databases for stacks that exist."""
    assert {
        name: (user.user, user.database) for name, user in users(release).items()
    } == EXPECTED | more


@every_region
def test_a_release_with_another_component_changes_no_password_and_no_secret(region: str) -> None:
    before, after = backend(region, release="26.03"), backend(region, release="26.03.1")
    of_users = (DRAWN, SECRET, SECRET_TEXT)
    inputs = {(r.type, r.name): r.inputs for r in after.all if r.type in of_users}
    kept = {(r.type, r.name): r.inputs for r in before.all if r.type in of_users}
    assert {key: inputs[key] for key in kept} == kept
    assert {name for _, name in inputs.keys() - kept.keys()} == {resource("model-registry")}
    assert passwords(before).items() < passwords(after).items()


@every_region
@every_component
def test_a_components_secret_is_all_it_needs_as_texts(region: str, component: str) -> None:
    recorded = backend(region)
    username, database = EXPECTED[component]
    assert secret_texts(recorded)[resource(component)] == {
        "username": username,
        "password": passwords(recorded)[resource(component)],
        "host": recorded.exports["host"],
        "port": "3306",
        "database": database,
    }


def test_every_password_is_its_own_of_letters_and_digits() -> None:
    recorded = backend()
    assert len(set(passwords(recorded).values())) == len(passwords(recorded)) == 5
    for component in EXPECTED:
        drawn = recorded.only(DRAWN, resource(component)).inputs
        assert drawn["alphabet"] == LETTERS_AND_DIGITS
        assert drawn["length"] == 32


def test_no_password_can_be_read_in_any_input() -> None:
    recorded = backend()
    everything = json.dumps([r.visible for r in recorded.all]) + json.dumps(recorded.exports)
    assert [name for name, value in passwords(recorded).items() if value in everything] == []
    assert {r.visible["secretString"] for r in recorded.of(SECRET_TEXT)} == {MASKED}


@every_region
@every_component
def test_a_secret_is_encrypted_by_the_backends_key_and_named_after_its_component(
    region: str, component: str
) -> None:
    secret = backend(region).only(SECRET, resource(component)).inputs
    assert secret["kmsKeyId"].startswith(arn(region, f"kms:{region}:{ACCOUNT}:key/"))
    assert secret["namePrefix"] == f"kubeflow/kubeflow/database/{component}-"


def test_a_rotation_draws_the_components_passwords_and_not_the_masters() -> None:
    first, second = backend(), backend(database={"rotation": 2})
    before, after = passwords(first), passwords(second)
    assert {name for name in before if before[name] != after[name]} == {*map(resource, EXPECTED)}
    inputs = {r.urn: r.inputs for r in first.all}
    assert set(inputs) == {r.urn for r in second.all}
    changed = {(r.type, r.name) for r in second.all if r.inputs != inputs[r.urn]}
    expected = {(kind, resource(name)) for kind in (DRAWN, SECRET_TEXT) for name in EXPECTED}
    assert changed == expected
