"""The processes of one Moorage on one machine: what `manage.py up` prepares, starts and stops."""
