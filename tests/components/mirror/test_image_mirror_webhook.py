"""The image mirror where it copies, in China and GovCloud; elsewhere: test_pull_through_cache."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.mirror.handler import handler_archive
from images.reference import parse
from regions.region import Region
from rehearsal.clouds import ACCOUNT
from settings.image_mirror import MirrorBudgets
from tests.components.mirror.simulated_image_mirror import (
    CACHED,
    CROSSING,
    DIGESTS,
    IMAGES,
    WITHIN,
    mirror_program,
    stack,
)
from tests.harness import REGIONS, Recorded, Registered, run
from webhook import inventory
from webhook.budgets import Budgets
from webhook.image_places import OPT_OUT

LAMBDA = "aws:lambda/function:Function"
WEBHOOK = "kubernetes:admissionregistration.k8s.io/v1:MutatingWebhookConfiguration"

LEFTOVERS = Path(__file__).parents[3] / "ops" / "leftovers.yaml"


@dataclass(frozen=True)
class Mirror:
    """The mirror of a stack in ``region`` whose images are copied in ``build_region``."""

    region: Region
    build_region: Region
    recorded: Recorded

    def of(self, type_: str) -> list[Registered]:
        return self.recorded.of(type_)

    def only(self, type_: str, name: str | None = None) -> Registered:
        return self.recorded.only(type_, name)

    @property
    def own_name(self) -> str:
        """The stack's name in the account of the builds, which stacks of several accounts share."""
        account = f"{ACCOUNT}-" if self.region.partition != self.build_region.partition else ""
        return f"kubeflow-{account}{self.region.name}"

    def policy(self, kind: str, name: str) -> str:
        return self.only(f"aws:iam/{kind}", name).inputs["policy"]


def mirror_of(request: pytest.FixtureRequest) -> Mirror:
    region, build_region = request.param
    return Mirror(Region.of(region), Region.of(build_region), stack(region, build_region))


mirror = pytest.fixture(params=[*CROSSING, *WITHIN], name="mirror")(mirror_of)
crossing = pytest.fixture(params=CROSSING, name="crossing")(mirror_of)
within = pytest.fixture(params=WITHIN, name="within")(mirror_of)


def provider_of(resource: Registered) -> str:
    return resource.provider.split("::")[3]


def test_the_regions_under_test_are_all_regions() -> None:
    assert {*CACHED, *(region for region, _ in [*CROSSING, *WITHIN])} == set(REGIONS)


def test_each_known_image_has_one_repository(mirror: Mirror) -> None:
    inputs = mirror.only("pulumi-python:dynamic:ImageRepositories").inputs
    assert inputs["repositories"] == {
        "kubeflow/docker.io/library/python": "MUTABLE",
        "kubeflow/port-5000/reg.example.com/x": "MUTABLE",
        # Its only image is named by digest.
        "kubeflow/quay.io/a/b": "IMMUTABLE",
    }
    assert inputs["tags"]["project"] == "kubeflow"
    assert json.loads(inputs["lifecycle"])["rules"][0]["action"] == {"type": "expire"}


def test_one_platform_is_copied_where_a_stack_says_so(mirror: Mirror) -> None:
    def variables(**settings: str) -> dict[str, str]:
        recorded = stack(mirror.region.name, mirror.build_region.name, **settings)
        project = recorded.only("aws:codebuild/project:Project")
        given = project.inputs["environment"]["environmentVariables"]
        return {each["name"]: each["value"] for each in given}

    assert "PLATFORM" not in variables(platform="all")
    assert variables(platform="linux/amd64")["PLATFORM"] == "linux/amd64"
    # Every node of a stack is of it.
    assert variables()["PLATFORM"] == "linux/amd64"


def test_the_build_and_the_copies_know_what_is_the_platforms_own(mirror: Mirror) -> None:
    variables = build_variables(mirror.only("aws:codebuild/project:Project"))
    assert variables["KEPT"] == inventory.marks(IMAGES)
    assert variables["FOLLOW_SECONDS"] == "86400"
    copies = mirror.only("pulumi-python:dynamic:MirroredImages").inputs
    assert copies["digests"] == DIGESTS
    for name in ("admission", "copier"):
        archive = mirror.only(LAMBDA, f"image-mirror-functions-{name}").inputs["code"]
        known = json.loads(archive.assets[inventory.FILE].text)
        assert known == {str(parse(image)): DIGESTS.get(image) for image in IMAGES}


