"""Kubeflow itself: the rendered release as Pulumi resources, in the order of its dependencies."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components.aws.roles import OidcProvider
from components.dynamic.crds import CustomResourceDefinitions, ReleaseOfCrds
from components.dynamic.generated_secret import GeneratedSecret
from components.kubeflow.image_readers import image_reader_role
from components.kubeflow.logins import Logins, generation
from components.kubeflow.package_defaults import PackageDefaults
from components.kubeflow.profiles import contributor_objects, profile, quota_objects
from components.objects.config_checksums import CONFIGURATION, read_by, with_checksum
from components.objects.kubernetes_objects import bind, register
from rendering import Object, ObjectKey, Rendered
from rendering.await_annotations import PATCH_FORCE
from rendering.differences import named
from rendering.parts import Parts
from rendering.pod_references import account_of
from rendering.rbac import Rbac
from settings.context import StackContext
from settings.section import MANIFESTS
from settings.users import LoginSettings, User
from upgrades.table import matches, of_release

DeployValues = Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True, kw_only=True)
class KubeflowManifestsArgs:
    """Arguments of a release.

    Args:
        context: what all components of the stack share.
        users: the setting ``users``: each has a profile and a login.
        login: the setting of that name.
        deletable_namespaces: the setting of that name.
        release: the setting of that name.
        upgrade_confirmed: the setting of that name.
        rendered: the release's objects with markers such as ``<<database.host>>``.
        parts: which of them do what.
        values: the values of the markers, by name; an Output remains one in the fields that use it.
        files: ConfigMap, ``namespace/name`` -> file -> its text, in which nothing is a marker.
        profile_roles: namespace -> the IAM role of its ``default-editor``, if it has one.
        kubeconfig: kubeconfig as JSON, for the CRDs, which are no resource of the Kubernetes
            provider.
        cluster_arn: identity of the cluster that the CRDs belong to.
        oidc: the cluster's OIDC provider, for the role of controllers that read images.
        ready: what everything that runs pods depends on: nodes, DNS, the CNI.
        unready_pods: hooks of workloads (``EksCluster.unready_pods``).
        package_defaults: the admission that gives pods their package sources; None: none are set.
        callers: ranges of the API server's network interfaces; none: not known.
    """

    context: StackContext
    users: Sequence[User]
    login: LoginSettings
    deletable_namespaces: Collection[str]
    release: str
    upgrade_confirmed: Sequence[str] = ()
    rendered: Rendered
    parts: Parts
    values: DeployValues
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    profile_roles: Mapping[str, pulumi.Input[str]]
    kubeconfig: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    oidc: OidcProvider
    ready: Sequence[pulumi.Resource] = ()
    unready_pods: pulumi.ResourceHookBinding | None = None
    package_defaults: Rendered | None = None
    callers: Sequence[str] = ()


class KubeflowManifests(pulumi.ComponentResource):
    """Makes: CRDs, generated logins, every object of the release, one Profile per user.

    Attributes:
        login_secret_arn: of the secret with a JSON object, e-mail address -> password.
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
        self._crds = CustomResourceDefinitions(
            f"{name}-crds",
            crds=args.rendered.crds,
            kubeconfig=args.kubeconfig,
            cluster=args.cluster_arn,
            release=ReleaseOfCrds(
                name=args.release,
                confirmed=args.upgrade_confirmed,
                context=args.context,
            ),
            opts=self._child(*args.ready),
        )
        self._logins = Logins(f"{name}-login", args.context, args.users, self._child())
        self.login_secret_arn = self._logins.secret_arn
        self._objects()
        if args.package_defaults is not None:
            PackageDefaults(
                f"{name}-packages",
                rendered=args.package_defaults,
                values=args.values,
                callers=args.callers,
                ready=args.ready,
                unready_pods=args.unready_pods,
                opts=self._child(),
            )
        self._profiles()
        self.register_outputs({})

    def _child(self, *depends_on: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(depends_on))

    def _deploy_values(self) -> tuple[DeployValues, DeployValues]:
        """The values of all markers, and the same with public versions in place of secrets.

        Upstream publishes one OAuth client secret and one cookie key for everybody.
        """
        login = self._args.login
        generated = {
            "dex.client-secret": GeneratedSecret(
                f"{self._name}-dex-client",
                length=40,
                generation=generation(login.client_rotation),
                opts=self._child(),
            ),
            # oauth2-proxy uses the cookie secret as an AES key of 16, 24 or 32 bytes.
            "oauth2-proxy.cookie-secret": GeneratedSecret(
                f"{self._name}-oauth2-cookie",
                length=32,
                generation=generation(login.cookie_rotation),
                opts=self._child(),
            ),
        }
        public = {
            **self._args.values,
            **self._image_reader(),
            "dex.static-passwords": self._logins.static_passwords,
        }
        return (
            {**public, **{name: secret.value for name, secret in generated.items()}},
            {**public, **{name: secret.version for name, secret in generated.items()}},
        )

    def _image_reader(self) -> DeployValues:
        args = self._args
        name = f"{self._name}-image-reader"
        return image_reader_role(name, args.context, args.rendered, args.oidc, self._child())

    def _objects(self) -> None:
        rendered = self._args.rendered
        values, versions = self._deploy_values()
        awaits_crds = of_release(MANIFESTS / self._args.release).awaits_crds
        # The release's ConfigMaps and Secrets, with public versions in place of secrets.
        configuration = {
            ObjectKey.of(obj): self._bound(obj, versions, self._logins.versions)
            for obj in rendered.objects
            if obj["kind"] in CONFIGURATION
        }
        for obj in rendered.objects:
            key = ObjectKey.of(obj)
            before = [self._registered[needed] for needed in rendered.prerequisites.get(key, ())]
            if key in rendered.needs_crds:
                before.append(self._crds)
            if key.kind == "Namespace":
                # Everything in the namespace depends on the nodes through it.
                before.extend(self._args.ready)
            read = [configuration[source] for source in read_by(obj) if source in configuration]
            bound = self._bound(obj, values, self._logins.hashes)
            if matches(named(obj), awaits_crds):
                bound = self._after_the_crds(bound)
            self._registered[key] = register(
                with_checksum(bound, read),
                hooks=self._args.unready_pods,
                opts=self._child(*before),
            )

    def _bound(self, obj: Object, values: DeployValues, hashes: DeployValues) -> Object:
        bound, key = bind(obj, values), ObjectKey.of(obj)
        if obj["kind"] == "Secret" and obj["metadata"]["name"] == "dex-passwords":
            bound["stringData"] = dict(hashes)
        if key.kind == "ConfigMap" and (files := self._args.files.get(key.full_name)):
            bound["data"] = {**bound["data"], **files}
        return bound

    def _after_the_crds(self, obj: Object) -> Object:
        """An object that a preview shows to the API server only while the CRDs do not change.

        Its annotation, which every object has, is unknown until they are applied, and the provider
        sends no object with an unknown value to the server (pulumi-kubernetes v4.34
        provider/pkg/provider/provider.go, ``hasComputedValue`` in Create and Update).
        """
        known = self._crds.applied.apply(lambda _: "true")
        metadata = obj["metadata"]
        annotations = {**(metadata.get("annotations") or {}), PATCH_FORCE: known}
        return {**obj, "metadata": {**metadata, "annotations": annotations}}

    def _profiles(self) -> None:
        """A namespace per user, deleted before the controller that runs its finalizer.

        Another owner is another namespace: the controller never gives an existing one to somebody
        else (kubeflow/kubeflow components/profile-controller/controllers/profile_controller.go). It
        depends on login and role, so that a refused deletion leaves those too.
        """
        args, before = self._args, [self._crds, *self._profile_controller()]
        for user in args.users:
            protect = args.context.protected and user.namespace not in args.deletable_namespaces
            namespace = register(
                profile(user, args.profile_roles.get(user.namespace)),
                opts=pulumi.ResourceOptions.merge(
                    self._child(*before, self._logins.of_users[user.email]),
                    pulumi.ResourceOptions(
                        protect=protect,
                        replace_on_changes=["spec.owner"],
                        delete_before_replace=True,
                    ),
                ),
            )
            for obj in (*contributor_objects(user, args.parts), *quota_objects(user)):
                # Another owner is another namespace: what was in the former is deleted with it.
                anew = pulumi.ResourceOptions(replace_with=[namespace])
                register(obj, opts=pulumi.ResourceOptions.merge(self._child(namespace), anew))

    def _profile_controller(self) -> list[pulumi.Resource]:
        """The profile controller's Deployments, and the bindings that grant them rights.

        A controller without rights never finishes the finalizer, and the destroy hangs.
        """
        objects = {ObjectKey.of(obj): obj for obj in self._args.rendered.objects}
        rbac, before = Rbac(objects), set[ObjectKey]()
        names = self._args.parts.profiles.deployments
        for key, obj in objects.items():
            if key.kind == "Deployment" and key.full_name in names:
                account = account_of(obj["spec"]["template"]["spec"])
                before |= {key, *rbac.bindings_of(key.namespace, account)}
        return [self._registered[key] for key in sorted(before)]
