"""Which images of Karpenter's machines are not published, looked up in AWS; makes nothing."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.aws.look_ups import one_or_none
from settings.node_images import parameters_of
from settings.sections import Settings


def absent_images(settings: Settings, provider: aws.Provider) -> set[str]:
    """The parameters of images that the stack's pools need and SSM has not.

    Args:
        settings: of the stack.
        provider: of the stack's account and region.

    Raises:
        Exception: AWS refuses a call.
    """
    call = pulumi.InvokeOptions(provider=provider)

    def absent(name: str) -> bool:
        return one_or_none(lambda: aws.ssm.get_parameter(name=name, opts=call)) is None

    return {name for name in parameters_of(settings) if absent(name)}
