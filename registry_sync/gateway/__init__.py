"""What answers under ``/v2``: every decision, and no blob byte (OCI distribution-spec 1.1)."""
