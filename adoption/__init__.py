"""Settings and an import file for a new stack, from what another Kubeflow on AWS is; no Pulumi."""
