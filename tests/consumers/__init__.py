"""The real programs that use RDS, S3 and STS, with what we render: `make test-consumers`."""
