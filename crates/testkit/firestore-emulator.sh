#!/bin/sh
# Google's Firestore emulator on 127.0.0.1:PORT, in memory, until standard input ends: so it
# does not outlive who started it, however that ended. Its process id is the one line of output.
# What it says is shown if it ends by itself, and thrown away otherwise: it tells of each refused commit.
#
#   firestore-emulator.sh PORT
set -u
folder() {
    for root in /usr/lib/google-cloud-sdk /usr/share/google-cloud-sdk "${CLOUDSDK_ROOT_DIR:-}" \
        "$(gcloud info --format='value(installation.sdk_root)' 2>/dev/null)"; do
        if [ -n "$root" ] && [ -e "$root/platform/cloud-firestore-emulator/$jar" ]; then
            echo "$root/platform/cloud-firestore-emulator"
            return
        fi
    done
}
jar=cloud-firestore-emulator.jar
found=$(folder)
if [ -z "$found" ] || ! command -v java >/dev/null; then
    cat >&2 <<'END'
Google's Firestore emulator is not here. On Debian with Google's package source (https://cloud.google.com/sdk/docs/install#deb):
    apt-get install google-cloud-cli-firestore-emulator default-jre-headless
elsewhere: gcloud components install cloud-firestore-emulator, and Java 11 or later.
Or name a running one: FIRESTORE_EMULATOR_HOST=host:port
END
    exit 69
fi
log=$(mktemp) || exit 73
# Started anew by many tests: the first compiler and the simplest collector start soonest.
java -Duser.language=en -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$found/$jar" \
    com.google.cloud.datastore.emulator.firestore.CloudFirestore start \
    --host=127.0.0.1 --port="$1" >"$log" 2>&1 </dev/null &
emulator=$!
finish() {
    kill -9 "$emulator" 2>/dev/null || cat "$log" >&2
    rm -f "$log"
}
trap finish EXIT
trap 'exit 143' INT TERM HUP
echo "$emulator"
cat >/dev/null
