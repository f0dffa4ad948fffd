#!/usr/bin/env bash
#
# zkSnapShotToolkit.sh for Bellwether: prints one snapshot, by `bellwether snapshot dump`.
#
#   zkSnapShotToolkit.sh [-d|-json] SNAPSHOT
#
# -d prints the data of nodes, in base64; -json prints one object per line.

set -u

bin_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}" 2>/dev/null ||
    printf '%s' "${BASH_SOURCE[0]}")")
# shellcheck source=/dev/null
. "$bin_dir/zkEnv.sh"
program=$(zk_program) || exit 1

options=()
snapshot=
for word in "$@"; do
    case $word in
    -d) options+=(--data) ;;
    -json) options+=(--json) ;;
    *) snapshot=$word ;;
    esac
done
if [[ -z $snapshot || ${#options[@]} -gt 1 ]]; then
    echo "USAGE: SnapshotFormatter [-d|-json] snapshot_file" >&2
    echo "       -d dump the data for each znode" >&2
    echo "       -json dump znode info in json format" >&2
    exit 2
fi
exec "$program" snapshot dump ${options[@]+"${options[@]}"} "$snapshot"
