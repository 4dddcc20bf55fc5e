"""Settings of a worker in a live test: those of production, with failpoints."""

import json
import os

from portal.settings import *  # noqa: F403 - a settings module extends another this way

MOORAGE_FAILPOINTS = json.loads(os.environ.get("MOORAGE_TEST_FAILPOINTS", "{}"))
