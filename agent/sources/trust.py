"""Which authorities to trust, as the one PEM file that both HTTP libraries understand."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.core.trust import SYSTEM_BUNDLES
from agent.errors import ConfigError

_SUFFIXES = {".pem", ".crt"}


@contextmanager
def trusted_authorities(ca_bundle: Path | None) -> Iterator[str | bool]:
    """Give what `verify=` takes while it lasts: `ca_bundle`, else the system's bundle, else True (the library's own).

    A folder's files are joined into a temporary one.

    Raises:
        ConfigError: `ca_bundle` cannot be read or holds no certificate.
    """
    if ca_bundle is None:
        yield next((path for path in SYSTEM_BUNDLES if os.path.isfile(path)), True)
        return
    content = _read(ca_bundle)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(content)
        file.flush()
        yield file.name


def _read(ca_bundle: Path) -> bytes:
    try:
        files = sorted(p for p in ca_bundle.iterdir() if p.suffix in _SUFFIXES) if ca_bundle.is_dir() else [ca_bundle]
        content = b"\n".join(path.read_bytes() for path in files)
    except OSError as exc:
        raise ConfigError(
            f"CA bundle {str(ca_bundle)!r}: {exc.strerror}", hint="name a PEM file, or a folder of .pem or .crt files"
        ) from exc
    if b"-----BEGIN" not in content:
        raise ConfigError(
            f"CA bundle {str(ca_bundle)!r} holds no certificate",
            hint="name a PEM file, or a folder of .pem or .crt files",
        )
    return content
