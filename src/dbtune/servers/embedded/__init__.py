"""Private servers for the demo, `--embedded`, the statistics twin and the tests; nothing else is needed.

A guardian process (guardian.py) is each server's parent and ends it however dbtune itself ends. Importing
this package on Windows raises Unsupported: neither wheel exists there.
"""

from __future__ import annotations

import sys

from dbtune.core.errors import Unsupported

if sys.platform == "win32":
    raise Unsupported("embedded servers run on Linux and macOS only", hint="name servers with --postgres and --redis")
