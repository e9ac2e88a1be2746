"""A real PostgreSQL server in a process of its own, which a test may kill and bring back."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
from psycopg import sql

from controller.cli.readiness import wait_until
from controller.storage.database import Server
from controller.storage.store import Store

BINARIES = next(
    (str(found.parent) for found in sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)),
    str(Path(found).parent) if (found := shutil.which("postgres")) else "",
)
UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""For tests that kill nothing."""

EMPTYING = """
CREATE PROCEDURE emptied() LANGUAGE plpgsql AS $$
DECLARE name TEXT;
BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename != 'migrations' LOOP
    EXECUTE format('DELETE FROM %I', name);
  END LOOP;
  FOR name IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' LOOP
    EXECUTE format('ALTER SEQUENCE %I RESTART', name);
  END LOOP;
END $$
"""
"""Quicker than TRUNCATE and than a database of its own for each test."""

SETTINGS = {"listen_addresses": "", "max_connections": "40", "shared_buffers": "16MB", "autovacuum": "off"}


class RunningPostgres:
    """A server behind a socket in a folder of its own; `restart` brings it back with what it had committed."""

    def __init__(self, **settings):
        self.folder = Path(tempfile.mkdtemp(prefix="edgewatt-pg-"))
        self._settings = SETTINGS | {"unix_socket_directories": str(self.folder)} | settings
        self._as = ()
        self._tied = ("setpriv", "--pdeathsig=KILL")
        if os.geteuid() == 0:  # PostgreSQL refuses to be root
            shutil.chown(self.folder, "nobody", "nogroup")
            self._as = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
            self._tied = (*self._as, "--pdeathsig=KILL")
        self._data, self._log = self.folder / "data", self.folder / "log"
        self._run("initdb", "-D", self._data, "-U", "edgewatt", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self._process, self._databases = None, 0
        self.start()

    def start(self):
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._tied, f"{BINARIES}/postgres", "-D", self._data, *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        if not wait_until(self._answers, within_s=30, alive=lambda: self._process.poll() is None):
            said = self._log.read_text()[-2000:]
            self.remove()
            raise AssertionError(f"PostgreSQL did not start: {said}")

    def kill(self):
        """End it at once, as a power cut would: its children notice and end."""
        self._process.kill()
        self._process.wait(timeout=20)

    def restart(self):
        """Kill it, and start it again on what it had made safe."""
        self.kill()
        self.start()

    def remove(self):
        """End it and forget all that it kept."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def database(self):
        """Make a database and return where it is."""
        self._databases += 1
        name = f"edgewatt_{self._databases}"
        self.ask(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.server(name)

    def server(self, name):
        return Server(f"postgresql://edgewatt@/{name}?host={self.folder}")

    def ask(self, words, name="postgres"):
        with psycopg.connect(self.server(name).url, autocommit=True, connect_timeout=5) as connection:
            asked = connection.execute(words)
            return asked.fetchall() if asked.description else []

    def _answers(self):
        try:
            return bool(self.ask("SELECT 1"))
        except psycopg.OperationalError:
            return False

    def _run(self, program, *arguments):
        argv = [*self._as, f"{BINARIES}/{program}", *map(str, arguments)]
        subprocess.run(argv, check=True, capture_output=True, cwd=self.folder)


class Databases:
    """A server that is quick rather than safe, with one database that has all tables."""

    def __init__(self):
        self.running = RunningPostgres(**UNSAFE)
        self._server = self.running.database()
        Store(self._server).close()
        self._connection = psycopg.connect(self._server.url, autocommit=True)
        self._connection.execute(EMPTYING)

    def empty(self):
        """Return where the database is, with nothing in it."""
        self._connection.execute("CALL emptied()")
        return self._server

    def remove(self):
        self._connection.close()
        self.running.remove()
