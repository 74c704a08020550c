"""Where ECR has pull-through caches: the account's registry fills itself, image by image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.documents import service_trust
from components.aws.roles import role_with_rights
from components.registry import policies
from regions.upstream_registries import address
from settings.context import StackContext


@dataclass(frozen=True, kw_only=True)
class PullThroughCacheArgs:
    """Arguments of ``PullThroughCache``.

    Attributes:
        context: what all components of the stack share.
        credentials: registry -> name of an existing secret with the login there.
    """

    context: StackContext
    credentials: Mapping[str, str]


class PullThroughCache(pulumi.ComponentResource):
    """A rule for each registry, and the template of the repositories that ECR makes for it.

    A rule's prefix is ``<prefix>/<registry>``, so an image is pulled by the very name that
    ``Reference.mirrored`` gives its copy. Repositories look like those of ``ImageRepositories``,
    except that scanning is the registry's own setting; they are ECR's, and outlive a destroy.

    Attributes:
        ready: what pods depend on that pull by such names.
    """

    ready: list[pulumi.Resource]

    def __init__(
        self, name: str, args: PullThroughCacheArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:PullThroughCache", name, None, opts)
        self._name = name
        self._args = args
        registries = args.context.mirror.cached or ()
        role_arn = self._role()
        self.ready = [self._rule(registry, role_arn) for registry in registries]
        self.register_outputs({"registries": list(registries)})

    def _role(self) -> pulumi.Output[str]:
        """What ECR needs to tag a repository that it makes."""
        context = self._args.context
        return role_with_rights(
            f"{self._name}-role",
            description="ECR, while it makes repositories for its pull-through caches",
            trust=service_trust(context.region, "ecr"),
            policy=policies.repository_creation_policy(
                context.region, context.account_id, context.mirror.prefix
            ),
            tags=context.tagged(f"{self._name}-role"),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _rule(self, registry: str, role_arn: pulumi.Output[str]) -> aws.ecr.PullThroughCacheRule:
        args, prefix = self._args, f"{self._args.context.mirror.prefix}/{registry}"
        # One for each rule: AWS asks for a template of the rule's own prefix (botocore ecr
        # CreateRepositoryCreationTemplate, prefix).
        template = aws.ecr.RepositoryCreationTemplate(
            f"{self._name}-{registry}",
            prefix=prefix,
            description=f"Images pulled through from {registry}",
            applied_fors=["PULL_THROUGH_CACHE"],
            custom_role_arn=role_arn,
            encryption_configurations=[{"encryption_type": "AES256"}],
            image_tag_mutability="MUTABLE",
            lifecycle_policy=json.dumps(policies.lifecycle_policy()),
            resource_tags=dict(args.context.tags),
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        return aws.ecr.PullThroughCacheRule(
            f"{self._name}-{registry}",
            ecr_repository_prefix=prefix,
            upstream_registry_url=address(registry),
            credential_arn=self._secret_arn(registry),
            # The first pull makes a repository, and a template says nothing to one that is there.
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[template], delete_before_replace=True
            ),
        )

    def _secret_arn(self, registry: str) -> pulumi.Output[str] | None:
        """Asked in the preview, so that a missing secret is told before anything is made."""
        called = self._args.credentials.get(registry)
        if called is None:
            return None
        return aws.secretsmanager.get_secret_output(
            name=called, opts=pulumi.InvokeOutputOptions(parent=self)
        ).arn


def node_pull_policy(context: StackContext) -> str | None:
    """What a stack's nodes may do besides to pull images, as JSON; None: ECR pulls nothing through.

    Whoever pulls an image first makes ECR fetch it, so it is the nodes that need the right.
    """
    if context.mirror.cached is None:
        return None
    prefix = context.mirror.prefix
    return json.dumps(policies.pull_through_policy(context.region, context.account_id, prefix))
