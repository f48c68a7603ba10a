"""Requests while a real PostgreSQL is away, and back again."""

import threading
import unittest
from typing import ClassVar

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from backend.common.http.database_restarts import DatabaseRestartMiddleware
from backend.databases import postgresql
from tests.support import prerequisites
from tests.support.postgres_server import PostgresServer


class DatabaseRestartTests(unittest.TestCase):
    server: ClassVar[PostgresServer]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        prerequisites.require("postgresql")
        cls.server = cls.enterClassContext(PostgresServer())

    def setUp(self) -> None:
        url = postgresql(self.server.url())
        self.database: BaseDatabaseWrapper = ConnectionHandler({"default": url})["default"]
        self.addCleanup(self.database.close)
        self.had_connection: list[bool] = []
        self.is_asked = threading.Event()

    def view(self, request: HttpRequest) -> HttpResponse:
        self.had_connection.append(self.database.is_usable() if self.database.connection else False)
        return HttpResponse()

    def test_a_request_waits_until_the_database_is_back(self) -> None:
        middleware = DatabaseRestartMiddleware(self.view, self.database, patience_s=60)
        middleware(RequestFactory().post("/image/"))
        self.server.stop()
        self.database.close_if_unusable_or_obsolete()  # as at the start of each request
        back = threading.Timer(0.5, self.server.start)
        back.start()
        middleware(RequestFactory().post("/image/"))
        back.join()
        self.assertEqual(self.had_connection, [True, True])

    def test_what_is_away_for_longer_is_waited_for_once(self) -> None:
        self.server.stop()
        middleware = DatabaseRestartMiddleware(self.view, self.database, patience_s=0.3)
        for _ in range(50):
            middleware(RequestFactory().post("/image/"))
        middleware(RequestFactory().get("/image/"))
        self.assertEqual(self.had_connection, [False] * 51)
        self.server.start()
        middleware(RequestFactory().post("/image/"))
        self.assertTrue(self.had_connection[-1])
