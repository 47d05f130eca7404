"""What a run says while it goes on: lines on stderr, which the journal has, and STATUS= for `systemctl status`."""

import os
import socket
import sys
from contextlib import suppress


def tell(text: str) -> None:
    """A step or an end of the run."""
    print(f"unina-compile: {text}", file=sys.stderr, flush=True)
    status(text)


def status(text: str) -> None:
    """To systemd alone (sd_notify(3)); nothing where it does not listen."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(f"STATUS={text}".encode(), address)
