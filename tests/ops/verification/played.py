"""A live platform in memory: what a stack applies, and what everybody else makes of it.

Played after their sources:
- the controllers of workloads, with a pod per replica (k8s.io/api apps/v1, batch/v1, policy/v1);
- EKS: nodes, ``kube-system`` and its add-ons (aws/amazon-vpc-cni-k8s charts/aws-vpc-cni,
  kubernetes-sigs/aws-ebs-csi-driver charts/aws-ebs-csi-driver);
- Karpenter's chart and conditions (kubernetes-sigs/karpenter v1.14.1
  pkg/apis/v1/nodepool_status.go, aws/karpenter-provider-aws v1.14.1
  pkg/apis/v1/ec2nodeclass_status.go);
- istiod's sidecars, cert-manager and the certificates of webhooks, which are real;
- External Secrets, the Secrets Store (status fields of their v1 types);
- Kubeflow's profile controller (kubeflow/kubeflow components/profile-controller/controllers/
  profile_controller.go) and the release's own hook for metacontroller.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, cast
from unittest.mock import sentinel

import bcrypt
import boto3
import yaml

from components.dynamic.serving_certificate import ServingCertificateProvider
from components.kubeflow.logins import DexAccount
from components.kubeflow.profiles import contributor_objects, profile, quota_objects
from images.reference import parse
from ops.cli_errors import Refused
from ops.findings import Finding, Level
from ops.live_cluster import LiveCluster
from ops.verification.checks.live_objects import PATHS, digests, name_of, namespace_of
from ops.verification.platform import Platform
from regions.region import Feature
from rendering import Object
from rendering.objects import annotations_of, labels_of, pod_spec, pod_template
from rendering.pod_references import classes_of, named_by
from rendering.release import load
from settings import MANIFESTS, Settings, from_stack_file
from settings.context import StackContext
from settings.sections import User
from tests.cluster.platform import platform as of_program
from tests.rendering.profile_hooks import SYNC
from tests.rendering.secret_writer import written
from tests.test_program import ACCOUNT, ROOT

ZONES = ("a", "b", "c")
CREATED = "2026-11-01T10:00:00Z"
PASSWORD = "a generated password"
_SYSTEM = ("default", "kube-system", "kube-public", "kube-node-lease")
_IN_API = {
    "knative-serving/webhook": "webhook-certs",
    "knative-serving/istio-webhook": "istio-webhook-certs",
    "knative-serving/net-istio-webhook": "net-istio-webhook-certs",
    "knative-eventing/eventing-webhook": "eventing-webhook-certs",
    "kubeflow/spark-operator-webhook-svc": "spark-operator-webhook-certs",
}
"""Service of a webhook -> the Secret that its pods read through the API (knative/pkg
webhook/certificates; kubeflow/spark-operator charts/spark-operator-chart)."""
_SIDECAR: Mapping[str, Any] = {
    "name": "istio-proxy",
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 1337,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}
"""As istiod injects it where Istio's CNI plugin sets up the network."""
_METRICS_NODES = "/apis/metrics.k8s.io/v1beta1/nodes"
_CLASS_STATUSES = "/apis/secrets-store.csi.x-k8s.io/v1/secretproviderclasspodstatuses"
_TIME = "%Y-%m-%dT%H:%M:%SZ"

Key = tuple[str, str]
"""Kind, and ``namespace/name``."""


def just_now() -> str:
    """This minute, as the API server writes times."""
    return datetime.now(UTC).strftime(_TIME)


def condition(kind: str, status: str = "True", **more: str) -> dict[str, str]:
    given = {"reason": kind, "message": "", **more}
    return {"type": kind, "status": status, "lastTransitionTime": CREATED, **given}


