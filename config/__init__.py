"""How the installation is put together: settings, addresses, the task queue, embedded servers."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
