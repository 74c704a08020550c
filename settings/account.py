"""The account of a stack: whose credentials, and what every role and user has."""

from __future__ import annotations

from typing import Annotated, Any

from settings import field_types as t
from settings.section import Section


class IamSettings(Section):
    """What a company demands of every role and user.

    Attributes:
        permissions_boundary: the ARN of a policy that every role and user gets as permissions
            boundary; where a company demands one, AWS refuses roles without it.
        path: the path of every role, user, policy and instance profile, where a deployer may only
            make names below it.
        build_permissions_boundary: the boundary of those in the account of
            ``imageMirror.buildProfile``, where ``permissions_boundary`` does not exist; ``none``:
            nothing is demanded there.
    """

    permissions_boundary: t.PolicyArn | None = None
    path: t.IamPath | None = None
    build_permissions_boundary: t.PolicyArnOrNone | None = None


class AssumedRole(Section):
    """The role that the credentials assume; ``duration`` of one session (it is renewed).

    Attributes:
        role_arn: the role that the credentials assume, and that deploys: ``cluster.admins`` lists
            it.
        session_name: how CloudTrail names its sessions.
        duration: the length of one session, up to the role's own limit; sessions are renewed during
            a run.
    """

    role_arn: t.RoleArn
    session_name: t.SessionName | None = None
    duration: t.SessionDuration | None = None


class DefaultTags(Section):
    """Tags of every resource, like the setting ``tags``.

    Attributes:
        tags: tags of every resource, as in the setting ``tags``.
    """

    tags: dict[str, str] = {}


class AwsSettings(Section):
    """The keys ``aws:...`` of a stack file that Pulumi's own AWS provider has too.

    The provider that the program makes reads none of them by itself; they reach it, the clients of
    the dynamic providers and of ``./kf``, and the kubeconfig.

    Attributes:
        region: the same as ``kubeflow:region``, which alone decides.
        profile: the profile of every call to the stack's own account, before ``AWS_PROFILE``, which
            then is for the state's backend alone.
        assume_role: the role that deploys, where the credentials belong to another one.
        assume_roles: the same as a list of one, the form of Pulumi's AWS provider 7.
        default_tags: tags in the form of Pulumi's AWS provider.
        allowed_account_ids: the only accounts that the stack may change, so that a wrong profile is
            refused before the first change.
        forbidden_account_ids: accounts that the stack never changes, such as production's in a test
            stack.
    """

    region: t.RegionName | None = None
    profile: t.ProfileName | None = None
    assume_role: AssumedRole | None = None
    assume_roles: list[AssumedRole] = []
    default_tags: DefaultTags = DefaultTags()
    allowed_account_ids: Annotated[list[t.AccountId], t.Distinct] = []
    forbidden_account_ids: Annotated[list[t.AccountId], t.Distinct] = []

    @property
    def role(self) -> AssumedRole | None:
        """The role in either of the two forms (pulumi-aws 6: one, 7: a list)."""
        return self.assume_role or next(iter(self.assume_roles), None)

    def credentials(self) -> dict[str, Any]:
        """The inputs ``profile`` and ``assumeRoles`` of Pulumi's AWS provider that are set."""
        given = {
            "profile": self.profile,
            "assumeRoles": [self.role.model_dump(by_alias=True, exclude_none=True)]
            if self.role
            else None,
        }
        return {key: value for key, value in given.items() if value}
