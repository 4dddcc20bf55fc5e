"""What the beat asks for, and how often in seconds; a part of the settings."""

# What nobody took in time is asked again; after a pause it must not all be done at once.
CELERY_BEAT_SCHEDULE = {
    "heartbeat": {
        "task": "registry_sync.tasks.heartbeat",
        "schedule": 15.0,
        "options": {"expires": 15},
    },
    "seal-audit": {
        "task": "registry_sync.tasks.seal_audit",
        "schedule": 30.0,
        "options": {"expires": 30},
    },
    "check-registries": {
        "task": "registry_sync.tasks.check_registries",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "tick": {"task": "registry_sync.tasks.tick", "schedule": 2.0, "options": {"expires": 10}},
}
