#!/usr/bin/env bash
#
# Article 002: the nodes /airflow/config, /airflow/service and /airflow/cluster, made with zkCli.sh.
#
# Wanted: three nodes for Airflow's configuration, services and cluster.
# Wrong: /airflow has to be there first: create makes one node, and a node needs its parent.
# Differs: /airflow is created first; the rest is the article's.

set -euo pipefail

host=${ZOOKEEPER_HOST:-localhost:2181}

zkCli.sh -server "$host" create /airflow
zkCli.sh -server "$host" create /airflow/config
zkCli.sh -server "$host" create /airflow/service
zkCli.sh -server "$host" create /airflow/cluster

zkCli.sh -server "$host" ls /airflow | grep -F '[cluster, config, service]'
zkCli.sh -server "$host" deleteall /airflow
