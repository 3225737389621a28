#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
A small server that speaks S3, strictly, for tests: it verifies signatures (version 4)
and hashes, gives create-if-absent as one step, and lists in pages.

    s3.py ID SECRET [--page N] [--cert FILE --key FILE] [--region NAME]

stores.py says what it does otherwise.
"""
import argparse
import base64
import datetime
import hashlib
import hmac
import re
import sys
import time
import urllib.parse
from xml.sax.saxutils import escape

sys.dont_write_bytecode = True
import stores  # noqa: E402
from stores import Refused, Stored  # noqa: E402


def quote(text, safe=""):
    return urllib.parse.quote(text, safe="-_.~" + safe)


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Handler(stores.Handler):
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
        if abs(then - time.time()) > stores.SKEW or stamp[:8] != day:
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

    def admit(self, h):
        payload = self.authenticate(h)
        body = self.read_body(h)
        digest = hashlib.sha256(body)
        if digest.hexdigest() != payload:
            raise Refused(400, "XAmzContentSHA256Mismatch")
        checksum = h.get("x-amz-checksum-sha256")
        if checksum and base64.b64decode(checksum) != digest.digest():
            raise Refused(400, "BadDigest")
        return body

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
        self.done(*self.part_of(h, stored))

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
        if self.flaw.get("do") == "wheel" and not cut:
            cut, token = True, "IA=="
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


def main():
    p = argparse.ArgumentParser()
    p.add_argument("id")
    p.add_argument("secret")
    p.add_argument("--page", type=int, default=1000)
    p.add_argument("--cert")
    p.add_argument("--key")
    p.add_argument("--region", default="us-east-1")
    stores.run(Handler, p.parse_args())


main()
