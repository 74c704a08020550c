"""The numbers and names in the pictures, read from the rows of a plan (``plan.json``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from regions.region import Region
from rehearsal.architecture import COMPONENT, component_of
from rendering.parts import Parts
from rendering.release import load
from settings import MANIFESTS

Row = Mapping[str, Any]

_NOT_COUNTED = ("pulumi:providers:", COMPONENT, "eks:index:")
"""Providers and components, pulumi-eks' own too."""

_EFS = ("fileSystem:FileSystem", "mountTarget:MountTarget")

_PARTS = {
    "Istio": "istio",
    "Dex": "dex",
    "oauth2-proxy": "login",
    "Dashboard": "dashboard",
    "Profiles": "profiles",
    "Notebooks": "notebooks",
    "Volumes": "volumes",
    "TensorBoard": "tensorboards",
    "Pipelines": "pipelines",
    "ML Metadata": "metadata",
    "Katib": "katib",
    "Trainer": "trainer",
    "Training operator": "training_operator",
    "Spark": "spark",
    "KServe": "kserve",
    "Knative": "knative",
    "cert-manager": "cert_manager",
    "External Secrets": "external_secrets",
}
"""A part of Kubeflow in a picture -> its name in release.yaml (``rendering.release.Parts``)."""


@cache
def _workloads() -> Mapping[str, set[tuple[str, str]]]:
    """Name of a part -> kind and name of what runs in it, in any release."""
    found: dict[str, set[tuple[str, str]]] = {name: set() for name in Parts.model_fields}
    for file in MANIFESTS.glob("*/release.yaml"):
        for name, part in load(file.parent).parts.present.items():
            found[name].update(part.workloads)
    return found


@dataclass(frozen=True)
class Zone:
    """An availability zone with the address ranges of its subnets."""

    name: str
    public: str
    private: str


@dataclass(frozen=True)
class NodeGroup:
    """The machines of the platform itself."""

    name: str
    machine: str
    desired: int
    most: int


@dataclass(frozen=True)
class Database:
    """The RDS instance."""

    machine: str
    version: str
    standby: bool
    gib: int


@dataclass(frozen=True)
class Pool:
    """A node pool of Karpenter."""

    name: str
    limits: Mapping[str, str]
    families: tuple[str, ...]
    capacity: tuple[str, ...]
    evicts: bool
    """Whether machines with pods are emptied, where others have room."""
    idle: str
    """How long a machine may be empty."""
    ami: str

    @property
    def gpus(self) -> str | None:
        """At most so many GPUs, or slices of them; None: a pool without any."""
        return next((most for key, most in self.limits.items() if "gpu" in key), None)

    @property
    def resource(self) -> str:
        """What a pod requests to get a machine of this pool."""
        return next(iter(self.limits), "")

    @property
    def sliced(self) -> bool:
        """Whether several pods share a GPU: ``gpus`` are slices then."""
        return self.resource.endswith(".shared")


@dataclass(frozen=True)
class Build:
    """The CodeBuild project that copies images."""

    region: Region
    profile: str