@dataclass
class Live:
    """The objects of a live platform.

    Attributes:
        settings: of its stack.
        context: likewise.
        objects: by kind and name.
        remote: Secrets Manager: name -> its JSON object.
    """

    settings: Settings
    context: StackContext
    objects: dict[Key, Object] = field(default_factory=dict[Key, Object])
    remote: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def put(self, obj: Mapping[str, Any]) -> Object:
        """Adds an object, or replaces the one of its name."""
        made = cast("Object", obj)
        made["metadata"].setdefault("creationTimestamp", CREATED)
        self.objects[made["kind"], name_of(made)] = made
        return made

    def all(self, kind: str) -> list[Object]:
        return [obj for (of, _), obj in self.objects.items() if of == kind]

    def get(self, kind: str, name: str) -> Object:
        return self.objects[kind, name]

    def delete(self, kind: str, name: str) -> None:
        del self.objects[kind, name]

    def changed(self) -> Live:
        """A copy to break."""
        return Live(
            self.settings,
            self.context,
            copy.deepcopy(self.objects),
            copy.deepcopy(self.remote),
        )

    def with_settings(self, **sections: Any) -> Live:
        """A copy whose stack file has other sections."""
        settings = self.settings.model_copy(update=sections)
        context = StackContext.of(settings, self.context.account_id, {})
        return Live(settings, context, copy.deepcopy(self.objects), copy.deepcopy(self.remote))

    # -- what is there besides ---------------------------------------------------------------------

    @property
    def copy_of(self) -> str:
        """Where images of publishers come from: a prefix, or empty."""
        return f"{self.context.image_prefix}/" if self.context.mirror.copies else ""

    @property
    def addons(self) -> str:
        region = self.context.region
        return region.ecr_registry(region.eks_addon_account)

    def secret(
        self, name: str, data: Mapping[str, str], kind: str = "Opaque", **noted: str
    ) -> None:
        """The data of a Secret; the type of one that exists stays, as the API server has it."""
        namespace, _, own = name.partition("/")
        stored = self.objects.get(("Secret", name), {})
        new: dict[str, Any] = {"name": own, "namespace": namespace}
        metadata: dict[str, Any] = {**(stored.get("metadata") or new)}
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **noted}
        self.put(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": metadata,
                "type": stored.get("type", kind),
                "data": {key: _in_base64(text) for key, text in data.items()},
            }
        )


def played(objects: Iterable[Object], settings: Settings, account: str = ACCOUNT) -> Live:
    """The platform as it runs, a while after its first ``up``."""
    live = Live(settings, StackContext.of(settings, account, {}))
    for obj in objects:
        live.put(copy.deepcopy(obj))
    _namespaces(live)
    _eks(live)
    if settings.gpu_pool.enabled:
        _karpenter(live)
    for user in settings.users:
        _profile(live, user)
    _aggregated_roles(live)
    _secrets(live)
    _certificates(live)
    _workloads(live)
    _services(live)
    _volumes(live)
    _autoscalers(live)
    _budgets(live)
    _logins(live)
    return live


def _namespaces(live: Live) -> None:
    for name in _SYSTEM:
        live.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for obj in live.all("Namespace"):
        name = obj["metadata"]["name"]
        obj["metadata"]["labels"] = {**labels_of(obj), "kubernetes.io/metadata.name": name}
        obj["status"] = {"phase": "Active"}


def _eks(live: Live) -> None:
    version = live.settings.cluster.version
    group = live.settings.node_group
    for number in range(group.desired):
        zone = f"{live.context.region.name}{ZONES[number % len(ZONES)]}"
        live.put(_node(f"ip-10-64-0-{number + 4}", zone, group.name, version))
    build = "eksbuild.1"
    for name, image, args in (
        ("aws-node", "amazon-k8s-cni:v1.22.1", ["--enable-network-policy=true"]),
        ("kube-proxy", f"eks/kube-proxy:v{version}.1-{build}", []),
        ("ebs-csi-node", "eks/aws-ebs-csi-driver:v1.61.0", ["--endpoint=$(CSI_ENDPOINT)"]),
    ):
        live.put(_system("DaemonSet", name, f"{live.addons}/{image}", args))
    for name, image in (
        ("coredns", f"eks/coredns:v1.14.2-{build}"),
        ("ebs-csi-controller", "eks/aws-ebs-csi-driver:v1.61.0"),
    ):
        live.put(_system("Deployment", name, f"{live.addons}/{image}", []))
    if live.context.region.has(Feature.POD_IDENTITY):
        image = f"{live.addons}/eks/eks-pod-identity-agent:v0.1.36"
        live.put(_system("DaemonSet", "eks-pod-identity-agent", image, []))
    drivers = [
        "ebs.csi.aws.com",
        *(["efs.csi.aws.com"] if live.settings.shared_files.enabled else []),
    ]
    for driver in drivers:
        live.put(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "CSIDriver",
                "metadata": {"name": driver},
                "spec": {},
            }
        )
    live.put(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "gp2"},
            "provisioner": "kubernetes.io/aws-ebs",
            "volumeBindingMode": "WaitForFirstConsumer",
        }
    )
    for obj in live.all("APIService"):
        obj["status"] = {"conditions": [condition("Available", reason="Passed")]}
    defaults = {"system:basic-user": "selfsubjectaccessreviews", "system:discovery": ""}
    for name, resource in defaults.items():
        rule = {"apiGroups": ["authorization.k8s.io"], "resources": [resource], "verbs": ["create"]}
        live.put(_cluster_role(name, [rule] if resource else []))
        live.put(binding("ClusterRoleBinding", name, name, _group("system:authenticated")))
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    live.put(_cluster_role("cluster-admin", [everything]))
    live.put(
        binding("ClusterRoleBinding", "cluster-admin", "cluster-admin", _group("system:masters"))
    )


