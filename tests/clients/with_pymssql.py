"""pymssql: FreeTDS as a DB-API module. It pastes parameters into the text, and its transactions are texts, too."""

import datetime
import decimal
import threading
import uuid

import pymssql

import conversation
from lab import asked, cell, heading, kind


class Connection(conversation.Connection):
    def __init__(self, lab, **wanted):
        settings = {"autocommit": True, "login_timeout": 20, "encryption": "require", "password": lab.password}
        settings.update(wanted)
        self.raw = pymssql.connect(server=lab.host, port=str(lab.port), user=lab.user, appname="with_pymssql", **settings)
        self.messages = []
        self.raw._conn.set_msghandler(lambda *message: self.messages.append(message))
        self.cursor = self.raw.cursor()

    def run(self, text, *parameters, show=cell):
        """Sends a text, shows it and its whole answer; true if it has no error."""
        asked(text)
        return self.show(lambda: self.cursor.execute(text, *parameters), show)

    def show(self, step, show=cell):
        self.messages.clear()
        failed, first = False, True
        while True:
            try:
                more = step()
                if not more and not first:
                    break
                self.set(show)
            except pymssql.Error as error:
                failed = True
                print(f"  {type(error).__name__} {error.args[0]}")
            step, first = self.cursor.nextset, False
        for state, severity, _, procedure, _, text in self.messages:
            print(f"  severity {severity}, state {state}, procedure {procedure.decode() or 'none'}: {text.decode()}")
        return not failed


def logins(lab):
    heading("logins")
    for wanted in [{}, {"database": "msdb"}, {"encryption": "request"}, {"tds_version": "7.3"}]:
        print(" ", wanted)
        connection = Connection(lab, **wanted)
        connection.run("SELECT DB_NAME() AS db, APP_NAME() AS program, REPLICATE(N'x', 4000) AS long")
        connection.raw.close()
    for wanted in [{"password": "wrong"}, {"database": "mgc"}, {"database": "nowhere"}, {"encryption": "off"}]:
        print(" ", wanted)
        try:
            Connection(lab, **wanted)
        except pymssql.Error as error:
            print(f"  {type(error).__name__} {error.args[0][0]}: {error.args[0][1].decode().splitlines()[0]}")


def parameters(connection):
    heading("parameters of every kind")
    values = [
        1, -7, 2**31 - 1, 2**31, -(2**63), True, 1.5, -0.1, decimal.Decimal("12345678901234567890.123456789"),
        decimal.Decimal("-0.01"), "text", "it's", "emoji 🙂 and ÄÖ", "", "x" * 4000, "ü" * 5000, b"\x00\x01\xff", b"b" * 9000,
        datetime.datetime(2024, 2, 29, 23, 59, 58, 123000), datetime.date(2024, 2, 29),
        uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"), None,
    ]
    for value in values:
        connection.cursor.execute("SELECT %s", (value,))
        print(f"  {kind(value)} -> {kind(connection.cursor.fetchone()[0])}")
    named = {"name": "msdb", "id": 5}
    connection.run("SELECT name FROM sys.databases WHERE name = %(name)s AND database_id < %(id)d", named)
    connection.run("SELECT %s + N'!', %d * 2", ("a", 21), show=kind)
    heading("types of columns")
    connection.run("""SELECT CAST(1 AS bit), CAST(255 AS tinyint), CAST(-2 AS smallint), CAST(-6 AS int), CAST(-7 AS bigint),
  CAST(1.5 AS real), CAST(1.5 AS float), CAST(-1.25 AS numeric(9,2)), CAST(1.5 AS money), CAST(N'ü' AS nvarchar(10)),
  CAST('a' AS char(3)), CAST(N'ü' AS nvarchar(max)), CAST(0x0102 AS varbinary(8)), CAST(0x0102 AS varbinary(max)),
  CAST('2024-02-29T23:59:58' AS datetime), CAST('2024-02-29' AS date), CAST('23:59:58.1234567' AS time),
  CAST('2024-02-29T23:59:58.1234567' AS datetime2), CAST('2024-02-29T23:59:58.1234567+05:30' AS datetimeoffset),
  CAST('00112233-4455-6677-8899-aabbccddeeff' AS uniqueidentifier), CAST(NULL AS int)""", show=kind)


def several(connection):
    heading("executemany")
    connection.cursor.executemany("SELECT DB_NAME(%d) AS db", [(1,), (2,), (3,)])
    connection.set(cell)


def procedures(connection):
    heading("callproc")
    cursor = connection.cursor
    cursor.callproc("sp_getapplock", ("drill", "Exclusive", "Session"))
    print("  returns", cursor.returnvalue)
    cursor.callproc("sp_releaseapplock", ("drill", "Session"))
    print("  returns", cursor.returnvalue)
    print("  outputs", cursor.callproc("sp_executesql", ("SET @a = 6 * 7", "@a int OUTPUT", pymssql.output(int)))[2])
    connection.show(lambda: cursor.callproc("sp_help_log_shipping_secondary_database", ("mgc",)))
    connection.show(lambda: cursor.callproc("sp_nothing", (1,)))


def cancel(lab, connection):
    heading("cancel")
    watcher = Connection(lab)

    def once_it_runs():
        waiting = "SELECT COUNT(*) FROM sys.dm_exec_requests WHERE command = 'WAITFOR'"
        while True:
            watcher.cursor.execute(waiting)
            if watcher.cursor.fetchone()[0]:
                return connection.raw._conn.cancel()

    asked("WAITFOR DELAY '00:10:00'")
    # from another thread, as a person would: FreeTDS sends an attention and reads on to its acknowledgement
    timer = threading.Thread(target=once_it_runs)
    timer.start()
    try:
        connection.raw._conn.execute_non_query("WAITFOR DELAY '00:10:00'")
        print("  no error")
    except pymssql._mssql.MSSQLException as error:
        print(f"  {type(error).__name__}: {error}")
    timer.join()
    connection.run("SELECT N'the connection is used again' AS text")
    heading("cancel in the middle of a result")
    connection.cursor.execute(conversation.MANY)
    print(" ", len(connection.cursor.fetchone()[0]))
    connection.raw._conn.cancel()
    connection.run("SELECT N'the connection is used again' AS text")


def transactions(lab):
    heading("transactions")
    connection = Connection(lab, autocommit=False)
    connection.run("SELECT @@TRANCOUNT AS open_transactions")
    connection.raw.commit()
    connection.raw.rollback()
    connection.run("SELECT @@TRANCOUNT AS open_transactions")
    connection.raw.autocommit(True)
    connection.run("SELECT @@TRANCOUNT AS open_transactions")
    connection.raw.close()


def talk(lab):
    connection = Connection(lab)
    conversation.sessions(connection)
    logins(lab)
    conversation.catalogue(connection)
    conversation.sets_and_messages(connection)
    conversation.errors(connection, lab)
    parameters(connection)
    several(connection)
    procedures(connection)
    cancel(lab, connection)
    transactions(lab)
    conversation.without_autocommit(Connection(lab, autocommit=False), lab)


def encryption(lab):
    heading("encryption")
    for wanted in [{"encryption": "require"}, {"encryption": "request"}, {"encryption": "off"}]:
        print(" ", wanted)
        try:
            connection = Connection(lab, **wanted)
            connection.run("SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID")
        except pymssql.Error as error:
            print(f"  {type(error).__name__} {error.args[0][0]}: {error.args[0][1].decode().splitlines()[0]}")


if __name__ == "__main__":
    conversation.play(Connection, talk, encryption)
