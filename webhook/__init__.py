"""The admission handler of the image mirror: plain Python and boto3, no Pulumi."""
