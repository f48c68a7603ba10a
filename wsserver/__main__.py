"""`python -m wsserver` starts the websocket server."""

import sys

from wsserver.main import main

sys.exit(main())
