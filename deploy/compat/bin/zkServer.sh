#!/usr/bin/env bash
#
# zkServer.sh for Bellwether: the verbs, files, variables and output lines of Apache ZooKeeper's
# script, so that test suites, images and unit files that call it start this server.
#
#   zkServer.sh [--config DIR] start|start-foreground|stop|restart|status|version|print-cmd [CFG]
#
# The server's program is $BELLWETHER_BIN, or `bellwether` beside this script, or the release build
# of the checkout that this script lies in, or `bellwether` on PATH.
#
# Read as Apache's script reads them: ZOOCFGDIR, ZOOCFG, ZOO_LOG_DIR, ZOOPIDFILE, ZOO_NOEXEC,
# ZOO_DATADIR_AUTOCREATE_DISABLE, SERVER_JVMFLAGS and JVMFLAGS, and the files zookeeper-env.sh and
# java.env in the configuration's directory. Of the flags, -Dname=value is handed to the server; the
# others are for a Java machine, and there is none.

set -u

script=$(readlink -f -- "${BASH_SOURCE[0]}" 2>/dev/null || printf '%s' "${BASH_SOURCE[0]}")
bin_dir=$(cd -- "$(dirname -- "$script")" && pwd)

usage() {
    echo "Usage: $0 [--config <conf-dir>]" \
        "{start|start-foreground|stop|version|restart|status|print-cmd}" >&2
}

