"""Prints as JSON which options this Airflow knows, and which of them are sensitive.

Usage: python -m bellwether_airflow.launcher.known; it imports Airflow, and so nothing imports it.
"""

import json
import sys


def main() -> int:
    """The program."""
    from airflow.configuration import conf, retrieve_configuration_description

    sensitive = {(section.lower(), key.lower()) for section, key in conf.sensitive_config_values}
    known: dict[str, dict[str, bool]] = {}
    for section, described in retrieve_configuration_description().items():
        known[section.lower()] = {
            key.lower(): bool(option.get("sensitive"))
            or (section.lower(), key.lower()) in sensitive
            for key, option in (described.get("options") or {}).items()
        }
    json.dump(known, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
