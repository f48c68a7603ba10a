"""gunicorn, the same in Docker and under `make run`."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from wire import environment  # noqa: E402

environment.load()

bind = os.environ["FACES_BACKEND_BIND"]
worker_class = "gthread"
workers = int(os.environ["FACES_WEB_PROCESSES"])
threads = int(os.environ["FACES_WEB_THREADS"])
# Django is loaded once and shared by the forks; nothing in it may connect anywhere while it loads.
preload_app = True
# Of a request in hand at SIGTERM; nginx has taken the upload in whole, so none takes long.
graceful_timeout = 30
timeout = 120
keepalive = 5
# Its heartbeat files in memory: on a busy disk a healthy process would look dead.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
# nginx logs every request with its id already.
accesslog = None
errorlog = "-"
loglevel = "warning"
# In the form of all others, and scrubbed: a line about a bad request repeats what was asked for.
logconfig_dict = {
    "formatters": {
        "generic": {"()": "wire.logs.formatter", "kind": os.environ["FACES_LOG_FORMAT"]}
    },
    "loggers": {
        "gunicorn.error": {"level": "WARNING", "handlers": ["error_console"], "propagate": False}
    },
}
# Its default would be one socket in the home folder for all services of this user.
control_socket_disable = True
