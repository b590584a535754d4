"""As much of gRPC as the adapter needs, from the standard library alone: calls that only read, over TLS or a Unix socket.

An answer's headers are passed over, so all that is known of a call that was refused is that it brought no message.
"""

import socket
import ssl
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK = END_STREAM = 1
END_HEADERS, PADDED = 4, 8


class CallError(Exception):
    """A call brought no answer."""


class Channel:
    """A connection that is opened when it is needed, and again when the server has closed it."""

    def __init__(self, dial, scheme, headers=()):
        self._dial = dial
        self._headers = [(":method", "POST"), (":scheme", scheme), (":authority", "localhost"),
                         ("content-type", "application/grpc"), ("te", "trailers"), *headers]
        self._socket = None

    def call(self, method, request, seconds):
        """Returns the messages of the answer."""
        deadline = time.monotonic() + seconds
        kept = self._socket is not None
        try:
            return self._call(method, request, deadline)
        except TimeoutError:
            self.close()
            raise CallError(f"{method} took more than {seconds} s") from None
        except OSError as error:
            self.close()
            if not kept:
                raise CallError(f"{method}: {error}") from error
        # A connection on which nothing was said for a while is closed by the server.
        return self.call(method, request, seconds)

    def close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _call(self, method, request, deadline):
        if self._socket is None:
            self._socket, self._received, self._stream = self._dial(), b"", -1
            self._socket.sendall(PREFACE + frame(SETTINGS, 0, 0, b""))
        self._stream += 2
        block = b"".join(literal(name) + literal(value, b"") for name, value in [(":path", f"/{method}"), *self._headers])
        body = struct.pack(">BI", 0, len(request)) + request
        self._socket.sendall(frame(HEADERS, END_HEADERS, self._stream, block) + frame(DATA, END_STREAM, self._stream, body))
        answer = b""
        while True:
            kind, flags, stream, payload = self._frame(deadline)
            if kind == SETTINGS and not flags & ACK:
                self._socket.sendall(frame(SETTINGS, ACK, 0, b""))
            elif kind == PING and not flags & ACK:
                self._socket.sendall(frame(PING, ACK, 0, payload))
            elif kind == GOAWAY and struct.unpack(">I", payload[:4])[0] < self._stream:
                raise ConnectionResetError("the server goes away")
            if kind == DATA and payload:
                more = struct.pack(">I", len(payload))
                self._socket.sendall(frame(WINDOW_UPDATE, 0, 0, more))
                if not flags & END_STREAM:
                    self._socket.sendall(frame(WINDOW_UPDATE, 0, stream, more))
            if stream != self._stream:
                continue
            if kind == RST_STREAM:
                raise CallError(f"{method} was cut off")
            if kind == DATA:
                answer += payload[1:len(payload) - payload[0]] if flags & PADDED else payload
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                return list(messages(answer))

    def _frame(self, deadline):
        header = self._read(9, deadline)
        length = int.from_bytes(header[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", header[3:])
        return kind, flags, stream, self._read(length, deadline)

    def _read(self, length, deadline):
        while len(self._received) < length:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            part = self._socket.recv(1 << 16)
            if not part:
                raise ConnectionResetError("the server closed the connection")
            self._received += part
        taken, self._received = self._received[:length], self._received[length:]
        return taken


def over_tls(port, authority, token):
    """Calls with a token to a coordinator on this machine."""
    def dial():
        trust = ssl.create_default_context(cafile=authority)
        trust.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return trust.wrap_socket(plain, server_hostname="127.0.0.1")
    return Channel(dial, "https", [("authorization", f"Bearer {token}")])


def over_socket(path):
    """Calls to an agent, which asks the operating system who calls."""
    def dial():
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        return connection
    return Channel(dial, "http")


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def literal(text, before=b"\0"):
    """A header's name, or its value, as it is and not remembered by either side."""
    encoded = text.encode()
    if len(encoded) < 127:
        return before + bytes([len(encoded)]) + encoded
    return before + b"\x7f" + varint(len(encoded) - 127) + encoded


def messages(answer):
    while answer:
        length = struct.unpack(">I", answer[1:5])[0]
        yield answer[5:5 + length]
        answer = answer[5 + length:]


def varint(number):
    encoded = b""
    while number > 127:
        encoded += bytes([number & 127 | 128])
        number >>= 7
    return encoded + bytes([number])


def nested(number, content):
    """A field of a protobuf message that holds text or another message."""
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def flag(number):
    """A field of a protobuf message that is true."""
    return varint(number << 3) + b"\1"


def fields(message):
    """The fields of a protobuf message: pairs of a number and an integer or bytes."""
    at = 0

    def integer():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            value |= (byte & 127) << shift
            shift, at = shift + 7, at + 1
            if byte < 128:
                return value
    while at < len(message):
        number, kind = divmod(integer(), 8)
        if kind == 0:
            yield number, integer()
            continue
        length = {1: 8, 5: 4}.get(kind) or integer()
        yield number, message[at:at + length]
        at += length
