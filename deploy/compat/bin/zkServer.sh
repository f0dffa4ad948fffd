#!/usr/bin/env bash
#
# zkServer.sh for Bellwether: the verbs, files, variables and output lines of Apache ZooKeeper's
# script, so that test suites, images and unit files that call it start this server.
#
#   zkServer.sh [--config DIR] start|start-foreground|stop|restart|status|version|print-cmd [CFG]
#
# Read as Apache's script reads them: ZOOCFGDIR, ZOOCFG, ZOO_LOG_DIR, ZOOPIDFILE, ZOO_NOEXEC,
# ZOO_DATADIR_AUTOCREATE_DISABLE, SERVER_JVMFLAGS and JVMFLAGS, of which -Dname=value is handed to
# the server, and what zkEnv.sh reads. Exit codes are Apache's: 0, and 1 for what could not be done.

set -u

bin_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}" 2>/dev/null ||
    printf '%s' "${BASH_SOURCE[0]}")")
# shellcheck source=/dev/null
. "$bin_dir/zkEnv.sh"

usage() {
    echo "Usage: $0 [--config <conf-dir>]" \
        "{start|start-foreground|stop|version|restart|status|print-cmd}" >&2
}

verb=${1-}
chosen=${2-}
config=$ZOOCFG
if [[ -n $chosen ]]; then
    # A bare name lies in the configuration's directory; anything with a path is taken as it is.
    if [[ $chosen == */* ]]; then config=$chosen; else config=$ZOOCFGDIR/$chosen; fi
fi

# Fills `arguments` with what stands behind the program's name.
collect_arguments() {
    arguments=(server)
    if [[ -n ${ZOO_DATADIR_AUTOCREATE_DISABLE-} ]]; then
        arguments+=(-Dzookeeper.datadir.autocreate=false)
    fi
    zk_properties=()
    zk_collect_properties "${SERVER_JVMFLAGS-} ${JVMFLAGS-}"
    arguments+=(${zk_properties[@]+"${zk_properties[@]}"} "$config")
}

# ---- verbs ---------------------------------------------------------------------------------------

# Whether a process runs. A zombie does not.
runs() {
    kill -0 "$1" 2>/dev/null || return 1
    local state
    state=$(ps -o state= -p "$1" 2>/dev/null) || return 0
    [[ ${state# } != Z* ]]
}

# Whether a process runs and can be a server. The file of a server that was killed, or of a
# container that is gone, may name a process that is something else by now.
is_server() {
    local command
    runs "$1" || return 1
    command=$(tr '\0' ' ' <"/proc/$1/cmdline") 2>/dev/null || return 0
    [[ -z $command || ${command,,} == *bellwether* || ${command,,} == *zookeeper* ]]
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
    if [[ ! -f $config ]]; then
        echo "Error: there is no $config: give it as the last word, or its directory with" \
            "--config or ZOOCFGDIR." >&2
        exit 1
    fi
    data_dir=$(zk_setting dataDir "$config")
    if [[ -z $data_dir ]]; then
        echo "Error: $config does not set dataDir, where the file of the process lies." >&2
        exit 1
    fi
    pid_file=$data_dir/zookeeper_server.pid
}

require_data_dirs() {
    local data_dir log_dir
    data_dir=$(zk_setting dataDir "$config")
    log_dir=$(zk_setting dataLogDir "$config")
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
    program=$(zk_program) || exit 1
    find_pid_file
    echo -n "Starting zookeeper ... "
    pid=$(read_pid)
    if [[ -n $pid ]] && is_server "$pid"; then
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
    program=$(zk_program) || exit 1
    if [[ -n ${ZOO_NOEXEC-} ]]; then
        "$program" "${arguments[@]}"
        exit
    fi
    # Whoever kills this process means the server.
    exec "$program" "${arguments[@]}"
}

print_cmd() {
    local program
    program=$(zk_program) || exit 1
    printf '%q ' "$program" "${arguments[@]}"
    printf '> %q 2>&1 < /dev/null\n' \
        "$log_dir/zookeeper-${USER:-$(id -un)}-server-${HOSTNAME:-localhost}.out"
}

stop() {
    local pid tenths
    find_pid_file
    echo -n "Stopping zookeeper ... "
    if [[ ! -f $pid_file ]]; then
        echo "no zookeeper to stop (could not find file $pid_file)"
        return
    fi
    pid=$(read_pid)
    if [[ -n $pid ]] && is_server "$pid" && kill "$pid" 2>/dev/null; then
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

# Finds `host` and `port` of this server's own line, in zoo.cfg or the file it points to.
find_client_part_of_member() {
    local my_id line
    my_id=$(head -n 1 -- "$(zk_setting dataDir "$config")/myid" 2>/dev/null | tr -d '[:space:]')
    if [[ ! $my_id =~ ^[0-9]+$ ]]; then
        echo "myid could not be determined, will not able to locate clientPort in the server" \
            "configs."
        return
    fi
    line=$(zk_setting "server.$my_id" "$config")
    if [[ $line != *\;* ]]; then
        echo "Client port not found in static config file. Looking in dynamic config file."
        line=$(zk_setting "server.$my_id" "$(zk_setting dynamicConfigFile "$config")")
    fi
    if [[ $line != *\;* ]]; then
        echo "Client port not found in the server configs"
        return
    fi
    line=${line##*;}
    port=${line##*:}
    if [[ $line == *:* ]]; then
        host=${line%:*}
        host=${host#[}
        host=${host%]}
    fi
}

status() {
    local host port mode
    host=$(zk_setting clientPortAddress "$config")
    host=${host:-localhost}
    port=$(zk_setting clientPort "$config")
    if [[ ! $port =~ ^[0-9]+$ ]]; then
        port=
        find_client_part_of_member
    fi
    if [[ -z $port ]]; then
        echo "Client port not found. Looking for secureClientPort in the static config."
        port=$(zk_setting secureClientPort "$config")
        if [[ -z $port ]]; then
            echo "Unable to find either secure or unsecure client port in any configs. Terminating."
            exit 1
        fi
        host=$(zk_setting secureClientPortAddress "$config")
        echo "Client port found: $port. Client address: ${host:-localhost}. Client SSL: true."
        echo "Error: this script asks without TLS; give the server a clientPort on" \
            "localhost, too." >&2
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
    program=$(zk_program) || exit 1
    # In the form that those who look for the version of the original expect.
    echo "Apache ZooKeeper, version 3.9.5 ($("$program" --version))"
}

# ---- which one -----------------------------------------------------------------------------------

arguments=()
pid_file=
log_dir=$ZOO_LOG_DIR

case $verb in
start | start-foreground | stop | restart | status | print-cmd | version) ;;
*)
    usage
    exit 0 # As Apache's: some wrappers pass on whatever they are given.
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
