"""HTTP requests to URLs that strangers choose, without lending them our place in the network.

    client = safe_http.Client(max_bytes=32 << 20, timeout_s=20)
    with client.fetch(url) as picture:
        picture.file, picture.sha256, picture.size

A client that may name a URL may name `http://127.0.0.1:6379/`, a cloud's metadata service, or a
server of its own that answers for a week (CWE-918, server-side request forgery). Promised here:

- `url_policy` parses the URL once, strictly, and refuses what it would have to interpret;
- `ip_policy` separates public addresses from all others by the IANA special-purpose registries;
- `transport` resolves a name once, checks every answer and connects to one of these answers, so a
  name whose next answer differs (DNS rebinding) gains nothing; every wait ends in time; a TLS
  stream that is cut is an error and not the end of a body;
- `client` follows redirects itself, each a new URL under the same checks, and takes no more bytes
  than its limit, only of images (`signatures`), as they were sent.

`Policy` names the hosts that may be at private addresses and at any port, such as a NAS. Everything
else holds for them too. Every failure is a `FetchError`.
"""

from .client import Answer, Client, Download, Hold
from .errors import FetchError, GivenUp, NotAnImage
from .url_policy import Policy

__all__ = [
    "Answer",
    "Client",
    "Download",
    "FetchError",
    "GivenUp",
    "Hold",
    "NotAnImage",
    "Policy",
]
