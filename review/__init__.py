"""From two sides of a stack to what a reviewer reads. No Pulumi, no network, no engine."""