def test_nothing_follows_its_source_where_stacks_share_their_copies(mirror: Mirror) -> None:
    shared = stack(mirror.region.name, mirror.build_region.name, sharedInventory=True)
    variables = build_variables(shared.only("aws:codebuild/project:Project"))
    assert variables["FOLLOW_SECONDS"] == "0"
    admission = shared.only(LAMBDA, "image-mirror-functions-admission").inputs["environment"]
    assert admission["variables"]["MIRROR_FOLLOW_SECONDS"] == "0"


def test_the_registry_is_the_accounts_own(mirror: Mirror) -> None:
    own = f"{mirror.region.ecr_registry(ACCOUNT)}/kubeflow"
    assert mirror.recorded.exports["registry"] == own
    for name in ("admission", "copier"):
        function = mirror.only(LAMBDA, f"image-mirror-functions-{name}")
        assert function.inputs["environment"]["variables"]["MIRROR_REGISTRY"] == own


def test_admissions_are_bounded_in_time_and_number(mirror: Mirror) -> None:
    function = mirror.only(LAMBDA, "image-mirror-functions-admission")
    assert function.inputs["runtime"] == "python3.12"
    assert function.inputs["handler"] == "webhook.lambda_handler.admit"
    assert function.inputs["timeout"] <= 5
    assert function.inputs["reservedConcurrentExecutions"] == 20


def test_the_archive_holds_the_handlers_sources_and_nothing_else() -> None:
    names = set(handler_archive().assets)
    assert "webhook/lambda_handler.py" in names
    grammar = {
        f"images/{name}" for name in ("__init__.py", "hosts.py", "reference.py", "registries.json")
    }
    assert all(name.startswith("webhook/") and name.endswith(".py") for name in names - grammar)
    assert grammar <= names


def test_functions_log_where_they_may_write_and_for_a_time(mirror: Mirror) -> None:
    for group in mirror.of("aws:cloudwatch/logGroup:LogGroup"):
        assert group.inputs["retentionInDays"] == 30
    for name in ("admission", "copier"):
        function = mirror.only(LAMBDA, f"image-mirror-functions-{name}")
        group = function.inputs["loggingConfig"]["logGroup"]
        arn = mirror.region.arn("logs", f"log-group:{group}:*", account=ACCOUNT)
        assert arn in mirror.policy("rolePolicy:RolePolicy", f"{function.name}-role")


def test_a_claim_expires_by_the_tables_own_clock_too(mirror: Mirror) -> None:
    table = mirror.only("aws:dynamodb/table:Table")
    assert table.inputs["ttl"] == {"attributeName": "expires", "enabled": True}
    assert table.inputs["hashKey"] == "image"
    assert table.inputs["serverSideEncryption"] == {"enabled": True}


def test_after_a_rotation_the_api_answers_the_path_before_too() -> None:
    first, second = (
        stack("us-gov-west-1", "us-gov-west-1", "api-gateway", pathRotation=number)
        for number in (1, 2)
    )
    keys = [
        {each.inputs["routeKey"] for each in given.of("aws:apigatewayv2/route:Route")}
        for given in (first, second)
    ]
    assert len(keys[1]) == 2
    assert keys[0] < keys[1]
    (webhook,) = second.only(WEBHOOK).inputs["webhooks"]
    named = webhook["clientConfig"]["url"].rpartition("/")[2]
    assert {f"POST /{named}"} == keys[1] - keys[0]


def test_the_path_of_the_api_is_secret_and_logged_nowhere(mirror: Mirror) -> None:
    route = mirror.only("aws:apigatewayv2/route:Route")
    assert "routeKey" in route.secrets
    assert route.inputs["routeKey"].startswith("POST /")
    log_format = mirror.only("aws:apigatewayv2/stage:Stage").inputs["accessLogSettings"]["format"]
    assert "path" not in log_format.lower()
    assert "routeKey" not in log_format


def test_the_api_limits_its_rate(mirror: Mirror) -> None:
    stage = mirror.only("aws:apigatewayv2/stage:Stage")
    assert stage.inputs["defaultRouteSettings"] == {
        "throttlingRateLimit": 100,
        "throttlingBurstLimit": 200,
    }


def test_only_this_api_may_call_the_function(mirror: Mirror) -> None:
    permission = mirror.only("aws:lambda/permission:Permission", "image-mirror-api-api")
    assert permission.inputs["principal"] == "apigateway.amazonaws.com"
    start = mirror.region.arn("execute-api", "", account=ACCOUNT)
    assert permission.inputs["sourceArn"].startswith(start)
    assert permission.inputs["sourceArn"].endswith("/*/*")  # any stage, any route


