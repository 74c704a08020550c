"""What an upgrade of a stack from one release to another takes; no Pulumi.

``manifests/<release>/upgrade.yaml`` has the releases from which there is a way, and of each what
must be true before, what goes, what is replaced, what databases gain and what cannot be undone.
"""
