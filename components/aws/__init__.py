"""What several components share on AWS: roles, trust policies, keys, managed secrets."""