def test_the_functions_have_the_names_by_which_leftovers_finds_their_logs(mirror: Mirror) -> None:
    table = LEFTOVERS.read_text("utf-8")
    names = [each.inputs["name"] for each in mirror.of("aws:lambda/function:Function")]
    assert names
    for name in names:
        assert f'"/aws/lambda/{name.replace("kubeflow", "{cluster}", 1)}"' in table


def test_pods_are_judged_without_ever_being_stopped(mirror: Mirror) -> None:
    configuration = mirror.only(WEBHOOK)
    (webhook,) = configuration.inputs["webhooks"]
    assert webhook["failurePolicy"] == "Ignore"
    assert webhook["timeoutSeconds"] <= 5
    assert webhook["reinvocationPolicy"] == "IfNeeded"
    assert webhook["sideEffects"] == "NoneOnDryRun"
    pods, *others = webhook["rules"]
    assert pods["resources"] == ["pods", "pods/ephemeralcontainers"]
    assert pods["operations"] == ["CREATE", "UPDATE"]
    # The status of both is written by updates of the whole object, or changes nothing of a pod.
    created_only = {
        name for rule in others if "UPDATE" not in rule["operations"] for name in rule["resources"]
    }
    assert created_only == {"revisions", "workflows"}


def test_the_system_and_what_administrators_label_are_left_out(mirror: Mirror) -> None:
    (webhook,) = mirror.only(WEBHOOK).inputs["webhooks"]
    namespaces = {e["key"]: e["values"] for e in webhook["namespaceSelector"]["matchExpressions"]}
    assert "kube-system" in namespaces["kubernetes.io/metadata.name"]
    assert namespaces[OPT_OUT] == ["true"]
    # A pod's own labels leave it out of nothing.
    assert "objectSelector" not in webhook


def test_the_address_of_the_webhook_is_a_secret(mirror: Mirror) -> None:
    configuration = mirror.only(WEBHOOK)
    assert "webhooks" in configuration.secrets
    url = configuration.inputs["webhooks"][0]["clientConfig"]["url"]
    host, path = url.removeprefix("https://").split("/")
    assert host.endswith(f".execute-api.{mirror.region.name}.{mirror.region.dns_suffix}")
    assert mirror.only("aws:apigatewayv2/route:Route").inputs["routeKey"] == f"POST /{path}"


def test_the_build_runs_in_the_global_region(mirror: Mirror) -> None:
    project = mirror.only("aws:codebuild/project:Project")
    assert provider_of(project) == "aws-build"
    assert project.inputs["name"] == f"{mirror.own_name}-image-copy"
    assert project.inputs["environment"]["privilegedMode"] is False
    # The copy ends before the build, and both with the wait for a machine before the claim.
    assert (project.inputs["buildTimeout"], project.inputs["queuedTimeout"]) == (45, 15)
    assert build_variables(project)["COPY_SECONDS"] == "2400"
    copier = mirror.only(LAMBDA, "image-mirror-functions-copier").inputs["environment"]
    assert copier["variables"]["MIRROR_PROJECT"] == project.inputs["name"]
    assert copier["variables"]["MIRROR_BUILD_REGION"] == mirror.build_region.name


def test_the_copier_looks_for_waiting_images_every_minute(mirror: Mirror) -> None:
    copier = mirror.only(LAMBDA, "image-mirror-functions-copier")
    rule = mirror.only("aws:cloudwatch/eventRule:EventRule")
    assert rule.inputs["scheduleExpression"] == "rate(1 minute)"
    target = mirror.only("aws:cloudwatch/eventTarget:EventTarget").inputs
    assert target["arn"] == copier.outputs["arn"]
    (right,) = (
        each.inputs
        for each in mirror.of("aws:lambda/permission:Permission")
        if each.inputs["function"] == copier.inputs["name"]
    )
    assert right["principal"] == "events.amazonaws.com"
    assert right["action"] == "lambda:InvokeFunction"
    assert right["sourceArn"] == rule.outputs["arn"]
    # Of its concurrency nothing is reserved: a new account has none to give.
    assert "reservedConcurrentExecutions" not in copier.inputs


