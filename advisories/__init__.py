"""Published holes of what a release ships, and which of them are open in the platform as rendered.

``manifests/<release>/advisories.yaml`` is the list; docs/advisories.md explains its fields.
"""
