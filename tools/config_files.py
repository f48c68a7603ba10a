"""The configuration files of one stack, as text: nginx, Redis, and supervisor over them all."""

import os
import shlex
import sys
from pathlib import Path
from typing import Final

import certifi

from tools import apt
from tools.config import Address, Stack
from tools.console import UserError
from tools.shell import ROOT

STOP_TIMEOUT_S: Final = 60
"""How long a process may take to finish what it has in hand."""

_CA_BUNDLE: Final = "/etc/ssl/certs/ca-certificates.crt"

NICENESS: Final = 10
"""Workers use every core there is; answering a request comes first."""


def nginx(stack: Stack, *, connections: int, as_root: bool) -> str:
    """nginx.conf: the shared rules of `nginx/`, and what is of this stack alone."""
    run = stack.run / "nginx"
    # Started by root, nginx would drop to a user who may not enter the folders of the checkout.
    user = "user root;\n" if as_root else ""
    temporary = "\n".join(
        f'    {kind}_temp_path "{run}/{kind}";'
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
# Written by tools/config_files.py at every start.
{user}daemon off;
worker_processes 2;
worker_shutdown_timeout 10s;
pid "{run}/nginx.pid";
error_log stderr crit;  # at error, lines repeat whole requests and so the tokens in them

events {{
    worker_connections {connections};
}}

http {{
{temporary}

    include "{ROOT}/nginx/http.conf";
    access_log /dev/stdout faces if=$worth_logging;

    client_max_body_size {stack.max_body_bytes};
{_outside()}
    server {{
        listen {stack.nginx};
        set $backend_address {stack.backend.reached_at};
        set $ws_address {stack.ws.reached_at};
        set $media_dir "{stack.storage}/media";
        include "{ROOT}/nginx/faces.conf";
    }}
}}
"""


def _outside() -> str:
    """How nginx finds and trusts an S3 that is named and speaks TLS; nothing else lies outside."""
    servers = [f"[{each}]" if ":" in each else each for each in _name_servers()]
    resolver = f"    resolver {' '.join(servers)} valid=30s;\n" if servers else ""
    return f"""{resolver}\
    proxy_ssl_verify on;
    proxy_ssl_verify_depth 4;
    proxy_ssl_trusted_certificate "{_authorities()}";
"""


def _name_servers() -> list[str]:
    """Those of the machine; a zone (`fe80::1%eth0`) is nothing that nginx can take."""
    try:
        lines = Path("/etc/resolv.conf").read_text().splitlines()
    except OSError:
        return []
    pairs = [line.split()[:2] for line in lines]
    return [pair[1] for pair in pairs if pair[:1] == ["nameserver"] and "%" not in pair[-1]]


def _authorities() -> str:
    """The machine's certificate authorities, or those that come with the packages."""
    return _CA_BUNDLE if os.path.exists(_CA_BUNDLE) else certifi.where()


def redis(stack: Stack, address: Address) -> str:
    """redis.conf: keeps what it is given, and never throws a job away to make room."""
    password = f'requirepass "{stack.redis_password}"\n' if stack.redis_password else ""
    return f"""\
# Written by tools/config_files.py at every start.
bind {address.host}
port {address.port}
dir "{stack.storage}/redis-data"
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
logfile "{stack.run}/redis.log"
{password}"""


def supervisor(stack: Stack, *, as_root: bool) -> str:
    """supervisord.conf. Started from the lowest priority up, stopped from the highest down."""
    user = "user=root\n" if as_root else ""  # as it is; without it supervisor complains
    head = f"""\
; Written by tools/config_files.py at every start.
[supervisord]
{user}nodaemon=true
directory={ROOT}
pidfile={stack.run}/supervisord.pid
logfile=/dev/null
logfile_maxbytes=0
loglevel=warn
"""
    groups = {"service": ("backend", "worker"), "doors": ("wsserver", "nginx")}
    priorities = {"service": 20, "doors": 30}
    return "\n".join(
        [
            head,
            *(_program(name, *command) for name, command in commands(stack).items()),
            *(
                f"[group:{name}]\nprograms={','.join(programs)}\npriority={priorities[name]}\n"
                for name, programs in groups.items()
            ),
        ]
    )


def commands(stack: Stack) -> dict[str, tuple[list[str], str]]:
    """The command line of each process, and the signal on which it ends in order."""
    python = sys.executable
    gunicorn = [python, "-m", "gunicorn", "-c", "tools/gunicorn_conf.py", "backend.wsgi"]
    work = ["nice", "-n", str(NICENESS), python, "manage.py", "work"]
    nginx = [_program_file("nginx"), "-e", "stderr", "-c", f"{stack.run}/nginx.conf"]
    listed = {
        "backend": (gunicorn, "TERM"),
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


# What ends within three seconds is started again after one, then two, then three …
def _program(name: str, command: list[str], signal: str) -> str:
    return f"""\
[program:{name}]
command={shlex.join(command)}
priority=10
autorestart=true
startsecs=3
startretries=1000000
stopsignal={signal}
stopwaitsecs={STOP_TIMEOUT_S}
killasgroup=true
redirect_stderr=true
stdout_logfile=/dev/fd/1
stdout_logfile_maxbytes=0
"""


def write(stack: Stack, *, connections: int) -> None:
    """Write them into the stack's run folder, with the folders they name."""
    as_root = os.geteuid() == 0
    (stack.run / "nginx").mkdir(parents=True, exist_ok=True)
    (stack.storage / "media").mkdir(exist_ok=True)
    files = {
        "nginx.conf": nginx(stack, connections=connections, as_root=as_root),
        "supervisord.conf": supervisor(stack, as_root=as_root),
    }
    if stack.redis:
        (stack.storage / "redis-data").mkdir(exist_ok=True)
        files["redis.conf"] = redis(stack, stack.redis)
    for name, text in files.items():
        path = stack.run / name
        path.write_text(text)
        path.chmod(0o600)
