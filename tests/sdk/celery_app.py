"""A Celery app whose broker is a folder, for tests: run by a worker with ``celery -A celery_app worker``."""

import os

from celery import Celery

import assay
from assay.integrations.celery import install

FOLDER = os.environ.get("BROKER_FOLDER", "")

app = Celery(
    "jobs",
    broker_url="filesystem://",
    broker_transport_options={
        "data_folder_in": FOLDER,
        "data_folder_out": FOLDER,
        "control_folder": f"{FOLDER}/control",
        "polling_interval": 0.05,
    },
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
)
install()
# Made before the worker forks its processes, and never flushed.
client = assay.Client(os.environ.get("COLLECTOR", "http://collector.test"), "key", linger_seconds=60)


@app.task
def send_invoice(n: int) -> None:
    """Record an event as whoever published the task; then sign somebody else in, and leave it at that."""
    client.track(
        event="Invoice Sent", properties={"n": n}, anonymous_id=None if assay.current_scope().user_id else "nobody"
    )
    assay.update_scope(user_id="leftover", group_id="leftover")


@app.task(bind=True, max_retries=1)
def try_twice(self, n: int) -> None:
    """Record an event at each try; the first one fails."""
    client.track(event="Tried", properties={"n": n})
    if self.request.retries == 0:
        raise self.retry(countdown=0)
    send_invoice.delay(n)
