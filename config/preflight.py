"""Say in one sentence why this machine cannot run Muster; end quietly when it can.

`make` runs this with whatever Python it finds, so that any Python, a 2 as well, must be able to read it.
"""

import os
import sys

OLDEST = (3, 11)
ROOM_MB = 128

if sys.version_info < OLDEST:
    sys.exit(
        "Muster needs Python {}.{} or newer; {} is Python {}.{}: install a newer one, or name one (make run PYTHON=python3.12).".format(
            OLDEST[0], OLDEST[1], sys.executable, sys.version_info[0], sys.version_info[1]
        )
    )

folder = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else ".")
while not os.path.isdir(folder):
    folder = os.path.dirname(folder)
disk = os.statvfs(folder)
room = disk.f_bavail * disk.f_frsize // (1024 * 1024)
if room < ROOM_MB:
    sys.exit(
        "The disk that holds {} is full: {} MB are left and Muster needs {} to start; make room, or choose another MUSTER_HOME.".format(
            folder, room, ROOM_MB
        )
    )
if not os.access(folder, os.W_OK):
    sys.exit("This account may not write {}: choose another MUSTER_HOME, or start as its owner.".format(folder))
