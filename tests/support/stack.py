"""The whole service on free loopback ports, as `make run` would start it, in a folder of its own.

    with Stack() as stack:
        with stack.listen() as listener:
            id = stack.upload(photos.read("obama.jpg"))
            stack.wait_ended([id])

Real processes with the launcher's own command lines: Redis, gunicorn, workers, the websocket
server, and nginx if asked for. Everything ends with the context, also when a test fails.
"""

import atexit
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psycopg
import requests
from psycopg.rows import dict_row

from tests.support import prepared
from tests.support.listener import Listener
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.samples import DETECTOR
from tests.support.service_process import ServiceProcess
from tools import config as launcher
from tools import config_files
from wire import environment
from wire.events import STREAM, Entry, from_entry
from wire.feeds import REVOKED_FIELD

ENDED: Final = ("done", "failed")

# Retries and sweeps at the pace of a test. `.env` is ignored.
_PACE: Final = {"FACES_RETRY_DELAY_S": "0.05", "FACES_SWEEP_INTERVAL_S": "0.2"}

# Of the environment's own settings these hold for tests too: where the converted models lie.
_KEPT: Final = ("FACES_MODEL_CACHE",)

# Below the ports that the kernel gives to clients: one of those may take a port that is free for
# a moment while its server is started again.
_PORTS: Final = range(15_000, 32_000)

_POLL_S: Final = 0.01
_START_TIMEOUT_S: Final = 180.0
_REQUEST_TIMEOUT_S: Final = 120.0


