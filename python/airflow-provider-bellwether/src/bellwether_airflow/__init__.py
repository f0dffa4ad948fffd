"""Airflow on ZooKeeper and Bellwether: operators, sensors, triggers and assets for znodes.

Keeps true: an import starts no thread, opens no session and asks for no connection.
"""

__version__ = "0.1.0"
