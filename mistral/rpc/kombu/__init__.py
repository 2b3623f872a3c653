"""The light transport of production: kombu on RabbitMQ or Redis."""

from mistral.rpc.kombu.transport import KombuTransport

__all__ = ["KombuTransport"]
