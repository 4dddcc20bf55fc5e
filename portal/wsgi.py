"""The WSGI application; DJANGO_SETTINGS_MODULE says whether it is the web or the gateway."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
application = get_wsgi_application()
