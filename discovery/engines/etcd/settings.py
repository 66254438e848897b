"""Settings of the engine `etcd`. README.md beside this file."""

from __future__ import annotations

import os
import re
import socket
import ssl
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from discovery.core.kinds import RegistrySettings
from discovery.engines.etcd.conf import Conf
from discovery.engines.etcd.gateway import CALL_SECONDS, Credentials, Etcd
from discovery.system.env import EnvSettings, SettingsError

_PREFIX = re.compile(r"[A-Za-z0-9._/-]{1,200}/")
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]*:[0-9a-f:.]*(%[a-z0-9._-]+)?")
_NODE = re.compile(r"[A-Za-z0-9._-]{0,64}")


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise ValueError("must be letters, digits, '.', '_', '-' and '/', and end with '/'")
    return text


def _node(text: str) -> str:
    if not _NODE.fullmatch(text):
        raise ValueError("must be at most 64 letters, digits, '.', '_' and '-'")
    return text


class EtcdSettings(EnvSettings):
    node_name: Annotated[str, AfterValidator(_node)] = ""
    """This node's name in logs and /stats. Empty: the host's. A random part is added, so that two may have the same."""

    etcd_prefix: Annotated[str, AfterValidator(_prefix)] = "reg/"
    """Of all keys in etcd; registries with different prefixes share an etcd without seeing each other."""

    etcd_user: str = ""
    """For etcd's password authentication; the role needs read and write on the prefix."""

    etcd_password_file: Path | None = None
    """File with the password of ETCD_USER."""

    etcd_ca: Path | None = None
    """PEM file: the authority that signed the certificates of etcd (etcds://). Empty: the system's."""

    etcd_cert: Path | None = None
    """PEM file: the certificate that this node shows to etcd."""

    etcd_key: Path | None = None
    """PEM file: its key."""

    etcd_flush_seconds: float = Field(1.0, ge=0.1, le=10)
    """Seconds between two batches of heartbeats to etcd. The same for all nodes: that of the first one holds."""

    def client(self, url: str, patience: float = CALL_SECONDS) -> Etcd:
        """Of ENGINE_URL; `patience` as of Etcd. SettingsError."""
        return Etcd(endpoints_of(url), self.credentials(), self.tls(), patience)

    def conf(self, settings: RegistrySettings) -> Conf:
        """These settings and the server's, as they become everybody's where there is no registry yet."""
        return Conf("", settings._replace(etcd_flush_seconds=self.etcd_flush_seconds), 0)

    def node_id(self) -> str:
        """The name with a random part: unique among the living."""
        name = self.node_name or re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())
        return f"{name}-{os.urandom(3).hex()}"

    def credentials(self) -> Credentials | None:
        """SettingsError when the password's file cannot be read."""
        if not self.etcd_user:
            return None
        if self.etcd_password_file is None:
            raise SettingsError("ETCD_PASSWORD_FILE: is required with ETCD_USER")
        try:
            return Credentials(self.etcd_user, self.etcd_password_file.read_text("utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"ETCD_PASSWORD_FILE: {self.etcd_password_file}: {error}") from None

    def tls(self) -> ssl.SSLContext | None:
        """For https endpoints; None: the system's authorities. SettingsError when a file cannot be used."""
        if (self.etcd_cert is None) != (self.etcd_key is None):
            raise SettingsError("ETCD_CERT, ETCD_KEY: one is of no use without the other")
        if self.etcd_ca is None and self.etcd_cert is None:
            return None
        try:
            context = ssl.create_default_context(cafile=self.etcd_ca)
            if self.etcd_cert is not None:
                context.load_cert_chain(self.etcd_cert, self.etcd_key)
        except OSError as error:  # SSLError is one
            raise SettingsError(f"ETCD_CA, ETCD_CERT, ETCD_KEY: {error}") from None
        return context


def endpoints_of(url: str) -> list[str]:
    """Of `etcd://HOST:2379,HOST:2379` (plain) or `etcds://…` (TLS). SettingsError."""
    scheme, _, rest = url.partition("://")
    http = "https" if scheme == "etcds" else "http"
    return [f"{http}://{_authority(part.strip())}" for part in rest.rstrip("/").split(",")]


def _authority(text: str) -> str:
    if "@" in text:  # not repeated: it may be a password
        raise SettingsError(
            "ENGINE_URL: write etcd://HOST:2379 without a user; ETCD_USER and ETCD_PASSWORD_FILE are for that"
        )
    try:
        found = urlsplit(f"//{text}")
        port = found.port or 2379
    except ValueError:
        found, port = urlsplit(""), 0
    if not _HOST.fullmatch(found.hostname or "") or found.path or found.query:
        raise SettingsError(f"ENGINE_URL: {text!r} is no HOST:PORT; write etcd://HOST:2379,HOST:2379")
    return f"[{found.hostname}]:{port}" if ":" in str(found.hostname) else f"{found.hostname}:{port}"
