"""The Docker configuration of a run: the person's logins, and nothing of the run's left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops.cli_errors import Refused
from ops.mirror.docker_config import own_logins, replace_config, user_config, with_login

TARGET = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"


def test_logins_of_sources_remain_and_that_of_the_target_is_replaced() -> None:
    user = {
        "auths": {"quay.io": {"auth": "eA=="}, TARGET: {"auth": "old"}, f"https://{TARGET}": {}},
        "HttpHeaders": {"a": "b"},
    }
    assert with_login(user, ["quay.io"], TARGET, "new") == {
        "auths": {"quay.io": {"auth": "eA=="}, TARGET: {"auth": "new"}},
        "credHelpers": {},
        "HttpHeaders": {"a": "b"},
    }


def test_a_store_for_all_hosts_is_asked_for_sources_and_gets_nothing_to_keep() -> None:
    user = {"credsStore": "desktop", "auths": {"quay.io": {}}}
    made = with_login(user, ["docker.io", "quay.io"], TARGET, "new")
    assert "credsStore" not in made
    assert made["credHelpers"] == {
        "https://index.docker.io/v1/": "desktop",
        "quay.io": "desktop",
    }


def test_a_helper_of_one_source_stays_and_the_targets_would_stand_in_the_way() -> None:
    user = {"credHelpers": {"gcr.io": "gcloud", TARGET: "ecr-login"}, "credsStore": "pass"}
    made = with_login(user, ["gcr.io"], TARGET, "new")
    assert made["credHelpers"] == {"gcr.io": "gcloud"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def test_dockers_own_file_is_read_and_else_podmans(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert user_config() == {}
    podman = home / "containers" / "auth.json"
    podman.parent.mkdir()
    podman.write_text('{"auths": {"podman": {}}}')
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    assert user_config() == {"auths": {"podman": {}}}
    docker = home / ".docker" / "config.json"
    docker.parent.mkdir()
    docker.write_text('{"auths": {"docker": {}}}')
    assert user_config() == {"auths": {"docker": {}}}


@pytest.mark.parametrize("text", ['{"auths": secret', "[1]"])
def test_a_file_that_is_no_configuration_is_refused_and_not_quoted(home: Path, text: str) -> None:
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text(text)
    with pytest.raises(Refused) as refused:
        user_config()
    assert "is not a JSON object" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_the_configuration_of_a_run_is_private_also_when_it_is_replaced(tmp_path: Path) -> None:
    for config in ({"auths": {}}, {"auths": {"quay.io": {}}}):
        replace_config(tmp_path, config)
        assert json.loads((tmp_path / "config.json").read_text()) == config
        assert [file.stat().st_mode & 0o077 for file in tmp_path.iterdir()] == [0]


@pytest.mark.parametrize(
    "key", ["docker.io", "index.docker.io", "https://registry-1.docker.io", "https://docker.io/v1/"]
)
def test_the_login_to_docker_hub_is_found_under_any_of_its_names(key: str) -> None:
    made = with_login({"auths": {key: {"auth": "eA=="}}}, ["docker.io"], TARGET, "new")
    assert made["auths"] == {
        "https://index.docker.io/v1/": {"auth": "eA=="},
        TARGET: {"auth": "new"},
    }
    made = with_login({"credHelpers": {key: "pass"}}, ["docker.io"], TARGET, "new")
    assert made["credHelpers"] == {"https://index.docker.io/v1/": "pass"}


def test_a_run_without_ecr_has_the_persons_logins_and_leaves_nothing(home: Path) -> None:
    (home / ".docker").mkdir()
    config = {"auths": {"docker.io": {"auth": "eA=="}}, "credsStore": "pass"}
    (home / ".docker" / "config.json").write_text(json.dumps(config))
    with own_logins() as folder:
        file = folder / "config.json"
        assert file.stat().st_mode & 0o077 == 0
        assert json.loads(file.read_bytes()) == {
            "auths": {"https://index.docker.io/v1/": {"auth": "eA=="}},
            "credHelpers": {},
            "credsStore": "pass",
        }
    assert not folder.exists()
