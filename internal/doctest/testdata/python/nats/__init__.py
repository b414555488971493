"""As much of nats-py as docs/clients.md uses, for machines without it: another client than the service's own."""

import asyncio
import json
import types
from urllib.parse import urlsplit


async def connect(url):
    address = urlsplit(url)
    connection = Connection(*await asyncio.open_connection(address.hostname, address.port))
    connection.send(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n')
    connection.reading = asyncio.create_task(connection.read())
    return connection


class Connection:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.callbacks, self.last = {}, 0

    def send(self, data):
        self.writer.write(data)

    async def read(self):
        while line := await self.reader.readline():
            word, *fields = line.split()
            if word == b"PING":
                self.send(b"PONG\r\n")
            elif word in (b"MSG", b"HMSG"):
                body = (await self.reader.readexactly(int(fields[-1]) + 2))[:-2]
                if word == b"HMSG":
                    body = body[int(fields[-2]):]
                if callback := self.callbacks.get(fields[1]):
                    await callback(types.SimpleNamespace(data=body))
            elif word == b"-ERR":
                raise ConnectionError(line)

    async def subscribe(self, subject, cb):
        self.last += 1
        sid = str(self.last).encode()
        self.callbacks[sid] = cb
        self.send(b"SUB %s %s\r\n" % (subject.encode(), sid))

        async def unsubscribe():
            self.callbacks.pop(sid, None)
            self.send(b"UNSUB %s\r\n" % sid)

        return types.SimpleNamespace(unsubscribe=unsubscribe)

    def jetstream(self):
        return types.SimpleNamespace(publish=self.publish)

    async def publish(self, subject, payload, headers):
        stored = asyncio.get_running_loop().create_future()

        async def acknowledged(msg):
            stored.set_result(json.loads(msg.data))

        inbox = f"_INBOX.python.{id(self)}.{self.last}"
        subscription = await self.subscribe(inbox, cb=acknowledged)
        head = "NATS/1.0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
        head = head.encode()
        self.send(b"HPUB %s %s %d %d\r\n" % (subject.encode(), inbox.encode(), len(head), len(head) + len(payload)))
        self.send(head + payload + b"\r\n")
        ack = await stored
        await subscription.unsubscribe()
        if "error" in ack:
            raise RuntimeError(ack["error"])
        return ack

    async def close(self):
        self.reading.cancel()
        self.writer.close()
        await self.writer.wait_closed()