def _group(name: str) -> dict[str, str]:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name}


def user_subject(email: str) -> dict[str, str]:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": email}


def _cluster_role(name: str, rules: list[dict[str, list[str]]]) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def binding(
    kind: str, name: str, role: str, /, *subjects: Mapping[str, str], **noted: str
) -> Object:
    """A binding to a ClusterRole; ``name`` of a RoleBinding is ``namespace/name``."""
    namespace, _, own = name.rpartition("/")
    metadata: dict[str, Any] = {"name": own, "annotations": dict(noted)}
    if namespace:
        metadata["namespace"] = namespace
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": list(subjects),
    }


def _node(name: str, zone: str, group: str, version: str) -> Object:
    conditions = [
        condition("MemoryPressure", "False", reason="KubeletHasSufficientMemory"),
        condition("DiskPressure", "False", reason="KubeletHasNoDiskPressure"),
        condition("PIDPressure", "False", reason="KubeletHasSufficientPID"),
        condition("Ready", reason="KubeletReady"),
    ]
    labels = {"topology.kubernetes.io/zone": zone, "eks.amazonaws.com/nodegroup": group}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": {
            "conditions": conditions,
            "nodeInfo": {"kubeletVersion": f"v{version}.1-eks-1234567"},
        },
    }


def _system(kind: str, name: str, image: str, args: list[str]) -> Object:
    labels = {"app": name}
    variables = [{"name": "CSI_ENDPOINT", "value": "unix:/csi/csi.sock"}]
    container = {"name": name, "image": image, "args": args, "env": variables}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "kube-system", "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _karpenter(live: Live) -> None:
    version = live.settings.gpu_pool.karpenter_version
    image = f"{live.copy_of}public.ecr.aws/karpenter/controller:{version}"
    live.put(_system("Deployment", "karpenter", image, []))
    for obj in live.all("EC2NodeClass"):
        kinds = (
            "SubnetsReady",
            "SecurityGroupsReady",
            "InstanceProfileReady",
            "AMIsReady",
            "ValidationSucceeded",
            "Ready",
        )
        obj["status"] = {"conditions": [condition(kind, reason=kind) for kind in kinds]}
    for obj in live.all("NodePool"):
        kinds = ("ValidationSucceeded", "NodeClassReady", "Ready")
        unknown = condition("NodeRegistrationHealthy", "Unknown", reason="AwaitingReconciliation")
        conditions = [*(condition(kind, reason=kind) for kind in kinds), unknown]
        obj["status"] = {"conditions": conditions, "resources": {"nodes": "0"}}


# -- Kubeflow --------------------------------------------------------------------------------------


def owner_policy(user: User) -> Object:
    header = {"key": "request.headers[kubeflow-userid]", "values": [user.email]}
    own = {"key": "source.namespace", "values": [user.namespace]}
    probed = {"paths": ["/healthz", "/metrics", "/wait-for-drain"]}
    rules = [{"when": [header]}, {"when": [own]}, {"to": [{"operation": probed}]}]
    return {
        "apiVersion": "security.istio.io/v1beta1",
        "kind": "AuthorizationPolicy",
        "metadata": {
            "name": "ns-owner-access-istio",
            "namespace": user.namespace,
            "annotations": {"user": user.email, "role": "admin"},
        },
        "spec": {"rules": rules},
    }


