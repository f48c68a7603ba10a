"""The workers that are alive, by what they announced in Redis."""

from datetime import UTC, datetime, timedelta

from rq import SimpleWorker
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

from backend.common.jobs import queues, registration


def living() -> list[BaseWorker]:
    """Those with a recent heartbeat. Raises `redis.RedisError`."""
    oldest = datetime.now(UTC) - timedelta(seconds=registration.SILENT_S)
    known = SimpleWorker.all(queue=queues.queue(queues.UPLOADS), serializer=JSONSerializer)
    return [each for each in known if each.last_heartbeat and aware(each.last_heartbeat) > oldest]


def aware(moment: datetime) -> datetime:
    """rq's dates carry no zone and are in UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
