"""Kubernetes objects as resources, with the values that are known at deploy time."""
