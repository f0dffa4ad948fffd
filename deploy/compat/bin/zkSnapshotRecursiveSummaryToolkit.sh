#!/usr/bin/env bash
#
# zkSnapshotRecursiveSummaryToolkit.sh for Bellwether: counts the nodes and bytes below each node,
# by `bellwether snapshot summary`.
#
#   zkSnapshotRecursiveSummaryToolkit.sh SNAPSHOT STARTING_NODE MAX_DEPTH
#
# A depth of 0 shows all.

set -u

bin_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}" 2>/dev/null ||
    printf '%s' "${BASH_SOURCE[0]}")")
# shellcheck source=/dev/null
. "$bin_dir/zkEnv.sh"
program=$(zk_program) || exit 1

if [[ $# -ne 3 || ! $3 =~ ^[0-9]+$ ]]; then
    echo "USAGE:" >&2
    echo "SnapshotRecursiveSummary  <snapshot_file>  <starting_node>  <max_depth>" >&2
    exit 2
fi
exec "$program" snapshot summary --path "$2" --depth "$3" "$1"
