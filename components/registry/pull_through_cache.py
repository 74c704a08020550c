"""ECR's pull-through caches: the account's registry fills itself, image by image."""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from components.aws.roles import role_with_rights
from components.aws.trust import service_trust
from components.registry import policies
from regions.upstream_registries import address
from settings.mirror_context import MirrorContext


class PullThroughCache(pulumi.ComponentResource):
    """A rule for each registry, and the template of the repositories that ECR creates for it.

    A rule's prefix is ``<prefix>/<registry>``, so an image is pulled by the very name that
    ``Reference.mirrored`` gives its copy. Repositories look like those of ``ImageRepositories``,
    except that scanning is the registry's own setting; they are ECR's, and outlive a destroy.

    Attributes:
        ready: prerequisites of pods that pull by such names.
    """

    ready: list[pulumi.Resource]

    def __init__(
        self, name: str, context: MirrorContext, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:PullThroughCache", name, None, opts)
        registries = context.mirror.cached or ()
        # ECR needs it to tag a repository that it creates.
        role_arn = role_with_rights(
            f"{name}-role",
            description="ECR, while it makes repositories for its pull-through caches",
            trust=service_trust(context.region, "ecr"),
            policy=policies.repository_creation_policy(context),
            identity=context.identity,
            tags=context.tagged(f"{name}-role"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.ready = [
            self._rule(f"{name}-{registry}", registry, context, role_arn) for registry in registries
        ]
        self.register_outputs({"registries": list(registries)})

    def _rule(
        self, name: str, registry: str, context: MirrorContext, role_arn: pulumi.Output[str]
    ) -> aws.ecr.PullThroughCacheRule:
        prefix = f"{context.repository_prefix}/{registry}"
        # One for each rule: AWS requires a template of the rule's own prefix (botocore ecr
        # CreateRepositoryCreationTemplate, prefix).
        template = aws.ecr.RepositoryCreationTemplate(
            name,
            prefix=prefix,
            description=f"Images pulled through from {registry}",
            applied_fors=["PULL_THROUGH_CACHE"],
            custom_role_arn=role_arn,
            encryption_configurations=[{"encryption_type": "AES256"}],
            image_tag_mutability="MUTABLE",
            lifecycle_policy=json.dumps(policies.lifecycle_policy()),
            resource_tags=dict(context.tags),
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        secret = context.mirror.settings.upstream_credentials.get(registry)
        return aws.ecr.PullThroughCacheRule(
            name,
            ecr_repository_prefix=prefix,
            upstream_registry_url=address(registry),
            # Looked up in the preview, so that a missing secret fails before anything is created.
            credential_arn=aws.secretsmanager.get_secret_output(
                name=secret, opts=pulumi.InvokeOutputOptions(parent=self)
            ).arn
            if secret
            else None,
            # The first pull creates a repository, and a later template does not change it.
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[template], delete_before_replace=True
            ),
        )


def node_pull_policy(context: MirrorContext) -> str | None:
    """The right of nodes, as JSON, to make ECR fetch an image; None: ECR pulls nothing through."""
    if context.mirror.cached is None:
        return None
    return json.dumps(policies.pull_through_policy(context))
