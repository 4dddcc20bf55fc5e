"""A password hasher that costs the tests nothing."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class CheapArgon2PasswordHasher(Argon2PasswordHasher):
    """Argon2 with the smallest parameters: the same format, a thousandth of the work."""

    time_cost = 1
    memory_cost = 8
    parallelism = 1
