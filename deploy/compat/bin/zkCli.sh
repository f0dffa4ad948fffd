#!/usr/bin/env bash
#
# zkCli.sh for Bellwether: Apache's shell, by `bellwether cli`, which takes the same options and
# commands. Of CLIENT_JVMFLAGS and JVMFLAGS it takes -Dname=value, such as those of TLS.

set -u

bin_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}" 2>/dev/null ||
    printf '%s' "${BASH_SOURCE[0]}")")
# shellcheck source=/dev/null
. "$bin_dir/zkEnv.sh"
program=$(zk_program) || exit 1

zk_properties=()
zk_collect_properties "${CLIENT_JVMFLAGS-} ${JVMFLAGS-}"

exec "$program" cli ${zk_properties[@]+"${zk_properties[@]}"} "$@"
