"""What `make demo` shows: small real images, made here and pushed as any client pushes."""
