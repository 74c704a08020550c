"""The server of the model registry stores models in RDS, with what we render for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.consumers.database import Database
from tests.consumers.model_registry import RELEASE, refusal, running
from tests.consumers.stack import AUTHORITIES, HOST
from tests.database_users import users
from tests.services.certificates import Authority

COMPONENT = "model-registry"
URI = "s3://bucket/models/iris"
WORDS = "鸢尾花 🌸"
"""Beyond the plane of utf8mb3."""


def rows_of(rds: Database, statement: str) -> tuple[int, str]:
    """The answer to a statement of the registry's own user."""
    return rds.job.query(COMPONENT, f"USE {users(RELEASE)[COMPONENT].database}; {statement}")


def test_a_model_its_version_and_its_files_are_there_after_a_restart(
    rds: Database, tmp_path: Path
) -> None:
    state = "SELECT version, dirty FROM schema_migrations"
    text = {"metadataType": "MetadataStringValue", "string_value": WORDS}
    with running(rds, tmp_path / "first") as registry:
        model = registry.write(
            "registered_models", name="iris", description=WORDS, customProperties={"team": text}
        )
        version = registry.write(
            "model_versions", name="1", registeredModelId=model["id"], author="alice"
        )
        artifact = registry.write(
            f"model_versions/{version['id']}/artifacts",
            **{"artifactType": "model-artifact", "name": "iris-1", "uri": URI},
        )
        migrated = rows_of(rds, state)
    # All migrations are applied, and the last one wholly.
    assert migrated == (0, "21\t0\n")
    with running(rds, tmp_path / "second") as registry:
        read = registry.read("registered_model?name=iris")
        assert (read["description"], read["customProperties"]) == (WORDS, {"team": text})
        versions = registry.read(f"registered_models/{model['id']}/versions")["items"]
        assert [(each["id"], each["author"]) for each in versions] == [(version["id"], "alice")]
        artifacts = registry.read(f"model_versions/{version['id']}/artifacts")["items"]
        assert [(each["id"], each["uri"]) for each in artifacts] == [(artifact["id"], URI)]
    assert rows_of(rds, state) == migrated


def test_the_tables_are_those_that_the_release_names_and_its_user_drops_none(
    rds: Database, tmp_path: Path
) -> None:
    with running(rds, tmp_path / "pod"):
        code, listed = rows_of(rds, "SHOW TABLES")
    assert (code, {*listed.split()}) == (0, {*users(RELEASE)[COMPONENT].tables})
    code, answer = rows_of(rds, "DROP TABLE Artifact")
    assert code != 0
    assert "DROP command denied" in answer


def test_the_server_connects_to_nobody_of_another_authority(rds: Database, tmp_path: Path) -> None:
    other = Authority(tmp_path, "another authority").file.read_text()
    impostor = replace(rds, stack=rds.stack.with_values({AUTHORITIES: other}))
    assert "signed by unknown authority" in refusal(impostor, tmp_path / "pod")


def test_the_server_connects_to_nobody_of_another_name(rds: Database, tmp_path: Path) -> None:
    host = rds.stack.values[HOST]
    message = refusal(rds, tmp_path / "pod", lambda text: text.replace(f"({host}:", "(127.0.0.1:"))
    assert "cannot validate certificate for 127.0.0.1" in message


def test_its_user_is_refused_without_tls(rds: Database, tmp_path: Path) -> None:
    message = refusal(rds, tmp_path / "pod", lambda text: None if "-ssl-" in text else text)
    assert "Access denied for user" in message
