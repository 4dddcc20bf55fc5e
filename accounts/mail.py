"""Mail to people, where an SMTP server is configured; nothing depends on its arrival."""

import logging
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import send_mail

logger = logging.getLogger(__name__)


def send(address: str, subject: str, text: str) -> bool:
    """Send, outside of any transaction; tell whether the server took it."""
    if not settings.MOORAGE_SENDS_MAIL or not address:
        return False
    try:
        send_mail(subject, text, None, [address])
    except (OSError, SMTPException) as error:
        # The text may hold a secret; the error does not.
        logger.warning("mail %r was not sent: %s", subject, type(error).__name__)
        return False
    return True