def test_budgets_reach_admission_copier_and_build(mirror: Mirror) -> None:
    program = mirror_program(
        mirror.region.name,
        mirror.build_region.name,
        budgets={"newImagesPerHour": 7, "gibPerDay": 9},
    )
    given = run(program, region=mirror.region.name)
    for name in ("admission", "copier"):
        function = given.only(LAMBDA, f"image-mirror-functions-{name}")
        read = function.inputs["environment"]["variables"]["MIRROR_BUDGETS"]
        assert Budgets.read(read) == Budgets(new_images_per_hour=7, gib_per_day=9)
    project = given.only("aws:codebuild/project:Project").inputs
    variables = project["environment"]["environmentVariables"]
    assert {"name": "GIB_PER_DAY", "value": "9"} in variables
    # A project's own limit has no queue, and CreateProject refuses one above the account's quota.
    assert "concurrentBuildLimit" not in project


def test_the_defaults_of_settings_and_handler_are_the_same() -> None:
    settings = MirrorBudgets()
    assert settings.as_json() == ""
    assert Budgets.read(json.dumps(settings.model_dump(by_alias=True))) == Budgets()


def build_variables(project: Registered) -> dict[str, str]:
    given = project.inputs["environment"]["environmentVariables"]
    return {each["name"]: each["value"] for each in given}


def test_the_build_makes_repositories_and_marks_them_as_the_stacks_own(mirror: Mirror) -> None:
    variables = build_variables(mirror.only("aws:codebuild/project:Project"))
    assert json.loads(variables["NEW_REPOSITORY"]) == {
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfiguration": {"encryptionType": "AES256"},
        "tags": [
            {"Key": "project", "Value": "kubeflow"},
            {"Key": "kubeflow-cluster/kubeflow", "Value": "made"},
        ],
    }
    assert json.loads(variables["LIFECYCLE"])["rules"][0]["action"] == {"type": "expire"}
    repositories = mirror.only("pulumi-python:dynamic:ImageRepositories").inputs
    assert (repositories["cluster"], repositories["shared"]) == ("kubeflow", False)


def test_a_shared_inventory_is_one_that_no_destroy_deletes() -> None:
    shared = stack(*CROSSING[0], sharedInventory=True)
    assert shared.only("pulumi-python:dynamic:ImageRepositories").inputs["shared"] is True


def test_no_key_stands_in_an_environment(mirror: Mirror) -> None:
    environment = mirror.only("aws:codebuild/project:Project").inputs["environment"]
    names = {variable["name"] for variable in environment["environmentVariables"]}
    always = {
        *("KEPT", "PLATFORM"),
        *("TARGET_REGISTRY", "TARGET_REGION", "TABLE", "FOLLOW_SECONDS"),
        *("NEW_REPOSITORY", "LIFECYCLE", "COPY_SECONDS", "GIB_PER_DAY"),
    }
    assert always <= names <= {*always, "CREDENTIALS_SECRET"}
    everything = json.dumps([function.inputs["environment"] for function in mirror.of(LAMBDA)])
    assert "AKIA" not in everything


def test_across_partitions_each_side_holds_one_key_of_the_other(crossing: Mirror) -> None:
    users = {u.name: provider_of(u) for u in crossing.of("aws:iam/user:User")}
    assert users == {"image-mirror-build-push": "aws", "image-mirror-build-start": "aws-build"}
    names = {u.inputs["name"] for u in crossing.of("aws:iam/user:User")}
    assert names == {f"kubeflow-{crossing.region.name}-push", f"{crossing.own_name}-start"}
    secrets = {s.name: provider_of(s) for s in crossing.of("aws:secretsmanager/secret:Secret")}
    assert secrets == {"image-mirror-build-push": "aws-build", "image-mirror-build-start": "aws"}
    for version in crossing.of("aws:secretsmanager/secretVersion:SecretVersion"):
        assert "secretString" in version.secrets
        assert set(json.loads(version.inputs["secretString"])) == {"accessKeyId", "secretAccessKey"}


def test_a_key_is_good_for_one_thing_in_its_own_partition(crossing: Mirror) -> None:
    push = crossing.policy("userPolicy:UserPolicy", "image-mirror-build-push")
    prefix = crossing.region.arn("ecr", "repository/kubeflow/*", account=ACCOUNT)
    assert prefix in push
    start = crossing.policy("userPolicy:UserPolicy", "image-mirror-build-start")
    project = f"project/{crossing.own_name}-image-copy"
    assert crossing.build_region.arn("codebuild", project, account=ACCOUNT) in start


def test_a_key_has_its_rights_from_the_start(crossing: Mirror) -> None:
    for key in crossing.of("aws:iam/accessKey:AccessKey"):
        rights = ("aws:iam/userPolicy:UserPolicy", key.name.removesuffix("-1"))
        assert rights in crossing.recorded.dependencies_of(key)


