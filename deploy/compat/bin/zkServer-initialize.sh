#!/usr/bin/env bash
#
# zkServer-initialize.sh for Bellwether: makes the directories of a new server, as Apache's does.
#
#   zkServer-initialize.sh [--configfile=FILE] [--myid=N] [--force]
#
# It makes dataDir/version-2 and dataLogDir/version-2, writes dataDir/myid, and leaves a file
# `initialize`, by which a server with db.autocreate=false knows that an empty database is meant.
# With --force it first removes what is there; a directory that a running server holds is refused.

set -u

bin_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}" 2>/dev/null ||
    printf '%s' "${BASH_SOURCE[0]}")")
# shellcheck source=/dev/null
. "$bin_dir/zkEnv.sh"

usage() {
    printf 'usage: %s <parameters>
  Optional parameters:
     -h                                                    Display this message
     --help                                                Display this message
     --configfile=%-40s ZooKeeper config file
     --myid=#                                              Set the myid to be used, if any (1-255)
     --force                                               Force creation of the data/txnlog dirs
' "$0" "$ZOOCFG"
    exit 1
}

# Whether a server of ours holds the lock of a directory.
is_held() {
    local lock=$1/bellwether.lock
    [[ -e $lock ]] && type -P flock >/dev/null && ! flock -n -s "$lock" true 2>/dev/null
}

my_id=
force=
while [[ $# -gt 0 && -n $1 ]]; do
    case $1 in
    --configfile | --myid)
        if [[ $# -lt 2 ]]; then usage; fi
        if [[ $1 == --myid ]]; then my_id=$2; else ZOOCFG=$2; fi
        shift
        ;;
    --configfile=?*) ZOOCFG=${1#*=} ;;
    --myid=?*) my_id=${1#*=} ;;
    --force) force=1 ;;
    -h | --help) usage ;;
    *)
        echo "Unknown option: $1"
        usage
        ;;
    esac
    shift
done

if [[ ! -e $ZOOCFG ]]; then
    echo "Unable to find config file at $ZOOCFG"
    exit 1
fi
data_dir=$(zk_setting dataDir "$ZOOCFG")
log_dir=$(zk_setting dataLogDir "$ZOOCFG")
if [[ -z $data_dir ]]; then
    echo "Unable to determine dataDir from $ZOOCFG"
    exit 1
fi
dirs=("$data_dir")
if [[ -n $log_dir && $log_dir != "$data_dir" ]]; then dirs+=("$log_dir"); fi

if [[ -n $force ]]; then
    echo "Force enabled, data/txnlog directories will be re-initialized"
    for dir in "${dirs[@]}"; do
        if is_held "$dir/version-2"; then
            echo "A server uses $dir/version-2: stop it first. Nothing was changed." >&2
            exit 1
        fi
    done
elif [[ -d $data_dir/version-2 ]]; then
    echo "ZooKeeper data directory already exists at $data_dir (or use --force to force" \
        "re-initialization)"
    exit 1
elif [[ -n $log_dir && -d $log_dir/version-2 ]]; then
    echo "ZooKeeper txnlog directory already exists at $log_dir (or use --force to force" \
        "re-initialization)"
    exit 1
fi

# What is above version-2 stays, with its owner and its permissions.
for dir in "${dirs[@]}"; do
    rm -rf -- "$dir/myid" "$dir/version-2"
    mkdir -p -- "$dir/version-2" || exit 1
done
if [[ -n $my_id ]]; then
    echo "Using myid of $my_id"
    echo "$my_id" >"$data_dir/myid"
else
    echo "No myid provided, be sure to specify it in $data_dir/myid if using non-standalone"
fi
# Apache's script leaves it in dataDir; the server looks for it beside the logs.
for dir in "${dirs[@]}"; do
    touch -- "$dir/initialize"
done
