#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
A small server that speaks Azure Blob Storage, strictly, for tests: it verifies the
signatures of Shared Key, or takes a token as it is, gives create-if-absent as one step,
and lists in pages.

    azure.py ACCOUNT KEY [--page N] [--cert FILE --key FILE] [--token TEXT]

KEY is in base64; stores.py says what it does otherwise.
"""
import argparse
import base64
import email.utils
import hashlib
import hmac
import sys
import time
import urllib.parse
from xml.sax.saxutils import escape

sys.dont_write_bytecode = True
import stores  # noqa: E402
from stores import Refused, Stored  # noqa: E402


class Handler(stores.Handler):
    def query(self):
        """As it is signed: without the token."""
        found = dict(urllib.parse.parse_qsl(
            urllib.parse.urlsplit(self.path).query, keep_blank_values=True))
        token = self.store.args.token
        if token:
            for name in urllib.parse.parse_qs(token):
                found.pop(name, None)
        return found

    def authenticate(self, h):
        args = self.store.args
        if args.token and self.path.endswith(args.token):
            return
        then = email.utils.parsedate_to_datetime(h.get(
            "x-ms-date", "Thu, 01 Jan 1970 00:00:00 GMT")).timestamp()
        if abs(then - time.time()) > stores.SKEW:
            raise Refused(403, "AuthenticationFailed", "the date")
        length = h.get("content-length", "")
        own = "".join("%s:%s\n" % (name, h[name]) for name in sorted(h)
                      if name.startswith("x-ms-"))
        text = "\n".join([
            self.command, "", "", "" if length == "0" else length, "",
            h.get("content-type", ""), "", "", h.get("if-match", ""),
            h.get("if-none-match", ""), "", h.get("range", ""),
            own + "/" + args.account + self.path.partition("?")[0]])
        text += "".join("\n%s:%s" % (name, value)
                        for name, value in sorted(self.query().items()))
        right = base64.b64encode(hmac.new(
            base64.b64decode(args.secret), text.encode(),
            hashlib.sha256).digest()).decode()
        if h.get("authorization") != "SharedKey %s:%s" % (args.account, right):
            raise Refused(403, "AuthenticationFailed")
        if not h.get("x-ms-version"):
            raise Refused(400, "MissingRequiredHeader")

    def admit(self, h):
        self.authenticate(h)
        return self.read_body(h)

    # ---- operations ----

    def operate(self, h, body):
        path = urllib.parse.unquote(self.path.partition("?")[0])
        _, account, container, *rest = path.split("/", 3)
        if account != self.store.args.account:
            raise Refused(400, "InvalidUri")
        query, name = self.query(), rest[0] if rest else ""
        if not name and self.command == "PUT":
            with self.store.lock:
                if container in self.store.buckets:
                    raise Refused(409, "ContainerAlreadyExists")
                self.store.buckets[container] = {}
            return self.done(201)
        blobs = self.store.buckets.get(container)
        if blobs is None:
            raise Refused(404, "ContainerNotFound")
        if not name:
            return self.list(blobs, query)
        if self.command == "PUT":
            return self.put(h, blobs, name, body)
        with self.store.lock:
            stored = blobs.get(name)
            if not stored:
                raise Refused(404, "BlobNotFound")
            if self.command == "DELETE":
                del blobs[name]
        if self.command == "DELETE":
            return self.done(202)
        self.done(*self.part_of(h, stored, "x-ms-range"))

    def put(self, h, blobs, name, body):
        if h.get("x-ms-blob-type") != "BlockBlob":
            raise Refused(400, "MissingRequiredHeader")
        with self.store.lock:
            if h.get("if-none-match") == "*" and name in blobs and \
                    self.flaw.get("do") != "overwrite":
                raise Refused(409, "BlobAlreadyExists")
            stored = blobs[name] = Stored(body)
        self.done(201, headers={"ETag": stored.etag})

    def list(self, blobs, query):
        if query.get("comp") != "list" or query.get("restype") != "container":
            raise Refused(400, "InvalidQueryParameterValue")
        size = min(int(query.get("maxresults", "5000")),
                   self.store.args.page)
        after, prefix = query.get("marker", ""), query.get("prefix", "")
        with self.store.lock:
            names = sorted(n for n in blobs
                           if n.startswith(prefix) and n > after)
            page = [(n, blobs[n]) for n in names[:size]]
        marker = page[-1][0] if len(names) > size else ""
        if self.flaw.get("do") == "circle":
            marker = after or "again"
        if self.flaw.get("do") == "wheel":
            marker = marker or "!"
        self.done(200, '<?xml version="1.0" encoding="utf-8"?>'
                  "<EnumerationResults><Blobs>%s</Blobs><NextMarker>%s"
                  "</NextMarker></EnumerationResults>" % (
                      "".join("<Blob><Name>%s</Name><Properties>"
                              "<Last-Modified>%s</Last-Modified>"
                              "<Content-Length>%d</Content-Length>"
                              "</Properties></Blob>" % (
                                  escape(n), email.utils.formatdate(
                                      o.time, usegmt=True), len(o.data))
                              for n, o in page), escape(marker)))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("account")
    p.add_argument("secret")
    p.add_argument("--page", type=int, default=5000)
    p.add_argument("--cert")
    p.add_argument("--key")
    p.add_argument("--token")
    stores.run(Handler, p.parse_args())


main()