def test_the_copier_and_the_build_may_read_their_own_secret(crossing: Mirror) -> None:
    copier = crossing.policy("rolePolicy:RolePolicy", "image-mirror-functions-copier-role")
    assert crossing.region.arn("secretsmanager", "secret:kubeflow/", account=ACCOUNT) in copier
    assert "codebuild:StartBuild" not in copier
    build = crossing.policy("rolePolicy:RolePolicy", "image-mirror-build-role")
    assert crossing.build_region.arn("secretsmanager", "secret:", account=ACCOUNT) in build
    assert "ecr:" not in build


def test_the_secret_names_are_wired(crossing: Mirror) -> None:
    named = {s.name: s.inputs["name"] for s in crossing.of("aws:secretsmanager/secret:Secret")}
    copier = crossing.only(LAMBDA, "image-mirror-functions-copier").inputs["environment"]
    assert named["image-mirror-build-push"] == f"kubeflow-image-mirror/{crossing.own_name}"
    start = named["image-mirror-build-start"]
    assert copier["variables"]["MIRROR_CREDENTIALS_SECRET"] == start
    project = crossing.only("aws:codebuild/project:Project").inputs["environment"]
    variables = {v["name"]: v["value"] for v in project["environmentVariables"]}
    assert variables["CREDENTIALS_SECRET"] == named["image-mirror-build-push"]


def test_inside_one_partition_there_is_no_key_at_all(within: Mirror) -> None:
    assert within.recorded.none("aws:iam/user:User")
    assert within.recorded.none("aws:iam/accessKey:AccessKey")
    assert within.recorded.none("aws:secretsmanager/secret:Secret")
    copier = within.policy("rolePolicy:RolePolicy", "image-mirror-functions-copier-role")
    assert "codebuild:StartBuild" in copier
    build = within.policy("rolePolicy:RolePolicy", "image-mirror-build-role")
    assert "ecr:PutImage" in build


def test_no_role_has_a_managed_policy(mirror: Mirror) -> None:
    assert mirror.recorded.none("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    assert all("managedPolicyArns" not in r.inputs for r in mirror.of("aws:iam/role:Role"))


def test_everything_of_the_stacks_own_side_stays_in_its_partition(mirror: Mirror) -> None:
    for resource in mirror.recorded.all:
        custom = resource.type.startswith("aws:") and provider_of(resource) == "aws"
        text = json.dumps(resource.inputs, default=str)
        if custom and mirror.region.partition != "aws":
            assert "arn:aws:" not in text, resource.name
        if custom and mirror.region.partition != "aws-cn":
            assert "arn:aws-cn:" not in text, resource.name


def test_everything_that_can_carry_tags_carries_the_stacks(mirror: Mirror) -> None:
    resources = mirror.recorded.beneath("image-mirror")
    tagged = [r for r in resources if "tags" in r.inputs and r.package == "aws"]
    assert len(tagged) >= 12
    for resource in tagged:
        assert resource.inputs["tags"]["project"] == "kubeflow", resource.name
        assert "Name" in resource.inputs["tags"], resource.name


@pytest.mark.parametrize(("region", "build_region"), [*CROSSING, *WITHIN])
def test_the_build_reads_the_logins_of_its_sources_and_no_other_secret(
    region: str, build_region: str
) -> None:
    logins = {
        "index.docker.io": "registries/hub",
        "reg.example.com:5000": "company",
        "ghcr.io": "company",
    }
    made = Mirror(
        Region.of(region),
        Region.of(build_region),
        stack(region, build_region, sourceCredentials=tuple(logins.items())),
    )
    policy = json.loads(made.policy("rolePolicy:RolePolicy", "image-mirror-build-role"))
    own = Region.of(build_region)
    assert policy["Statement"][-1] == {
        "Effect": "Allow",
        "Action": ["secretsmanager:GetSecretValue"],
        "Resource": [
            own.arn("secretsmanager", "secret:company-??????", account=ACCOUNT),
            own.arn("secretsmanager", "secret:registries/hub-??????", account=ACCOUNT),
        ],
    }
    variables = made.only("aws:codebuild/project:Project").inputs["environment"]
    (secrets,) = (
        each["value"]
        for each in variables["environmentVariables"]
        if each["name"] == "SOURCE_SECRETS"
    )
    assert json.loads(secrets) == {
        "docker.io": "registries/hub",
        "ghcr.io": "company",
        "reg.example.com:5000": "company",
    }
