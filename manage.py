"""Django's command line for Moorage."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # A bad setting is its owner's to mend: one line that names it, and no traceback.
        sys.exit(f"moorage: {' '.join(str(error).split())}")
