"""Another nginx in front of the service, as users put one: below a path, on several ports."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import requests

from tests.support.service_process import ServiceProcess
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
    {certificate}
{servers}
}}
"""

_SERVER: Final = """
    server {{
        listen 127.0.0.1:{port}{ssl};{listen_ipv6}
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

    `/elsewhere` on each is a page of another origin. With `certificate`, a file of a key and its
    certificate, the servers speak TLS; `ports` are theirs, by default free ones.
    """

    def __init__(
        self,
        targets: Mapping[str, tuple[str, str]],
        *,
        host: str = "localhost",
        certificate: Path | None = None,
        ports: Sequence[int] = (),
    ) -> None:
        self._targets: Final = dict(targets)
        self._host: Final = host
        self._certificate: Final = certificate
        ports = ports or free_ports(len(targets))
        self._ports: Final = dict(zip(targets, ports, strict=True))
        self._folder: Final = tempfile.TemporaryDirectory(prefix="faces-front-")
        self._process: ServiceProcess

    def url(self, name: str) -> str:
        """The origin of this server."""
        return f"{'https' if self._certificate else 'http'}://{self._host}:{self._ports[name]}"

    def __enter__(self) -> Self:
        ssl = " ssl" if self._certificate else ""
        servers = "".join(
            _SERVER.format(
                port=self._ports[name],
                ssl=ssl,
                listen_ipv6=f" listen [::1]:{self._ports[name]}{ssl};" if config.has_ipv6() else "",
                location=location,
                target=target,
            )
            for name, (location, target) in self._targets.items()
        )
        user = "user root;" if os.geteuid() == 0 else ""
        path = Path(self._folder.name, "nginx.conf")
        pem = self._certificate
        certificate = f'ssl_certificate "{pem}"; ssl_certificate_key "{pem}";' if pem else ""
        path.write_text(
            _CONF.format(
                folder=self._folder.name, user=user, servers=servers, certificate=certificate
            )
        )
        program = apt.find("nginx")
        assert program is not None
        self._process = ServiceProcess(
            "front proxy",
            [program, "-e", "stderr", "-c", str(path)],
            environ=os.environ,
            log=path.with_suffix(".log"),
            cwd=path.parent,
        )
        self._process.start()
        wait_until(self._answers, "the proxy in front answers")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.stop()
        self._folder.cleanup()

    def _answers(self) -> bool:
        assert self._process.is_running, self._process.tail()
        try:
            scheme = "https" if self._certificate else "http"
            url = f"{scheme}://127.0.0.1:{next(iter(self._ports.values()))}/elsewhere"
            # Its certificate is for another name.
            return requests.get(url, timeout=5, verify=self._certificate is None).status_code == 200
        except requests.RequestException:
            return False
