"""Policies: what every stack keeps, checked by the real engine in rehearsals and deployments.

The folder is a policy pack of Pulumi (``pulumi preview --policy-pack policies``). A policy is a
pure function from the resources of one run to sentences. docs/policies.md has the table of
policies, how to exempt a resource, and how a team writes its own.
"""

from policies.model import Resource, Stack, Violation, policy

__all__ = ["Resource", "Stack", "Violation", "policy"]
