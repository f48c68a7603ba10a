"""The admin pages of clients, keys and queues: importing them registers them."""

from backend.clients.admin import clients, queues

__all__ = ["clients", "queues"]