if [[ $# -gt 1 && $1 == --config ]]; then
    ZOOCFGDIR=$2
    shift 2
fi
verb=${1-}
chosen=${2-}

# ---- the configuration file ----------------------------------------------------------------------

if [[ -z ${ZOOCFGDIR-} ]]; then
    if [[ -e $bin_dir/../conf ]]; then
        ZOOCFGDIR=$bin_dir/../conf
    else
        ZOOCFGDIR=$bin_dir/../etc/zookeeper
    fi
fi
for file in "$ZOOCFGDIR/zookeeper-env.sh" "$ZOOCFGDIR/java.env"; do
    if [[ -f $file ]]; then
        set +u # Written for a script that does not stop at unset variables.
        # shellcheck source=/dev/null
        . "$file"
        set -u
    fi
done
config=$ZOOCFGDIR/${ZOOCFG:-zoo.cfg}
if [[ -n $chosen ]]; then
    # A bare name lies in the configuration's directory; anything with a path is taken as it is.
    if [[ $chosen == */* ]]; then config=$chosen; else config=$ZOOCFGDIR/$chosen; fi
fi

# Prints the value of a setting in a file; of several lines the last counts.
setting() {
    local key=${1//./\\.} file=$2
    sed -n -e 's/\r$//' \
        -e "s/^[[:space:]]*${key}[[:space:]]*[=:[:space:]][[:space:]]*\\(.*\\)\$/\\1/p" \
        -- "$file" 2>/dev/null | sed -e '$!d' -e 's/[[:space:]]*$//'
}

# ---- the program and its arguments ---------------------------------------------------------------

find_program() {
    local candidate
    for candidate in "${BELLWETHER_BIN-}" "$bin_dir/bellwether" \
        "$bin_dir/../../../target/release/bellwether"; do
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

# Fills `arguments` with what stands behind the program's name.
collect_arguments() {
    local flags flag
    arguments=(server)
    if [[ -n ${ZOO_DATADIR_AUTOCREATE_DISABLE-} ]]; then
        arguments+=(-Dzookeeper.datadir.autocreate=false)
    fi
    read -r -d '' -a flags <<<"${SERVER_JVMFLAGS-} ${JVMFLAGS-}" || true
    for flag in ${flags[@]+"${flags[@]}"}; do
        if [[ $flag == -D?* ]]; then arguments+=("$flag"); fi
    done
    arguments+=("$config")
}

# ---- verbs ---------------------------------------------------------------------------------------

# Whether a process runs. A zombie does not.
runs() {
    kill -0 "$1" 2>/dev/null || return 1
    local state
    state=$(ps -o state= -p "$1" 2>/dev/null) || return 0
    [[ ${state# } != Z* ]]
}

# Prints the number in the file of the process, if there is one.
read_pid() {
    local pid=
    if [[ -f $pid_file ]]; then pid=$(<"$pid_file"); fi
    if [[ $pid =~ ^[0-9]+$ ]]; then printf '%s\n' "$pid"; fi
}

find_pid_file() {
    local data_dir
    if [[ -n ${ZOOPIDFILE-} ]]; then
        pid_file=$ZOOPIDFILE
        return
    fi
    data_dir=$(setting dataDir "$config")
    if [[ -z $data_dir ]]; then
        echo "Error: $config does not set dataDir, where the file of the process lies." >&2
        exit 1
    fi
    pid_file=$data_dir/zookeeper_server.pid
}

require_data_dirs() {
    local data_dir log_dir
    data_dir=$(setting dataDir "$config")
    log_dir=$(setting dataLogDir "$config")
    if [[ ! -d $data_dir/version-2 ]]; then
        echo "ZooKeeper data directory is missing at $data_dir fix the path or run initialize"
        exit 1
    fi
    if [[ -n $log_dir && ! -d $log_dir/version-2 ]]; then
        echo "ZooKeeper txnlog directory is missing at $log_dir fix the path or run initialize"
        exit 1
    fi
}

start() {
    local program pid output tenths
    program=$(find_program) || exit 1
    echo -n "Starting zookeeper ... "
    find_pid_file
    pid=$(read_pid)
    if [[ -n $pid ]] && runs "$pid"; then
        echo "already running as process $pid."
        exit 1
    fi
    mkdir -p -- "$(dirname -- "$pid_file")" "$log_dir"
    output=$log_dir/zookeeper-${USER:-$(id -un)}-server-${HOSTNAME:-localhost}.out
    nohup "$program" "${arguments[@]}" >"$output" 2>&1 </dev/null &
    pid=$!
    if ! printf '%s' "$pid" >"$pid_file"; then
        echo FAILED TO WRITE PID
        exit 1
    fi
    # A configuration that is refused, or a port that is taken, ends the server at once.
    for ((tenths = 0; tenths < 10; tenths++)); do
        sleep 0.1
        if ! runs "$pid"; then
            rm -f -- "$pid_file"
            echo FAILED TO START
            echo "The reason stands in $output." >&2
            exit 1
        fi
    done
    echo STARTED
}

start_foreground() {
    local program
    program=$(find_program) || exit 1
    if [[ -n ${ZOO_NOEXEC-} ]]; then
        "$program" "${arguments[@]}"
        exit
    fi
    # Whoever kills this process means the server.
    exec "$program" "${arguments[@]}"
}

print_cmd() {
    local program
    program=$(find_program) || exit 1
    printf '%q ' "$program" "${arguments[@]}"
    printf '> %q 2>&1 < /dev/null\n' \
        "$log_dir/zookeeper-${USER:-$(id -un)}-server-${HOSTNAME:-localhost}.out"
}

stop() {
    local pid tenths
    echo -n "Stopping zookeeper ... "
    find_pid_file
    if [[ ! -f $pid_file ]]; then
        echo "no zookeeper to stop (could not find file $pid_file)"
        return
    fi
    pid=$(read_pid)
    if [[ -n $pid ]] && kill "$pid" 2>/dev/null; then
        for ((tenths = 0; tenths < 300; tenths++)); do
            if ! runs "$pid"; then break; fi
            sleep 0.1
        done
        if runs "$pid"; then
            echo "FAILED TO STOP (process $pid still runs)"
            exit 1
        fi
    fi
    rm -f -- "$pid_file"
    echo STOPPED
}

# Sends a four-letter word and prints the reply. `host` may be an address in brackets.
four_letter_word() {
    local host=$1 port=$2 word=$3 line
    host=${host#[}
    host=${host%]}
    {
        exec 3<>"/dev/tcp/$host/$port" || return 1
    } 2>/dev/null
    printf '%s' "$word" >&3
    while IFS= read -r -t 5 line <&3; do
        printf '%s\n' "$line"
    done
    exec 3<&- 3>&-
}

# Prints [host:]port of this server's own line, from zoo.cfg or the file it points to.
client_part_of_member() {
    local my_id file line
    my_id=$(head -n 1 -- "$(setting dataDir "$config")/myid" 2>/dev/null | tr -d '[:space:]')
    if [[ ! $my_id =~ ^[0-9]+$ ]]; then
        echo "myid could not be determined, will not able to locate clientPort in the server" \
            "configs." >&2
        return
    fi
    for file in "$config" "$(setting dynamicConfigFile "$config")"; do
        if [[ -z $file ]]; then continue; fi
        line=$(setting "server.$my_id" "$file")
        if [[ $line == *\;* ]]; then
            printf '%s\n' "${line##*;}"
            return
        fi
    done
}

status() {
    local host port part mode
    host=$(setting clientPortAddress "$config")
    host=${host:-localhost}
    port=$(setting clientPort "$config")
    if [[ ! $port =~ ^[0-9]+$ ]]; then
        part=$(client_part_of_member)
        port=${part##*:}
        if [[ $part == *:* ]]; then
            host=${part%:*}
            host=${host#[}
            host=${host%]}
        fi
    fi
    if [[ ! $port =~ ^[0-9]+$ ]]; then
        echo "Unable to find either secure or unsecure client port in any configs. Terminating."
        exit 1
    fi
    echo "Client port found: $port. Client address: $host. Client SSL: false."
    mode=$(four_letter_word "$host" "$port" srvr | grep Mode)
    if [[ -z $mode ]]; then
        echo "Error contacting service. It is probably not running."
        exit 1
    fi
    echo "$mode"
}

version() {
    local program
    program=$(find_program) || exit 1
    exec "$program" --version
}

# ---- which one -----------------------------------------------------------------------------------

arguments=()
pid_file=
log_dir=${ZOO_LOG_DIR:-$bin_dir/../logs}

case $verb in
start | start-foreground | stop | restart | status | print-cmd | version) ;;
*)
    usage
    exit 1
    ;;
esac

echo "Using config: $config" >&2
collect_arguments
if [[ -n ${ZOO_DATADIR_AUTOCREATE_DISABLE-} && $verb == @(start|start-foreground|restart) ]]; then
    require_data_dirs
fi

case $verb in
start) start ;;
start-foreground) start_foreground ;;
print-cmd) print_cmd ;;
stop) stop ;;
version) version ;;
restart)
    stop
    start
    ;;
status) status ;;
esac
