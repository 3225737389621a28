#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
A small server that speaks S3, strictly, for tests: it verifies signatures (version 4)
and hashes, gives create-if-absent as one step, and lists in pages.

    s3.py ID SECRET [--page N] [--cert FILE --key FILE] [--region NAME]

It listens on a free port of the loopback address, and prints that. All is in memory.
PUT /_faults with a JSON list sets faults; each is an object:

    match    a regular expression for "METHOD /path?query"
    after    so many requests that match pass before (0)
    times    how often it strikes (1)
    do       "status" (with status, code, retry_after), "reset" (before anything is
             done), "lost" (it is done, and the answer is lost), "stall" (seconds),
             "short" (half of the body comes), "flip" (a bit of it), "overwrite"
             (If-None-Match is not heard), "error200" (an error in an answer of 200),
             "long" (more than was asked for), "circle" (a listing goes round)
GET /_log tells the requests since the last look, one a line.
"""
import argparse
import base64
import datetime
import email.utils
import hashlib
import hmac
import http.server
import json
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse
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


def quote(text, safe=""):
    return urllib.parse.quote(text, safe="-_.~" + safe)


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


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
        if status == 204:
            headers.pop("Content-Length")
        head += "".join("%s: %s\r\n" % h for h in headers.items()) + "\r\n"
        self.wfile.write(head.encode() +
                         (body if self.command != "HEAD" else b""))

    def refuse(self, e):
        self.answer(e.status, '<?xml version="1.0" encoding="UTF-8"?>\n'
                    "<Error><Code>%s</Code><Message>%s</Message>%s</Error>" % (
                        e.code, escape(e.message), e.headers.pop("xml", "")),
                    e.headers)

    def reset(self):
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))
        self.connection.close()
        raise ConnectionError

    # ---- who asks, and what ----

    def authenticate(self, h):
        args = self.store.args
        m = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/"
            r"aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})",
            h.get("authorization", ""))
        if not m:
            raise Refused(403, "AccessDenied")
        who, day, region, names, signature = m.groups()
        if who != args.id:
            raise Refused(403, "InvalidAccessKeyId")
        if region != args.region:
            raise Refused(400, "AuthorizationHeaderMalformed", "", {
                "xml": "<Region>%s</Region>" % args.region,
                "x-amz-bucket-region": args.region})
        stamp = h.get("x-amz-date", "")
        then = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(
            tzinfo=datetime.timezone.utc).timestamp()
        if abs(then - time.time()) > SKEW or stamp[:8] != day:
            raise Refused(403, "RequestTimeTooSkewed")
        names = names.split(";")
        if names != sorted(names):
            raise Refused(403, "SignatureDoesNotMatch", "names not in order")
        for name in h:
            if (name.startswith("x-amz-") or name == "host") and \
                    name not in names:
                raise Refused(403, "AccessDenied", "not signed: " + name)
        path, _, query = self.path.partition("?")
        query = "&".join(sorted(
            q if "=" in q else q + "=" for q in query.split("&") if q))
        payload = h.get("x-amz-content-sha256")
        if not payload:
            raise Refused(400, "InvalidRequest", "no x-amz-content-sha256")
        text = "\n".join(
            [self.command, path, query] +
            ["%s:%s" % (n, " ".join(h.get(n, "").split())) for n in names] +
            ["", ";".join(names), payload])
        key = mac(("AWS4" + args.secret).encode(), day)
        for part in region, "s3", "aws4_request":
            key = mac(key, part)
        right = mac(key, "\n".join([
            "AWS4-HMAC-SHA256", stamp, "%s/%s/s3/aws4_request" % (day, region),
            hashlib.sha256(text.encode()).hexdigest()])).hex()
        if not hmac.compare_digest(right, signature):
            raise Refused(403, "SignatureDoesNotMatch")
        return payload

    def read_body(self, h, payload):
        length = int(h.get("content-length", "0"))
        if h.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self.rfile.read(length)
        self.has_read = True
        digest = hashlib.sha256(body)
        if digest.hexdigest() != payload:
            raise Refused(400, "XAmzContentSHA256Mismatch")
        checksum = h.get("x-amz-checksum-sha256")
        if checksum and base64.b64decode(checksum) != digest.digest():
            raise Refused(400, "BadDigest")
        return body

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
            payload = self.authenticate(h)
            body = self.read_body(h, payload)
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

    # ---- operations ----

    def operate(self, h, body):
        path, _, query = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        _, bucket, *rest = urllib.parse.unquote(path).split("/", 2)
        key = rest[0] if rest else ""
        if not key and self.command == "PUT":
            with self.store.lock:
                self.store.buckets.setdefault(bucket, {})
            return self.answer(200)
        objects = self.store.buckets.get(bucket)
        if objects is None:
            raise Refused(404, "NoSuchBucket")
        if not key and self.command == "HEAD":
            return self.answer(200)
        if not key and self.command == "POST" and "delete" in query:
            return self.delete_many(h, objects, body)
        if not key and self.command == "GET":
            return self.list(bucket, objects, query)
        if self.command == "PUT":
            return self.put(h, objects, key, body)
        if self.command == "DELETE":
            with self.store.lock:
                objects.pop(key, None)
            return self.done(204)
        return self.get(h, objects, key)

    def done(self, status, body=b"", headers=None):
        """It is done; the answer may be lost."""
        if self.flaw.get("do") == "lost":
            self.reset()
        if self.flaw.get("do") == "error200":
            body = "<Error><Code>InternalError</Code></Error>"
        self.answer(status, body, headers)

    def put(self, h, objects, key, body):
        with self.store.lock:
            if h.get("if-none-match") == "*" and key in objects and \
                    self.flaw.get("do") != "overwrite":
                raise Refused(412, "PreconditionFailed")
            stored = objects[key] = Stored(body)
        self.done(200, headers={"ETag": stored.etag})

    def delete_many(self, h, objects, body):
        if "x-amz-checksum-sha256" not in h and "content-md5" not in h:
            raise Refused(400, "InvalidRequest", "a checksum is missing")
        keys = re.findall(r"<Key>(.*?)</Key>", body.decode())
        if len(keys) > 1000:
            raise Refused(400, "MalformedXML")
        with self.store.lock:
            for key in keys:
                objects.pop(key, None)
        if self.flaw.get("do") == "error200":
            return self.answer(200, "<DeleteResult><Error><Key>k</Key><Code>"
                               "InternalError</Code></Error></DeleteResult>")
        self.done(200, "<DeleteResult></DeleteResult>")

    def get(self, h, objects, key):
        with self.store.lock:
            stored = objects.get(key)
        if not stored:
            raise Refused(404, "NoSuchKey")
        headers = {"ETag": stored.etag, "Last-Modified":
                   email.utils.formatdate(stored.time, usegmt=True)}
        data, status = stored.data, 200
        m = re.fullmatch(r"bytes=(\d+)-(\d+)", h.get("range", ""))
        if m:
            first, last = int(m[1]), min(int(m[2]), len(data) - 1)
            if first >= len(data):
                raise Refused(416, "InvalidRange")
            headers["Content-Range"] = "bytes %d-%d/%d" % (first, last,
                                                           len(data))
            data, status = data[first:last + 1], 206
        if self.command == "HEAD":
            headers["Content-Length"] = str(len(data))
        self.done(status, data, headers)

    def list(self, bucket, objects, query):
        if query.get("list-type") != "2":
            raise Refused(400, "InvalidArgument")
        size = min(int(query.get("max-keys", "1000")), self.store.args.page)
        after = base64.urlsafe_b64decode(
            query.get("continuation-token", "")).decode()
        prefix = query.get("prefix", "")
        encode = (lambda k: quote(k, "/")) \
            if query.get("encoding-type") == "url" else escape
        with self.store.lock:
            keys = sorted(k for k in objects
                          if k.startswith(prefix) and k > after)
            page = [(k, objects[k]) for k in keys[:size]]
        cut = len(keys) > size
        token = base64.urlsafe_b64encode(page[-1][0].encode()).decode() \
            if cut else ""
        if self.flaw.get("do") == "circle":
            cut, token = True, query.get("continuation-token", "QQ==")
        self.done(200, '<?xml version="1.0" encoding="UTF-8"?>\n'
                  '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/'
                  '2006-03-01/"><Name>%s</Name><IsTruncated>%s</IsTruncated>'
                  "%s%s</ListBucketResult>" % (
                      bucket, "true" if cut else "false",
                      "<NextContinuationToken>%s</NextContinuationToken>" %
                      token if cut else "",
                      "".join("<Contents><Key>%s</Key><LastModified>%s"
                              "</LastModified><ETag>%s</ETag><Size>%d</Size>"
                              "</Contents>" % (
                                  encode(k), time.strftime(
                                      "%Y-%m-%dT%H:%M:%S.000Z",
                                      time.gmtime(o.time)),
                                  escape(o.etag), len(o.data))
                              for k, o in page)))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # clients come and go


def main():
    p = argparse.ArgumentParser()
    p.add_argument("id")
    p.add_argument("secret")
    p.add_argument("--page", type=int, default=1000)
    p.add_argument("--cert")
    p.add_argument("--key")
    p.add_argument("--region", default="us-east-1")
    args = p.parse_args()
    Handler.store = Store(args)
    server = Server(("127.0.0.1", 0), Handler)
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_address[1], flush=True)
    server.serve_forever()


main()
