"""The keys that an engine's process encrypts secrets with: configured, or made when needed."""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import stat

import sqlalchemy as sa
from oslo_config import cfg

from mistral.actions.vault import Vault, new_key
from mistral.cmd.parts import database_url
from mistral.db.core import secret_keys
from mistral.db.core.database import Database
from mistral.exceptions import ConfigurationError

LOG = logging.getLogger(__name__)


def vault(conf: cfg.ConfigOpts, database: Database) -> Vault:
    """What encrypts the secrets of actions' inputs.

    A key that was made before one was configured still decrypts.

    :raises ConfigurationError: a key, or the file of keys, can't be used.
    """
    configured = [*conf.secrets.encryption_keys, *_keys_in(conf.secrets.key_file)]
    for key in configured:
        try:
            Vault([key])
        except ValueError:
            raise ConfigurationError(
                "[secrets] encryption_keys and key_file: a key is 32 random bytes as URL-safe "
                "base64, made for example by: python -c 'from cryptography.fernet import Fernet; "
                "print(Fernet.generate_key().decode())'"
            ) from None
    own = _own_file(conf)
    if own is not None:
        return Vault([*configured, *_beside_database(own, bool(configured))])
    if configured:
        known = secret_keys.find(database)
        return Vault([*configured, known] if known else configured)
    LOG.warning(
        "[secrets] encryption_keys is not set: secrets of actions' inputs are encrypted with a key "
        "that is kept in the database itself, where who can read all of it finds both"
    )
    return Vault([secret_keys.find_or_keep(database, new_key())])


def _keys_in(name: str | None) -> list[str]:
    if not name:
        return []
    try:
        text = pathlib.Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigurationError(f"[secrets] key_file: can't read {name}: {reason}.") from None
    lines = (line.strip() for line in text.splitlines())
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise ConfigurationError(f"[secrets] key_file: there is no key in {name}.")
    return found


def _own_file(conf: cfg.ConfigOpts) -> pathlib.Path | None:
    """Where the key of an SQLite database lies; other databases have none."""
    url = sa.make_url(database_url(conf))
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return pathlib.Path(f"{url.database}.key")


def _beside_database(path: pathlib.Path, is_optional: bool) -> list[str]:
    if not path.exists():
        if is_optional:
            return []
        _make(path)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        LOG.warning("Others may read the key of the secrets: chmod 600 %s", path)
    return _keys_in(str(path))


def _make(path: pathlib.Path) -> None:
    """Make the file, complete and unreadable for others from its first moment."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(f"{new_key()}\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            # another process on the same database may be faster
            os.link(draft, path)
            LOG.info("Secrets of actions' inputs are encrypted with the new key in %s", path)
    except OSError as error:
        raise ConfigurationError(
            f"Can't make the key of the secrets, {path}: {error.strerror}. "
            "Set [secrets] encryption_keys."
        ) from error
    finally:
        draft.unlink(missing_ok=True)
