/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * main() of a fuzz target where libFuzzer gives none: runs the target once
 * over each file named, or over each file of a directory named. Without
 * arguments fuzz_NAME takes tests/fuzz/corpus/NAME; that is `make check`.
 *
 * It lies in libtest.a, where the linker takes it only for a program that
 * has no main of its own. An input is copied into memory of exactly its
 * length, so that a sanitizer or valgrind sees a byte read too far.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int replay_fd(int fd, const char *path)
{
	uint8_t *data = NULL;
	struct stat st;
	ssize_t n;
	int r = -1;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		fprintf(stderr, "%s: not a file\n", path);
		goto out;
	}
	data = malloc(st.st_size ? (size_t)st.st_size : 1);
	if (!data)
		goto out;
	n = read(fd, data, (size_t)st.st_size);
	if (n != (ssize_t)st.st_size) {
		fprintf(stderr, "%s: read: %s\n", path, strerror(errno));
		goto out;
	}
	if (!n) {
		free(data);
		data = NULL; /* as libFuzzer does for the empty input */
	}
	LLVMFuzzerTestOneInput(data, (size_t)n);
	r = 0;
out:
	free(data);
	close(fd);
	return r;
}

/* Return how many inputs ran, or -1. */
static int replay_dir(const char *dir)
{
	struct dirent **names = NULL;
	char path[4096];
	int i, fd, n, ran = 0;

	n = scandir(dir, &names, NULL, alphasort);
	if (n < 0) {
		fprintf(stderr, "%s: %s\n", dir, strerror(errno));
		return -1;
	}
	for (i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.' && ran >= 0) {
			snprintf(path, sizeof(path), "%s/%s", dir,
				 names[i]->d_name);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			ran = fd < 0 || replay_fd(fd, path) < 0 ? -1 : ran + 1;
		}
		free(names[i]);
	}
	free(names);
	return ran;
}

/* As replay_dir(), for a file or a directory. */
static int replay(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	if (!S_ISDIR(st.st_mode))
		return replay_fd(fd, path) < 0 ? -1 : 1;
	close(fd);
	return replay_dir(path);
}

int main(int argc, char **argv)
{
	const char *base = strrchr(argv[0], '/');
	const char *srcdir = getenv("srcdir");
	char corpus[4096];
	int i, n, ran = 0;

	base = base ? base + 1 : argv[0];
	for (i = 1; i < argc; i++) {
		n = replay(argv[i]);
		if (n < 0)
			return 1;
		ran += n;
	}
	if (argc < 2) {
		if (strncmp(base, "fuzz_", 5) != 0) {
			fprintf(stderr, "usage: %s FILE-or-DIR...\n", base);
			return 2;
		}
		snprintf(corpus, sizeof(corpus), "%s/tests/fuzz/corpus/%s",
			 srcdir ? srcdir : ".", base + 5);
		ran = replay(corpus);
	}
	if (ran <= 0) {
		fprintf(stderr, "%s: no inputs\n", base);
		return 1;
	}
	printf("%s: %d inputs\n", base, ran);
	return 0;
}
