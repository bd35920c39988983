"""From outbox to webhook: what is due is sent, and what became of it is recorded. Sending is a port, `Sender`."""

from assay_collector.deliver.endpoints import Endpoint, InvalidEndpoint
from assay_collector.deliver.messages import webhook_messages
from assay_collector.deliver.sender import Answer, NoAnswer, Sender, SendResult
from assay_collector.deliver.worker import Deliverer

__all__ = [
    "Answer",
    "Deliverer",
    "Endpoint",
    "InvalidEndpoint",
    "NoAnswer",
    "SendResult",
    "Sender",
    "webhook_messages",
]
