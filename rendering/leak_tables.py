"""Tables of the leak check: what is a leak, and which values only look like one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

MARKER = re.compile(r"<<[a-z][a-z0-9.-]*>>")
"""A deploy value: it exists only after creation, and the component binds it."""

PUBLIC_REGISTRIES = (
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
    "gcr.io",
    "us.gcr.io",
    "eu.gcr.io",
    "asia.gcr.io",
    "mirror.gcr.io",
    "ghcr.io",
    "quay.io",
    "nvcr.io",
    "registry.k8s.io",
    "k8s.gcr.io",
    "public.ecr.aws",
    "mcr.microsoft.com",
)

ARN = re.compile(r"\barn:(aws[a-z-]*):")
HOST = re.compile(
    r"(?:\w+://)?(?:[A-Za-z0-9*<>{}$_-]+\.)*(?P<suffix>amazonaws\.(?:com\.cn|com|eu))"
    r"(?![A-Za-z0-9-])[^\s\"',]*"
)
CHINESE_HOST = re.compile(r"[A-Za-z0-9.-]+(?<!amazonaws)\.com\.cn(?![A-Za-z0-9-])")
REGISTRY = re.compile(
    # Not after a slash: there it is a path, below the account's own registry or in a web address.
    r"(?<![\w./-])(?:"
    + "|".join(re.escape(host) for host in PUBLIC_REGISTRIES)
    + r"|[a-z0-9-]+\.pkg\.dev)/[a-z0-9][^\s\"',`]*"
)
VARIABLE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
TEMPLATE = re.compile(r"\{\{.*?\}\}|\{\{", re.DOTALL)
TRIAL = re.compile(r"\$\{trial[A-Z]\w*[^}]*\}")
EMPTY_HOST = re.compile(r"https?://(?=[:/\s]|$)|^\s*(?:bucket|endpoint):\s*(?:\"\"|'')?\s*$", re.M)
MUST_NOT_BE_EMPTY = re.compile(
    r"(?:db|mysql)Host|bucketName|(?:\w+_)?(?:BUCKET|BUCKET_?NAME)|"
    r"\w*(?:DB|MYSQL|OBJECTSTORE|MINIO)\w*_(?:SERVICE_)?HOST"
)
SUSPICIOUS = re.compile(r"arn:aws|amazonaws|<<|\$\(|\$\{|\{\{|https?://|bucket:|endpoint:|com\.cn")


@dataclass(frozen=True)
class Allowed:
    """A value that is right although it looks like a leak.

    Attributes:
        place: shell pattern over ``Kind namespace/name#path``; ``[`` stands for itself.
        value: regular expression that matches the whole value.
        reason: why the value is right, with a source.
    """

    place: str
    value: str
    reason: str

    def covers(self, place: str, value: str) -> bool:
        """Whether this entry allows the value at this place."""
        return fnmatchcase(place, self.place.replace("[", "[[]")) and bool(
            re.fullmatch(self.value, value, re.DOTALL)
        )


ALLOWED_HOSTS = (
    Allowed(
        "*",
        r"sts\.amazonaws\.com",
        "the audience of EKS service account tokens in every partition (eksctl-io/eksctl#1912)",
    ),
    Allowed(
        "*",
        r"(?:eks|vpc|ec2)\.amazonaws\.com/[a-z0-9][A-Za-z0-9-]*",
        "names of labels, annotations and resources (eks.amazonaws.com/role-arn), the same in "
        "every partition; no request goes to them",
    ),
    Allowed(
        "*#*Principal*",
        r"[a-z0-9-]+(?:\.eks)?\.amazonaws\.com",
        "service principals of IAM: the global form is valid in every partition "
        "(aws-cdk, aws-iam/lib/principals.ts)",
    ),
)

ALLOWED_TEMPLATES = (
    Allowed(
        "ConfigMap istio-system/istio-sidecar-injector*#data.config",
        r".*",
        "istiod expands these per pod (istio manifests/charts/istio-control/istio-discovery/files)",
    ),
    Allowed(
        "ConfigMap knative-serving/config-*#data.*",
        r".*",
        "domain-template and logging templates that Knative expands (knative serving config/core)",
    ),
    Allowed(
        "ConfigMap */inferenceservice-config*#data.*",
        r"\{\{ ?\.(?:Name|Namespace|IngressDomain|Annotations[\w.]*|Labels[\w.]*) ?\}\}",
        "domainTemplate and pathTemplate that KServe expands (config/configmap of kserve/kserve)",
    ),
    Allowed(
        "*ServingRuntime *#spec.*",
        r"\{\{ ?\.(?:Name|Namespace|Labels\.\w+|Annotations\.\w+) ?\}\}",
        "KServe expands these from the InferenceService (pkg/controller/.../utils.go)",
    ),
    Allowed(
        "ConfigMap */trial-templates*#data.*",
        r"\$\{trial(?:Parameters|Spec)[^}]*\}",
        "Katib expands these per trial (trialTemplate of an Experiment)",
    ),
    Allowed(
        "*",
        r"\{\{ ?(?:workflow|pod|inputs|outputs|tasks|steps|node)\.[\w.-]+ ?\}\}",
        "Argo expands these per workflow (keyFormat of the artifact repository)",
    ),
    Allowed(
        "ExternalSecret *#spec.target.template.data.*",
        r"\{\{ (?:\$\w+ := fromJson \.\w+ -|\$\w+\.\w+ |\(fromJson \.\w+\)\.\w+ |\.\w+ )\}\}",
        "the External Secrets Operator fills these in from the remote secret (template engine v2)",
    ),
    Allowed(
        "ConfigMap oauth2-proxy/*#data.*",
        r"\{\{ ?\.\w+ ?\}\}",
        "the sign-in page is a Go template that oauth2-proxy fills in",
    ),
)

ALLOWED_VARIABLES = (
    Allowed(
        "ConfigMap istio-system/istio-sidecar-injector*#data.*",
        r"\$\((?:POD_NAMESPACE|POD_NAME|INSTANCE_IP|HOST_IP)\)",
        "arguments of the sidecar, whose container defines these variables",
    ),
)

CREDENTIALS = {
    "$2y$12$4K/VkmDd1q1Orb3xAt82zu8gk7Ad6ReFR4LCP9UeYE90NLiN9Df72": "the password 12341234 of Dex",
    "pUBnBOY80SnXgjibTYM9ZWNzY2xreNGQok": "the OAuth client secret of every Kubeflow",
    "7d16fee92f8d11b8940b081b3f8b8acb": "the cookie secret of every Kubeflow",
    "minio123": "the secret key of every Kubeflow's MinIO",
}
"""Values that kubeflow/manifests publishes in ``common`` and Pipelines; a leak in any object."""

SECRET_CREDENTIALS = {
    "minio": "the access key of every Kubeflow's MinIO",
    "root": "the database user of every Kubeflow",
    "test": "the database password of every Katib",
}
"""Words so common that only the whole value of a Secret is compared with them."""

DEFAULT_USER = "user@example.com"
