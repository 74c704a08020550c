"""Images, digests, partitions and credentials of a platform that is right, and broken."""

from __future__ import annotations

import base64
from typing import Any

import bcrypt
import pytest

from ops.cli_errors import Refused
from ops.findings import Level
from settings.context import StackContext
from settings.image_mirror import MirrorRule
from tests.ops.verification.played.live import Change, Live
from tests.ops.verification.played.platforms import CN, examined, live_of, wrong
from tests.ops.verification.played.pods import image_id
from tests.ops.verification.told import assert_right

USER = "kubeflow-user-example-com"
NOTEBOOK = "quay.io/someone/notebook:1"
SHA = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("name", "about", "sentence"),
    [
        pytest.param(
            "foreign-images",
            "images",
            "come from ECR inside the partition",
            marks=pytest.mark.check("foreign-images", broken=False),
        ),
        pytest.param(
            "image-digests",
            "digests",
            "running images have the digest of the lock",
            marks=pytest.mark.check("image-digests", broken=False),
        ),
        pytest.param(
            "partition-leaks",
            "leaks",
            "objects; all name aws-cn alone",
            marks=pytest.mark.check("partition-leaks", broken=False),
        ),
        pytest.param(
            "default-credentials",
            "credentials",
            "none of Kubeflow's published ones in",
            marks=pytest.mark.check("default-credentials", broken=False),
        ),
    ],
)
def test_a_right_platform_is_good_and_the_sentence_has_numbers(
    name: str, about: str, sentence: str
) -> None:
    assert_right(name, about, sentence)


def pod(live: Live, image: str, *, ran: str = "", kind: str = "containers", **noted: str) -> Any:
    """A notebook of the user's that runs."""
    status = {"name": "main", "image": image, "imageID": ran or image_id(live, image)}
    states = {
        "containers": "containerStatuses",
        "initContainers": "initContainerStatuses",
        "ephemeralContainers": "ephemeralContainerStatuses",
    }[kind]
    return live.put(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "mine-0", "namespace": USER, "annotations": noted},
            "spec": {"containers": [], kind: [{"name": "main", "image": image}]},
            "status": {"phase": "Running", states: [status]},
        }
    )


def foreign(kind: str) -> Change:
    return lambda live: pod(live, NOTEBOOK, kind=kind)


def opted_out(live: Live) -> None:
    pod(live, NOTEBOOK)
    live.get("Namespace", USER)["metadata"].setdefault("labels", {})["image-mirror/skip"] = "true"


def says_so_itself(live: Live) -> None:
    pod(live, NOTEBOOK, **{"image-mirror/skip": "true"})


def another_partition(live: Live) -> None:
    pod(live, "111122223333.dkr.ecr.us-west-2.amazonaws.com/team/notebook:1")


def pulled_before(live: Live) -> None:
    image = f"{live.context.image_prefix}/quay.io/someone/notebook:1"
    pod(live, image, ran=f"quay.io/someone/notebook@{SHA}")


def moved(live: Live) -> None:
    """A Knative server, whose source is pinned to a digest."""
    (first, *_) = [each for each in live.all("Pod") if "@sha256" in str(each["spec"])]
    for status in first["status"]["containerStatuses"]:
        status["imageID"] = f"{status['imageID'].partition('@')[0]}@{SHA}"


def config(name: str, key: str, value: str) -> Change:
    def change(live: Live) -> None:
        namespace, _, own = name.partition("/")
        metadata = {"name": own, "namespace": namespace}
        stored = live.objects.get(("ConfigMap", name), {"metadata": metadata})
        data = {**(stored.get("data") or {}), key: value}
        live.put(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": stored["metadata"], "data": data}
        )

    return change


def role_of_another_partition(live: Live) -> None:
    account = live.get("ServiceAccount", f"{USER}/default-editor")
    account["metadata"]["annotations"] = {
        "eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/editor"
    }


def leaky_secret(live: Live) -> None:
    live.secret("kubeflow/extra", {"dsn": "mysql://u:hidden@db.rds.amazonaws.com/x"})


def in_the_environment(live: Live) -> None:
    container = live.get("Deployment", "kubeflow/ml-pipeline")["spec"]["template"]["spec"][
        "containers"
    ][0]
    container["env"].append({"name": "S3", "value": "s3.us-west-2.amazonaws.com"})


def upstreams_password(live: Live) -> None:
    hashed = bcrypt.hashpw(b"12341234", bcrypt.gensalt(4)).decode()
    live.secret("auth/dex-passwords", {"DEX_USER_PASSWORD": hashed})


def minio(live: Live) -> None:
    live.secret(
        f"{USER}/mlpipeline-minio-artifact", {"accesskey": "minio", "secretkey": "minio123"}
    )


