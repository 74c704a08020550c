"""The section ``imageMirror`` of a stack file; it names nothing of any other section."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from settings import field_types as t
from settings.section import Section

EVERY_PLATFORM = "all"
"""The value of ``platform`` with which nothing of an image is left out."""


class MirrorRule(Section):
    """How images of some registries in some namespaces are treated; see ``webhook.rules``.

    Attributes:
        action: what happens to an image. mirror: the copy is used; keep: the name stays, and the
            node pulls it from its source; deny: the pod is refused.
        registries: registries of images: hosts, or hosts with the start of a path, where ``*``
            matches any characters of one part, and of several in a rule that denies; none: every
            registry.
        namespaces: namespaces of the pods, where ``*`` matches any characters; none: every
            namespace.
        when_absent: ``imageMirror.whenAbsent`` for images of this rule. None: as there.
    """

    action: Literal["mirror", "keep", "deny"]
    registries: Annotated[list[t.RegistryPattern], t.Distinct] = []
    namespaces: Annotated[list[t.NamespacePattern], t.Distinct] = []
    when_absent: Literal["rewrite", "keep", "deny"] | None = None


class MirrorBudgets(Section):
    """The most that pods may have copied. Who meets one reads which, in a warning of the pod.

    Attributes:
        images_per_review: images of one pod for which the account's registry is asked; one whose
            copy was found in the last 5 minutes is not counted.
        new_images_per_hour: images without a copy that the pods of one namespace may name in an
            hour. The next hour (UTC) begins again at 0; an image that is asked for again and again
            counts once.
        concurrent_copies: copies that run at once, of which one namespace has at most half. The
            others wait, the namespace with the fewest copies first.
        gib_per_day: GiB that are copied in a day (UTC), of which one namespace has at most half.
            The platform's own images do not count.
    """

    images_per_review: Annotated[int, t.whole(1, 500, "images")] = 50
    new_images_per_hour: Annotated[int, t.whole(1, 10000, "images")] = 100
    concurrent_copies: Annotated[int, t.whole(1, 100, "copies")] = 20
    gib_per_day: Annotated[int, t.whole(1, 1000000, "GiB")] = 2000

    def as_json(self) -> str:
        """What differs from the defaults, in the form that ``webhook.budgets.Budgets.read`` takes.

        Empty where nothing does.
        """
        given = self.model_dump(by_alias=True, exclude_defaults=True)
        return json.dumps(given, separators=(",", ":")) if given else ""


class ImageMirrorSettings(Section):
    """The mirror of public images.

    Where ECR itself pulls images (``MirrorMode.cached``) nothing is copied, and the settings of
    copies have no effect.

    Attributes:
        enabled: whether images come from the account's own registry. None: where the public
            registries are unreachable, as in China.
        repository_prefix: the prefix of all repositories in the account's registry. None: the
            cluster's name.
        shared_inventory: whether the stacks of the account and region share one set of copies,
            below ``kubeflow/``, which no destroy deletes then.
        build_region: the region whose CodeBuild copies images. None: the region itself, or where
            public registries are unreachable from there, one in the partition ``aws``.
        build_profile: the AWS profile for a ``build_region`` in another partition, because no trust
            crosses partitions. Each side stores an access key of the other, replaced when
            ``rotation`` increases.
        in_flight_minutes: the time after which a copy without a result counts as lost, and is
            started again.
        credentials_secret: the start of the name of the secret with the pushing key, in
            ``build_region``; cluster, account and region follow it.
        rotation: the number of the access keys of the two accounts; one more replaces both, and
            deletes the old ones.
        inventory_first: whether workloads wait until every known image is copied; false: ``./kf
            images mirror`` copies them apart from ``pulumi up``.
        transport: how admission reaches the mirror. in-cluster: two pods serve the admission
            webhook; api-gateway: a Lambda function, which in China answers only after an ICP
            filing, and a second one in the cluster's network, which posts Events on pods. None:
            pods where a filing is needed.
        path_rotation: the number of the secret path by which the webhook's handler knows the API
            server; one more draws another, and the one before ends with the next.
        when_absent: what happens to a pod whose image has no copy yet. rewrite: it names the copy,
            and the kubelet tries again until it is there; keep: it names the source; deny: it is
            refused with the reason.
        platform: the only platform that is copied of an image, for fewer bytes across the border;
            all: every platform, and copies have the digests of their sources. None: that of the
            stack's nodes, linux/amd64; copies of all platforms that exist already stay.
        follow_hours: the age from which the copy of a tag is compared with its source again, when a
            pod uses it; 0: never, as with ``shared_inventory``. A digest never moves, and neither
            does a copy of the platform's own.
        rules: exceptions by registry and namespace: the first match applies, and an image that no
            rule matches is mirrored.
        enforce: whether a pod is refused unless the admission webhook has judged its images, and
            where an image is not known to be allowed. The answer to who creates it has the reason,
            and so has an Event of its controller: of the webhook where ``transport`` is
            in-cluster, else ``FailedCreate`` of Kubernetes. false: then pods start unchanged, and
            their authors are warned.
        admission_policy: whether the rules are also a ValidatingAdmissionPolicy, by which the API
            server refuses by itself. None: where ``enforce`` is true and Kubernetes has such
            policies.
        domestic_registries: what happens to images of public registries inside China, such as ACR,
            TCR and SWR. keep: nodes pull them from there; mirror: copied like all others. None:
            keep where docker.io is unreachable.
        budgets: the most that pods may have copied.
        upstream_credentials: registry -> the name of the secret with ECR's login there, for the
            pull-through caches of the partition ``aws``; a name begins with
            ``ecr-pullthroughcache/``.
        source_credentials: registry -> the name of a secret in the Secrets Manager of
            ``build_region`` with the login that builds copy from there by. Whatever it may read,
            any pod of the cluster may run: use one that reads public images only, or just those
            that all users may have.
    """

    enabled: bool | None = None
    repository_prefix: t.RepositoryPrefix | None = None
    shared_inventory: bool = False
    build_region: t.RegionName | None = None
    build_profile: t.ProfileName = "kubeflow-build"
    in_flight_minutes: Annotated[int, t.whole(5, 480, "minutes")] = 60
    credentials_secret: t.SecretName = "kubeflow-image-mirror"  # noqa: S105 - its name
    rotation: Annotated[int, t.whole(1, 1000000, "rotations")] = 1
    inventory_first: bool = True
    transport: Literal["api-gateway", "in-cluster"] | None = None
    path_rotation: Annotated[int, t.whole(1, 1000000, "rotations")] = 1
    when_absent: Literal["rewrite", "keep", "deny"] = "rewrite"
    platform: t.Platform | None = None
    follow_hours: Annotated[int, t.whole(0, 8760, "hours")] = 24
    rules: list[MirrorRule] = []
    enforce: bool = False
    admission_policy: bool | None = None
    domestic_registries: Literal["keep", "mirror"] | None = None
    budgets: MirrorBudgets = MirrorBudgets()
    upstream_credentials: dict[str, t.UpstreamSecretName] = {}
    source_credentials: dict[str, t.SourceSecretName] = {}

    def rules_json(self) -> str:
        """The rules in the form that ``webhook.rules.read`` takes."""
        rules = [rule.model_dump(by_alias=True, exclude_defaults=True) for rule in self.rules]
        return json.dumps(rules, separators=(",", ":"))
