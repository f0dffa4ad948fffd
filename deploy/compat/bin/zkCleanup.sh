#!/usr/bin/env bash
#
# zkCleanup.sh for Bellwether: removes the snapshots and logs that the newest N snapshots do not
# need, by `bellwether purge`. A server may run meanwhile.
#
#   zkCleanup.sh [--config DIR] -n N
#
# It deletes nothing that the oldest snapshot it keeps needs, and counts only snapshots that can be
# read to their end: with fewer than N of those it deletes nothing.

set -u

bin_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}" 2>/dev/null ||
    printf '%s' "${BASH_SOURCE[0]}")")
# shellcheck source=/dev/null
. "$bin_dir/zkEnv.sh"
program=$(zk_program) || exit 1

data_dir=$(zk_setting dataDir "$ZOOCFG")
log_dir=$(zk_setting dataLogDir "$ZOOCFG")
if [[ -z $data_dir ]]; then
    echo "Error: $ZOOCFG does not set dataDir, or there is no such file." >&2
    exit 2
fi
if [[ -z $log_dir ]]; then
    exec "$program" purge "$data_dir" "$@"
fi
exec "$program" purge "$log_dir" "$data_dir" "$@"
