"""The transport of production: oslo.messaging with RabbitMQ."""

from mistral.rpc.oslo.transport import OsloTransport

__all__ = ["OsloTransport"]
