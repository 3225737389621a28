#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A vault in a bucket of S3, and in a container of Azure, over TLS: made, written,
# mounted, restored, checked, collected; with the least requests; and what is said
# where the server, the certificate, or a key is not the right one.
. "$(dirname "$0")/../lib.sh"
requires python3 fuse namespaces openssl

# ---- a server with a certificate of the test's own ----

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
	-keyout "$tmp/server.key" -out "$tmp/server.pem" -days 2 \
	-subj /CN=localhost -addext 'subjectAltName=IP:127.0.0.1' 2>/dev/null

# start NAME ARGUMENT...: the server of tests/servers, at $port.
start() {
	local script=$1
	shift
	[ -p "$tmp/port" ] || mkfifo "$tmp/port"
	python3 "$tests/servers/$script" "$@" --page 5 \
		--cert "$tmp/server.pem" --key "$tmp/server.key" \
		>"$tmp/port" 2>"$tmp/server.err" &
	cleanup_fn end_process "$!"
	read -r port <"$tmp/port"
}
cloud() {
	"$vmbackup" -r "$url" --key-file "$keyfile" --cache-dir "$cache" "$@"
}
ask_server() {
	python3 - "$port" "$@" <<'END'
import ssl, sys, urllib.request
context = ssl._create_unverified_context()
data = sys.argv[3].encode() if len(sys.argv) > 3 else None
print(urllib.request.urlopen(urllib.request.Request(
    "https://127.0.0.1:%s/%s" % (sys.argv[1], sys.argv[2]), data=data,
    method="PUT" if data is not None else "GET"), context=context)
    .read().decode(), end="")
END
}
# requests: how many there were since the last time.
requests() {
	ask_server _log | wc -l
}

(umask 077; head -c 64 /dev/urandom >"$keyfile")
source=$tmp/source
mkdir "$source"
for i in $(seq 12); do
	head -c $((i * 30000)) /dev/urandom >"$source/file$i"
done

# All of it, in a vault that is not there yet; $place is said of what it is to be in.
all_of_it() {
	unset SSL_CERT_FILE
	expect 14 cloud init
	says "the store's certificate cannot be trusted"
	export SSL_CERT_FILE=$tmp/server.pem

	expect 14 cloud points
	says "there is no $place"
	expect 0 cloud init
	expect 1 cloud init
	says 'there is something already|there is one'
	expect 0 cloud backup --vm web1 --json "$source"
	id=$(python3 "$tests/json_field.py" point_id <"$tmp/out")
	expect 0 cloud points
	prints '^1 point$'
	# What is known is not asked for again.
	requests >/dev/null
	expect 0 cloud points
	n=$(requests)
	[ "$n" -le 14 ] || fail "points takes $n requests"
	note "points, nothing new: $n requests"
	expect 0 cloud backup --vm web1 "$source"
	n=$(requests)
	[ "$n" -le 45 ] || fail "a backup of nothing new takes $n requests"
	note "backup, nothing new: $n requests"
	rm -rf "$tmp/restored"
	mkdir "$tmp/restored"
	expect 0 cloud restore "$id:files$source" --target "$tmp/restored"
	diff -r "$source" "$tmp/restored" || fail "another tree"
	expect 0 cloud check --read-data
	start_mount "$url" "$tmp/mnt"
	diff -r "$source" "$tmp/mnt/vms/web1/latest/files$source" ||
		fail "the mount: another tree"
	requests >/dev/null
	cat "$tmp/mnt/vms/web1/latest/files$source/file3" >/dev/null
	ls -lR "$tmp/mnt/vms/web1/latest/files$source" >/dev/null
	n=$(requests)
	[ "$n" -le 6 ] || fail "what was read is asked for again: $n requests"
	stop_mount "$tmp/mnt"
	expect 0 cloud forget "$id"
	expect 0 cloud prune
	prints 'nothing is due'
	expect 0 cloud key add --put-only --machine web1 --new-key-file "$tmp/$1.key"
	expect 0 "$vmbackup" -r "$url" --key-file "$tmp/$1.key" \
		--cache-dir "$tmp/put-cache-$1" backup "$source"
	expect 0 cloud check --read-data

	# Every third answer is lost, refused for the moment or cut short; nothing else is.
	ask_server _faults "[$(for i in $(seq 0 3 150); do
		case $((i % 4)) in
		0) echo "{\"match\":\".\",\"after\":$i,\"do\":\"lost\"}," ;;
		1) echo "{\"match\":\".\",\"after\":$i,\"do\":\"status\",\"status\":503}," ;;
		2) echo "{\"match\":\".\",\"after\":$i,\"do\":\"reset\"}," ;;
		3) echo "{\"match\":\".\",\"after\":$i,\"do\":\"short\"}," ;;
		esac
	done){\"match\":\"nothing\",\"do\":\"reset\"}]"
	echo more >"$source/new"
	expect 0 cloud backup --vm web1 "$source"
	rm -rf "$tmp/restored"
	expect 0 cloud restore "web1/latest:files$source" --target "$tmp/restored"
	diff -r "$source" "$tmp/restored" || fail "another tree, in bad weather"
	ask_server _faults '[]'
	expect 0 cloud check --read-data
}

# ---- S3 ----

unset AWS_SESSION_TOKEN AWS_REGION AWS_DEFAULT_REGION AWS_PROFILE
unset AWS_ENDPOINT_URL AWS_CA_BUNDLE
export AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=not-to-be-seen
start s3.py "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"
url=s3:https://127.0.0.1:$port/bucket/vaults/one place='bucket bucket'
all_of_it s3
AWS_SECRET_ACCESS_KEY=wrong expect 1 cloud points
says 'SignatureDoesNotMatch'
AWS_ACCESS_KEY_ID='' HOME=$tmp/nowhere expect 12 cloud points
says 'there are no keys for S3'
expect 14 "$vmbackup" -r "s3:https://127.0.0.1:$port/other/v" \
	--key-file "$keyfile" points
says 'there is no bucket other'
expect 2 "$vmbackup" -r s3:https://user:secret@127.0.0.1/bucket \
	--key-file "$keyfile" init
says 'that is no server'

# ---- Azure ----

unset AZURE_STORAGE_CONNECTION_STRING AZURE_STORAGE_SAS_TOKEN
unset AZURE_ACCOUNT_NAME AZURE_ACCOUNT_KEY AZURE_ACCOUNT_SAS
key=bm90LXRvLWJlLXNlZW4=
export AZURE_STORAGE_ACCOUNT=account AZURE_STORAGE_KEY=$key
start azure.py account "$key" --token 'sv=1&sig=token-not-to-be-seen'
url=azure:https://127.0.0.1:$port/account/container/vaults/one
place='container container'
all_of_it azure
AZURE_STORAGE_KEY=d3Jvbmc= expect 1 cloud points
says 'AuthenticationFailed'
# With a token in place of the key.
unset AZURE_STORAGE_KEY
expect 12 cloud points
says 'there are no keys for Azure'
AZURE_STORAGE_SAS_TOKEN='?sv=1&sig=token-not-to-be-seen' expect 0 cloud points
AZURE_STORAGE_SAS_TOKEN='?sv=1&sig=another' expect 1 cloud points

if grep -rqE "not-to-be-seen|$key" "$tmp/out" "$tmp/err" "$cache"; then
	fail "a key is shown, or kept"
fi
