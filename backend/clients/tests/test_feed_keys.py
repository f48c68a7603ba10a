"""The exchange of an API key for a feed token, which nginx asks for."""

import jwt
from django.conf import settings
from django.core.cache import cache
from django.test import TestCase

from backend.clients.models import Scope
from backend.clients.tests import factories
from wire import feeds


class FeedKeyTests(TestCase):
    def setUp(self) -> None:
        cache.clear()

    def ask(self, **headers: str) -> tuple[str, str]:
        answer = self.client.get("/_feed_token", headers=headers)
        self.assertEqual(answer.status_code, 204)
        return answer.get(feeds.TOKEN_HEADER, ""), answer.get(feeds.REFUSAL_HEADER, "")

    def test_a_key_gets_the_token_of_its_client(self) -> None:
        for scope in (Scope.READ, Scope.UPLOAD):
            token, refusal = self.ask(**factories.headers("alice", scopes=[scope]))
            self.assertEqual(refusal, "")
            claims = jwt.decode(
                token,
                feeds.signing_key(settings.SECRET_KEY),
                algorithms=[feeds.ALGORITHM],
                audience=feeds.AUDIENCE,
            )
            self.assertEqual(claims[feeds.OWNER_CLAIM], str(factories.client("alice").pk))

    def test_a_key_that_may_not_read_or_is_none_gets_the_reason(self) -> None:
        for headers, words in (
            (factories.headers("prometheus", scopes=[Scope.OPERATE]), "scope 'read'"),
            ({"authorization": "Bearer wrong.key"}, "not valid"),
            ({"authorization": "Token x"}, "An API key is needed"),
        ):
            token, refusal = self.ask(**headers)
            self.assertEqual(token, "")
            self.assertIn(words, refusal)
