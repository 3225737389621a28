# SPDX-License-Identifier: GPL-3.0-or-later
"""
What small servers of the tests have in common: they listen on a free port of the
loopback address, and print that; all is in memory. PUT /_faults with a JSON list sets
faults; each is an object:

    match    a regular expression for "METHOD /path?query"
    after    so many requests that match pass before (0)
    times    how often it strikes (1)
    do       "status" (with status, code, retry_after), "reset" (before anything is
             done), "lost" (it is done, and the answer is lost), "stall" (seconds),
             "short" (half of the body comes), "flip" (a bit of it), "overwrite"
             (If-None-Match is not heard), "error200" (an error in an answer of 200),
             "long" (more than was asked for), "circle" (a listing goes round),
             "wheel" (and by way of all its pages),
             "page" (something else answers 200), "gateway" (502 with a long page),
             "unbounded" (half of the body comes, and nobody said how long it is),
             "range" (another part than was asked for), "headers" (without an end),
             "change" (of a body: from, a regular expression, to),
             "spaces" (many, between the elements of a listing)
GET /_log tells the requests since the last look, one a line.
"""
import email.utils
import hashlib
import http.server
import json
import re
import socket
import ssl
import struct
import threading
import time
from xml.sax.saxutils import escape

SKEW = 900


class Refused(Exception):
    def __init__(self, status, code, message="", headers=None):
        self.status, self.code = status, code
        self.message, self.headers = message or code, headers or {}


class Stored:
    def __init__(self, data):
        self.data, self.time = data, time.time()
        self.etag = '"%s"' % hashlib.md5(data).hexdigest()


class Store:
    def __init__(self, args):
        self.args = args
        self.lock = threading.RLock()
        self.buckets, self.faults, self.log = {}, [], []

    def fault(self, line):
        """The fault that strikes this request, or {}."""
        with self.lock:
            for f in self.faults:
                if not re.search(f["match"], line):
                    continue
                f["after"] = f.get("after", 0) - 1
                if f["after"] >= 0 or f.get("times", 1) <= 0:
                    continue
                f["times"] = f.get("times", 1) - 1
                return f
        return {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store = None  # set by main

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # ---- answers ----

    def answer(self, status, body=b"", headers=None):
        if isinstance(body, str):
            body = body.encode()
        headers = dict(headers or {})
        if self.flaw.get("do") == "change":
            body = re.sub(self.flaw["from"].encode(), self.flaw["to"].encode(),
                          body)
        if self.flaw.get("do") == "spaces":
            body = re.sub(b"(</?Blobs>|<Contents>)", rb"\1" + b" " * 5000,
                          body)
        if self.flaw.get("do") == "range" and "Content-Range" in headers:
            headers["Content-Range"] = "bytes 1-%d/1000" % len(body)
        headers.setdefault("Content-Length", str(len(body)))
        if self.flaw.get("do") == "flip" and body:
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 1]) + \
                body[middle + 1:]
        if self.flaw.get("do") == "short":
            body = body[:len(body) // 2]
            self.close_connection = True
        if self.flaw.get("do") == "long":
            body += b"x" * 100
            headers["Content-Length"] = str(len(body))
        head = "HTTP/1.1 %d X\r\nDate: %s\r\n" % (
            status, email.utils.formatdate(usegmt=True))
        if self.flaw.get("do") == "unbounded":
            headers.pop("Content-Length")
            headers["Connection"] = "close"
            body = body[:len(body) // 2]
            self.close_connection = True
        if self.flaw.get("do") == "headers":
            head += "X-More: yes\r\n" * 100000
        if status == 204:
            headers.pop("Content-Length")
        head += "".join("%s: %s\r\n" % h for h in headers.items()) + "\r\n"
        self.wfile.write(head.encode() +
                         (body if self.command != "HEAD" else b""))

    def refuse(self, e):
        xml = e.headers.pop("xml", "")
        e.headers["x-ms-error-code"] = e.code
        self.answer(e.status, '<?xml version="1.0" encoding="UTF-8"?>\n'
                    "<Error><Code>%s</Code><Message>%s</Message>%s</Error>" % (
                        e.code, escape(e.message), xml), e.headers)

    def reset(self):
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))
        self.connection.close()
        raise ConnectionError

    def read_body(self, h):
        if h.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.has_read = True
        return self.rfile.read(int(h.get("content-length", "0")))

    def part_of(self, h, stored, name="range"):
        """Status, bytes and headers of an answer to a request for an object."""
        headers = {"ETag": stored.etag, "Last-Modified":
                   email.utils.formatdate(stored.time, usegmt=True)}
        data = stored.data
        m = re.fullmatch(r"bytes=(\d+)-(\d+)", h.get(name, ""))
        if not m:
            if self.command == "HEAD":
                headers["Content-Length"] = str(len(data))
            return 200, data, headers
        first, last = int(m[1]), min(int(m[2]), len(data) - 1)
        if first >= len(data):
            raise Refused(416, "InvalidRange")
        headers["Content-Range"] = "bytes %d-%d/%d" % (first, last, len(data))
        return 206, data[first:last + 1], headers

    def done(self, status, body=b"", headers=None):
        """It is done; the answer may be lost."""
        if self.flaw.get("do") == "lost":
            self.reset()
        if self.flaw.get("do") == "error200":
            body = "<Error><Code>InternalError</Code></Error>"
        self.answer(status, body, headers)

    def serve(self):
        self.flaw, self.has_read = {}, False
        h = {k.lower(): v for k, v in self.headers.items()}
        if self.path == "/_faults":
            self.store.faults = json.loads(
                self.rfile.read(int(h["content-length"])))
            return self.answer(200)
        if self.path == "/_log":
            with self.store.lock:
                lines, self.store.log = self.store.log, []
            return self.answer(200, "".join(x + "\n" for x in lines))
        line = self.command + " " + self.path
        with self.store.lock:
            self.store.log.append(line)
        flaw = self.flaw = self.store.fault(line)
        try:
            if flaw.get("do") == "stall":
                time.sleep(flaw.get("seconds", 1))
            if flaw.get("do") == "reset":
                self.reset()
            body = self.admit(h)
            if flaw.get("do") == "page":
                return self.answer(200, "<html><p>Log in.</p></html>")
            if flaw.get("do") == "gateway":
                return self.answer(502, "x" * 200000)
            if flaw.get("do") == "status":
                raise Refused(flaw["status"], flaw.get("code", "Some"), "", {
                    "Retry-After": str(flaw.get("retry_after", 0))})
            self.operate(h, body)
        except Refused as e:
            # What was not read of the body is not the next request.
            if not self.has_read:
                if h.get("expect"):
                    self.close_connection = True
                else:
                    self.rfile.read(int(h.get("content-length", "0")))
            self.refuse(e)
        except ConnectionError:
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = serve


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # clients come and go


def run(handler, args):
    handler.store = Store(args)
    server = Server(("127.0.0.1", 0), handler)
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_address[1], flush=True)
    server.serve_forever()
