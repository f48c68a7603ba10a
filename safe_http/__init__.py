"""Fetch an image from a URL that a caller gave, without lending them our place in the network.

    with download.fetch(url) as picture:
        picture.file, picture.sha256, picture.size

Whoever may name a URL may name `http://127.0.0.1:6379/`, a cloud's metadata service, or their own
server that answers for a week (CWE-918, server-side request forgery). What is promised here:

- `targets` reads the URL once, strictly, and refuses what it would have to interpret;
- `addresses` tells public addresses from all others, by the IANA special-purpose registries;
- `connection` looks a name up once, checks every answer and connects to one of these answers, so
  that a name whose next answer differs (DNS rebinding) gains nothing; all waiting ends in time;
- `fetching` follows redirects by hand, each a new URL to the same checks, and takes no more bytes
  than it was told, only of images (`formats`), as they were sent.

`FACES_DOWNLOAD_ALLOWED_HOSTS` names hosts that may be at private addresses and at any port, such
as a NAS. Everything else holds for them too. Callers learn of every failure by `DownloadError`.
"""

from .errors import DownloadError
from .fetching import Download, fetch, fetch_many

__all__ = ["Download", "DownloadError", "fetch", "fetch_many"]