def _profile(live: Live, user: User) -> None:
    name = user.namespace
    owned = live.get("Profile", name)
    (labels,) = [
        yaml.safe_load(text)
        for key, obj in live.objects.items()
        if key[0] == "ConfigMap"
        for file, text in (obj.get("data") or {}).items()
        if file == "namespace-labels.yaml"
    ]
    kept = {key: str(value) for key, value in (labels or {}).items() if value}
    namespace = live.put(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "labels": {
                    "istio-injection": "enabled",
                    "kubernetes.io/metadata.name": name,
                    **kept,
                },
                "annotations": {"owner": user.email},
            },
            "status": {"phase": "Active"},
        }
    )
    for account, role in (("default-editor", "kubeflow-edit"), ("default-viewer", "kubeflow-view")):
        arns = [each["spec"]["awsIamRole"] for each in owned["spec"].get("plugins") or []]
        noted = {"eks.amazonaws.com/role-arn": arns[0]} if arns and "editor" in account else {}
        live.put(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": account, "namespace": name, "annotations": noted},
            }
        )
        subject = {"kind": "ServiceAccount", "name": account, "namespace": name}
        live.put(binding("RoleBinding", f"{name}/{account}", role, subject))
    owner = user_subject(user.email)
    live.put(
        binding(
            "RoleBinding",
            f"{name}/namespaceAdmin",
            "kubeflow-admin",
            owner,
            user=user.email,
            role="admin",
        )
    )
    live.put(owner_policy(user))
    hook = SYNC[live.settings.release]
    for obj in hook.desired(namespace, hook.settings_from(_environment(live))):
        live.put(obj)


def _environment(live: Live) -> dict[str, str]:
    """Of the pod that runs the release's hook."""
    name = "kubeflow/kubeflow-pipelines-profile-controller"
    (container,) = (pod_spec(live.get("Deployment", name)) or {})["containers"]
    found: dict[str, str] = {}
    for variable in container["env"]:
        source = variable.get("valueFrom") or {}
        reference = source.get("configMapKeyRef")
        if reference:
            data = live.get("ConfigMap", f"kubeflow/{reference['name']}")["data"]
            found[variable["name"]] = data[reference["key"]]
        else:
            found[variable["name"]] = variable.get("value", "from a Secret")
    return found


def _aggregated_roles(live: Live) -> None:
    """kubernetes/kubernetes pkg/controller/clusterroleaggregation."""
    roles = [obj for obj in live.all("ClusterRole") if obj.get("aggregationRule")]
    for _ in roles:  # one aggregates another
        for obj in roles:
            rules: list[Any] = []
            for selector in obj["aggregationRule"]["clusterRoleSelectors"]:
                for other in live.all("ClusterRole"):
                    wanted = selector.get("matchLabels") or {}
                    if other is not obj and wanted.items() <= labels_of(other).items():
                        rules += [rule for rule in other.get("rules") or [] if rule not in rules]
            obj["rules"] = rules


# -- secrets and certificates ----------------------------------------------------------------------


def _secrets(live: Live) -> None:
    for obj in live.all("SecretStore"):
        obj["status"] = {"conditions": [condition("Ready", reason="Valid")]}
    for obj in live.all("ExternalSecret"):
        names = [
            *(each["extract"]["key"] for each in obj["spec"].get("dataFrom") or []),
            *(each["remoteRef"]["key"] for each in obj["spec"].get("data") or []),
        ]
        for name in names:
            live.remote.setdefault(name, _remote(name))
        obj["status"] = {
            "conditions": [condition("Ready", reason="SecretSynced")],
            "refreshTime": just_now(),
        }
        target = f"{namespace_of(obj)}/{obj['spec']['target']['name']}"
        live.secret(target, written(obj, live.remote))
    for obj in live.all("SecretProviderClass"):
        _from_class(live, obj)


def _remote(name: str) -> dict[str, str]:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return {
        "host": "kubeflow.abcdefgh.rds.example",
        "port": "3306",
        "username": digest[:8],
        "password": digest[8:40],
        "database": digest[40:48],
        "accessKeyId": digest[:20],
        "secretAccessKey": digest[20:60],
    }


