"""Whose connections nginx counts together, by the real nginx."""

import ipaddress
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import requests

from tools import config_files
from tools.shell import ROOT
from tools.tests.launched import free_port, wait_until

_CONF = """
worker_processes 1; daemon off; error_log stderr crit; pid {folder}/nginx.pid; {user}
events {{ worker_connections 64; }}
http {{
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi; access_log off;
    include "{rules}/http.conf";
    server {{
        listen 127.0.0.1:{port};
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Came-From;
        location / {{ return 200 $customer; }}
    }}
}}
"""


class CustomerTests(unittest.TestCase):
    url: str

    @classmethod
    def setUpClass(cls) -> None:
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        port = free_port()
        user = "user root;" if os.geteuid() == 0 else ""
        text = _CONF.format(folder=folder, rules=ROOT / "nginx", user=user, port=port)
        (folder / "nginx.conf").write_text(text)
        nginx = [
            config_files._program_file("nginx"),
            "-e",
            "stderr",
            "-c",
            str(folder / "nginx.conf"),
        ]
        process = subprocess.Popen(nginx, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(process.wait)
        cls.addClassCleanup(process.terminate)
        cls.url = f"http://127.0.0.1:{port}"
        wait_until(cls.answers, "nginx answers")

    @classmethod
    def answers(cls) -> bool:
        try:
            return requests.get(cls.url, timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def counted(self, address: str) -> bytes:
        return requests.get(self.url, headers={"X-Came-From": address}, timeout=10).content

    def test_an_ipv4_address_counts_for_itself_however_it_is_written(self) -> None:
        for address in ("192.0.2.1", "::ffff:192.0.2.1"):
            self.assertEqual(self.counted(address), ipaddress.ip_address("192.0.2.1").packed)

    def test_of_ipv6_the_first_half_counts(self) -> None:
        # With a line feed among its bytes.
        for address in ("2001:db8:a:1::1", "2001:db8:a:1:ffff:ffff:a0a:a"):
            network = ipaddress.ip_address("2001:db8:a:1::").packed[:8]
            self.assertEqual(self.counted(address), network)
