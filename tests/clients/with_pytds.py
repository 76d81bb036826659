"""python-tds: a client written in Python, TLS by pyOpenSSL."""

import datetime
import decimal
import uuid

import pytds

import conversation
from lab import asked, cell, heading, kind, told


class Connection(conversation.Connection):
    def __init__(self, lab, **wanted):
        settings = {"cafile": lab.certificate, "autocommit": True, "login_timeout": 20, "disable_connect_retry": True}
        settings.update(wanted)
        settings.setdefault("password", lab.password)
        self.raw = pytds.connect(server="localhost", port=lab.port, user=lab.user, appname="with_pytds", **settings)
        self.cursor = self.raw.cursor()

    def run(self, text, parameters=None, show=cell):
        """Sends a text, shows it and its whole answer; true if it has no error."""
        asked(text)
        failed = False
        step = lambda: self.cursor.execute(text, parameters) or True
        while True:
            try:
                if not step():
                    break
                self.set(show)
            except pytds.Error as error:
                # it carries the last error; what came before is among the messages
                failed = True
                print(f"  {type(error).__name__} {error.number}")
            step = self.cursor.nextset
        for _, message in self.cursor.messages or []:
            word = "error" if message.severity > 10 else "info"
            told(word, message.number, message.severity, message.state, message.text)
        return not failed


def logins(lab):
    heading("logins")
    for wanted in [{}, {"database": "msdb"}, {"blocksize": 512}, {"blocksize": 32767}, {"blocksize": 8000}]:
        connection = Connection(lab, **wanted)
        print(" ", wanted)
        connection.run("SELECT DB_NAME() AS db, APP_NAME() AS program, REPLICATE(N'x', 4000) AS long")
        connection.raw.close()
    for wanted in [{"password": "wrong"}, {"database": "mgc"}, {"database": "nowhere"}]:
        print(" ", wanted)
        try:
            Connection(lab, **wanted)
        except Exception as error:
            print(f"  {type(error).__name__} {getattr(error, 'number', 0)}: {getattr(error, 'text', error)}")


def parameters(connection):
    heading("parameters of every kind")
    values = [
        1, -7, 2**31 - 1, 2**31, -(2**63), True, 1.5, -0.1, decimal.Decimal("12345678901234567890.123456789"),
        decimal.Decimal("-0.01"), "text", "emoji 🙂 and ÄÖ", "", "x" * 4000, "ü" * 5000, pytds.Binary(b"\x00\x01\xff"), pytds.Binary(b""), pytds.Binary(b"b" * 9000),
        datetime.datetime(2024, 2, 29, 23, 59, 58, 123456), datetime.date(1, 1, 1), datetime.date(9999, 12, 31),
        datetime.time(23, 59, 59, 999999),
        datetime.datetime(2024, 7, 1, 12, 0, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30))),
        uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"), None,
    ]
    for value in values:
        connection.cursor.execute("SELECT %s", (value,))
        print(f"  {kind(value)} -> {kind(connection.cursor.fetchone()[0])}")
    connection.run("SELECT name FROM sys.databases WHERE name = %(name)s AND database_id < %(id)s", {"name": "msdb", "id": 5})
    connection.run("SELECT %s + N'!', %s * 2", ("a", 21), kind)


def several(connection):
    heading("executemany")
    connection.cursor.executemany("SELECT DB_NAME(%s) AS db", [(1,), (2,), (3,)])
    connection.set(cell)


def procedures(connection):
    heading("callproc")
    cursor = connection.cursor
    cursor.callproc("sp_getapplock", ("drill", "Exclusive", "Session"))
    print("  returns", cursor.get_proc_return_status())
    cursor.callproc("sp_releaseapplock", {"@Resource": "drill", "@LockOwner": "Session"})
    print("  returns", cursor.get_proc_return_status())
    text = "SET @a = @a * 2"
    print("  outputs", cursor.callproc("sp_executesql", (text, "@a int OUTPUT", pytds.output(value=21, param_type="int")))[2])
    cursor.callproc("sp_help_log_shipping_secondary_database", ("mgc",))
    for column, value in zip(cursor.description, cursor.fetchone()):
        print(f"  {column[0]}: {kind(value)}")


def cancel(lab, connection):
    heading("cancel")
    limited = Connection(lab, timeout=3)
    asked("WAITFOR DELAY '00:10:00'")
    try:
        limited.cursor.execute("WAITFOR DELAY '00:10:00'")
    except TimeoutError as error:
        print(f"  {type(error).__name__}")
    limited.run("SELECT N'the connection is used again' AS text")
    heading("cancel in the middle of a result")
    connection.cursor.execute(conversation.MANY)
    print(" ", len(connection.cursor.fetchone()[0]))
    connection.cursor.cancel()
    connection.run("SELECT N'the connection is used again' AS text")
    # an attention when nothing runs, as this client sends one after an answer that it has read
    connection.cursor.execute("SELECT 1")
    connection.cursor.fetchall()
    connection.cursor.cancel()
    connection.run("SELECT N'this one, too' AS text")


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
    for wanted in [{"cafile": lab.certificate}, {"cafile": lab.certificate, "enc_login_only": True}, {"cafile": None}]:
        print(" ", {key: bool(value) for key, value in wanted.items()})
        try:
            connection = Connection(lab, **wanted)
            connection.run("SELECT N'hello' AS text")
        except Exception as error:
            print(f"  {type(error).__name__}: {str(error).splitlines()[0]}")


if __name__ == "__main__":
    conversation.play(Connection, talk, encryption)
