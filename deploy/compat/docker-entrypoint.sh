#!/usr/bin/env bash
#
# What a container runs first: it writes zoo.cfg and myid from the ZOO_* variables of the common
# ZooKeeper image, by that image's rules, and becomes the command.
#
#   ZOO_CONF_DIR (/conf), ZOO_DATA_DIR (/data), ZOO_DATA_LOG_DIR (/datalog), ZOO_LOG_DIR (/logs)
#   ZOO_TICK_TIME (2000), ZOO_INIT_LIMIT (5), ZOO_SYNC_LIMIT (2), ZOO_MAX_CLIENT_CNXNS (60)
#   ZOO_AUTOPURGE_PURGEINTERVAL (0), ZOO_AUTOPURGE_SNAPRETAINCOUNT (3)
#   ZOO_STANDALONE_ENABLED (true), ZOO_ADMINSERVER_ENABLED (true)
#   ZOO_SERVERS          lines of servers, with spaces between (server.1=localhost:2888:3888;2181)
#   ZOO_4LW_COMMANDS_WHITELIST, ZOO_CFG_EXTRA: more settings, with spaces between
#   ZOO_MY_ID (1)
#
# A zoo.cfg or a myid that is there is left as it is, and then its variables mean nothing.

set -e

conf_dir=${ZOO_CONF_DIR:-/conf}
data_dir=${ZOO_DATA_DIR:-/data}
data_log_dir=${ZOO_DATA_LOG_DIR:-/datalog}
log_dir=${ZOO_LOG_DIR:-/logs}
export ZOOCFGDIR=${ZOOCFGDIR:-$conf_dir} ZOO_LOG_DIR=$log_dir

# Root only makes the directories usable; the server runs as the image's user.
if [[ ${1-} == zkServer.sh && $(id -u) == 0 ]] && id zookeeper >/dev/null 2>&1; then
    mkdir -p -- "$conf_dir" "$data_dir" "$data_log_dir" "$log_dir"
    chown -R zookeeper -- "$data_dir" "$data_log_dir" "$log_dir" "$conf_dir"
    exec setpriv --reuid zookeeper --regid zookeeper --init-groups -- "$0" "$@"
fi

if [[ ! -f $conf_dir/zoo.cfg ]]; then
    mkdir -p -- "$conf_dir"
    {
        echo "dataDir=$data_dir"
        echo "dataLogDir=$data_log_dir"
        echo "tickTime=${ZOO_TICK_TIME:-2000}"
        echo "initLimit=${ZOO_INIT_LIMIT:-5}"
        echo "syncLimit=${ZOO_SYNC_LIMIT:-2}"
        echo "autopurge.snapRetainCount=${ZOO_AUTOPURGE_SNAPRETAINCOUNT:-3}"
        echo "autopurge.purgeInterval=${ZOO_AUTOPURGE_PURGEINTERVAL:-0}"
        echo "maxClientCnxns=${ZOO_MAX_CLIENT_CNXNS:-60}"
        echo "standaloneEnabled=${ZOO_STANDALONE_ENABLED:-true}"
        echo "admin.enableServer=${ZOO_ADMINSERVER_ENABLED:-true}"
        # Words are taken apart here on purpose: each is a line.
        # shellcheck disable=SC2086
        printf '%s\n' ${ZOO_SERVERS:-server.1=localhost:2888:3888;2181}
        if [[ -n ${ZOO_4LW_COMMANDS_WHITELIST-} ]]; then
            echo "4lw.commands.whitelist=$ZOO_4LW_COMMANDS_WHITELIST"
        fi
        if [[ -n ${ZOO_CFG_EXTRA-} ]]; then
            # shellcheck disable=SC2086
            printf '%s\n' $ZOO_CFG_EXTRA
        fi
    } >"$conf_dir/zoo.cfg"
fi

if [[ ! -f $data_dir/myid ]]; then
    mkdir -p -- "$data_dir"
    echo "${ZOO_MY_ID:-1}" >"$data_dir/myid"
fi

exec "$@"