def _from_class(live: Live, obj: Object) -> None:
    """secrets-store-csi-driver v1.0.0 pkg/util/secretutil, as its AWS provider mounts files."""
    files: dict[str, str] = {}
    for one in yaml.safe_load(obj["spec"]["parameters"]["objects"]):
        name = one["objectName"]
        values = live.remote.setdefault(name, _remote(name))
        files[one.get("objectAlias") or name] = json.dumps(values)
        for each in one.get("jmesPath") or []:
            values.setdefault(each["path"], f"value of {each['path']}")
            files[each["objectAlias"]] = values[each["path"]]
    for each in obj["spec"].get("secretObjects") or []:
        data = {entry["key"]: files[entry["objectName"]] for entry in each["data"]}
        live.secret(f"{namespace_of(obj)}/{each['secretName']}", data)


@cache
def certificate(*hosts: str) -> dict[str, str]:
    """PEM texts: ``authority``, ``certificate`` that it signed for the hosts, ``key``."""
    return ServingCertificateProvider().outputs({"hosts": list(hosts)}, {})


def _in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _certificates(live: Live) -> None:
    later = datetime.now(UTC) + timedelta(days=80)
    for obj in live.all("Certificate"):
        if not obj["apiVersion"].startswith("cert-manager.io/"):
            continue
        made = certificate(*obj["spec"].get("dnsNames", ["localhost"]))
        data = {"tls.crt": made["certificate"], "tls.key": made["key"], "ca.crt": made["authority"]}
        name = f"{namespace_of(obj)}/{obj['spec']['secretName']}"
        noted = {"cert-manager.io/certificate-name": obj["metadata"]["name"]}
        live.secret(name, data, "kubernetes.io/tls", **noted)
        obj["status"] = {
            "conditions": [condition("Ready", reason="Ready")],
            "notAfter": later.strftime(_TIME),
            "renewalTime": (later - timedelta(days=30)).strftime(_TIME),
        }
    mesh = certificate("istiod.istio-system.svc")["authority"]
    for obj in live.all("Namespace"):
        live.put(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "istio-ca-root-cert", "namespace": obj["metadata"]["name"]},
                "data": {"root-cert.pem": mesh},
            }
        )
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        for obj in live.all(kind):
            for hook in obj.get("webhooks") or []:
                service = hook["clientConfig"].get("service")
                if service:
                    authority = _authority(live, obj, f"{service['namespace']}/{service['name']}")
                    hook["clientConfig"]["caBundle"] = _in_base64(authority)


