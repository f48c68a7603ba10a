"""`python -m wsserver` starts the websocket server."""

import sys

from wsserver.server import main

sys.exit(main())
