#!/usr/bin/env bash
#
# What the scripts beside this one share; they source it, and so may others that sourced Apache's.
# It takes `--config DIR` off the front of the arguments, and sets
#
#   ZOOBINDIR    where the scripts are, symbolic links followed
#   ZOOCFGDIR    the configuration's directory: as given, or ../conf, or ../etc/zookeeper
#   ZOOCFG       the configuration file: $ZOOCFGDIR and what ZOOCFG said, or zoo.cfg
#   ZOO_LOG_DIR  where the output of a server in the background goes: as given, or ../logs
#
# It reads zookeeper-env.sh and java.env in the configuration's directory, as Apache's does. The
# program is $BELLWETHER_BIN, or `bellwether` beside the scripts, or the release build of the
# checkout that they lie in, or `bellwether` on PATH.

zk_env_script=$(readlink -f -- "${BASH_SOURCE[0]}" 2>/dev/null || printf '%s' "${BASH_SOURCE[0]}")
ZOOBINDIR=$(cd -- "$(dirname -- "$zk_env_script")" && pwd)

if [[ $# -gt 1 && $1 == --config ]]; then
    ZOOCFGDIR=$2
    shift 2
fi

if [[ -z ${ZOOCFGDIR-} ]]; then
    if [[ -e $ZOOBINDIR/../conf ]]; then
        ZOOCFGDIR=$ZOOBINDIR/../conf
    else
        ZOOCFGDIR=$ZOOBINDIR/../etc/zookeeper
    fi
fi

# These two were written for a script that does not stop at unset variables.
zk_env_options=$-
set +u
for zk_env_file in "$ZOOCFGDIR/zookeeper-env.sh" "$ZOOCFGDIR/java.env"; do
    if [[ -f $zk_env_file ]]; then
        # shellcheck source=/dev/null
        . "$zk_env_file"
    fi
done
if [[ $zk_env_options == *u* ]]; then set -u; fi
unset zk_env_file zk_env_options zk_env_script

case ${ZOOCFG:-zoo.cfg} in
/*) ;;
*) ZOOCFG=$ZOOCFGDIR/${ZOOCFG:-zoo.cfg} ;;
esac

ZOO_LOG_DIR=${ZOO_LOG_DIR:-$ZOOBINDIR/../logs}

# Prints the value of a setting in a file; of several lines the last counts.
zk_setting() {
    local key=${1//./\\.} file=$2
    sed -n -e 's/\r$//' \
        -e "s/^[[:space:]]*${key}[[:space:]]*[=:[:space:]][[:space:]]*\\(.*\\)\$/\\1/p" \
        -- "$file" 2>/dev/null | sed -e '$!d' -e 's/[[:space:]]*$//'
}

# Prints the path of the program.
zk_program() {
    local candidate
    for candidate in "${BELLWETHER_BIN-}" "$ZOOBINDIR/bellwether" \
        "$ZOOBINDIR/../../../target/release/bellwether"; do
        if [[ -n $candidate && -x $candidate && ! -d $candidate ]]; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    if ! type -P bellwether; then
        echo "Error: bellwether was not found: set BELLWETHER_BIN to the program" \
            "(cargo build --release makes it)." >&2
        return 1
    fi
}

# Fills `zk_properties` with the -Dname=value of the words given; the other flags are for a Java
# machine, and there is none.
zk_collect_properties() {
    local flags flag
    zk_properties=()
    read -r -d '' -a flags <<<"$*" || true
    for flag in ${flags[@]+"${flags[@]}"}; do
        if [[ $flag == -D?* ]]; then zk_properties+=("$flag"); fi
    done
}
