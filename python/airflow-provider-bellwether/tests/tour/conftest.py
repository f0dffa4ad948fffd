"""What the tour needs: BELLWETHER_PROGRAM, BELLWETHER_WHEELS, and a free port in BELLWETHER_HOSTS.

Keeps true: without them no test of this directory is collected, and this is said.
"""

import os

if not {"BELLWETHER_PROGRAM", "BELLWETHER_WHEELS"} <= os.environ.keys():
    print("\nno BELLWETHER_PROGRAM and BELLWETHER_WHEELS: tests/tour is left out")
    collect_ignore_glob = ["test_*.py"]
