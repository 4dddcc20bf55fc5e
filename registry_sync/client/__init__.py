"""The client of our own registry: plain Python, no Django."""