def katib(live: Live) -> None:
    live.secret("kubeflow/katib-mysql-secrets", {"MYSQL_ROOT_PASSWORD": "test"})


@pytest.mark.parametrize(
    ("name", "change", "level", "about", "sentence"),
    [
        pytest.param(
            "foreign-images",
            foreign("containers"),
            Level.PROBLEM,
            f"{USER}/mine-0",
            f"{NOTEBOOK} comes from outside the account's registry: `kubectl -n {USER} delete pod "
            "mine-0`, its successor gets 111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow/"
            f"{NOTEBOOK} by the image mirror",
            marks=pytest.mark.check("foreign-images", broken=True),
        ),
        ("foreign-images", foreign("initContainers"), Level.PROBLEM, f"{USER}/mine-0", NOTEBOOK),
        (
            "foreign-images",
            foreign("ephemeralContainers"),
            Level.PROBLEM,
            f"{USER}/mine-0",
            NOTEBOOK,
        ),
        (
            "foreign-images",
            another_partition,
            Level.PROBLEM,
            f"{USER}/mine-0",
            "111122223333.dkr.ecr.us-west-2.amazonaws.com/team/notebook:1 comes from outside",
        ),
        (
            "foreign-images",
            opted_out,
            Level.NOTE,
            f"{USER}/mine-0",
            "because image-mirror/skip leaves it as it is",
        ),
        ("foreign-images", says_so_itself, Level.PROBLEM, f"{USER}/mine-0", NOTEBOOK),
        (
            "foreign-images",
            pulled_before,
            Level.NOTE,
            f"{USER}/mine-0",
            "its node has the same image also as quay.io/someone/notebook",
        ),
        pytest.param(
            "image-digests",
            moved,
            Level.PROBLEM,
            "",
            f"with the digest {SHA}, and the lock has sha256:",
            marks=pytest.mark.check("image-digests", broken=True),
        ),
        pytest.param(
            "partition-leaks",
            config(
                "kubeflow/workflow-controller-configmap", "region", "s3.us-west-2.amazonaws.com"
            ),
            Level.PROBLEM,
            "ConfigMap kubeflow/workflow-controller-configmap",
            "data.region has s3.us-west-2.amazonaws.com, which hosts of aws-cn end in "
            "amazonaws.com.cn: somebody edited it; run `pulumi up`",
            marks=pytest.mark.check("partition-leaks", broken=True),
        ),
        (
            "partition-leaks",
            config(f"{USER}/kfp-launcher", "providers", "https://s3.amazonaws.com"),
            Level.PROBLEM,
            f"ConfigMap {USER}/kfp-launcher",
            f"`kubectl -n {USER} delete configmap kfp-launcher`, it is made again",
        ),
        (
            "partition-leaks",
            config(f"{USER}/mine", "notes", "arn:aws:s3:::bucket"),
            Level.NOTE,
            f"ConfigMap {USER}/mine",
            "its user's own object",
        ),
        (
            "partition-leaks",
            role_of_another_partition,
            Level.NOTE,
            f"ServiceAccount {USER}/default-editor",
            "arn:aws:, which belongs to another partition than aws-cn",
        ),
        (
            "partition-leaks",
            in_the_environment,
            Level.PROBLEM,
            "Deployment kubeflow/ml-pipeline",
            "has s3.us-west-2.amazonaws.com",
        ),
        (
            "partition-leaks",
            leaky_secret,
            Level.PROBLEM,
            "Secret kubeflow/extra",
            "dsn names an ARN or a host of another partition than aws-cn",
        ),
        pytest.param(
            "default-credentials",
            upstreams_password,
            Level.PROBLEM,
            "Secret auth/dex-passwords",
            "a user's password is 12341234, as in Kubeflow's manifests",
            marks=pytest.mark.check("default-credentials", broken=True),
        ),
        (
            "default-credentials",
            minio,
            Level.PROBLEM,
            f"Secret {USER}/mlpipeline-minio-artifact",
            "secretkey contains the secret key of every Kubeflow's MinIO",
        ),
        (
            "default-credentials",
            katib,
            Level.PROBLEM,
            "Secret kubeflow/katib-mysql-secrets",
            "MYSQL_ROOT_PASSWORD contains the database password of every Katib",
        ),
        (
            "default-credentials",
            config(
                "auth/dex",
                "config.yaml",
                "hash: $2y$12$4K/VkmDd1q1Orb3xAt82zu8gk7Ad6ReFR4LCP9UeYE90NLiN9Df72",
            ),
            Level.PROBLEM,
            "ConfigMap auth/dex",
            "config.yaml contains the password 12341234 of Dex",
        ),
    ],
)
def test_a_broken_platform_gets_the_true_reason(
    name: str, change: Change, level: Level, about: str, sentence: str
) -> None:
    live = live_of(CN).changed()
    change(live)
    found = [
        each
        for each in examined(name, live)
        if each.level is not Level.GOOD and about in (each.about, "")
    ]
    assert any(sentence in each.sentence for each in found), found
    assert {each.level for each in found} == {level}
    assert "hidden" not in str(found)