class Facts:
    """What a plan has, under the names that the pictures use.

    Args:
        rows: of ``plan.json``.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = [row for row in rows if row.get("operation") != "delete"]

    def of(self, type_: str) -> list[Row]:
        """The rows of a type, by name."""
        return sorted((r for r in self._rows if r["type"] == type_), key=lambda r: r["name"])

    def inputs(self, type_: str) -> list[Mapping[str, Any]]:
        """The inputs of a type's rows, by name."""
        return [row["inputs"] for row in self.of(type_)]

    def count(self, type_: str, provider: str = "") -> int:
        """How many of a type there are, of one provider where it is named."""
        found = [_name(row["provider"]) for row in self.of(type_)]
        return len([each for each in found if provider in ("", each)])

    # -- as a whole -------------------------------------------------------------------------------

    @cached_property
    def region(self) -> Region:
        """Of the stack."""
        return Region.of(self._provider("aws")["region"])

    @cached_property
    def resources(self) -> dict[str, int]:
        """Component -> its resources; those of no component are under ``stack``."""
        counted = Counter(
            component_of(row["urn"]) or "stack"
            for row in self._rows
            if not row["type"].startswith(_NOT_COUNTED)
        )
        return dict(sorted(counted.items()))

    @cached_property
    def objects(self) -> int:
        """Kubernetes objects of Kubeflow."""
        return sum(
            component_of(row["urn"]) == "KubeflowManifests"
            and row["type"].startswith("kubernetes:")
            for row in self._rows
        )

    # -- the cluster ------------------------------------------------------------------------------

    @cached_property
    def cluster(self) -> Mapping[str, Any]:
        """The inputs of the EKS cluster."""
        (found,) = self.inputs("eks:index:Cluster")
        return found

    @property
    def admitted(self) -> tuple[str, ...]:
        """Address ranges that reach the API server over the internet."""
        public = self.cluster.get("endpointPublicAccess")
        return tuple(self.cluster.get("publicAccessCidrs") or ()) if public else ()

    @property
    def vpc(self) -> str:
        """The address range of the VPC that the stack makes; empty: it uses one that exists."""
        return next((vpc["cidrBlock"] for vpc in self.inputs("aws:ec2/vpc:Vpc")), "")

    @property
    def subnets(self) -> int:
        """Private subnets in which nodes start."""
        return len(self.cluster.get("privateSubnetIds") or ())

    @cached_property
    def zones(self) -> tuple[Zone, ...]:
        """Zones of the subnets that the stack makes."""
        found: dict[str, dict[str, str]] = {}
        for row in self.of("aws:ec2/subnet:Subnet"):
            kind = "public" if "-public-" in row["name"] else "private"
            cidrs = found.setdefault(row["inputs"]["availabilityZone"], {})
            cidrs[kind] = row["inputs"]["cidrBlock"]
        return tuple(
            Zone(name, cidrs.get("public", ""), cidrs.get("private", ""))
            for name, cidrs in sorted(found.items())
        )

    @property
    def nats(self) -> int:
        """NAT gateways."""
        return self.count("aws:ec2/natGateway:NatGateway")

    @property
    def endpoints(self) -> tuple[int, int]:
        """VPC endpoints of the kinds interface and gateway."""
        kinds = Counter(
            each.get("vpcEndpointType", "Interface")
            for each in self.inputs("aws:ec2/vpcEndpoint:VpcEndpoint")
        )
        return kinds["Interface"], kinds["Gateway"]

    @cached_property
    def nodes(self) -> NodeGroup:
        """Of the platform itself."""
        (group,) = self.inputs("aws:eks/nodeGroup:NodeGroup")
        templates = self.inputs("aws:ec2/launchTemplate:LaunchTemplate")
        machine = next((each["instanceType"] for each in templates if "instanceType" in each), "")
        sizes = group["scalingConfig"]
        return NodeGroup(
            group["nodeGroupName"], machine, int(sizes["desiredSize"]), int(sizes["maxSize"])
        )

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The parts of Kubeflow that the plan has."""
        kinds = ("Deployment", "StatefulSet")
        present = {
            (kind, f"{each['metadata']['namespace']}/{each['metadata']['name']}")
            for kind in kinds
            for each in self.inputs(f"kubernetes:apps/v1:{kind}")
        }
        return tuple(part for part, name in _PARTS.items() if present & _workloads()[name])

    @property
    def users(self) -> int:
        """Profiles, each the namespace of a user."""
        return len([row for row in self._rows if row["type"].endswith(":Profile")])

    @property
    def karpenter(self) -> str:
        """The version of Karpenter; empty: there is none."""
        releases = self.inputs("kubernetes:helm.sh/v3:Release")
        charts = [each["chart"].rpartition("/")[2] for each in releases]
        found = (each for each in charts if each.startswith("karpenter-"))
        return next((each.removeprefix("karpenter-") for each in found), "")

    @cached_property
    def pools(self) -> tuple[Pool, ...]:
        """Of Karpenter, by name."""
        amis = {
            each["metadata"]["name"]: each["spec"]["amiSelectorTerms"][0].get("alias", "")
            for each in self.inputs("kubernetes:karpenter.k8s.aws/v1:EC2NodeClass")
        }
        found = [_pool(each, amis) for each in self.inputs("kubernetes:karpenter.sh/v1:NodePool")]
        return tuple(sorted(found, key=lambda pool: pool.name))

    # -- data -------------------------------------------------------------------------------------

    @cached_property
    def database(self) -> Database:
        """Of Pipelines, Katib and ML Metadata; the catalog's own is PostgreSQL."""
        all_of_them = self.inputs("aws:rds/instance:Instance")
        (found,) = (each for each in all_of_them if each["engine"] == "mysql")
        return Database(
            found["instanceClass"],
            found["engineVersion"],
            bool(found.get("multiAz")),
            int(found["allocatedStorage"]),
        )

    @property
    def database_users(self) -> int:
        """Users of the database, beside its master."""
        rows = self.of("aws:secretsmanager/secret:Secret")
        return len([row for row in rows if "-database-users-" in row["name"]])

    @property
    def buckets(self) -> int:
        """S3 buckets that the stack makes."""
        return self.count("aws:s3/bucket:Bucket")

    @property
    def file_systems(self) -> bool:
        """Whether many pods may write one volume (EFS)."""
        return bool(
            self.count("aws:efs/fileSystem:FileSystem")
            + self.count("aws:efs/mountTarget:MountTarget")
        )

    # -- images -----------------------------------------------------------------------------------

    @cached_property
    def images(self) -> tuple[str, ...]:
        """Images that are copied before anything needs them."""
        copied = self.inputs("pulumi-python:dynamic:MirroredImages")
        return tuple(image for each in copied for image in each["images"])

    @cached_property
    def repositories(self) -> int:
        """Repositories of the copies."""
        found = self.inputs("pulumi-python:dynamic:ImageRepositories")
        return sum(len(each["repositories"]) for each in found)

    @property
    def registry(self) -> str:
        """The start of the name of every copy; empty: nothing is copied."""
        found = self.inputs("pulumi-python:dynamic:ImageRepositories")
        return next((each["registry"] for each in found), "")

    @property
    def mirrored(self) -> bool:
        """Whether pods get the names of copies."""
        return "ImageMirrorWebhook" in self.resources

    @property
    def caches(self) -> int:
        """Pull-through caches of ECR."""
        return self.count("aws:ecr/pullThroughCacheRule:PullThroughCacheRule")

    @property
    def webhook_pods(self) -> int:
        """Pods that rewrite images; 0: a Lambda function does."""
        for each in self.inputs("kubernetes:apps/v1:Deployment"):
            if each["metadata"]["name"] == "image-mirror":
                return int(each["spec"]["replicas"])
        return 0

    @property
    def copies_table(self) -> str:
        """The DynamoDB table with one row per image that is copied."""
        return next((each["name"] for each in self.inputs("aws:dynamodb/table:Table")), "")

    @cached_property
    def build(self) -> Build | None:
        """Who copies images; None: nobody does."""
        projects = self.of("aws:codebuild/project:Project")
        if not projects:
            return None
        provider = self._provider(_name(projects[0]["provider"]))
        return Build(Region.of(provider["region"]), provider.get("profile", ""))

    @property
    def border(self) -> bool:
        """Whether copies cross a border between partitions."""
        return self.build is not None and self.build.region.partition != self.region.partition

    def registries(self) -> list[tuple[str, int]]:
        """Where images come from, and how many: the most first."""
        counted = Counter(image.partition("/")[0] for image in self.images)
        return sorted(counted.items(), key=lambda each: (-each[1], each[0]))

    def _provider(self, name: str) -> Mapping[str, Any]:
        rows = self.of("pulumi:providers:aws")
        return next(row["inputs"] for row in rows if row["name"] == name)


def _name(provider: str) -> str:
    return provider.rpartition("::")[2]


def _pool(obj: Mapping[str, Any], amis: Mapping[str, str]) -> Pool:
    spec, template = obj["spec"], obj["spec"]["template"]["spec"]
    needs = {each["key"]: each.get("values", ()) for each in template["requirements"]}
    disruption = spec["disruption"]
    return Pool(
        name=obj["metadata"]["name"],
        limits={key: str(value) for key, value in spec["limits"].items()},
        families=tuple(needs.get("karpenter.k8s.aws/instance-family", ())),
        capacity=tuple(needs.get("karpenter.sh/capacity-type", ())),
        evicts=disruption["consolidationPolicy"] != "WhenEmpty",
        idle=disruption["consolidateAfter"],
        ami=amis.get(template["nodeClassRef"]["name"], ""),
    )
