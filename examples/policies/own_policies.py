"""A team's own policies: one file, copied to `policies/own/` or named in KUBEFLOW_POLICIES.

A policy is a function from the stack to findings. `stack.of("aws:s3/")` has the resources whose
type begins so, `resource.get("a.b.0.c")` the input at that path or None, and
`resource.finding(path, text)` makes the sentence: resource, property and value stand before the
text.
"""

from collections.abc import Iterator

from policies import Stack, Violation, policy

MOST_GPUS = 16


@policy("team-cost-centre", severity="low", level="advisory")
def cost_centre(stack: Stack) -> Iterator[Violation]:
    """Every AWS resource that has tags has the tag costCentre."""
    for resource in stack.of("aws:"):
        if "tags" in resource.inputs and not resource.get("tags.costCentre"):
            yield resource.finding(
                "tags.costCentre", "nobody pays for it; add it to kubeflow:tags."
            )


@policy("team-gpu-ceiling", severity="high", level="mandatory")
def gpu_ceiling(stack: Stack) -> Iterator[Violation]:
    """No GPU pool buys more than 16 GPUs."""
    for pool in stack.of("kubernetes:karpenter.sh/v1:NodePool"):
        gpus = (pool.get("spec.limits") or {}).get("nvidia.com/gpu", "0")
        if int(gpus) > MOST_GPUS:
            yield pool.finding("spec.limits", f"at most {MOST_GPUS}; lower maxGpus of the pool.")
