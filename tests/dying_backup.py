"""A backup or a restore in a process of its own, which dies at the call of the system that a test names."""

import os
import signal
from pathlib import Path

from controller.backups import exchange, restoring, taking
from controller.storage.schema import migrations
from tests.fleet.forks import FORKS


def attempt(what, data, file, calls):
    """Do `what` and die before call number `calls`; return the exit code, and how many calls there were."""
    made = FORKS.Value("i", 0)
    process = FORKS.Process(target=_live, args=(what, str(data), str(file), calls, made))
    process.start()
    process.join(60)
    return process.exitcode, made.value


def _live(what, data, file, calls, made):
    def dying(call):
        def counted(*arguments, **more):
            if made.value == calls:
                os.kill(os.getpid(), signal.SIGKILL)
            made.value += 1
            return call(*arguments, **more)

        return counted

    os.fsync, os.open, os.rename, os.mkdir = map(dying, (os.fsync, os.open, os.rename, os.mkdir))
    exchange._exchange = dying(exchange._exchange)
    if what == "backup":
        taking.take(Path(data), Path(file), version="0.1.0", at=1.0)
    else:
        restoring.restore(Path(file), Path(data), steps=migrations.names, at=1.0, force=True)
