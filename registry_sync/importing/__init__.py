"""Taking over what a plain registry holds: from its storage in place, or through its API."""
