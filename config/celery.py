"""The task queue. The broker only wakes workers: what there is to do stands in the database."""

import gc
import os
import sys

from celery import Celery
from celery.signals import worker_process_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("muster")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(
    ["profiles", "segments", "segments.downloads", "segments.uploads", "integrations", "integrations.mixpanel"]
)
app.autodiscover_tasks(["config"], related_name="health")  # the worker's heartbeat


@worker_process_init.connect
def collect_less(**_: object) -> None:
    """Look for cycles less often: a page makes thousands of objects and no cycle, and looking took half of its time."""
    os.nice(10)  # the sender waits for the answer of the web server, nobody for the worker
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    # One thread reads pages while another waits for the database: it must not wait 5 ms for its turn after each answer.
    sys.setswitchinterval(0.0005)
