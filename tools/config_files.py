"""The configuration files of one stack, as text: nginx, Redis and supervisor."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

import certifi

from tools import apt
from tools.config import Address, Place, Stack, UnixSocket
from tools.console import UserError
from tools.shell import ROOT
from wire import sockets

STOP_TIMEOUT_S: Final = 60
"""How long a process may take to finish its requests or jobs."""

_NGINX_SETTINGS: Final = ROOT / "nginx" / "settings.sh"

_CA_BUNDLE: Final = "/etc/ssl/certs/ca-certificates.crt"

BACKEND_FD: Final = 100
"""The descriptor of the backend's socket, which `tools.supervisord` opens and gunicorn inherits."""

_NGINX_FD: Final = BACKEND_FD + 1

NGINX_SOCKETS: Final = "NGINX"
"""Names the descriptors of the sockets that nginx inherits (`ngx_add_inherited_sockets` in its
source), as it does from its former self when the program is replaced."""

NICENESS: Final = 10
"""Of workers, which use every core: answering requests has priority."""


def nginx(stack: Stack, *, connections: int, as_root: bool) -> str:
    """nginx.conf: includes the rules of `nginx/`, with the addresses and folders of this stack."""
    run = stack.run / "nginx"
    # Started by root, nginx would drop to a user without access to the folders of the checkout.
    user = "user root;\n" if as_root else ""
    temporary = "\n".join(
        f'    {kind}_temp_path "{run}/{kind}";'
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Of :: the kernel also takes what comes to IPv4 addresses.
    listen = "\n".join(f"        listen {each}{_dual(each)};" for each in stack.nginx_listen)
    return f"""\
# Written by tools/config_files.py at every start.
{user}daemon off;
worker_processes 2;
worker_shutdown_timeout 10s;
pid "{run}/nginx.pid";
error_log stderr crit;  # lines at error repeat whole requests with their tokens

events {{
    worker_connections {connections};
}}

http {{
{temporary}

    include "{ROOT}/nginx/http.conf";
    access_log /dev/stdout faces if=$worth_logging;

{_from_settings(stack)}
{_outside()}
    # Twice the same: a request that a web process had in hand when it died is repeated once, and
    # waits in the socket for the next one.
    upstream backend {{
        server "{stack.backend.reached_at}" max_fails=0;
        server "{stack.backend.reached_at}" max_fails=0;
    }}
    server {{
{listen}
        set $backend_address backend;
        set $ws_address "{_upstream(stack.ws)}";
        set $media_dir "{stack.storage}/media";
        include "{ROOT}/nginx/faces.conf";
    }}
}}
"""


def _dual(address: Address) -> str:
    return " ipv6only=off" if address.host == "::" else ""


def _from_settings(stack: Stack) -> str:
    """The directives that depend on settings, by the script that Docker uses too."""
    command = ["/bin/sh", str(_NGINX_SETTINGS)]
    path = os.pathsep.join([os.environ.get("PATH", ""), os.defpath])  # for sed and tr
    environ = {**os.environ, **stack.nginx_environ, "PATH": path}
    printed = subprocess.run(command, env=environ, capture_output=True, text=True)
    if printed.returncode:
        raise UserError(f"nginx/settings.sh: {printed.stderr.strip()}")
    return printed.stdout


def _upstream(place: Place) -> str:
    """The address as nginx puts it before a path; a colon ends the path of a socket."""
    return f"{place.reached_at}:" if isinstance(place, UnixSocket) else str(place.reached_at)


def _outside() -> str:
    """Name servers and certificate authorities for S3, the only host outside of the stack."""
    servers = [f"[{each}]" if ":" in each else each for each in _name_servers()]
    resolver = f"    resolver {' '.join(servers)} valid=30s;\n" if servers else ""
    return f"""{resolver}\
    proxy_ssl_verify on;
    proxy_ssl_verify_depth 4;
    proxy_ssl_trusted_certificate "{_authorities()}";
"""


def _name_servers() -> list[str]:
    """Those of the machine, without zones (`fe80::1%eth0`), which nginx cannot parse."""
    try:
        lines = Path("/etc/resolv.conf").read_text().splitlines()
    except OSError:
        return []
    pairs = [line.split()[:2] for line in lines]
    return [pair[1] for pair in pairs if pair[:1] == ["nameserver"] and "%" not in pair[-1]]


def _authorities() -> str:
    """The machine's certificate authorities, or those that come with the packages."""
    return _CA_BUNDLE if os.path.exists(_CA_BUNDLE) else certifi.where()


def redis(stack: Stack, place: Place) -> str:
    """redis.conf: persistent, and without eviction, which could drop a job."""
    if isinstance(place, UnixSocket):
        listening = f'port 0\nunixsocket "{place.path}"\nunixsocketperm {sockets.MODE:o}'
    else:
        listening = f"bind {place.host}\nport {place.port}"
    password = f'requirepass "{stack.redis_password}"\n' if stack.redis_password else ""
    return f"""\
# Written by tools/config_files.py at every start.
{listening}
dir "{stack.storage}/redis-data"
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
logfile "{stack.run}/redis.log"
{password}"""


def supervisor(stack: Stack, *, as_root: bool) -> str:
    """supervisord.conf. Programs start in ascending order of priority and stop in descending."""
    user = "user=root\n" if as_root else ""  # silences a warning of supervisor
    head = f"""\
; Written by tools/config_files.py at every start.
[supervisord]
{user}nodaemon=true
directory={ROOT}
pidfile={stack.run}/supervisord.pid
logfile=/dev/null
logfile_maxbytes=0
loglevel=warn
minfds={BACKEND_FD}
"""
    groups = {"service": ("backend", "worker"), "entrance": ("wsserver", "nginx")}
    priorities = {"service": 20, "entrance": 30}
    return "\n".join(
        [
            head,
            *(
                _program(name, *command, fds=nginx_fds(stack) if name == "nginx" else [])
                for name, command in commands(stack).items()
            ),
            *(
                f"[group:{name}]\nprograms={','.join(programs)}\npriority={priorities[name]}\n"
                for name, programs in groups.items()
            ),
        ]
    )


def nginx_fds(stack: Stack) -> list[int]:
    """The descriptors of nginx's sockets, in the order of `stack.nginx_listen`."""
    return [_NGINX_FD + number for number in range(len(stack.nginx_listen))]


def nginx_sockets(fds: list[int]) -> str:
    """The value of `NGINX_SOCKETS` for these."""
    return "".join(f"{fd};" for fd in fds)


def commands(stack: Stack) -> dict[str, tuple[list[str], str]]:
    """The command line of each process, and the signal of its orderly end."""
    python = sys.executable
    work = ["nice", "-n", str(NICENESS), python, "manage.py", "work"]
    nginx = [_program_file("nginx"), "-e", "stderr", "-c", f"{stack.run}/nginx.conf"]
    listed = {
        "backend": ([python, "-m", "tools.serve"], "TERM"),
        "worker": (work, "TERM"),
        "wsserver": ([python, "-m", "wsserver"], "TERM"),
        "nginx": (nginx, "QUIT"),
    }
    if stack.redis:
        redis_server = [_program_file("redis-server"), f"{stack.run}/redis.conf"]
        return {"redis": (redis_server, "TERM"), **listed}
    return listed


def _program_file(program: str) -> str:
    path = apt.find(program)
    if path is None:
        raise UserError(
            f"{program} is not on this machine. As root:\n\n    apt-get install -y "
            f"--no-install-recommends {apt.SERVERS[program]}\n"
        )
    return path


# A program that ends within its first second is restarted after one, then two, then three seconds …
# One that lived longer at once, and nginx and Redis always: they cost little to start.
_LIGHT: Final = ("nginx", "redis")


def _program(name: str, command: list[str], signal: str, *, fds: list[int]) -> str:
    inherited = f'environment={NGINX_SOCKETS}="{nginx_sockets(fds)}"\n' if fds else ""
    return f"""\
[program:{name}]
{inherited}command={shlex.join(command)}
priority=10
autorestart=true
startsecs={0 if name in _LIGHT else 1}
startretries=1000000
stopsignal={signal}
stopwaitsecs={STOP_TIMEOUT_S}
killasgroup=true
redirect_stderr=true
stdout_logfile=/dev/fd/1
stdout_logfile_maxbytes=0
"""


def write(stack: Stack, *, connections: int) -> None:
    """Write the files into the stack's run folder, and make the folders they name."""
    as_root = os.geteuid() == 0
    (stack.run / "nginx").mkdir(parents=True, exist_ok=True)
    (stack.storage / "media").mkdir(exist_ok=True)
    files = {
        # First: it says which program is not on this machine.
        "supervisord.conf": supervisor(stack, as_root=as_root),
        "nginx.conf": nginx(stack, connections=connections, as_root=as_root),
    }
    if stack.redis:
        (stack.storage / "redis-data").mkdir(exist_ok=True)
        files["redis.conf"] = redis(stack, stack.redis)
    for name, text in files.items():
        path = stack.run / name
        path.write_text(text)
        path.chmod(0o600)
