"""Who is calling, and what may they do: users, projects, membership, credentials, audit.

Complete without a registry; it owns projects because a project is the unit of access.
"""
