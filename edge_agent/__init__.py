"""The device's side: small enough to read at one sitting."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - a checkout is started without pip, which would have refused
    raise SystemExit("error: EdgeWatt's agent needs Python 3.11 or newer; this one is " + sys.version.split()[0])