def test_what_a_rule_keeps_and_what_other_accounts_have_in_ecr_is_no_finding() -> None:
    live = live_of(CN).changed()
    rules = [MirrorRule(action="keep", registries=["quay.io/someone"])]
    section = live.settings.image_mirror.model_copy(update={"rules": rules})
    allowed = live.with_settings(image_mirror=section)
    pod(allowed, NOTEBOOK)
    findings = examined("foreign-images", allowed)
    assert wrong(findings) == []
    assert "1 from registries that the settings allow" in findings[-1].sentence
    pod(live, "999988887777.dkr.ecr.cn-northwest-1.amazonaws.com.cn/team/notebook:1")
    assert wrong(examined("foreign-images", live)) == []


def test_where_the_mirror_keeps_what_has_no_copy_yet_the_source_is_a_note() -> None:
    section = live_of(CN).settings.image_mirror.model_copy(update={"when_absent": "keep"})
    live = live_of(CN).with_settings(image_mirror=section)
    pod(live, NOTEBOOK)
    ((_, sentence),) = wrong(examined("foreign-images", live))
    assert "because its copy was not there when the pod started" in sentence


def test_without_a_mirror_any_registry_is_good_and_counted() -> None:
    section = live_of(CN).settings.image_mirror.model_copy(update={"enabled": False})
    live = live_of(CN).with_settings(image_mirror=section)
    pod(live, NOTEBOOK)
    (found,) = examined("foreign-images", live)
    assert found.level is Level.GOOD
    assert "without kubeflow:imageMirror any may be used" in found.sentence


def test_copies_of_one_platform_have_digests_of_their_own() -> None:
    section = live_of(CN).settings.image_mirror.model_copy(update={"platform": "linux/amd64"})
    live = live_of(CN).with_settings(image_mirror=section)
    moved(live)
    (found,) = examined("image-digests", live)
    assert (found.level, found.sentence.partition(":")[0]) == (Level.GOOD, "not comparable")


def test_dockershim_spells_image_ids_with_a_prefix() -> None:
    live = live_of(CN).changed()
    image = f"{live.context.image_prefix}/quay.io/someone/notebook:1"
    pod(live, image, ran=f"docker-pullable://{image_id(live, image)}")
    assert wrong(examined("foreign-images", live)) == []


def test_no_published_word_is_looked_for_where_it_means_nothing() -> None:
    live = live_of(CN).changed()
    live.secret(f"{USER}/mine", {"environment": "test"})
    data = {"user": base64.b64encode(b"root").decode()}
    live.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}})
    live.put(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "data": data,
            "metadata": {"name": "grafana", "namespace": "monitoring"},
        }
    )
    assert wrong(examined("default-credentials", live)) == []


def test_many_objects_with_the_same_leak_are_one_finding() -> None:
    live = live_of(CN).changed()
    for number in range(300):
        config(f"{USER}/mine-{number:03}", "notes", "arn:aws:s3:::bucket")(live)
    (found,) = [each for each in examined("partition-leaks", live) if each.level is Level.NOTE]
    assert found.about.startswith(f"ConfigMap {USER}/mine-000, ")
    assert found.about.endswith(" more")
    assert found.sentence.startswith("300 of them: data.notes has arn:aws:, which")


def test_where_the_mirror_does_not_look_another_way_out_is_named() -> None:
    live = live_of(CN).changed()
    container = {"name": "agent", "image": "gcr.io/someone/agent:7"}
    metadata = {"name": "agent-x", "namespace": "kube-system"}
    live.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata,
              "spec": {"containers": [container]}, "status": {"phase": "Running"}})  # fmt: skip
    ((about, said),) = wrong(examined("foreign-images", live))
    assert about == "kube-system/agent-x"
    assert "the image mirror leaves that namespace alone: push the image" in said


@pytest.mark.parametrize("name", ["foreign-images", "image-digests", "partition-leaks"])
def test_without_the_account_its_registry_is_not_guessed(name: str) -> None:
    live = live_of(CN).changed()
    live.context = StackContext.of(live.settings, "", {})
    with pytest.raises(Refused, match="the account whose registry has the images is unknown"):
        examined(name, live)


def test_a_domestic_registry_is_allowed_where_it_stays() -> None:
    live = live_of(CN).changed()
    pod(live, "registry.cn-hangzhou.aliyuncs.com/team/notebook:1")
    findings = examined("foreign-images", live)
    assert wrong(findings) == []
    assert "1 from registries that the settings allow" in findings[-1].sentence
