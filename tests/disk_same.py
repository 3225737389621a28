#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
disk_same.py IMAGE SHOWN [--reads N] [--seed S] [--holes]
             [--data]

Compare what a mount shows of a disk with its image. N reads (2000) at random
places, many of them over the borders of blocks, frames and cells. --holes:
SHOWN has the holes of IMAGE as vmbackup-vault(5) says: whole blocks of 4 KiB,
at most 16 runs of data in a cell of 256 KiB, the smallest gaps between them
filled. --data: also read whatever is data of either.
"""
import argparse
import errno
import os
import random
import sys

BLOCK, CELL, RUNS = 4096, 262144, 16


def ranges(fd):
    """Where data are, in order."""
    out, size, end = [], os.fstat(fd).st_size, 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as e:
            if e.errno != errno.ENXIO:
                raise
            break
        if start < end:
            sys.exit("SEEK_DATA at %d goes back to %d" % (end, start))
        end = os.lseek(fd, start, os.SEEK_HOLE)
        if end <= start or end > size:
            sys.exit("SEEK_HOLE at data, %d, goes to %d" % (start, end))
        out.append((start, end))
    return out


def read_all(fd, off, n):
    out = b""
    while len(out) < n:
        piece = os.pread(fd, n - len(out), off + len(out))
        if not piece:
            break
        out += piece
    return out


def compare_data(a, b, where):
    for start, end in where:
        for off in range(start, end, 4 * CELL):
            n = min(4 * CELL, end - off)
            if read_all(a, off, n) != read_all(b, off, n):
                sys.exit("%d bytes at %d differ" % (n, off))


def compare_reads(a, b, where, rng, count):
    size = os.fstat(a).st_size
    borders = sorted(rng.sample(where, min(len(where), 500)))
    for i in range(count):
        n = rng.choice((1, 7, 512, 4096, 5000, 65536, 262144, 400001,
                        rng.randrange(1, 1000000)))
        kind = i % 4
        if kind == 0 and not borders:
            kind = 1
        if kind == 0:       # where data begin or end
            off = rng.choice(rng.choice(borders)) - n // 2
        elif kind == 1:     # over the border of a block or a cell
            unit = rng.choice((BLOCK, 65536, CELL, 4 * CELL))
            off = rng.randrange(size // unit + 1) * unit - n // 2
        elif kind == 2 and borders:
            start, end = rng.choice(borders)
            off = rng.randrange(start, end)
        else:
            off = rng.randrange(size)
        off = max(off, 0)
        x, y = read_all(a, off, n), read_all(b, off, n)
        if x != y:
            sys.exit("%d bytes at %d differ (%d, %d read)" % (
                n, off, len(x), len(y)))


def cells(data):
    """{number: set of blocks with data} of each cell that has some."""
    out = {}
    for start, end in data:
        for block in range(start // BLOCK, (end + BLOCK - 1) // BLOCK):
            out.setdefault(block * BLOCK // CELL, set()).add(
                block % (CELL // BLOCK))
    return out


def runs(blocks):
    """[(first, last + 1), ...]"""
    out = []
    for b in sorted(blocks):
        if out and out[-1][1] == b:
            out[-1][1] = b + 1
        else:
            out.append([b, b + 1])
    return out


def gaps(r):
    """{(start, end), ...} between them."""
    return {(x[1], y[0]) for x, y in zip(r, r[1:])}


def compare_holes(image, shown):
    want, got = cells(image), cells(shown)
    filled = 0
    for start, end in shown:
        if start % BLOCK or end % BLOCK and end != shown[-1][1]:
            sys.exit("data at %d to %d, not of whole blocks" % (start, end))
    for cell in sorted(set(want) | set(got)):
        w, g = want.get(cell, set()), got.get(cell, set())
        if w - g:
            sys.exit("cell %d: blocks %s are holes, but are data of the image"
                     % (cell, sorted(w - g)))
        rw, rg = runs(w), runs(g)
        if len(rw) <= RUNS:
            if w != g:
                sys.exit("cell %d: blocks %s are data, but holes of the image"
                         % (cell, sorted(g - w)))
            continue
        filled += 1
        if len(rg) != RUNS or rw[0][0] != rg[0][0] or rw[-1][1] != rg[-1][1]:
            sys.exit("cell %d: %d runs of data, of %d" % (cell, len(rg),
                                                         len(rw)))
        kept, lost = gaps(rg), gaps(rw) - gaps(rg)
        if not kept <= gaps(rw) or max(e - s for s, e in lost) > min(
                e - s for s, e in kept):
            sys.exit("cell %d: not the smallest gaps were filled" % cell)
    return len(got), filled


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse
                                .RawDescriptionHelpFormatter)
    p.add_argument("image")
    p.add_argument("shown")
    p.add_argument("--reads", type=int, default=2000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--holes", action="store_true")
    p.add_argument("--data", action="store_true")
    args = p.parse_args()
    a, b = (os.open(x, os.O_RDONLY) for x in (args.image, args.shown))
    size = os.fstat(a).st_size
    if os.fstat(b).st_size != size:
        sys.exit("%d bytes, not %d" % (os.fstat(b).st_size, size))
    # First: pages that were read make data of what is preallocated.
    data, shown = ranges(a), ranges(b)
    if args.data:
        compare_data(a, b, data + shown)
    if args.holes:
        print("%d cells with data, %d of them of more than %d runs" % (
            *compare_holes(data, shown), RUNS))
        allocated = sum(e - s for s, e in shown)
        blocks = os.fstat(b).st_blocks * 512
        if blocks > allocated + 511:
            sys.exit("%d bytes allocated, of %d that are data" % (
                blocks, allocated))
    compare_reads(a, b, data, random.Random(args.seed), args.reads)


if __name__ == "__main__":
    main()
