"""The service with several backends behind one nginx, as docker-compose.scale.yml runs it."""

import re
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.support.service_process import ServiceProcess
from tests.support.stack import Stack, free_ports, wait_until
from tools import config as launcher
from tools import config_files
from wire import environment


class ScaledStack(Stack):
    """`Stack` with `backends` gunicorns, each with processes and threads as the settings say."""

    def __init__(self, *, backends: int = 3, **options: Any) -> None:
        super().__init__(**options)
        self.backend_ports: Final = [self.backend_port, *free_ports(backends - 1)]
        self.more_web: Final[list[ServiceProcess]] = []

    @property
    def backend_urls(self) -> list[str]:
        """Each gunicorn itself."""
        return [f"http://127.0.0.1:{port}" for port in self.backend_ports]

    def processes(self) -> list[ServiceProcess]:
        return [*self.more_web, *super().processes()]

    def wait_ready(self, timeout_s: float = 180) -> None:
        super().wait_ready(timeout_s)
        for url in self.backend_urls:
            wait_until(partial(self._is_ready, f"{url}/readiness/"), f"{url} answers")

    def _make_processes(self) -> None:
        command, signal = config_files.commands(
            launcher.read(self.environ, environment.defaults())
        )["backend"]
        for port in self.backend_ports[1:]:
            bind, name = f"127.0.0.1:{port}", f"backend-{len(self.more_web) + 2}"
            process = self._process(name, command, signal, FACES_BACKEND_BIND=bind)
            self.more_web.append(process)
        super()._make_processes()

    def _change_nginx(self, path: Path) -> None:
        super()._change_nginx(path)
        # A backend that was not there yet is asked again at once, not ten seconds later.
        servers = "".join(f"server 127.0.0.1:{port} max_fails=0; " for port in self.backend_ports)
        text = path.read_text().replace("http {", f"http {{\n    upstream backends {{ {servers} }}")
        path.write_text(
            re.sub(r"set \$backend_address [^;]+;", "set $backend_address backends;", text)
        )
