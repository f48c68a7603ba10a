"""Another nginx in front of the service, as users put one: below a path, on several ports."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import requests

from tests.support.stack import free_ports, wait_until
from tools import apt, config

_CONF: Final = """
daemon off; worker_processes 1; error_log stderr crit; pid "{folder}/nginx.pid"; {user}
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path "{folder}/body"; proxy_temp_path "{folder}/proxy";
    fastcgi_temp_path "{folder}/fastcgi"; uwsgi_temp_path "{folder}/uwsgi";
    scgi_temp_path "{folder}/scgi";
    map $http_upgrade $connection_of_upgrade {{ default upgrade; "" close; }}
{servers}
}}
"""

_SERVER: Final = """
    server {{
        listen 127.0.0.1:{port};{listen_ipv6}
        location {location} {{
            proxy_pass {target};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_of_upgrade;
            proxy_request_buffering off;
            client_max_body_size 0;
        }}
        location = /elsewhere {{ default_type text/html; return 200 "<title>Another app</title>"; }}
    }}
"""


class FrontProxy:
    """One server a port: `targets` are `proxy_pass` addresses by their location and a name.

    `port(name)` is the port of the server; `/elsewhere` on each is a page of another origin.
    """

    def __init__(self, targets: Mapping[str, tuple[str, str]]) -> None:
        self._targets: Final = dict(targets)
        self._ports: Final = dict(zip(targets, free_ports(len(targets)), strict=True))
        self._folder: Final = tempfile.TemporaryDirectory(prefix="faces-front-")
        self._process: subprocess.Popen[bytes]

    def url(self, name: str) -> str:
        """The origin of this server."""
        return f"http://localhost:{self._ports[name]}"

    def __enter__(self) -> Self:
        servers = "".join(
            _SERVER.format(
                port=self._ports[name],
                listen_ipv6=f" listen [::1]:{self._ports[name]};" if config.has_ipv6() else "",
                location=location,
                target=target,
            )
            for name, (location, target) in self._targets.items()
        )
        user = "user root;" if os.geteuid() == 0 else ""
        path = Path(self._folder.name, "nginx.conf")
        path.write_text(_CONF.format(folder=self._folder.name, user=user, servers=servers))
        program = apt.find("nginx")
        assert program is not None
        self._process = subprocess.Popen([program, "-e", "stderr", "-c", str(path)])
        wait_until(self._answers, "the proxy in front answers")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()

    def _answers(self) -> bool:
        assert self._process.poll() is None, "the proxy in front has ended"
        try:
            url = f"{self.url(next(iter(self._ports)))}/elsewhere"
            return requests.get(url, timeout=5).status_code == 200
        except requests.RequestException:
            return False
