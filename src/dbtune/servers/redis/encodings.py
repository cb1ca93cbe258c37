"""From the text that PostgreSQL made to what the application's own client reads."""

from __future__ import annotations

import gzip
from collections.abc import Callable

from dbtune.core.actions import WarmKeys
from dbtune.core.errors import ChangeFailed


def encoder(action: WarmKeys) -> Callable[[bytes], bytes] | None:
    """What becomes of the text that PostgreSQL made; None: nothing. Raises ChangeFailed without the extra."""
    if action.encoding != "msgpack" and not action.gzip:
        return None
    if action.encoding != "msgpack":
        return _compressed
    pack = message_packer()
    return (lambda text: _compressed(pack(text))) if action.gzip else pack


def message_packer() -> Callable[[bytes], bytes]:
    """From JSON text to MessagePack."""
    import json

    try:
        import msgpack  # type: ignore[import-untyped]
    except ImportError as error:
        raise ChangeFailed("encoding: msgpack needs a package", hint='pip install "dbtune[msgpack]"') from error
    return lambda text: bytes(msgpack.packb(json.loads(text), use_bin_type=True))


def _compressed(value: bytes) -> bytes:
    # Without a time in its header the same value is always the same bytes.
    return gzip.compress(value, compresslevel=6, mtime=0)
