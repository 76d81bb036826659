"""tsql of FreeTDS: each text in a session of its own. It shows every message with number, severity and state."""

import os
import re
import subprocess
import tempfile

import conversation
from lab import asked, heading


class Connection:
    def __init__(self, lab, encryption="require", version="7.4", block=4096, password=None, database="master"):
        self.settings = tempfile.NamedTemporaryFile("w", prefix="freetds", suffix=".conf")
        self.settings.write(
            f"[lab]\nhost = {lab.host}\nport = {lab.port}\nencryption = {encryption}\ntds version = {version}\n"
            f"initial block size = {block}\nclient charset = UTF-8\n"
        )
        self.settings.flush()
        # line by line, so that rows and messages keep their order
        self.command = ["stdbuf", "-oL", "tsql", "-o", "q", "-S", "lab", "-D", database]
        self.command += ["-U", lab.user, "-P", password or lab.password]

    def answer(self, text):
        environment = {**os.environ, "FREETDSCONF": self.settings.name, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            self.command, input=text + "\ngo\nexit\n", env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        return done.stdout

    def run(self, text):
        """Sends a text, shows it and its whole answer; true if it has no error."""
        asked(text)
        answer = self.answer(text)
        for line in answer.splitlines():
            print("  " + line.rstrip())
        return not re.search(r"^Msg \d+ \(severity (1[1-9]|2)", answer, re.MULTILINE)

    def restore(self, file):
        return self.run(f"RESTORE LOG mgc FROM DISK = N'{file}' WITH NORECOVERY")

    def who_is_in(self, database):
        rows = [line.split("\t") for line in self.answer("exec sp_who2").splitlines()]
        return [int(values[0]) for values in rows if len(values) == 13 and values[5] == database]


def logins(lab):
    heading("logins")
    for wanted in [{}, {"version": "7.3"}, {"version": "7.2"}, {"database": "msdb"}, {"block": 512}, {"block": 32767}]:
        print(" ", wanted)
        Connection(lab, **wanted).run("SELECT DB_NAME() AS db, APP_NAME() AS program, N'ü and 🙂' AS text")
    for wanted in [{"password": "wrong"}, {"database": "mgc"}, {"encryption": "off"}]:
        print(" ", wanted)
        Connection(lab, **wanted).run("SELECT 1")


def talk(lab):
    connection = Connection(lab)
    conversation.sessions(connection)
    logins(lab)
    conversation.catalogue(connection)
    conversation.sets_and_messages(connection)
    conversation.errors(connection, lab)
    heading("within a transaction")
    last = lab.copied()[0]
    for text in (f"RESTORE LOG mgc FROM DISK = N'{last}' WITH NORECOVERY", "ALTER DATABASE mgc SET MULTI_USER", "KILL 60"):
        connection.run(f"BEGIN TRANSACTION\n{text}\nSELECT @@TRANCOUNT AS open_transactions\nROLLBACK TRANSACTION")


def encryption(lab):
    heading("encryption")
    for wanted in ("require", "request", "off"):
        print(" ", wanted)
        Connection(lab, encryption=wanted).run("SELECT N'hello' AS text")


if __name__ == "__main__":
    conversation.play(Connection, talk, encryption)
