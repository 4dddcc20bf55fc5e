"""Secrets that must be replayed, at rest."""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from accounts.errors import Unavailable
from accounts.sealed_secrets import seal, unseal


def test_what_is_sealed_comes_back(tmp_path: Path) -> None:
    sealed = seal(tmp_path, "pässword")
    assert "pässword" not in sealed
    assert unseal(tmp_path, sealed) == "pässword"
    assert seal(tmp_path, "pässword") != sealed
    assert (tmp_path / "sealing-keys").stat().st_mode & 0o777 == 0o600


def test_nothing_stays_nothing(tmp_path: Path) -> None:
    assert seal(tmp_path, "") == unseal(tmp_path, "") == ""


def test_a_key_is_changed_by_putting_a_new_one_first(tmp_path: Path) -> None:
    old = seal(tmp_path, "old")
    path = tmp_path / "sealing-keys"
    path.write_bytes(Fernet.generate_key() + b"\n" + path.read_bytes())
    assert unseal(tmp_path, old) == "old"
    new = seal(tmp_path, "new")
    path.write_bytes(path.read_bytes().split()[0])
    assert unseal(tmp_path, new) == "new"
    with pytest.raises(Unavailable, match="cannot be decrypted"):
        unseal(tmp_path, old)
