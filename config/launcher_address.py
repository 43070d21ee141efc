"""Where an installation listens, what to type to get there, and whether all of it answers."""

import errno
import socket
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from config.embedded import CannotStart

WAITING_CALLS = 2048  # as many as gunicorn would let wait
SHOWN_BYTES = 300  # of an answer that is quoted in a sentence
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104  read here, not bound


def listen(*, bind: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes any free one. Raises CannotStart."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(bind, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(WAITING_CALLS)
    except (OSError, OverflowError) as error:
        where = f"port {port} of {bind}"
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            message = f"Something else listens on {where}: stop it, or choose another port (PORT=8001 make run)."
        else:
            message = f"Muster cannot listen on {where} ({error}): choose another BIND or PORT."
        raise CannotStart(message) from error
    return listener


def url(*, bind: str, port: int) -> str:
    """Return the address to open on this machine."""
    host = EVERYWHERE.get(bind, bind)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def find_fault(*, address: str, host_header: str) -> str | None:
    """Ask the health address; return None when database, broker and worker answer, else what it said."""
    place = urlsplit(address)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=5)
    try:
        connection.request("GET", "/api/v1/health/", headers={"Host": host_header})
        answer = connection.getresponse()
        said = answer.read(SHOWN_BYTES).decode(errors="replace")
    except (OSError, HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return None if answer.status == 200 else f"{answer.status} {said}"  # noqa: PLR2004  OK
