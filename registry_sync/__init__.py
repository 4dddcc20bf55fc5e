"""What is in the registry, and everything that changes it."""