class Stack:
    """One running service. `settings` override default.env, `nginx_values` nginx's directives.

    `worker_program` is Python that runs instead of `manage.py work`.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        wsservers: int = 1,
        nginx: bool = False,
        nginx_values: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        worker_program: str = "",
    ) -> None:
        self._folder: Final = tempfile.TemporaryDirectory(prefix="faces-stack-")
        self.storage: Final = Path(self._folder.name, "storage")
        self.logs: Final = Path(self._folder.name, "logs")
        self.temporary: Final = Path(self._folder.name, "tmp")
        self.redis: Final = RedisServer()
        self.database_url = ""
        self._has_nginx: Final = nginx
        self._nginx_values: Final = dict(nginx_values or {})
        self._workers: Final = workers
        self._settings: Final = dict(settings or {})
        self._worker_program: Final = worker_program
        ports = free_ports(2 + wsservers)
        self.nginx_port, self.backend_port, *self.ws_ports = ports
        self.environ: dict[str, str] = {}
        self.web: ServiceProcess
        self.pool: ServiceProcess
        self.nginx: ServiceProcess | None = None
        self.wsservers: list[ServiceProcess] = []

    # --- start and end

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            print(self.log_tails(), file=sys.stderr)
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start everything for the first time and wait until an upload would be processed."""
        # Also when the interpreter ends without leaving the context, as on Ctrl-C.
        atexit.register(self.close)
        for folder in (self.storage, self.logs, self.temporary):
            folder.mkdir()
        self.redis.start()
        self.environ = self._environment()
        self._prepare()
        self._make_processes()
        self.start_processes()

    def start_processes(self) -> None:
        """Start every process but Redis, and wait until all of them answer."""
        for process in self.processes():
            process.start()
        self.wait_ready()

    def stop_processes(self) -> None:
        """End every process but Redis in order, nginx and the websocket servers first."""
        for process in reversed(self.processes()):
            process.stop()

    def kill_processes(self) -> None:
        """Kill -9 for every process but Redis, with all that they started."""
        for process in self.processes():
            process.kill()

    def use_database(self, url: str) -> None:
        """From the next start on, keep the rows in the PostgreSQL at `url`."""
        self.database_url = self.environ["DATABASE_URL"] = url
        self.wsservers.clear()
        self._make_processes()

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `manage.py` with the service's settings, whatever comes of it."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=environment.ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
        )

    def restart(self) -> None:
        """Stop everything, Redis too (it keeps its data), and start it again."""
        self.stop_processes()
        self.redis.restart()
        self.start_processes()

    def close(self) -> None:
        """End everything and remove the folder; for good."""
        with ExitStack() as rest:
            rest.callback(self._folder.cleanup)
            rest.callback(self.redis.close)
            made = self.database_url and "DATABASE_URL" not in self._settings
            if PostgresServer.current is not None and made:
                rest.callback(PostgresServer.current.drop_database, self.database_url)
            for process in self.processes():
                rest.callback(process.kill)
        atexit.unregister(self.close)

    def processes(self) -> list[ServiceProcess]:
        """Every process but Redis, in the order in which they are started."""
        made = [getattr(self, name, None) for name in ("web", "pool")]
        every = [*made, *self.wsservers, self.nginx]
        return [process for process in every if process is not None]

    def wait_ready(self, timeout_s: float = _START_TIMEOUT_S) -> None:
        """Return once every part answers; raise if one has ended instead."""
        urls = [f"{self.url}/readiness/", f"{self.backend_url}/readiness/"]
        urls += [f"http://127.0.0.1:{port}/healthcheck?ready" for port in self.ws_ports]
        for url in urls:
            ready = partial(self._is_ready, url)
            wait_until(ready, f"{url} answers", timeout_s, poll_s=0.05)

    # --- as a client

    @property
    def backend_url(self) -> str:
        """gunicorn itself."""
        return f"http://127.0.0.1:{self.backend_port}"

    @property
    def url(self) -> str:
        """Where clients come in: nginx if there is one, else gunicorn."""
        return f"http://127.0.0.1:{self.nginx_port}" if self._has_nginx else self.backend_url

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Any request; `path` begins with a slash. Redirects are answers like any other."""
        options.setdefault("timeout", _REQUEST_TIMEOUT_S)
        url = self.url + path if path.startswith("/") else path
        with local_session() as session:
            return session.request(method, url, allow_redirects=False, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        """GET `path`."""
        return self.request("GET", path, **options)

    def post_image(
        self, image: bytes | Path, name: str = "image.jpg", *, path: str = "/image/", **options: Any
    ) -> requests.Response:
        """Upload an image, whatever comes of it."""
        data = image.read_bytes() if isinstance(image, Path) else image
        return self.request("POST", path, files={"image": (name, data)}, **options)

    def upload(self, image: bytes | Path, name: str = "image.jpg") -> str:
        """Upload an image that is accepted; returns the submission's id."""
        response = self.post_image(image, name)
        assert response.status_code == 202, f"{response.status_code}: {response.text[:500]}"
        return str(response.json()["id"])

    def status(self, id: str) -> dict[str, Any]:
        """The status resource of a submission."""
        response = self.get(f"/image/{id}/")
        assert response.status_code == 200, f"{response.status_code}: {response.text[:500]}"
        resource: dict[str, Any] = response.json()
        return resource

    def wait_ended(self, ids: Iterable[str], timeout_s: float = 180) -> dict[str, dict[str, Any]]:
        """The status resources of `ids`, once each is done or failed."""
        wanted = list(ids)
        self.wait_until_ended(wanted, timeout_s)
        return {id: self.status(id) for id in wanted}

    def wait_until_ended(self, ids: Iterable[str], timeout_s: float = 180) -> None:
        """Return once each of `ids` is done or failed, or gone, by the database's rows."""
        wanted = list(ids)

        def ended() -> bool:
            rows = self.submissions()
            return all(rows[id]["status"] in ENDED for id in wanted if id in rows)

        wait_until(ended, f"{len(wanted)} submissions end", timeout_s)

    def listen(self, query: str = "outcomes=all", *, instance: int = 0) -> Listener:
        """A listener at /faces: through nginx if there is one, else at the given instance."""
        return Listener(self.listen_url(query, instance=instance))

    def listen_url(self, query: str = "outcomes=all", *, instance: int = 0) -> str:
        """The address of the websocket, for another client than ours."""
        port = self.nginx_port if self._has_nginx else self.ws_ports[instance]
        return f"ws://127.0.0.1:{port}/faces" + (f"?{query}" if query else "")

    # --- requests and events

    def events(self) -> list[Entry]:
        """All events in the stream, oldest first; revocations of keys are none."""
        with self.redis.client() as client:
            entries = client.xrange(STREAM)
        return [from_entry(id, fields) for id, fields in entries if REVOKED_FIELD not in fields]

    def query(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Rows of the database, as dictionaries; `?` in `sql` stands for a value."""
        if self.database_url:
            with psycopg.connect(self.database_url, row_factory=dict_row) as connection:
                return connection.execute(sql.replace("?", "%s"), values).fetchall()
        with closing(sqlite3.connect(self.storage / "db.sqlite3", timeout=20)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(sql, values)]

    def submissions(self) -> dict[str, dict[str, Any]]:
        """The rows of all submissions, by id."""
        rows = self.query("SELECT * FROM submissions_submission")
        return {str(uuid.UUID(str(row["id"]))): row for row in rows}

    def stored_files(self) -> set[str]:
        """Every file under media/, as a path relative to it."""
        media = self.storage / "media"
        return {str(file.relative_to(media)) for file in media.rglob("*") if not file.is_dir()}

    def temporary_files(self) -> set[str]:
        """What lies where the processes put bodies of requests while they read them."""
        run = self.storage / "run"
        folders = (self.temporary, run / "nginx", run / "uploads")
        every = [file for folder in folders for file in folder.rglob("*")]
        # Not of requests: nginx's own, and a note that the runtime of the models leaves behind.
        known = ("nginx.pid", ".ses")
        return {file.name for file in every if file.is_file() and file.name not in known}

    def log_tails(self) -> str:
        """The end of what every process has printed."""
        return "\n".join(process.tail() for process in self.processes())

    # --- faults

    def wait_in_work(self, id: str, timeout_s: float = 180) -> int:
        """Wait until a worker has `id` in hand; returns the process that holds it."""

        def in_work() -> bool:
            row = self.submissions()[id]
            assert row["status"] not in ENDED, f"{id} ended before it was seen in work"
            return bool(row["status"] == "processing")

        wait_until(in_work, f"{id} is in work", timeout_s, poll_s=0.002)
        return self.holder(id)

    def holder(self, id: str) -> int:
        """The worker whose claim on `id` the database names."""
        return int(self.submissions()[id]["claimed_by"].rsplit("/", 2)[1])

    def kill_worker_of(self, id: str) -> int:
        """Kill -9 for the worker that has `id` in hand; returns its process."""
        worker = self.wait_in_work(id)
        os.kill(worker, signal.SIGKILL)
        return worker

    # --- how it is put together

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **environment.defaults(),
            **(
                {"FACES_MODEL_CACHE": cache}
                if (cache := os.environ.get("FACES_MODEL_CACHE"))
                else {}
            ),
            "TMPDIR": str(self.temporary),
            "STORAGE_DIR": str(self.storage),
            "DATABASE_URL": self.database_url,
            "CACHE_BACKEND_URL": self.redis.url,
            "SERVICE_URL": self.url,
            "FACES_DETECTOR": DETECTOR,
            "FACES_START_REDIS": "no",
            "FACES_BIND": "127.0.0.1",
            "FACES_PORT": str(self.nginx_port),
            "FACES_BACKEND_BIND": f"127.0.0.1:{self.backend_port}",
            "FACES_WS_BIND": f"127.0.0.1:{self.ws_ports[0]}",
            "FACES_WORKERS": str(self._workers),
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "backend.settings",
            **_PACE,
            **self._settings,
        }

    def _prepare(self) -> None:
        """Make what the processes need to start: folders, static files and tables."""
        if "DATABASE_URL" in self._settings:
            self.database_url = self._settings["DATABASE_URL"]
            prepared.migrate(self.environ)
            return
        ready = prepared.Prepared.once(self.environ)
        ready.fill(self.storage)
        self.database_url = self.environ["DATABASE_URL"] = ready.database_url()

    def _make_processes(self) -> None:
        service = launcher.read(self.environ, environment.defaults())
        # This raises with what to install where nginx is missing.
        commands = config_files.commands(service)
        self.web = self._process("backend", *commands["backend"])
        if self._worker_program:
            commands["worker"] = ([sys.executable, "-c", self._worker_program], "TERM")
        self.pool = self._process("worker", *commands["worker"])
        for port in self.ws_ports:
            command, stop_signal = commands["wsserver"]
            name, bind = f"wsserver-{len(self.wsservers)}", f"127.0.0.1:{port}"
            process = self._process(name, command, stop_signal, FACES_WS_BIND=bind)
            self.wsservers.append(process)
        if self._has_nginx:
            config_files.write(service, connections=1024)
            self._change_nginx(service.run / "nginx.conf")
            self.nginx = self._process("nginx", *commands["nginx"])

    def _process(
        self, name: str, command: list[str], stop_signal: str, **environ: str
    ) -> ServiceProcess:
        return ServiceProcess(
            name,
            command,
            environ={**self.environ, **environ},
            log=self.logs / f"{name}.log",
            cwd=environment.ROOT,
            stop_signal=stop_signal,
        )

    def _change_nginx(self, path: Path) -> None:
        text = _with_includes(path.read_text())
        for name, value in self._nginx_values.items():
            text, count = re.subn(rf"(?m)^(\s*){name}\s[^;]*;", rf"\1{name} {value};", text)
            assert count, f"nothing in nginx's configuration says {name}"
        path.write_text(text)

    def _is_ready(self, url: str) -> bool:
        ended = [process.name for process in self.processes() if not process.is_running]
        assert not ended, f"{', '.join(ended)} ended at start"
        try:
            return self.request("GET", url, timeout=5).status_code == 200
        except requests.RequestException:
            return False


def _with_includes(text: str) -> str:
    """nginx's configuration in one piece."""
    return re.sub(
        r'include "([^"]+)";', lambda match: _with_includes(Path(match[1]).read_text()), text
    )


def local_session() -> requests.Session:
    """A client's session; what the environment names as a proxy is not for this machine."""
    session = requests.Session()
    session.trust_env = False
    return session


def free_ports(count: int) -> list[int]:
    """Free ports on the loopback, all different."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            probe, port = held.enter_context(socket.socket()), random.choice(_PORTS)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
    return found


def wait_until(
    condition: Callable[[], bool], what: str, timeout_s: float = 180, *, poll_s: float = _POLL_S
) -> None:
    """Return once `condition` holds; `TimeoutError` naming `what` if it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s} s in vain until {what}")
        time.sleep(poll_s)
