#!/usr/bin/env bash
#
# zkTxnLogToolkit.sh for Bellwether: one log, by `bellwether log`.
#
#   zkTxnLogToolkit.sh [-d] LOG            prints every transaction, and every damaged place
#   zkTxnLogToolkit.sh -r [-v] [-y] LOG    writes LOG.fixed without what is damaged
#   zkTxnLogToolkit.sh -c -z ZXID LOG      writes LOG.chopped<ZXID>, which ends with ZXID
#
# The copies have Apache's names. What is damaged is left out of a copy, where Apache's tool gives
# it a right checksum. `bellwether log recover DIR` repairs a whole directory, and says more.

set -u

bin_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}" 2>/dev/null ||
    printf '%s' "${BASH_SOURCE[0]}")")
# shellcheck source=/dev/null
. "$bin_dir/zkEnv.sh"
program=$(zk_program) || exit 1

usage() {
    echo "usage: TxnLogToolkit [-dhrvc] <txn_log_file_name> (-z <zxid>)"
    sed -n -e 's/^#   zk/  zk/p' -- "${BASH_SOURCE[0]}"
}

mode=dump
zxid=
log=
while [[ $# -gt 0 ]]; do
    case $1 in
    -h | --help)
        usage
        exit 0
        ;;
    -d | --dump) mode=dump ;;
    -r | --recover) mode=recover ;;
    -c | --chop) mode=chop ;;
    -v | --verbose | -y | --yes) ;; # A copy is written in any case, and all of it is told.
    -z | --zxid)
        zxid=${2-}
        if [[ $# -gt 1 ]]; then shift; fi
        ;;
    -*)
        echo "Unrecognized option: $1" >&2
        usage
        exit 1
        ;;
    *) log=$1 ;;
    esac
    shift
done
if [[ -z $log ]]; then
    usage
    exit 1
fi
if [[ ! -r $log ]]; then
    echo "File doesn't exist or not readable: $log" >&2
    exit 1
fi
case $mode in
dump) exec "$program" log dump --data "$log" ;;
recover)
    if [[ -e $log.fixed ]]; then
        echo "Recovery file $log.fixed already exists or not writable" >&2
        exit 1
    fi
    copy=$log.fixed
    "$program" log recover "$log" --output "$copy" || exit
    ;;
chop)
    if [[ -z $zxid ]]; then
        echo "-c needs -z ZXID" >&2
        exit 1
    fi
    copy=$log.chopped$((zxid))
    "$program" log cut --after "$zxid" "$log" --output "$copy" || exit
    ;;
esac
echo "By its name $copy is a log to every server: put it in the place of $log, or move it to" \
    "another directory, before one starts." >&2
