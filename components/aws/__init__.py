"""What several components share on AWS: roles, their trust, policies, managed secrets."""
