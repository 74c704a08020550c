"""Dynamic resources: each module holds a resource and the provider that Pulumi pickles."""