def _authority(live: Live, configuration: Object, service: str) -> str:
    """Makes the certificate of a webhook where its server keeps it; returns who signed it."""
    namespace, _, name = service.partition("/")
    noted = annotations_of(configuration)
    own = noted.get("cert-manager.io/inject-ca-from")
    if own:
        made = certificate(*live.get("Certificate", own)["spec"]["dnsNames"])
        return made["authority"]
    made = certificate(f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local")
    if service == "istio-system/istiod":
        return certificate("istiod.istio-system.svc")["authority"]
    in_memory = noted.get("cert-manager.io/inject-ca-from-secret")
    if in_memory:
        live.secret(in_memory, {"ca.crt": made["authority"], "tls.crt": made["authority"]})
        return made["authority"]
    secret = _IN_API.get(service) or _mounted(live, service)
    files = ("server-cert.pem", "server-key.pem", "ca-cert.pem")
    if service not in _IN_API:
        files = ("tls.crt", "tls.key", "ca.crt")
    texts = (made["certificate"], made["key"], made["authority"])
    live.secret(f"{namespace}/{secret}", dict(zip(files, texts, strict=True)))
    return made["authority"]


def _mounted(live: Live, service: str) -> str:
    """The one Secret that the pods behind a Service mount; a made-up one where they mount none."""
    selector = live.get("Service", service)["spec"]["selector"]
    names = {
        reference.name
        for kind in ("Deployment", "StatefulSet")
        for obj in live.all(kind)
        if namespace_of(obj) == service.partition("/")[0]
        and selector.items() <= labels_of(pod_template(obj) or {}).items()
        for reference in named_by(pod_spec(obj) or {})
        if reference.kind == "Secret"
    }
    return sorted(names)[0] if names else f"{service.partition('/')[2]}-tls"


# -- pods ------------------------------------------------------------------------------------------


def _workloads(live: Live) -> None:
    minimum = {
        (namespace_of(obj), obj["spec"]["scaleTargetRef"]["name"]): obj["spec"].get(
            "minReplicas", 1
        )
        for obj in live.all("HorizontalPodAutoscaler")
    }
    nodes = len(live.all("Node"))
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
        for obj in live.all(kind):
            key = (namespace_of(obj), obj["metadata"]["name"])
            obj["metadata"]["generation"] = 1
            if kind == "DaemonSet":
                # On GPU nodes alone, of which there is none.
                count = 0 if "nvidia" in key[1] or "dcgm" in key[1] else nodes
                obj["status"] = {
                    "observedGeneration": 1,
                    "desiredNumberScheduled": count,
                    "numberReady": count,
                }
            elif kind == "Job":
                count = 0
                conditions = [condition("SuccessCriteriaMet"), condition("Complete")]
                obj["status"] = {
                    "conditions": conditions,
                    "succeeded": 1,
                    "startTime": CREATED,
                    "completionTime": CREATED,
                }
            else:
                count = obj["spec"].get("replicas") or minimum.get(key, 1)
                obj["spec"]["replicas"] = count
                progressing = condition("Progressing", reason="NewReplicaSetAvailable")
                conditions = (
                    [{**progressing, "lastUpdateTime": CREATED}] if kind == "Deployment" else []
                )
                obj["status"] = {
                    "observedGeneration": 1,
                    "replicas": count,
                    "readyReplicas": count,
                    "conditions": conditions,
                }
            for number in range(count):
                live.put(_pod(live, obj, number))


def _pod(live: Live, workload: Object, number: int) -> Object:
    template = copy.deepcopy(cast("dict[str, Any]", pod_template(workload)))
    metadata = template.get("metadata") or {}
    namespace = live.objects["Namespace", namespace_of(workload)]
    spec = template["spec"]
    inject = labels_of(template).get("sidecar.istio.io/inject") or annotations_of(template).get(
        "sidecar.istio.io/inject"
    )
    if labels_of(namespace).get("istio-injection") == "enabled" and inject != "false":
        spec["containers"].append({**_SIDECAR, "image": _proxy(live)})
    for claim in workload["spec"].get("volumeClaimTemplates") or []:
        name = f"{claim['metadata']['name']}-{workload['metadata']['name']}-{number}"
        volume = {"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": name}}
        spec["volumes"] = [*(spec.get("volumes") or []), volume]
        live.put(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "spec": dict(claim["spec"]),
                "metadata": {"name": name, "namespace": namespace_of(workload)},
            }
        )
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **metadata,
            "name": f"{workload['metadata']['name']}-{number}",
            "namespace": namespace_of(workload),
        },
        "spec": spec,
        "status": {
            "phase": "Running",
            "conditions": [condition("Ready")],
            "containerStatuses": _statuses(live, spec["containers"]),
            "initContainerStatuses": _statuses(live, spec.get("initContainers") or []),
        },
    }


def _proxy(live: Live) -> str:
    containers = (pod_spec(live.get("Deployment", "istio-system/istio-ingressgateway")) or {})[
        "containers"
    ]
    return next(each["image"] for each in containers if each["name"] == "istio-proxy")


def _statuses(live: Live, containers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "name": each["name"],
            "ready": True,
            "image": each["image"],
            "imageID": image_id(live, each["image"]),
        }
        for each in containers
    ]


def image_id(live: Live, image: str) -> str:
    """As containerd writes it."""
    reference = parse(image)
    source = reference.origin(live.context.image_prefix) or reference
    known = source.digest or digests(live.settings).get(str(source))
    made = f"sha256:{hashlib.sha256(str(source).encode()).hexdigest()}"
    return f"{reference.name}@{known or made}"


def _services(live: Live) -> None:
    pods = live.all("Pod")
    for obj in live.all("Service"):
        selector = obj["spec"].get("selector")
        ready = [
            pod
            for pod in pods
            if selector
            and namespace_of(pod) == namespace_of(obj)
            and selector.items() <= labels_of(pod).items()
        ]
        name = obj["metadata"]["name"]
        live.put(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": f"{name}-abcde",
                    "namespace": namespace_of(obj),
                    "labels": {"kubernetes.io/service-name": name},
                },
                "addressType": "IPv4",
                "endpoints": [
                    {"addresses": ["10.64.1.1"], "conditions": {"ready": True}} for _ in ready
                ],
            }
        )


