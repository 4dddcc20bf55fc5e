"""Finding where the registry's storage and the tables differ, and mending it."""
