#!/usr/bin/env bash
#
# zkSnapshotComparer.sh for Bellwether: compares two snapshots, by `bellwether snapshot compare`.
#
#   zkSnapshotComparer.sh -l LEFT -r RIGHT -b BYTES -n NODES
#
# Prints the nodes whose subtree differs by more than BYTES bytes or NODES nodes. Exit code 1: some
# do. There is no interactive mode: `bellwether snapshot compare LEFT RIGHT` prints every node that
# differs, for grep and less.

set -u

bin_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}" 2>/dev/null ||
    printf '%s' "${BASH_SOURCE[0]}")")
# shellcheck source=/dev/null
. "$bin_dir/zkEnv.sh"
program=$(zk_program) || exit 1

left=
right=
thresholds=()
while [[ $# -gt 0 ]]; do
    case $1 in
    -l | --left) left=${2-} ;;
    -r | --right) right=${2-} ;;
    -b | --bytes) thresholds+=(--bytes "${2-}") ;;
    -n | --nodes) thresholds+=(--nodes "${2-}") ;;
    -d | --debug)
        shift
        continue
        ;;
    *)
        echo "Unrecognized option: $1 (there is no interactive mode: bellwether snapshot compare" \
            "LEFT RIGHT prints every node that differs)" >&2
        exit 2
        ;;
    esac
    shift
    if [[ $# -gt 0 ]]; then shift; fi
done
if [[ -z $left || -z $right || ${#thresholds[@]} -ne 4 ]]; then
    echo "usage: zkSnapshotComparer.sh -l LEFT -r RIGHT -b BYTES -n NODES" >&2
    exit 2
fi
exec "$program" snapshot compare "$left" "$right" "${thresholds[@]}"
