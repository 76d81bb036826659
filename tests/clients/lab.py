"""A lab as its site file describes it, and how the scripts beside show what a client got.

A script is started with the path of a lab's site file and the name of a part, and prints what happens, line by line.
What differs from run to run is masked by the test that starts it, and nowhere else.
"""

import datetime
import decimal
import pathlib
import shutil
import sys
import tomllib


class Lab:
    """One lab: where its servers listen, who may log in, where its backup files lie."""

    def __init__(self, site_file):
        path = pathlib.Path(site_file)
        site = tomllib.loads(path.read_text())
        server = site["sql"]["backup"]
        self.host, self.port = server["server"], server["port"]
        self.user = server["auth"]["user"]
        self.password = (path.parent / server["auth"]["password"]["file"]).read_text()
        self.certificate = str(path.parent / server["ca"])
        self.share = pathlib.Path(site["backups"]["share"])
        self.copy = pathlib.Path(site["backups"]["copy_to"])
        # the copy folder as the server calls it
        self.copy_on_server = site["backups"]["copy_to_on_server"]

    def copy_uncopied(self):
        """Step 2 of the procedure: the names of the files that it copied from the share."""
        copied = []
        for file in sorted(self.share.glob("*.trn")):
            there = self.copy / file.name
            if not there.exists() or there.stat().st_size != file.stat().st_size:
                shutil.copy(file, there)
                copied.append(file.name)
        return copied

    def copied(self):
        """The log backups in the copy folder, oldest first, as the server calls them."""
        return [f"{self.copy_on_server}\\{file.name}" for file in sorted(self.copy.glob("*.trn"))]


def arguments():
    """The lab and the part that this script was started with."""
    return Lab(sys.argv[1]), sys.argv[2]


def heading(text):
    print(f"\n== {text}")


def cell(value):
    """A value as text: long ones by their ends and their length."""
    if value is None:
        return "NULL"
    if isinstance(value, (bytes, bytearray)):
        text = "0x" + bytes(value).hex().upper()
    elif isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        text = value.isoformat()
    elif isinstance(value, decimal.Decimal):
        text = format(value, "f")
    else:
        text = str(value)
    text = text.rstrip(" \0")
    return text if len(text) <= 150 else f"{text[:20]}…{text[-20:]} ({len(text)} long)"


def kind(value):
    """A value with the type that the driver gave it."""
    return f"{cell(value)} ({type(value).__name__})"


def row(values, show=cell):
    print("  " + " | ".join(show(value) for value in values))


def columns(names):
    print("  " + " | ".join(name or "(no name)" for name in names))
    print("  " + "-" * 20)


def asked(text):
    print("> " + text.strip().replace("\n", "\n  "))


def told(word, number, severity, state, text):
    print(f"  {word} {number}, severity {severity}, state {state}: {text}")
