"""mssql-python: Microsoft's ODBC Driver 18. It prepares what has parameters, and reports the first error of an answer."""

import datetime
import decimal
import os
import uuid

import mssql_python
from mssql_python import cursor as cursors
from mssql_python import ddbc_bindings

import conversation
from lab import asked, cell, heading, kind


def check_error(kind, handle, status, check=cursors.check_error):
    """As the module's, which keeps the first message of an error without its number: the driver has them all."""
    records = ddbc_bindings.DDBCSQLGetAllDiagRecords(handle) if status < 0 else []
    try:
        check(kind, handle, status)
    except mssql_python.Error as error:
        error.records = records
        raise


cursors.check_error = check_error


class Connection(conversation.Connection):
    def __init__(self, lab, autocommit=True, **wanted):
        # the driver's OpenSSL looks here for the roots that it trusts
        os.environ["SSL_CERT_FILE"] = lab.certificate
        settings = {"Server": f"localhost,{lab.port}", "UID": lab.user, "PWD": lab.password, "Encrypt": "yes"}
        settings.update(wanted)
        text = "".join(f"{key}={value};" for key, value in settings.items())
        self.raw = mssql_python.connect(text, autocommit=autocommit)
        self.cursor = self.raw.cursor()

    def run(self, text, *parameters, show=cell):
        """Sends a text, shows it and its whole answer; true if it has no error."""
        asked(text)
        failed, first = False, True
        step = lambda: self.cursor.execute(text, *parameters)
        while True:
            try:
                more = step()
                if not more and not first:
                    break
                self.set(show)
            except mssql_python.Error as error:
                failed = True
                print(f"  {type(error).__name__}")
                self.cursor.messages.extend(error.records)
            self.heard()
            step, first = self.cursor.nextset, False
        self.heard()
        return not failed

    def heard(self):
        for what, text in self.cursor.messages:
            print(f"  {what} {text}")
        self.cursor.messages.clear()


def tried(lab, **wanted):
    print(" ", wanted)
    try:
        connection = Connection(lab, **wanted)
        connection.run("SELECT DB_NAME() AS db, APP_NAME() AS program, REPLICATE(N'x', 4000) AS long")
        connection.raw.close()
    except mssql_python.Error as error:
        print(f"  {type(error).__name__}: {error.ddbc_error}")


def logins(lab):
    heading("logins")
    for wanted in [{}, {"Database": "msdb"}, {"PacketSize": 512}, {"PacketSize": 32767}, {"Encrypt": "no"}]:
        tried(lab, **wanted)
    for wanted in [{"PWD": "wrong"}, {"Database": "mgc"}, {"Database": "nowhere"}, {"Encrypt": "strict"}]:
        tried(lab, **wanted)


def parameters(connection):
    heading("parameters of every kind")
    values = [
        1, -7, 300, 2**31 - 1, 2**31, -(2**63), True, 1.5, -0.1, decimal.Decimal("12345678901234567890.123456789"),
        decimal.Decimal("-0.01"), "text", "emoji 🙂 and ÄÖ", "", "x" * 4000, "ü" * 5000, b"\x00\x01\xff", b"", b"b" * 9000,
        datetime.datetime(2024, 2, 29, 23, 59, 58, 123456), datetime.date(1753, 1, 1), datetime.date(9999, 12, 31),
        datetime.time(23, 59, 59, 999999),
        datetime.datetime(2024, 7, 1, 12, 0, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30))),
        uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"), None,
    ]
    for value in values:
        try:
            connection.cursor.execute("SELECT ?", value)
            print(f"  {kind(value)} -> {kind(connection.cursor.fetchone()[0])}")
        except mssql_python.Error as error:
            print(f"  {kind(value)} -> {type(error).__name__}: {error.ddbc_error}")
    connection.run("SELECT name FROM sys.databases WHERE name = ? AND database_id < ?", "msdb", 5)
    connection.run("SELECT name FROM sys.databases WHERE name = ? AND database_id < ?", None, None)
    connection.run("SELECT ? + N'!', ? * 2", "a", 21, show=kind)


def prepared(connection):
    heading("prepared")
    cursor = connection.cursor
    for number in (1, 2, 3):
        cursor.execute("SELECT ? AS n, DB_NAME(?) AS db", number, number)
        print(" ", tuple(cursor.fetchone()))
    connection.run("SELECT name FROM nowhere WHERE id = ?", 1)
    connection.run("SELECT ? AS n; SELECT N'second' AS name WHERE 1 = ?", 1, 1)
    heading("executemany")
    cursor.executemany("SELECT DB_NAME(?) AS db", [(1,), (2,), (3,)])
    connection.set(cell)
    while cursor.nextset():
        connection.set(cell)


def procedures(connection):
    heading("procedures")
    connection.run("{CALL sp_getapplock(?, ?, ?)}", "drill", "Exclusive", "Session")
    connection.run("{CALL sp_help_log_shipping_secondary_database(?)}", "mgc")
    connection.run("{CALL sp_nothing(?)}", 1)
    connection.run("DECLARE @rc int; EXEC @rc = sp_releaseapplock ?, ?; SELECT @rc AS rc", "drill", "Session")
    heading("catalogue procedures")
    for table in ("databases", "nowhere"):
        rows = connection.cursor.tables(table=table, schema="sys").fetchall()
        print(" ", table, [tuple(one) for one in rows])


def cancel(lab):
    heading("cancel")
    limited = Connection(lab)
    limited.raw.timeout = 3
    limited.cursor = limited.raw.cursor()
    limited.run("WAITFOR DELAY '00:10:00'")
    limited.run("SELECT N'the connection is used again' AS text")
    heading("cancel in the middle of a result")
    limited.cursor.execute(conversation.MANY)
    print(" ", len(limited.cursor.fetchone()[0]))
    limited.run("SELECT N'the connection is used again' AS text")


def transactions(lab):
    heading("transactions")
    connection = Connection(lab, autocommit=False)
    connection.run("SELECT @@TRANCOUNT AS open_transactions")
    connection.raw.commit()
    connection.run("SELECT @@TRANCOUNT AS open_transactions")
    connection.raw.rollback()
    connection.raw.autocommit = True
    connection.run("SELECT @@TRANCOUNT AS open_transactions")
    connection.raw.close()


def pool(lab):
    heading("a connection from the pool")
    first = Connection(lab, Database="msdb")
    number = first.cursor.execute("SELECT @@SPID").fetchone()[0]
    first.run("USE master")
    first.raw.close()
    second = Connection(lab, Database="msdb")
    print("  the same session:", second.cursor.execute("SELECT @@SPID").fetchone()[0] == number)
    second.run("SELECT DB_NAME() AS db")


def talk(lab):
    connection = Connection(lab)
    conversation.sessions(connection)
    logins(lab)
    conversation.catalogue(connection)
    conversation.sets_and_messages(connection)
    conversation.errors(connection, lab)
    parameters(connection)
    prepared(connection)
    procedures(connection)
    cancel(lab)
    transactions(lab)
    pool(lab)
    conversation.without_autocommit(Connection(lab, autocommit=False), lab)


def encryption(lab):
    heading("encryption")
    for wanted in [{"Encrypt": "yes"}, {"Encrypt": "no"}]:
        tried(lab, **wanted)


if __name__ == "__main__":
    conversation.play(Connection, talk, encryption)
