"""Kubeflow itself: the rendered release as Pulumi resources, in the order its objects imply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.dynamic.crds import CustomResourceDefinitions
from components.dynamic.generated_secret import GeneratedSecret
from components.kubeflow.logins import Logins, LoginsArgs
from components.objects.config_checksums import CONFIGURATION, read_by, with_checksum
from components.objects.kubernetes_objects import bind, register
from rendering import Object, ObjectKey, Rendered
from settings.context import StackContext
from settings.sections import User

_DEX_PASSWORDS = "dex-passwords"
LateValues = Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True, kw_only=True)
class KubeflowManifestsArgs:
    """What a release needs of the rest of the stack.

    Attributes:
        context: what all components of the stack share.
        users: the setting ``users``: each has a profile and a login.
        rendered: the release's objects with ``<<late values>>`` still in them.
        values: the late values by name; an Output stays an Output in the fields that use it.
        profile_roles: namespace to the IAM role of its ``default-editor``, if it has one.
        kubeconfig: kubeconfig as JSON, for the one resource that is not the Kubernetes provider's.
        cluster_arn: identity of the cluster the CRDs belong to.
        ready: what anything that runs pods waits for: nodes, DNS, the CNI.
    """

    context: StackContext
    users: Sequence[User]
    rendered: Rendered
    values: LateValues
    profile_roles: Mapping[str, pulumi.Input[str]]
    kubeconfig: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    ready: Sequence[pulumi.Resource] = ()


class KubeflowManifests(pulumi.ComponentResource):
    """Makes: CRDs, generated logins, every object of the release, one Profile per user.

    Outputs:
        login_secret_arn: Secrets Manager secret with a JSON object, e-mail to password.
    """

    login_secret_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: KubeflowManifestsArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kubeflow:platform:KubeflowManifests", name, {}, opts)
        self._name = name
        self._args = args
        self._registered: dict[ObjectKey, pulumi.Resource] = {}
        self._crds = self._custom_resource_definitions()
        self._logins = self._user_logins()
        self._values, self._versions = self._late_values()
        self._objects()
        self._profiles()
        self.register_outputs({"loginSecretArn": self.login_secret_arn})

    def _child(self, *depends_on: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(depends_on))

    def _custom_resource_definitions(self) -> CustomResourceDefinitions:
        return CustomResourceDefinitions(
            f"{self._name}-crds",
            crds=self._args.rendered.crds,
            kubeconfig=self._args.kubeconfig,
            cluster=self._args.cluster_arn,
            opts=self._child(*self._args.ready),
        )

    def _user_logins(self) -> Logins:
        logins = Logins(
            f"{self._name}-login",
            LoginsArgs(context=self._args.context, users=self._args.users),
            self._child(),
        )
        self.login_secret_arn = logins.secret_arn
        return logins

    def _late_values(self) -> tuple[LateValues, LateValues]:
        """All late values, and the same with the version of a secret in the secret's place.

        Upstream publishes one OAuth client secret and one cookie key for everybody.
        """
        generated = {
            "dex.client-secret": GeneratedSecret(
                f"{self._name}-dex-client", length=40, opts=self._child()
            ),
            # oauth2-proxy takes the cookie secret as an AES key: 16, 24 or 32 bytes.
            "oauth2-proxy.cookie-secret": GeneratedSecret(
                f"{self._name}-oauth2-cookie", length=32, opts=self._child()
            ),
        }
        plain = {**self._args.values, "dex.static-passwords": self._logins.static_passwords}
        return (
            {**plain, **{name: drawn.value for name, drawn in generated.items()}},
            {**plain, **{name: drawn.version for name, drawn in generated.items()}},
        )

    def _objects(self) -> None:
        rendered = self._args.rendered
        configuration = self._configuration()
        for obj in rendered.objects:
            key = ObjectKey.of(obj)
            before = [self._registered[needed] for needed in rendered.prerequisites.get(key, ())]
            if key in rendered.needs_crds:
                before.append(self._crds)
            if key.kind == "Namespace":
                # What lives in a namespace waits for the nodes through it; they outlive it.
                before.extend(self._args.ready)
            read = [configuration[each] for each in read_by(obj) if each in configuration]
            bound = _bound(obj, self._values, self._logins.hashes)
            self._registered[key] = register(with_checksum(bound, read), opts=self._child(*before))

    def _configuration(self) -> dict[ObjectKey, Object]:
        """The release's ConfigMaps and Secrets, the latter without a secret in them."""
        return {
            ObjectKey.of(obj): _bound(obj, self._versions, self._logins.versions)
            for obj in self._args.rendered.objects
            if obj["kind"] in CONFIGURATION
        }

    def _profiles(self) -> None:
        """One namespace per user; what runs the Profile's finalizer must outlive it."""
        before = [self._crds, *self._profile_controller()]
        for user in self._args.users:
            role = self._args.profile_roles.get(user.namespace)
            register(profile(user, role), opts=self._child(*before))

    def _profile_controller(self) -> list[pulumi.Resource]:
        """Its Deployments and what grants them their rights.

        A controller that lost its rights first leaves the finalizer, and destroy, hanging.
        """
        controllers = [
            obj
            for obj in self._args.rendered.objects
            if obj["kind"] == "Deployment" and obj["metadata"]["name"].startswith("profiles-")
        ]
        accounts = {_account(controller) for controller in controllers}
        rights = [obj for obj in self._args.rendered.objects if accounts & _granted(obj)]
        return [self._registered[ObjectKey.of(obj)] for obj in (*controllers, *rights)]


def _account(workload: Object) -> tuple[str, str]:
    pod = workload["spec"]["template"]["spec"]
    return workload["metadata"].get("namespace", ""), pod.get("serviceAccountName", "default")


def _granted(obj: Object) -> set[tuple[str, str]]:
    """The service accounts, by namespace and name, that a binding gives rights to."""
    if obj["kind"] not in ("ClusterRoleBinding", "RoleBinding"):
        return set()
    subjects = [each for each in obj.get("subjects") or [] if each["kind"] == "ServiceAccount"]
    return {(each.get("namespace", ""), each["name"]) for each in subjects}


def _bound(obj: Object, values: LateValues, hashes: LateValues) -> Object:
    bound = bind(obj, values)
    if obj["kind"] == "Secret" and obj["metadata"]["name"] == _DEX_PASSWORDS:
        bound["stringData"] = dict(hashes)
    return bound


def profile(user: User, role_arn: pulumi.Input[str] | None) -> dict[str, Any]:
    """The Profile of one user; its ``default-editor`` assumes ``role_arn`` if there is one.

    ``annotateOnly`` keeps the profile controller from rewriting the role's trust policy, which the
    stack owns (kubeflow/kubeflow PR 6887).
    """
    identity = {
        "kind": "AwsIamForServiceAccount",
        "spec": {"awsIamRole": role_arn, "annotateOnly": True},
    }
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "Profile",
        "metadata": {"name": user.namespace},
        "spec": {
            "owner": {"kind": "User", "name": user.email},
            **({"plugins": [identity]} if role_arn is not None else {}),
        },
    }
