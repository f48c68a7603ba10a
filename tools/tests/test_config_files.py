"""The configuration files: what is in them, and that nginx takes them."""

import configparser
import dataclasses
import ipaddress
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from tools import apt, config, config_files
from tools.shell import ROOT
from wire import environment


def a_stack(storage: Path, **settings: str) -> config.Stack:
    """The default stack in `storage`."""
    defaults = environment.defaults()
    return config.read({**defaults, "STORAGE_DIR": str(storage), **settings}, defaults)


class ConfigTestCase(unittest.TestCase):
    """A folder with a space in its name, which every file has to get right."""

    def setUp(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.storage = Path(folder, "a folder")
        self.stack = a_stack(self.storage)


class SupervisorTests(ConfigTestCase):
    def programs(self, service: config.Stack) -> dict[str, configparser.SectionProxy]:
        parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
        parser.read_string(config_files.supervisor(service, as_root=False))
        return {name: parser[name] for name in parser.sections()}

    def test_it_keeps_every_process_and_starts_it_again(self) -> None:
        sections = self.programs(self.stack)
        programs = {name.removeprefix("program:") for name in sections if "program:" in name}
        self.assertEqual(programs, {"redis", "backend", "worker", "wsserver", "nginx"})
        for name in programs:
            self.assertEqual(sections[f"program:{name}"]["autorestart"], "true")

    def test_a_redis_at_another_address_is_not_started(self) -> None:
        service = dataclasses.replace(self.stack, redis=None)
        self.assertNotIn("program:redis", self.programs(service))

    def test_a_worker_has_a_minute_for_the_job_in_hand(self) -> None:
        self.assertEqual(self.programs(self.stack)["program:worker"]["stopwaitsecs"], "60")


class RedisTests(ConfigTestCase):
    def test_it_keeps_the_given_values(self) -> None:
        assert self.stack.redis is not None
        lines = config_files.redis(self.stack, self.stack.redis).splitlines()
        for line in (
            "port 0",
            f'unixsocket "{self.storage}/run/redis.sock"',
            "unixsocketperm 600",
            "appendonly yes",
            "maxmemory-policy noeviction",
        ):
            self.assertIn(line, lines)
        self.assertIn(f'dir "{self.storage}/redis-data"', lines)

    def test_a_password_in_the_address_is_asked_for(self) -> None:
        url = "redis://:se%20cret@127.0.0.1:8283/0"
        service = a_stack(self.storage, CACHE_BACKEND_URL=url, FACES_START_REDIS="yes")
        assert service.redis is not None
        self.assertIn('requirepass "se cret"', config_files.redis(service, service.redis))


class NginxTests(ConfigTestCase):
    def assert_nginx_takes(self, path: Path) -> None:
        nginx = apt.find("nginx")
        assert nginx is not None
        command = [nginx, "-t", "-e", "stderr", "-c", str(path)]
        checked = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stderr)

    def test_nginx_accepts_the_launchers_files(self) -> None:
        config_files.write(self.stack, connections=1024)
        self.assert_nginx_takes(self.stack.run / "nginx.conf")

    def test_nginx_accepts_the_files_that_docker_mounts(self) -> None:
        text = (ROOT / "nginx" / "docker.conf").read_text()
        # Where docker-compose.yml mounts the folder, and where Docker has its name server.
        # In this order: the checkout may itself lie below /tmp.
        text = _quoted(text.replace("/tmp/", f"{self.storage}/"), self.storage)
        text = text.replace("/etc/nginx/faces/", f"{ROOT}/nginx/")
        self.storage.mkdir()
        path = self.storage / "docker.conf"
        path.write_text(text)
        # As in an image that has no authorities; the container's command puts one of both there.
        shutil.copy(ROOT / "nginx" / "untrusted-ca.pem", self.storage / "authorities.pem")
        self.start_in_docker()
        self.assert_nginx_takes(path)

    def test_both_take_requests_as_large_as_the_largest_file_and_its_form(self) -> None:
        limit = f"client_max_body_size {self.stack.max_body_bytes};"
        self.assertGreater(self.stack.max_body_bytes, 104857600)
        self.assertIn(limit, config_files.nginx(self.stack, connections=64, as_root=False))
        self.assertIn(limit, self.start_in_docker())

    def test_one_setting_is_the_limit_in_both(self) -> None:
        service = a_stack(self.storage, FACES_MAX_UPLOAD_BYTES="300000000")
        limit = "client_max_body_size 300065536;"
        self.assertIn(limit, config_files.nginx(service, connections=64, as_root=False))
        self.assertIn(limit, self.start_in_docker(FACES_MAX_UPLOAD_BYTES="300000000"))
        self.assertNotIn("client_max_body_size", (ROOT / "nginx" / "docker.conf").read_text())

    def test_in_docker_a_proxy_on_the_host_comes_from_the_gateway(self) -> None:
        gateway = "".join(_gateways())
        own = {"FACES_TRUSTED_PROXIES": "10.1.2.3, 127.0.0.1"}
        for published_at, is_trusted in {
            "127.0.0.1": True,
            "::1": True,
            "0.0.0.0": False,
            "::": False,
            "192.168.1.5": False,
        }.items():
            with self.subTest(published_at):
                printed = self.start_in_docker(**own, FACES_BIND=published_at)
                self.assertIn("set_real_ip_from 10.1.2.3;", printed)
                if gateway:
                    self.assertEqual(f"set_real_ip_from {gateway};" in printed, is_trusted)
        self.assertNotIn("set_real_ip_from", self.start_in_docker(FACES_TRUSTED_PROXIES="none"))

    def test_in_docker_a_folder_that_it_cannot_use_is_named_at_the_start(self) -> None:
        for folder, words in {
            "FACES_MEDIA_FOLDER": "cannot read the images",
            "FACES_NGINX_TEMPORARY": "cannot write to",
        }.items():
            started = self.docker_script(**{folder: str(self.storage / "missing")})
            self.assertEqual((started.returncode, started.stdout), (1, ""))
            self.assertRegex(started.stderr, rf"^Faces cannot go on: .*{words}")

    def start_in_docker(self, **settings: str) -> str:
        """What the start in Docker prints for nginx to include; nginx itself is not started."""
        started = self.docker_script(**settings)
        self.assertEqual(started.returncode, 0, started.stderr)
        return (self.storage / "settings.conf").read_text()

    def test_in_kubernetes_the_servers_are_found_by_the_dns_of_the_cluster(self) -> None:
        resolv = self.storage / "resolv.conf"
        for nameserver, named in {"10.96.0.10": "10.96.0.10", "fd00::a": "[fd00::a]"}.items():
            resolv.parent.mkdir(parents=True, exist_ok=True)
            resolv.write_text(f"search faces.svc\nnameserver {nameserver}\nnameserver 9.9.9.9\n")
            domain = "faces.svc.cluster.local"
            self.start_in_docker(FACES_NGINX_DOMAIN=domain, FACES_RESOLV_CONF=str(resolv))
            written = (self.storage / "nginx.conf").read_text()
            self.assertIn(f" resolver {named} valid=2s", written)
            self.assertIn(f"set $backend_address backend.{domain}:8280;", written)
            self.assertIn(f"set $ws_address wsserver.{domain}:8284;", written)

    def docker_script(self, **settings: str) -> subprocess.CompletedProcess[str]:
        programs = self.storage / "programs"
        programs.mkdir(parents=True, exist_ok=True)
        (programs / "nginx").write_text("#!/bin/sh\n")
        (programs / "nginx").chmod(0o755)
        environ = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "FACES_NGINX_FOLDER": str(ROOT / "nginx"),
            "FACES_NGINX_TEMPORARY": str(self.storage),
            "FACES_MEDIA_FOLDER": str(self.storage),
            "FACES_MAX_UPLOAD_BYTES": environment.defaults()["FACES_MAX_UPLOAD_BYTES"],
            **settings,
        }
        command = ["sh", str(ROOT / "nginx" / "docker.sh")]
        return subprocess.run(command, env=environ, capture_output=True, text=True)

    def test_started_by_root_it_stays_root_to_read_roots_folders(self) -> None:
        self.assertIn("user root;", config_files.nginx(self.stack, connections=64, as_root=True))
        self.assertNotIn("user ", config_files.nginx(self.stack, connections=64, as_root=False))


def _gateways() -> list[str]:
    """The gateway of this machine's default route, if it has one."""
    lines = [line.split() for line in Path("/proc/net/route").read_text().splitlines()]
    found = [bytes.fromhex(line[2])[::-1] for line in lines if line[1] == "00000000"]
    return [str(ipaddress.IPv4Address(each)) for each in found[:1]]


def _quoted(text: str, folder: Path) -> str:
    """`folder` has a space in its name."""
    return re.sub(rf"((?:unix:)?{re.escape(str(folder))}/[\w.]+)", r'"\1"', text)
