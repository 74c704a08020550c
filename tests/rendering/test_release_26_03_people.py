"""Releases with Pipelines 2: what a profile gets, and how its people log in."""

from __future__ import annotations

import json

import yaml

from components.kubeflow.logins import DexAccount
from tests.rendering.beijing import (
    KEY_FORMAT,
    REGION,
    REGISTRY,
    S3,
    Release,
    containers,
    environment,
)
from tests.rendering.profile_hooks import FRONTENDS, SYNC


def test_the_profile_controllers_settings_are_complete(name: str, release: Release) -> None:
    variables = release.environment("kubeflow-pipelines-profile-controller")
    installed = release.get("ConfigMap", "pipeline-install-config")["data"]
    resolved = {
        name: value if isinstance(value, str) else installed[value["configMapKeyRef"]["key"]]
        for name, value in variables.items()
    }
    settings = SYNC[name].settings_from(resolved)
    assert settings.bucket == "<<bucket.name>>"
    assert settings.endpoint == S3
    assert settings.region == REGION
    assert settings.key_format == KEY_FORMAT
    assert settings.pipeline_root == "s3://<<bucket.name>>/<<bucket.prefix>>"


def test_profiles_run_the_uis_own_image_from_the_account_registry(
    name: str, release: Release
) -> None:
    image = release.environment("kubeflow-pipelines-profile-controller")["FRONTEND_IMAGE"]
    assert image == release.container("ml-pipeline-ui")["image"]
    assert image == f"{REGISTRY}/{FRONTENDS[name]}"


def test_the_profile_controller_watches_no_secrets(release: Release) -> None:
    attachments = release.get("DecoratorController", "kubeflow-pipelines-profile-controller")[
        "spec"
    ]["attachments"]
    watched = {entry["resource"] for entry in attachments}
    assert "secrets" not in watched
    assert {"configmaps", "deployments", "services"} <= watched


def test_profiles_are_not_part_of_the_release(release: Release) -> None:
    assert release.all("Profile") == []


def test_dex_and_oauth2_proxy_share_one_generated_client_secret(release: Release) -> None:
    dex = release.secret("dex-oidc-client", "auth")
    proxy = release.secret("oauth2-proxy", "oauth2-proxy")
    assert dex == {
        "OIDC_CLIENT_ID": "kubeflow-oidc-authservice",
        "OIDC_CLIENT_SECRET": "<<dex.client-secret>>",
    }
    assert proxy == {
        "client-id": "kubeflow-oidc-authservice",
        "client-secret": "<<dex.client-secret>>",
        "cookie-secret": "<<oauth2-proxy.cookie-secret>>",
    }


def test_oauth2_proxy_reads_the_generated_secret(release: Release) -> None:
    generated = release.get("Secret", "oauth2-proxy", "oauth2-proxy")["metadata"]["name"]
    workload = release.get("Deployment", "oauth2-proxy", "oauth2-proxy")
    named = {
        source["secretKeyRef"]["name"]
        for source in environment(containers(workload)[0]).values()
        if isinstance(source, dict) and "secretKeyRef" in source
    }
    assert named == {generated}


def test_dex_knows_the_stacks_users_and_tells_its_log_little(release: Release) -> None:
    users = [DexAccount("a@b.cn").static_password, DexAccount("c@b.cn").static_password]
    text = release.text("dex", "config.yaml", "auth")
    config = yaml.safe_load(text.replace("<<dex.static-passwords>>", json.dumps(users)))
    assert config["staticPasswords"] == users
    assert config["logger"]["level"] == "info"
    assert config["enablePasswordDB"] is True
    assert config["staticClients"][0]["secretEnv"] == "OIDC_CLIENT_SECRET"
    assert config["issuer"] == "http://dex.auth.svc.cluster.local:5556/dex"


def test_dex_waits_for_passwords_that_the_stack_writes(release: Release) -> None:
    assert release.secret("dex-passwords", "auth") == {}
    sources = containers(release.get("Deployment", "dex", "auth"))[0]["envFrom"]
    assert {"secretRef": {"name": "dex-passwords"}} in sources
