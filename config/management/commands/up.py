"""`manage.py up`: what `make run` starts."""

import os
import signal
import sys
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from config import launcher_setup
from config.embedded import CannotStart
from config.launcher import Launcher
from config.launcher_child import end_with


class Command(BaseCommand):
    """Starts everything and stays until it is stopped."""

    help = "Start database, broker, web server, worker and beat; Ctrl-C stops them in order."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Name the options."""
        parser.add_argument("--end-with-parent", action="store_true", help="Stop when the process that started this one ends.")

    def handle(self, *, end_with_parent: bool, **_options: Any) -> None:
        """Start, tell the address, watch, stop."""
        launcher = Launcher(
            home=settings.HOME,
            base=settings.BASE_DIR,
            bind=settings.BIND,
            port=settings.PORT,
            region=settings.REGION,
            host_header=_host_header(),
            external=frozenset(
                name for name, variable in [("postgres", "DATABASE_URL"), ("valkey", "REDIS_URL")] if os.environ.get(variable)
            ),
            say=self._say,
        )
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup's wish holds
                signal.signal(number, launcher.request_stop)
        if end_with_parent:
            _stop_with_parent()
        try:
            launcher_setup.require_region()
            with launcher.running():
                self._start(launcher)
                launcher.watch()
        except CannotStart as error:
            self.stderr.write(str(error))
            sys.exit(1)

    def _start(self, launcher: Launcher) -> None:
        launcher.start_servers()
        if launcher.is_stopping():
            return
        if os.environ.get("REDIS_URL"):
            launcher_setup.require_broker()
        launcher_setup.migrate()
        launcher.progress("The tables are up to date.")
        if launcher_setup.collect_static():
            launcher.progress("The static files are collected.")
        if launcher.is_stopping():
            return
        launcher.start_programs(env={"DATABASE_URL": settings.DATABASE_URL, "REDIS_URL": settings.REDIS_URL})
        if launcher.is_stopping():
            return
        launcher.progress("Web server, worker and beat answer.")
        first = launcher_setup.make_first_admin()
        self._say("")
        self._say(f"Muster is ready: {launcher.address}")
        if first:
            self._say("The first sign-in, shown this once:")
            self._say(f"  E-mail    {first['email']}")
            self._say(f"  Password  {first['password']}")
        self._say(f"Its data and logs are in {settings.HOME}. Ctrl-C stops it.")

    def _say(self, line: str) -> None:
        with suppress(OSError):  # whoever read the lines may be gone; the servers stay
            self.stdout.write(line)
            self.stdout.flush()


def _host_header() -> str:
    """Return a host that this installation answers to, for its own question about its health."""
    if settings.PUBLIC_URL:
        return urlsplit(settings.PUBLIC_URL).netloc
    named = [host for host in settings.ALLOWED_HOSTS if not host.startswith((".", "*"))]
    return named[0] if named else "localhost"


def _stop_with_parent() -> None:
    """Ask the kernel for a SIGTERM when `make` is killed outright; without it this would go on without a terminal."""
    wish = end_with(parent=os.getppid(), number=signal.SIGTERM)
    if wish is not None:
        wish()
