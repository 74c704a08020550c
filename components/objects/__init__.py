"""Kubernetes objects as resources: registered in order, bound to values known late."""