def _volumes(live: Live) -> None:
    for obj in live.all("PersistentVolumeClaim"):
        obj["spec"].setdefault("storageClassName", "gp3")
        obj["status"] = {"phase": "Bound"}


def _autoscalers(live: Live) -> None:
    for obj in live.all("HorizontalPodAutoscaler"):
        kinds = (("AbleToScale", "ReadyForNewScale"), ("ScalingActive", "ValidMetricFound"))
        obj["status"] = {"conditions": [condition(kind, reason=why) for kind, why in kinds]}


def _budgets(live: Live) -> None:
    """kubernetes/kubernetes pkg/controller/disruption/disruption.go."""
    for obj in live.all("PodDisruptionBudget"):
        selector = obj["spec"]["selector"].get("matchLabels") or {}
        expected = sum(
            namespace_of(pod) == namespace_of(obj) and selector.items() <= labels_of(pod).items()
            for pod in live.all("Pod")
        )
        desired = obj["spec"].get("minAvailable", expected - obj["spec"].get("maxUnavailable", 0))
        if isinstance(desired, str):
            desired = -(-expected * int(desired.rstrip("%")) // 100)
        obj["status"] = {
            "expectedPods": expected,
            "currentHealthy": expected,
            "desiredHealthy": max(desired, 0),
            "disruptionsAllowed": max(expected - desired, 0),
        }


def _logins(live: Live) -> None:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    hashes = {DexAccount(user.email).variable: hashed for user in live.settings.users}
    live.secret("auth/dex-passwords", hashes)
    name = f"{live.context.cluster}/kubeflow/login-abcdef"
    live.remote[name] = {user.email: PASSWORD for user in live.settings.users}


# -- the API server --------------------------------------------------------------------------------


class PlayedCluster(LiveCluster):
    """Lists of a live platform; it knows the paths of the API server, and nothing else.

    Attributes:
        asked: paths, in order.
        refused: paths that the user has no right to.
        version: what it says of itself.
    """

    def __init__(self, live: Live) -> None:
        self.host = "https://played.example"
        self.live = live
        self.asked: list[str] = []
        self.refused: set[str] = set()
        self.version = f"v{live.settings.cluster.version}.1-eks-1234567"

    def all(self, path: str, **selected: str) -> list[Any]:
        self.asked.append(path)
        if path in self.refused:
            raise Refused(f"{self.host} does not let you use {path} (403 Forbidden): check that.")
        if path == _METRICS_NODES:
            return [{"metadata": {"name": name_of(node)}} for node in self.live.all("Node")]
        if path == _CLASS_STATUSES:
            return list(self._class_statuses())
        (kind,) = [kind for kind, paths in PATHS.items() if path in paths]
        version = path.removeprefix("/apis/").removeprefix("/api/").rpartition("/")[0]
        return [
            {key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}
            for obj in self.live.all(kind)
            if _served(obj, version) and _selected(obj, selected)
        ]

    def _class_statuses(self) -> Iterator[dict[str, Any]]:
        for kind in ("Deployment", "StatefulSet", "Job"):
            for obj in self.live.all(kind):
                for name in classes_of(pod_spec(obj) or {}):
                    status = {"mounted": True, "secretProviderClassName": name}
                    yield {"metadata": {"namespace": namespace_of(obj)}, "status": status}

    def answer(
        self, method: str, path: str, query: dict[str, str], body: Any = None
    ) -> dict[str, Any]:
        self.asked.append(path)
        if path == "/version":
            return {"gitVersion": self.version}
        if path.endswith("/subjectaccessreviews"):
            return {"status": _reviewed(self.live, body["spec"])}
        assert (method, path, query) == (
            "POST",
            "/api/v1/namespaces/default/pods",
            {"dryRun": "All"},
        )
        pod = copy.deepcopy(body)
        mirror = self.live.objects.get(("MutatingWebhookConfiguration", "image-mirror"))
        if mirror:
            for each in pod["spec"]["containers"]:
                each["image"] = parse(each["image"]).mirrored(self.live.context.image_prefix)
        return pod


def _served(obj: Object, version: str) -> bool:
    """Versions of a group are converted into each other; only this one is a kind of its own."""
    beta = "autoscaling/v2beta2"
    same_group = obj["apiVersion"].rpartition("/")[0] == version.rpartition("/")[0]
    return same_group and (obj["apiVersion"] == beta) == (version == beta)


def _selected(obj: Object, selected: Mapping[str, str]) -> bool:
    assert selected in ({}, {"fieldSelector": "status.phase!=Succeeded"})
    return not selected or obj.get("status", {}).get("phase") != "Succeeded"


def _reviewed(live: Live, spec: Mapping[str, Any]) -> dict[str, Any]:
    """kubernetes/kubernetes plugin/pkg/auth/authorizer/rbac/rbac.go, without resource names."""
    asked = spec["resourceAttributes"]
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        for obj in live.all(kind):
            if kind == "RoleBinding" and namespace_of(obj) != asked["namespace"]:
                continue
            role = live.objects.get((obj["roleRef"]["kind"], obj["roleRef"]["name"]), {})
            for subject in obj.get("subjects") or []:
                if _is_subject(spec, subject) and _allows(role, asked):
                    reason = (
                        f'RBAC: allowed by {kind} "{name_of(obj)}" of '
                        f'{obj["roleRef"]["kind"]} "{obj["roleRef"]["name"]}" to '
                        f'{subject["kind"]} "{subject["name"]}"'
                    )
                    return {"allowed": True, "reason": reason}
    return {"allowed": False}


def _is_subject(spec: Mapping[str, Any], subject: Mapping[str, Any]) -> bool:
    if subject["kind"] == "Group":
        return subject["name"] in spec.get("groups", [])
    if subject["kind"] == "ServiceAccount":
        account = f"system:serviceaccount:{subject.get('namespace')}:{subject['name']}"
        return spec["user"] == account
    return spec["user"] == subject["name"]


def _allows(role: Mapping[str, Any], asked: Mapping[str, str]) -> bool:
    part = asked.get("subresource")
    resource = f"{asked['resource']}/{part}" if part else asked["resource"]
    return any(
        {asked["group"], "*"} & set(rule.get("apiGroups") or [])
        and {resource, "*"} & set(rule.get("resources") or [])
        and {asked["verb"], "*"} & set(rule.get("verbs") or [])
        and not rule.get("resourceNames")
        for rule in role.get("rules") or []
    )


# -- what tests use --------------------------------------------------------------------------------


@cache
def live_of(stack: str) -> Live:
    """A stack of the project as it runs; not to be changed (``Live.changed``)."""
    settings = from_stack_file(ROOT / f"Pulumi.{stack}.yaml")
    return played(of_program(stack).objects.values(), settings)


def live_with(stack: str, *users: User) -> Live:
    """A stack of the project with these users instead of its own."""
    settings = from_stack_file(ROOT / f"Pulumi.{stack}.yaml").model_copy(
        update={"users": list(users)}
    )
    return played(objects_with(stack, settings), settings)


def objects_with(stack: str, settings: Settings) -> list[Object]:
    """What the stack applies for the users of these settings."""
    context = StackContext.of(settings, ACCOUNT, {})
    role = context.region.arn("iam", "role/editor", account=ACCOUNT, region="")
    parts = load(MANIFESTS / settings.release).parts
    objects = [obj for obj in of_program(stack).objects.values() if obj["kind"] != "Profile"]
    for user in settings.users:
        own = (profile(user, role), *contributor_objects(user, parts), *quota_objects(user))
        objects += copy.deepcopy(own)
    return objects


def platform(live: Live, cluster: LiveCluster | None = None, client: Any = None) -> Platform:
    """A platform for checks; without ``client`` there are no AWS credentials."""

    def none(service: str) -> Any:
        raise Refused(f"there are no AWS credentials for {service}: set AWS_PROFILE.")

    return Platform(
        stack="cn-north-1",
        settings=live.settings,
        context=live.context,
        cluster=cluster or PlayedCluster(live),
        client=client or none,
        workspace=sentinel.workspace,
    )


def secrets_manager(live: Live) -> Any:
    """A client of moto's Secrets Manager with the secrets of a platform; inside ``mock_aws``."""
    client: Any = boto3.client("secretsmanager", region_name=live.context.region.name)
    for name, values in live.remote.items():
        client.create_secret(Name=name, SecretString=json.dumps(values))
    return client


def wrong(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """About and sentence of what is not good."""
    return [(each.about, each.sentence) for each in findings if each.level is not Level.GOOD]


def problems(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(each.about, each.sentence) for each in findings if each.level is Level.PROBLEM]
